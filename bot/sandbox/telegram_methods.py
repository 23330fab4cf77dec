"""The methods of the Bot API that this stand-in knows, with the real limits and error texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.sandbox.telegram_account import Account, Chat, Message
from bot.sandbox.telegram_markup import checked_markup
from bot.sandbox.telegram_request import ApiError, Arguments, bad_request
from bot.sandbox.telegram_text import checked_text, units
from bot.sandbox.telegram_updates import TAP_LIFE
from bot.sandbox.telegram_webhook import delete_webhook, get_webhook_info, set_webhook

_ACTIONS = {
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice",
    "upload_document", "choose_sticker", "find_location", "record_video_note", "upload_video_note",
}  # fmt: skip
_DELETABLE = timedelta(hours=48)
_SAME = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)
_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


@dataclass(frozen=True)
class Told:
    """A result that comes with a sentence."""

    result: Any
    description: str


Method = Callable[[Account, Arguments], Any]


def get_me(account: Account, given: Arguments) -> dict[str, Any]:
    return {
        **account.me(),
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def send_message(account: Account, given: Arguments) -> dict[str, Any]:
    chat = _writable(account, given)
    text, entities = checked_text(
        given.text("text"), given.text("parse_mode"), given.json("entities", "message entities")
    )
    markup = checked_markup(given.json("reply_markup", "reply keyboard markup"))
    message = account.add(
        chat,
        from_bot=True,
        text=text,
        entities=tuple(entities),
        markup=markup,
        reply_to=_reply_to(account, chat, given),
    )
    return account.as_json(message)


def edit_message_text(account: Account, given: Arguments) -> dict[str, Any]:
    chat = _writable(account, given)
    message = account.messages.get(given.number("message_id"))
    if message is None or message.chat_id != chat.chat_id:
        raise bad_request("message to edit not found")
    if not message.from_bot or message.media:
        raise bad_request("message can't be edited")
    text, entities = checked_text(
        given.text("text"), given.text("parse_mode"), given.json("entities", "message entities")
    )
    markup = checked_markup(given.json("reply_markup", "reply keyboard markup"))
    return account.as_json(_edited(account, message, text, tuple(entities), markup))


def edit_message_reply_markup(account: Account, given: Arguments) -> dict[str, Any]:
    chat = _writable(account, given)
    message = account.messages.get(given.number("message_id"))
    if message is None or message.chat_id != chat.chat_id:
        raise bad_request("message to edit not found")
    if not message.from_bot:
        raise bad_request("message can't be edited")
    markup = checked_markup(given.json("reply_markup", "reply keyboard markup"))
    return account.as_json(_edited(account, message, message.text, message.entities, markup))


def _edited(
    account: Account,
    message: Message,
    text: str,
    entities: tuple[dict[str, Any], ...],
    markup: dict[str, Any] | None,
) -> Message:
    # An empty keyboard and none are the same to a guest.
    if (text, entities, markup or None) == (message.text, message.entities, message.markup or None):
        raise bad_request(_SAME)
    return account.change(message, text=text, entities=entities, markup=markup)


def delete_message(account: Account, given: Arguments) -> bool:
    chat = _writable(account, given)
    message = account.messages.get(given.number("message_id"))
    if message is None or message.chat_id != chat.chat_id:
        raise bad_request("message to delete not found")
    if account.now() - message.date > _DELETABLE.total_seconds():
        raise bad_request("message can't be deleted for everyone")
    del account.messages[message.message_id]
    account.screens.change(str(chat.chat_id), message.bubble, mark="gone", text="", pieces=(), choices=())
    return True


def answer_callback_query(account: Account, given: Arguments) -> bool:
    tap = given.text("callback_query_id")
    chat_id, at = account.taps.get(tap, (0, account.clock() - 2 * TAP_LIFE))
    if account.clock() - at > TAP_LIFE:
        raise bad_request(_TOO_OLD)
    if units(given.text("text")) > 200:
        raise bad_request("MESSAGE_TOO_LONG")
    del account.taps[tap]
    if text := given.text("text"):
        account.screens.show(
            str(chat_id), "notice", text, kind="alert" if given.flag("show_alert") else "toast"
        )
    return True


def send_chat_action(account: Account, given: Arguments) -> bool:
    chat = _writable(account, given)
    if given.text("action").lower() not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    account.screens.typing(str(chat.chat_id), True)
    return True


def get_chat(account: Account, given: Arguments) -> dict[str, Any]:
    chat = _chat(account, given)
    return {
        **chat.as_json(),
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": {
            "unlimited_gifts": False,
            "limited_gifts": False,
            "unique_gifts": False,
            "premium_subscription": False,
            "gifts_from_channels": False,
        },
    }


def get_file(account: Account, given: Arguments) -> dict[str, Any]:
    file_id = given.text("file_id")
    if not file_id:
        raise bad_request("file_id not specified")
    if file_id not in account.files:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    path, content = account.files[file_id]
    return {"file_id": file_id, "file_unique_id": file_id[-16:], "file_size": len(content), "file_path": path}


def _language(given: Arguments) -> str:
    code = given.text("language_code")
    if code and not re.fullmatch(r"[a-z]{2}", code):
        raise bad_request("invalid language code specified")
    return code


def _scope(given: Arguments) -> str:
    scope = given.json("scope", "BotCommandScope") or {"type": "default"}
    if not isinstance(scope, dict) or not isinstance(scope.get("type"), str):
        raise bad_request("can't parse BotCommandScope JSON object")
    return ":".join(str(scope[key]) for key in ("type", "chat_id", "user_id") if key in scope)


def set_my_commands(account: Account, given: Arguments) -> bool:
    commands = given.json("commands", "commands")
    if not isinstance(commands, list) or not all(isinstance(c, dict) for c in commands):
        raise bad_request("can't parse commands: expected an Array of BotCommand")
    if len(commands) > 100:
        raise bad_request("too many commands specified")
    kept = []
    for command in commands:
        name = str(command.get("command", "")).removeprefix("/")
        description = str(command.get("description", "")).strip()
        if not re.fullmatch(r"[a-z0-9_]{1,32}", name):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= units(description) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        kept.append({"command": name, "description": description})
    account.commands[_scope(given), _language(given)] = kept
    return True


def get_my_commands(account: Account, given: Arguments) -> list[dict[str, str]]:
    return account.commands.get((_scope(given), _language(given)), [])


def delete_my_commands(account: Account, given: Arguments) -> bool:
    account.commands.pop((_scope(given), _language(given)), None)
    return True


def _setter(name: str, longest: int) -> Method:
    """A method that keeps one of the bot's own texts, per language."""

    def keep(account: Account, given: Arguments) -> bool:
        text = given.text(name)
        if units(text) > longest:
            raise bad_request(f"{name.replace('_', ' ')} is too long")
        account.texts[name, _language(given)] = text
        return True

    return keep


