"""How the WeChat app shows text: two kinds of link work, everything else is shown as it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from bot.sandbox.screens import Choice, Piece

# Measured by the platform in bytes of UTF-8, markup included.
LONGEST_TEXT = 2048
_LINK = re.compile(r"""<a\s+[^<>]*?href=(?:"([^"<>]*)"|'([^'<>]*)')[^<>]*>([^<>]*)</a>""")
_MENU = "weixin://bizmsgmenu?"


@dataclass(frozen=True)
class Shown:
    """What the phone makes of a message."""

    text: str
    pieces: tuple[Piece, ...]
    choices: tuple[Choice, ...] = ()


def shown(text: str) -> Shown:
    """Text with its links: `weixin://bizmsgmenu` ones become choices, web addresses links."""
    pieces: list[Piece] = []
    choices: list[Choice] = []
    end = 0
    for link in _LINK.finditer(text):
        href, title = link.group(1) or link.group(2) or "", link.group(3)
        if href.startswith(_MENU):
            # Percent-encoding is undone, HTML entities are not: only a bare & parts the arguments.
            asked = parse_qs(href.removeprefix(_MENU), keep_blank_values=True)
            content = asked.get("msgmenucontent", [""])[0]
            menu_id = asked.get("msgmenuid", [""])[0]
            if not content:
                continue
            piece = Piece(title, "menu", choice=len(choices))
            choices.append(Choice(title, menu_id, len(choices), kind="link", says=content))
        elif href.startswith(("http://", "https://")):
            piece = Piece(title, "link", href)
        else:
            continue
        if link.start() > end:
            pieces.append(Piece(text[end : link.start()]))
        pieces.append(piece)
        end = link.end()
    if end < len(text):
        pieces.append(Piece(text[end:]))
    return Shown("".join(piece.text for piece in pieces), tuple(pieces), tuple(choices))


def shown_menu(menu: dict[str, Any]) -> Shown:
    """A `msgmenu`: a heading, options to tap one below the other, a last line."""
    head, tail = shown(str(menu.get("head_content", ""))), shown(str(menu.get("tail_content", "")))
    pieces: list[Piece] = [*head.pieces, *([Piece("\n")] if head.text else [])]
    choices: list[Choice] = []
    for option in menu["list"]:
        content = str(option["content"])
        pieces += [Piece(content, "menu", choice=len(choices)), Piece("\n")]
        choices.append(Choice(content, str(option["id"]), len(choices), kind="menu", says=content))
    pieces += tail.pieces
    return Shown("".join(piece.text for piece in pieces).strip("\n"), tuple(pieces), tuple(choices))


def shown_news(articles: list[dict[str, str]]) -> Shown:
    """Cards: a title that leads somewhere, and a line below."""
    pieces: list[Piece] = []
    for article in articles:
        lead = Piece(article.get("title", ""), "link", article.get("url", ""))
        pieces += [lead, Piece("\n" + article.get("description", ""))]
    return Shown("".join(piece.text for piece in pieces).strip(), tuple(pieces))
