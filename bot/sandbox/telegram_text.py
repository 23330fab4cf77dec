"""Telegram's rules for text: HTML markup, entities, lengths in UTF-16 units."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from bot.sandbox.screens import Piece
from bot.sandbox.telegram_request import ApiError, bad_request

LONGEST_TEXT = 4096
MOST_ENTITIES = 100

_STYLES = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler",
    "code": "code", "pre": "pre", "blockquote": "blockquote", "a": "text_link", "span": "spoiler",
}  # fmt: skip
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY = re.compile(r"&(?:#(\d+)|#x([0-9a-fA-F]+)|(lt|gt|amp|quot));?")
_TAG = re.compile(r"<(/?)([^\s<>/]*)([^<>]*)>")
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""")
_COMMAND = re.compile(r"(?<![\w/@])/[A-Za-z0-9_]{1,64}(?:@\w+)?")

Entity = dict[str, Any]


def units(text: str) -> int:
    """Length as Telegram counts it, in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def commands_in(text: str) -> list[Entity]:
    """The `bot_command` entities that Telegram finds in what a guest types."""
    return [
        {"type": "bot_command", "offset": units(text[: m.start()]), "length": units(m.group())}
        for m in _COMMAND.finditer(text)
    ]


def parse(text: str, parse_mode: str, entities: Sequence[Entity] | None = None) -> tuple[str, list[Entity]]:
    """The visible text and its entities. Raises `ApiError` in Telegram's words."""
    mode = parse_mode.lower()
    if not mode or mode == "none":
        found = list(entities or [])
    elif mode == "html":
        text, found = _parse_html(text)
    else:
        # Markdown exists on the real server; this house does not write it, so this stand-in does not read it.
        raise bad_request("unsupported parse_mode")
    return _trimmed(text, found)


def checked_text(text: str, parse_mode: str, entities: Sequence[Entity] | None) -> tuple[str, list[Entity]]:
    """`parse`, and the limits of one message: 1 to 4096 units, at most 100 entities kept."""
    visible, found = parse(text, parse_mode, entities)
    if not visible:
        raise bad_request("message text is empty")
    if units(visible) > LONGEST_TEXT:
        raise bad_request("message is too long")
    return visible, found[:MOST_ENTITIES]


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """White space at both ends is never shown, so entities shift."""
    lead = units(text) - units(text.lstrip())
    text = text.strip()
    total = units(text)
    kept = []
    for entity in entities:
        start = max(entity["offset"] - lead, 0)
        end = min(entity["offset"] - lead + entity["length"], total)
        if end > start:
            kept.append({**entity, "offset": start, "length": end - start})
    return text, kept


def _parse_html(source: str) -> tuple[str, list[Entity]]:
    out: list[str] = []
    entities: list[Entity] = []
    opened: list[tuple[str, int, Entity, int]] = []  # tag, offset, what it becomes, byte offset in the source
    at = 0
    while at < len(source):
        if source[at] == "<":
            at = _tag(source, at, out, opened, entities)
        elif source[at] == "&" and (found := _ENTITY.match(source, at)):
            out.append(_character(found))
            at = found.end()
        else:
            out.append(source[at])
            at += 1
    if opened:
        raise _cannot_parse(f'Can\'t find end tag corresponding to start tag "{opened[-1][0]}"')
    return "".join(out), sorted(entities, key=lambda e: (e["offset"], -e["length"]))


def _tag(
    source: str, at: int, out: list[str], opened: list[tuple[str, int, Entity, int]], entities: list[Entity]
) -> int:
    byte = len(source[:at].encode())
    found = _TAG.match(source, at)
    closing = source[at + 1 : at + 2] == "/"
    if found is None:
        if closing:
            raise _cannot_parse(f"Unclosed end tag at byte offset {byte}")
        name = re.split(r"[\s<>/]", source[at + 1 :], maxsplit=1)[0].lower()
        if name not in _STYLES:
            raise _cannot_parse(f'Unsupported start tag "{name}" at byte offset {byte}')
        raise _cannot_parse(f"Unclosed start tag at byte offset {byte}")
    name = found.group(2).lower()
    here = units("".join(out))
    if not closing:
        opened.append((name, here, _meaning(name, found.group(3), byte), byte))
        return found.end()
    if not opened:
        raise _cannot_parse(f"Unexpected end tag at byte offset {byte}")
    expected, start, entity, _ = opened.pop()
    if name not in ("", expected):
        raise _cannot_parse(
            f'Unmatched end tag at byte offset {byte}, expected "</{expected}>", found "</{name}>"'
        )
    if here > start and entity:
        entities.append({**entity, "offset": start, "length": here - start})
    return found.end()


def _meaning(name: str, attributes: str, byte: int) -> Entity:
    """The entity a start tag stands for; {} for a link that leads nowhere."""
    if name not in _STYLES:
        raise _cannot_parse(f'Unsupported start tag "{name}" at byte offset {byte}')
    given = {key.lower(): value.strip("\"'") for key, value in _ATTRIBUTE.findall(attributes)}
    if name == "span" and given.get("class") != "tg-spoiler":
        raise _cannot_parse(f'Tag "span" must have class "tg-spoiler" at byte offset {byte}')
    if name == "a":
        url = _ENTITY.sub(_character, given.get("href", ""))
        return {"type": "text_link", "url": url} if url else {}
    return {"type": _STYLES[name]}


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else found.group()


def _cannot_parse(reason: str) -> ApiError:
    return bad_request(f"can't parse entities: {reason}")


def pieces(text: str, entities: Sequence[Entity]) -> tuple[Piece, ...]:
    """The text cut at every border of an entity, each run with the styles that cover it."""
    wide = text.encode("utf-16-le")
    borders = {0, len(wide) // 2}
    for entity in entities:
        borders |= {entity["offset"], entity["offset"] + entity["length"]}
    cuts = sorted(b for b in borders if 0 <= b <= len(wide) // 2)
    runs = []
    for start, end in itertools.pairwise(cuts):
        covering = [e for e in entities if e["offset"] <= start and end <= e["offset"] + e["length"]]
        runs.append(
            Piece(
                wide[2 * start : 2 * end].decode("utf-16-le", "replace"),
                " ".join(sorted({e["type"] for e in covering})),
                next((e["url"] for e in covering if "url" in e), ""),
            )
        )
    return tuple(runs)
