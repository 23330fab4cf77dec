"""What Telegram brings, in our own shape: one update in, one `Incoming` out, whatever the update holds."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import structlog
from telegram import CallbackQuery, Message, Update
from telegram.constants import ChatType

from bot.channel import Incoming

log = structlog.get_logger(__name__)

NAME = "telegram"
# Old messages keep their buttons for ever; a later layout of the data gets another number.
BUTTON = "v1:"
# What python-telegram-bot raises on a body that is no update, and we on one with values of the wrong kind.
MALFORMED = (ValueError, KeyError, AttributeError, TypeError, OverflowError, OSError, RecursionError)


def read(body: bytes) -> Incoming:
    """What a webhook body says. One that is no update is kept as unreadable: refused, it would block its guest."""
    try:
        data = json.loads(body)
        if not isinstance(data, dict):
            raise TypeError("no object")
        return incoming_of(Update.de_json(data, None))
    except MALFORMED as error:
        log.warning("telegram.unreadable", error=type(error).__name__, size=len(body))
    digest = hashlib.sha256(body).hexdigest()
    return Incoming(
        NAME, f"bad:{digest}", "unreadable", raw=body.decode(errors="replace").replace("\x00", "")
    )


def incoming_of(update: Update) -> Incoming:
    """An update in our own shape. Raises one of `MALFORMED`."""
    key = f"update:{_number(update.update_id)}"
    if update.callback_query is not None:
        return _tap(key, update.callback_query)
    if update.edited_message is not None:
        # An edited order must not order twice.
        edited = update.edited_message
        return Incoming(NAME, key, "edit", address=_number(edited.chat.id), text=_words(edited.text))
    if update.message is not None:
        return _message(key, update.message)
    if update.my_chat_member is not None:
        change = update.my_chat_member
        kind: Any = "goodbye" if change.new_chat_member.status == "kicked" else "overheard"
        return Incoming(NAME, key, kind, address=_number(change.chat.id))
    return Incoming(NAME, key, "unreadable")


def _message(key: str, message: Message) -> Incoming:
    text = _words(message.text)
    command = text.split(maxsplit=1)[0].partition("@")[0] if text.strip() else ""
    kind: Any = "hello" if command == "/start" else "text" if text else "wordless"
    if message.chat.type != ChatType.PRIVATE:
        kind = "overheard"  # a group is not a guest
    return Incoming(
        NAME,
        key,
        kind,
        address=_number(message.chat.id),
        text=text,
        language=_words(message.from_user.language_code) if message.from_user else "",
        reference=_number(message.message_id),
    )


def _tap(key: str, query: CallbackQuery) -> Incoming:
    # Any client can send any data: it counts only as far as reception finds that we offer such a choice.
    data = _words(query.data)
    return Incoming(
        NAME,
        key,
        "tap",
        address=_number(query.from_user.id),  # the message may be gone, and in private this is the chat's id
        pressed="/" + data[len(BUTTON) :] if data.startswith(BUTTON) else "",
        language=_words(query.from_user.language_code),
        tap_id=_words(query.id),
    )


def _number(value: object) -> str:
    """An id as Telegram gives them. The library checks no types, and ids become keys. Raises `TypeError`."""
    if type(value) is not int or abs(value) >= 2**63:
        raise TypeError("not an id")
    return str(value)


def _words(value: object) -> str:
    """A text, "" where there is none. Raises `TypeError`."""
    if value is not None and not isinstance(value, str):
        raise TypeError("not a text")
    return value or ""
