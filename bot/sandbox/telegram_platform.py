"""A strict stand-in for Telegram: the Bot API over HTTP on one side, guests' thumbs on the other."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.sandbox.faults import Failure, Faults, Hang, silence
from bot.sandbox.screens import Bubble, Happening, Screens
from bot.sandbox.telegram_account import Account, Chat, Message
from bot.sandbox.telegram_methods import METHODS, Told
from bot.sandbox.telegram_request import ApiError, Arguments, read_arguments
from bot.sandbox.telegram_text import commands_in
from bot.sandbox.telegram_updates import MESSAGE_LIFE, TAP_LIFE, Updates
from bot.sandbox.telegram_webhook import keep_allowed_updates

_TOKEN = re.compile(r"[1-9]\d*:[A-Za-z0-9_-]+")
# Never run out of a webhook's answer.
_NOT_AS_ANSWER = re.compile(r"get|setwebhook|deletewebhook|close|logout", re.IGNORECASE)
_LONGEST_POLL = 50
# The smallest files that are what they claim to be.
_PHOTO = bytes.fromhex("ffd8ffdb004300" + "01" * 64 + "ffd9")
_VOICE = b"OggS\x00\x02" + bytes(20) + b"OpusHead"
_STICKER = b"RIFF\x1a\x00\x00\x00WEBPVP8L"


class TelegramPlatform:
    """One bot and its guests. `pace` scales every wait of the platform: 1.0 as in life, 0.01 in tests.

    Everything runs on the event loop that serves `routes`; call the guest's acts from that loop too.
    """

    name = "telegram"

    def __init__(self, token: str, *, clock: Callable[[], datetime], pace: float = 1.0) -> None:
        self.screens = Screens(clock)
        self.faults = Faults()
        self.updates = Updates(clock, pace, self._run_answer)
        self.account = Account(token, clock, self.screens, self.updates)
        self._pace = pace

    @property
    def routes(self) -> list[BaseRoute]:
        return [
            Route("/bot{token}/{method}", self._serve, methods=["GET", "POST"]),
            Route("/file/bot{token}/{path:path}", self._serve_file, methods=["GET"]),
        ]

    # What the bot asks.

    async def _serve(self, request: Request) -> Response:
        try:
            self._check_token(request.path_params["token"])
            body = await request.body()
            given = read_arguments(request.url.query, request.headers.get("content-type", ""), body)
            return await self._answer(request, request.path_params["method"], given)
        except ApiError as refusal:
            return _refused(refusal)

    async def _answer(self, request: Request, method: str, given: Arguments) -> Response:
        fault = self.faults.take(method)
        if isinstance(fault, Failure):
            raise ApiError(fault.error_code, fault.description, fault.parameters)
        if isinstance(fault, Hang):
            if fault.after_accepting:
                await self.call(method, given)
            await silence(fault.seconds, request.is_disconnected, asyncio.sleep)
            return PlainTextResponse("Gateway Timeout", 504)
        result = await self.call(method, given)
        if isinstance(result, Told):
            return JSONResponse({"ok": True, "result": result.result, "description": result.description})
        return JSONResponse({"ok": True, "result": result})

    async def call(self, method: str, given: Arguments) -> Any:
        """Execute one method. Raises `ApiError`."""
        name = method.lower()
        if name == "getupdates":
            keep_allowed_updates(self.account, given)
            limit = given.number("limit", 100)
            timeout = min(max(given.number("timeout"), 0), _LONGEST_POLL)
            return await self.updates.poll(given.number("offset"), min(max(limit, 1), 100), timeout)
        if name not in METHODS:
            raise ApiError(404, "Not Found: method not found")
        return METHODS[name](self.account, given)

    async def _run_answer(self, call: dict[str, Any]) -> None:
        """What stood in a webhook's answer; its own errors are told to nobody, as in life."""
        method = str(call["method"])
        if _NOT_AS_ANSWER.match(method):
            return
        try:
            await self.call(method, Arguments(call))
        except ApiError as refusal:
            self.updates.trouble.message = f"Failed to perform webhook response method: {refusal.description}"

    def _check_token(self, token: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise ApiError(404, "Not Found")
        if not hmac.compare_digest(token, self.account.token):
            raise ApiError(401, "Unauthorized")

    async def _serve_file(self, request: Request) -> Response:
        try:
            self._check_token(request.path_params["token"])
            by_path = dict(self.account.files.values())
            if request.path_params["path"] not in by_path:
                raise ApiError(404, "Not Found")
        except ApiError as refusal:
            return _refused(refusal)
        return Response(by_path[request.path_params["path"]], media_type="application/octet-stream")

    # What a guest does.

    def meet(self, chat_id: int, *, name: str = "", language: str = "") -> None:
        """Let the chat exist, as if the guest had once pressed Start."""
        self.account.chat(chat_id, name=name, language=language)

    async def say(self, chat_id: int, text: str, *, language: str = "", name: str = "") -> int:
        """Type and send; returns the message id. Raises `ValueError` for what the app would not send."""
        text = text.strip()
        if not text:
            raise ValueError("Telegram does not send an empty message.")
        chat = self._writing(chat_id, name, language)
        return self._deliver(chat, text=text, entities=tuple(commands_in(text)))

    async def start(self, chat_id: int, payload: str = "", *, language: str = "", name: str = "") -> int:
        """Press Start, perhaps through a deep link with a payload."""
        return await self.say(chat_id, f"/start {payload}", language=language, name=name)

    async def tap(self, chat_id: int, message_id: int, data: str) -> str:
        """Tap a button; returns the callback query's id. Raises `KeyError` for an unknown message."""
        chat = self._writing(chat_id)
        message = self.account.messages[message_id]
        query = self.account.new_tap(chat_id)
        body = {
            "id": query,
            "from": chat.user_json(),
            "message": self.account.as_json(message),
            "chat_instance": self.account.chat_instance(chat_id),
            "data": data,
        }
        self.updates.add("callback_query", body, ("user", chat_id), TAP_LIFE)
        return query

    async def edit(self, chat_id: int, message_id: int, text: str) -> None:
        """Change one's own message. Raises `KeyError` for an unknown message."""
        chat = self._writing(chat_id)
        message = self.account.messages[message_id]
        if message.from_bot or message.chat_id != chat_id:
            raise ValueError("A guest can edit only messages of their own.")
        message = self.account.change(message, text=text, entities=tuple(commands_in(text)))
        body = self.account.as_json(message)
        self.updates.add("edited_message", body, ("chat", chat.chat_id), MESSAGE_LIFE)

    async def send_photo(self, chat_id: int, caption: str = "") -> int:
        sizes = [{**self._file("photos", "jpg", _PHOTO), "width": w, "height": w} for w in (90, 320, 1280)]
        return self._deliver_media(chat_id, {"photo": sizes}, "🖼", caption)

    async def send_voice(self, chat_id: int, seconds: int = 3) -> int:
        voice = {**self._file("voice", "oga", _VOICE), "duration": seconds, "mime_type": "audio/ogg"}
        return self._deliver_media(chat_id, {"voice": voice}, "🎤")

    async def send_sticker(self, chat_id: int, emoji: str = "👍") -> int:
        file = self._file("stickers", "webp", _STICKER)
        sticker = {
            **file,
            "type": "regular",
            "width": 512,
            "height": 512,
            "is_animated": False,
            "is_video": False,
        }
        return self._deliver_media(chat_id, {"sticker": {**sticker, "emoji": emoji}}, emoji)

    async def block(self, chat_id: int) -> None:
        """Block the bot: it hears of it once, and can write no more."""
        self._set_blocked(chat_id, True)

    async def unblock(self, chat_id: int) -> None:
        self._set_blocked(chat_id, False)

    # What a test needs.

    def fail_next(
        self,
        method: str,
        error_code: int,
        description: str,
        parameters: Mapping[str, Any] | None = None,
        times: int = 1,
    ) -> None:
        """Refuse the next `times` calls of `method` with this error."""
        self.faults.add(method, Failure(error_code, description, parameters or {}), times)

    def hang_next(self, method: str, seconds: float, after_accepting: bool) -> None:
        """Leave the next call of `method` without an answer for `seconds` real seconds, then 504."""
        self.faults.add(method, Hang(seconds, after_accepting))

    def redeliver(self, update_id: int) -> None:
        """Deliver a past update again. Raises `KeyError`."""
        self.updates.again(update_id)

    def watch(self, address: str) -> AsyncIterator[Happening]:
        return self.screens.watch(address)

    async def wait_for(
        self, address: str, predicate: Callable[[Bubble], bool], timeout: float = 5.0, *, after: int = 0
    ) -> Bubble:
        """See `Screens.wait_for`."""
        return await self.screens.wait_for(address, predicate, timeout, after=after)

    async def settled(self) -> None:
        """Return once no webhook delivery is under way."""
        await self.updates.settled()

    async def stop(self) -> None:
        self.screens.hang_up()
        await self.updates.stop()

    def _writing(self, chat_id: int, name: str = "", language: str = "") -> Chat:
        chat = self.account.chat(chat_id, name=name, language=language)
        if chat.blocked:
            # The app unblocks the bot as soon as one writes to it.
            self._set_blocked(chat_id, False)
        return chat

    def _deliver(self, chat: Chat, **content: Any) -> int:
        message = self.account.add(chat, from_bot=False, **content)
        self._post(chat, message)
        return message.message_id

    def _post(self, chat: Chat, message: Message) -> None:
        body = self.account.as_json(message)
        told = self.account.delivered(message)
        self.updates.add("message", body, ("chat", chat.chat_id), MESSAGE_LIFE, told)

    def _deliver_media(self, chat_id: int, media: dict[str, Any], show: str, caption: str = "") -> int:
        if caption:
            media = {**media, "caption": caption}
        return self._deliver(self._writing(chat_id), media=media, show=f"{show} {caption}".strip())

    def _file(self, folder: str, ending: str, content: bytes) -> dict[str, Any]:
        number = len(self.account.files)
        file_id = f"AgACAgIAAxkBAAI{number:022d}"
        self.account.files[file_id] = (f"{folder}/file_{number}.{ending}", content)
        return {"file_id": file_id, "file_unique_id": file_id[-16:], "file_size": len(content)}

    def _set_blocked(self, chat_id: int, blocked: bool) -> None:
        chat = self.account.chat(chat_id)
        if chat.blocked == blocked:
            return
        chat.blocked = blocked
        was, now = ("member", "kicked") if blocked else ("kicked", "member")
        body = {
            "chat": chat.as_json(),
            "from": chat.user_json(),
            "date": self.account.now(),
            "old_chat_member": self._membership(was),
            "new_chat_member": self._membership(now),
        }
        self.updates.add("my_chat_member", body, ("member", chat_id), MESSAGE_LIFE)

    def _membership(self, status: str) -> dict[str, Any]:
        member: dict[str, Any] = {"user": self.account.me(), "status": status}
        return {**member, "until_date": 0} if status == "kicked" else member


def _refused(refusal: ApiError) -> JSONResponse:
    body: dict[str, Any] = {"ok": False, "error_code": refusal.code, "description": refusal.description}
    if refusal.parameters:
        body["parameters"] = refusal.parameters
    headers = (
        {"Retry-After": str(refusal.parameters["retry_after"])} if "retry_after" in refusal.parameters else {}
    )
    return JSONResponse(body, refusal.code, headers)
