"""What Telegram's servers know about one bot: its chats, its messages, its taps, its files, its texts."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bot.sandbox.screens import Bubble, Choice, Screens
from bot.sandbox.telegram_text import pieces
from bot.sandbox.telegram_updates import TAP_LIFE, Updates


@dataclass
class Chat:
    """A private chat with one guest, or, with a negative id, a group of staff."""

    chat_id: int
    name: str = "Guest"
    language: str = ""
    blocked: bool = False

    @property
    def private(self) -> bool:
        return self.chat_id > 0

    def as_json(self) -> dict[str, Any]:
        if not self.private:
            return {"id": self.chat_id, "title": self.name, "type": "supergroup"}
        return {"id": self.chat_id, "first_name": self.name, "type": "private"}

    def user_json(self) -> dict[str, Any]:
        user: dict[str, Any] = {"id": abs(self.chat_id), "is_bot": False, "first_name": self.name}
        return {**user, "language_code": self.language} if self.language else user


@dataclass(frozen=True)
class Message:
    """One message of either side; `media` holds what is not text, in Bot API form."""

    message_id: int
    chat_id: int
    from_bot: bool
    date: int
    text: str = ""
    entities: tuple[dict[str, Any], ...] = ()
    markup: dict[str, Any] | None = None
    media: dict[str, Any] = field(default_factory=dict)
    reply_to: int = 0
    edit_date: int = 0
    bubble: int = 0


@dataclass
class Account:
    """The bot, as the platform keeps it. Message ids grow by one over all its chats."""

    token: str
    clock: Callable[[], datetime]
    screens: Screens
    updates: Updates
    name: str = "知客 Zhike"
    username: str = "zhike_sandbox_bot"
    chats: dict[int, Chat] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    taps: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    commands: dict[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._message_ids = itertools.count(1)
        self._tap_ids = itertools.count(4_000_000_000_000_000_001)

    @property
    def bot_id(self) -> int:
        return int(self.token.split(":")[0])

    def now(self) -> int:
        return int(self.clock().timestamp())

    def me(self) -> dict[str, Any]:
        return {"id": self.bot_id, "is_bot": True, "first_name": self.name, "username": self.username}

    def chat(self, chat_id: int, *, name: str = "", language: str = "") -> Chat:
        """The chat, made if need be, under the guest's present name and language."""
        chat = self.chats.setdefault(chat_id, Chat(chat_id))
        chat.name = name or chat.name
        chat.language = language or chat.language
        return chat

    def add(self, chat: Chat, *, from_bot: bool, show: str = "", **more: Any) -> Message:
        """Number a message, keep it and show it; `show` is what the phone says of a picture and the like."""
        message = Message(next(self._message_ids), chat.chat_id, from_bot, self.now(), **more)
        bubble = self.screens.show(
            str(chat.chat_id),
            "hotel" if from_bot else "guest",
            show or message.text,
            message_id=str(message.message_id),
            kind=next(iter(message.media), "text"),
            pieces=pieces(message.text, message.entities) if not show else (),
            choices=choices(message.markup),
            reply_to=self._quoted(message.reply_to),
            mark="" if from_bot else "sending",
        )
        message = replace(message, bubble=bubble.id)
        self.messages[message.message_id] = message
        return message

    def change(self, message: Message, **more: Any) -> Message:
        """Edit a message in place and on the phone."""
        message = replace(message, edit_date=self.now(), **more)
        self.messages[message.message_id] = message
        self.screens.change(
            str(message.chat_id),
            message.bubble,
            text=message.text,
            pieces=pieces(message.text, message.entities),
            choices=choices(message.markup),
            edited=True,
        )
        return message

    def delivered(self, message: Message) -> Callable[[bool], None]:
        """What to do when the bot has, or will never have, this message of a guest."""

        def mark(arrived: bool) -> None:
            self.screens.change(
                str(message.chat_id), message.bubble, mark="delivered" if arrived else "failed"
            )

        return mark

    def new_tap(self, chat_id: int) -> str:
        """The id of a callback query, which can be answered for a short while only."""
        now = self.clock()
        for old in list(itertools.takewhile(lambda tap: now - self.taps[tap][1] > TAP_LIFE, self.taps)):
            del self.taps[old]
        tap = str(next(self._tap_ids))
        self.taps[tap] = (chat_id, now)
        return tap

    def as_json(self, message: Message, *, quoting: bool = True) -> dict[str, Any]:
        """The Message object of the Bot API."""
        chat = self.chats[message.chat_id]
        body: dict[str, Any] = {
            "message_id": message.message_id,
            "from": self.me() if message.from_bot else chat.user_json(),
            "chat": chat.as_json(),
            "date": message.date,
        }
        if message.edit_date:
            body["edit_date"] = message.edit_date
        if quoting and message.reply_to in self.messages:
            body["reply_to_message"] = self.as_json(self.messages[message.reply_to], quoting=False)
        body.update(message.media)
        if message.text:
            body["text"] = message.text
        if message.entities:
            body["entities"] = list(message.entities)
        if message.markup and "inline_keyboard" in message.markup:
            body["reply_markup"] = message.markup
        return body

    def chat_instance(self, chat_id: int) -> str:
        digest = hashlib.sha256(f"{self.bot_id}:{chat_id}".encode()).digest()
        return str(int.from_bytes(digest[:8], "big", signed=True))

    def bubble_of(self, message_id: int) -> Bubble:
        """What the phone shows of a message."""
        message = self.messages[message_id]
        shown = self.screens.bubbles(str(message.chat_id))
        return next(b for b in shown if b.id == message.bubble)

    def _quoted(self, message_id: int) -> str:
        return self.messages[message_id].text if message_id in self.messages else ""


def choices(markup: dict[str, Any] | None) -> tuple[Choice, ...]:
    """The buttons of a keyboard in reading order."""
    if not markup:
        return ()
    inline = "inline_keyboard" in markup
    rows = markup.get("inline_keyboard") or markup.get("keyboard") or []
    found = []
    for row, buttons in enumerate(rows):
        for button in buttons:
            title = button if isinstance(button, str) else button["text"]
            if inline:
                found.append(Choice(title, button.get("callback_data", ""), row, button.get("url", "")))
            else:
                found.append(Choice(title, title, row, kind="reply"))
    return tuple(found)