def _getter(name: str) -> Method:
    def read(account: Account, given: Arguments) -> dict[str, str]:
        default = account.name if name == "name" else account.texts.get((name, ""), "")
        return {name: account.texts.get((name, _language(given))) or default}

    return read


def _chat(account: Account, given: Arguments) -> Chat:
    raw = given.text("chat_id")
    if not raw:
        raise bad_request("chat_id is empty")
    chat = account.chats.get(given.number("chat_id"))
    if chat is None:
        raise bad_request("chat not found")
    return chat


def _writable(account: Account, given: Arguments) -> Chat:
    chat = _chat(account, given)
    if chat.blocked:
        reason = "blocked by the user" if chat.private else "kicked from the supergroup chat"
        raise ApiError(403, f"Forbidden: bot was {reason}")
    return chat


def _reply_to(account: Account, chat: Chat, given: Arguments) -> int:
    reply = given.json("reply_parameters", "reply parameters") or {}
    wanted = int(reply.get("message_id") or given.number("reply_to_message_id"))
    lenient = reply.get("allow_sending_without_reply") or given.flag("allow_sending_without_reply")
    found = account.messages.get(wanted)
    if wanted and (found is None or found.chat_id != chat.chat_id):
        if not lenient:
            raise bad_request("message to be replied not found")
        return 0
    return wanted


def _told(method: Callable[[Account, Arguments], str]) -> Method:
    return lambda account, given: Told(True, method(account, given))


METHODS: dict[str, Method] = {
    "getme": get_me,
    "sendmessage": send_message,
    "editmessagetext": edit_message_text,
    "editmessagereplymarkup": edit_message_reply_markup,
    "deletemessage": delete_message,
    "answercallbackquery": answer_callback_query,
    "sendchataction": send_chat_action,
    "getchat": get_chat,
    "getfile": get_file,
    "setwebhook": _told(set_webhook),
    "deletewebhook": _told(delete_webhook),
    "getwebhookinfo": get_webhook_info,
    "setmycommands": set_my_commands,
    "getmycommands": get_my_commands,
    "deletemycommands": delete_my_commands,
    "setmydescription": _setter("description", 512),
    "getmydescription": _getter("description"),
    "setmyshortdescription": _setter("short_description", 120),
    "getmyshortdescription": _getter("short_description"),
    "setmyname": _setter("name", 64),
    "getmyname": _getter("name"),
}
