"""Telegram's rules for keyboards."""

from __future__ import annotations

from typing import Any

from bot.sandbox.telegram_request import bad_request

MOST_BUTTONS = 100
LONGEST_DATA = 64  # bytes of UTF-8


def checked_markup(markup: Any) -> dict[str, Any] | None:
    """The keyboard as kept, None for none. Raises `ApiError` in Telegram's words."""
    if markup is None:
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" in markup:
        rows = _rows(markup["inline_keyboard"], "inline")
        kept = [[_inline_button(button) for button in row] for row in rows if row]
        return {"inline_keyboard": kept} if kept else None
    if "keyboard" in markup:
        rows = _rows(markup["keyboard"], "reply")
        for row in rows:
            for button in row:
                if not isinstance(button, str):
                    _text(button, "keyboard")
        return {**markup, "keyboard": rows}
    return None


def _rows(rows: Any, kind: str) -> list[list[Any]]:
    if not isinstance(rows, list):
        raise bad_request(
            f'field "{"inline_keyboard" if kind == "inline" else "keyboard"}" must be of type Array'
        )
    if not all(isinstance(row, list) for row in rows):
        raise bad_request("keyboard button row must be an Array")
    if sum(map(len, rows)) > MOST_BUTTONS:
        raise bad_request("reply markup is too long")
    return rows


def _text(button: Any, kind: str) -> str:
    if not isinstance(button, dict):
        raise bad_request(f"can't parse {kind} button: expected an Object")
    text = button.get("text")
    if not isinstance(text, str):
        raise bad_request(f"can't parse {kind} button: Can't find field \"text\"")
    if not text.strip():
        raise bad_request("BUTTON_TEXT_INVALID")
    return text


def _inline_button(button: Any) -> dict[str, Any]:
    text = _text(button, "inline keyboard")
    if url := button.get("url"):
        if not str(url).startswith(("http://", "https://", "tg://")):
            raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
        return {"text": text, "url": url}
    data = button.get("callback_data")
    if data is None:
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    if not isinstance(data, str) or not 1 <= len(data.encode()) <= LONGEST_DATA:
        raise bad_request("BUTTON_DATA_INVALID")
    return {"text": text, "callback_data": data}
