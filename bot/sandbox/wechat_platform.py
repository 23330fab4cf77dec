"""A strict stand-in for WeChat: the Official Account's API on one side, guests' thumbs on the other."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.sandbox.faults import Failure, Faults, Hang, silence
from bot.sandbox.screens import Bubble, Choice, Happening, Screens
from bot.sandbox.wechat_account import Account, Follower, Tokens, WeChatError
from bot.sandbox.wechat_allowance import Act
from bot.sandbox.wechat_api import API
from bot.sandbox.wechat_crypto import Envelope
from bot.sandbox.wechat_push import Delivery, Push, Pusher, event_key
from bot.sandbox.wechat_reply import PassiveReply

OUT_OF_ORDER = "该公众号提供的服务出现故障，请稍后再试"
# Kept for `redeliver`.
REMEMBERED = 1000
_JPEG = bytes.fromhex("ffd8ffdb004300" + "01" * 64 + "ffd9")


class WeChatPlatform:
    """One Official Account in safe mode and its followers. `pace` scales every wait, the 5 s deadline too.

    Everything runs on the event loop that serves `routes`; call the guest's acts from that loop too.
    """

    name = "wechat"

    def __init__(
        self,
        app_id: str,
        app_secret: str,
        token: str,
        aes_key: str,
        account: str,
        push_url: str,
        *,
        clock: Callable[[], datetime],
        pace: float = 1.0,
    ) -> None:
        self.screens = Screens(clock)
        self.faults = Faults()
        self.account = Account(app_id, app_secret, account, clock, self.screens, Tokens(clock))
        self.pusher = Pusher(push_url, token, Envelope(aes_key, app_id), account, clock=clock, pace=pace)
        self._message_ids = itertools.count(23_000_000_000_000_000 + secrets.randbelow(10**15))
        self._past: dict[str, Push] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def routes(self) -> list[BaseRoute]:
        return [
            Route("/cgi-bin/media/get", self._serve_media, methods=["GET"]),
            Route("/cgi-bin/{path:path}", self._serve, methods=["GET", "POST"]),
        ]

    @property
    def deliveries(self) -> deque[Delivery]:
        """The last thousand attempts to push, with what came of each."""
        return self.pusher.deliveries

    # What the account's server asks.

    async def _serve(self, request: Request) -> Response:
        path = request.path_params["path"]
        body = await request.body()
        try:
            fault = self.faults.take(path)
            if isinstance(fault, Failure):
                raise WeChatError(fault.error_code, fault.description or "system error")
            if isinstance(fault, Hang):
                if fault.after_accepting:
                    self._call(request, path, body)
                await silence(fault.seconds, request.is_disconnected, asyncio.sleep)
                return PlainTextResponse("Gateway Timeout", 504)
            answer = self._call(request, path, body)
        except WeChatError as refusal:
            answer = {"errcode": refusal.errcode, "errmsg": f"{refusal.errmsg} rid: {_rid()}"}
        return _answered(path, answer)

    def _call(self, request: Request, path: str, body: bytes) -> dict[str, Any]:
        if path not in API:
            raise WeChatError(40066, "invalid url")
        method, handler = API[path]
        if request.method != method and method == "POST":
            raise WeChatError(43002, "require POST method")
        return handler(self.account, request.query_params, body)

    async def _serve_media(self, request: Request) -> Response:
        try:
            self.account.tokens.check(request.query_params.get("access_token"))
            media = self.account.media.get(request.query_params.get("media_id", ""))
            if media is None:
                raise WeChatError(40007, "invalid media_id")
        except WeChatError as refusal:
            return _answered(
                "media/get", {"errcode": refusal.errcode, "errmsg": f"{refusal.errmsg} rid: {_rid()}"}
            )
        return Response(media, media_type="image/jpeg")

    # What a guest does.

    def meet(self, openid: str, *, language: str = "") -> None:
        """Let the guest be a follower, as if they had followed some time ago."""
        self.account.follower(openid, language)

    async def handshake(self) -> bool:
        """Whether the account's server passes WeChat's check of its address."""
        return await self.pusher.handshake()

    async def say(self, openid: str, text: str, *, language: str = "") -> str:
        """Type and send; returns the MsgId. Raises `ValueError` for what the app would not send."""
        if not text.strip():
            raise ValueError("WeChat does not send an empty message.")
        self.account.follower(openid, language)
        return self._send(openid, "message", text, {"MsgType": "text", "Content": text})

    async def send_image(self, openid: str) -> str:
        media_id = secrets.token_urlsafe(48)
        self.account.media[media_id] = _JPEG
        url = "http://mmbiz.qpic.cn/mmbiz_jpg/sandbox/0"
        return self._send(
            openid, "message", "[图片]", {"MsgType": "image", "PicUrl": url, "MediaId": media_id}
        )

    async def send_voice(self, openid: str) -> str:
        media_id = secrets.token_urlsafe(48)
        self.account.media[media_id] = b"#!AMR\n"
        # No Recognition: most accounts do not get it, and it may be empty.
        return self._send(
            openid, "message", "[语音]", {"MsgType": "voice", "MediaId": media_id, "Format": "amr"}
        )

    async def follow(self, openid: str, *, language: str = "") -> str:
        """Follow the account, for the first time or again."""
        follower = self.account.follower(openid, language)
        follower.subscribed, follower.since = True, self.account.now()
        return self._happen(openid, "follow", {"MsgType": "event", "Event": "subscribe", "EventKey": ""})

    async def unfollow(self, openid: str) -> str:
        follower = self._following(openid)
        follower.subscribed = False
        follower.allowance.windows.clear()
        return self._happen(openid, None, {"MsgType": "event", "Event": "unsubscribe", "EventKey": ""})

    async def click(self, openid: str, key: str) -> str:
        """Tap an entry of the account's own menu. Raises `ValueError` if the menu has no such key."""
        if self.account.menu is not None and key not in _keys(self.account.menu):
            raise ValueError(f"The menu has no entry with the key {key}.")
        self._following(openid)
        return self._happen(openid, "menu", {"MsgType": "event", "Event": "CLICK", "EventKey": key})

    async def tap_link(self, openid: str, title: str, menu_id: str) -> str:
        """Tap a link or option of a message: a text with `bizmsgmenuid` arrives. Raises `ValueError`."""
        says = self._offered(openid, title, menu_id).says
        values: dict[str, str | int] = {"MsgType": "text", "Content": says}
        return self._send(openid, "menu", says, {**values, "bizmsgmenuid": menu_id} if menu_id else values)

    # What a test needs.

    def fail_next(self, path: str, errcode: int, errmsg: str = "", times: int = 1) -> None:
        """Refuse the next `times` calls of `path` (below /cgi-bin/) with this errcode."""
        self.faults.add(_below(path), Failure(errcode, errmsg), times)

    def hang_next(self, path: str, seconds: float, after_accepting: bool) -> None:
        """Leave the next call of `path` without an answer for `seconds` real seconds, then 504."""
        self.faults.add(_below(path), Hang(seconds, after_accepting))

    def redeliver(self, key: str) -> None:
        """Push a past message or event again, as after a lost answer. Raises `KeyError`."""
        self._start(self._past[key], bubble=0)

    def expire_token(self) -> None:
        """Every access token handed out is too old from now on: 42001."""
        self.account.tokens.expire()

    def lose_response_once(self) -> None:
        """Drop the next answer to a push, so that the platform pushes again."""
        self.pusher.lose_next += 1

    def watch(self, address: str) -> AsyncIterator[Happening]:
        return self.screens.watch(address)

    async def wait_for(
        self, address: str, predicate: Callable[[Bubble], bool], timeout: float = 5.0, *, after: int = 0
    ) -> Bubble:
        """See `Screens.wait_for`."""
        return await self.screens.wait_for(address, predicate, timeout, after=after)

    async def settled(self) -> None:
        """Return once no push is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def stop(self) -> None:
        self.screens.hang_up()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self.pusher.close()

    def _following(self, openid: str) -> Follower:
        follower = self.account.follower(openid)
        if not follower.subscribed:
            raise ValueError("Only a follower can write to the account.")
        return follower

    def _offered(self, openid: str, title: str, menu_id: str) -> Choice:
        for bubble in reversed(self.screens.bubbles(openid)):
            for choice in bubble.choices:
                if choice.payload == menu_id and title in (choice.title, choice.says):
                    return choice
        raise ValueError(f"The phone shows no link {title} with the id {menu_id}.")

    def _send(self, openid: str, act: Act, show: str, values: dict[str, str | int]) -> str:
        self._following(openid)
        key = next(self._message_ids)
        bubble = self.screens.show(openid, "guest", show, message_id=str(key), mark="sending")
        return self._happen(openid, act, {**values, "MsgId": key}, bubble.id)

    def _happen(self, openid: str, act: Act | None, values: dict[str, str | int], bubble: int = 0) -> str:
        now = self.account.clock()
        follower = self.account.follower(openid)
        follower.last_act = now
        if act:
            follower.allowance.earn(act, now)
        head: dict[str, str | int] = {
            "ToUserName": self.account.account,
            "FromUserName": openid,
            "CreateTime": int(now.timestamp()),
        }
        values = {**head, **values}
        push = Push(str(values.get("MsgId") or event_key(values)), openid, values)
        self._past[push.key] = push
        while len(self._past) > REMEMBERED:
            self._past.pop(next(iter(self._past)))
        self._start(push, bubble)
        return push.key

    def _start(self, push: Push, bubble: int) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(push, bubble))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, push: Push, bubble: int) -> None:
        outcome = await self.pusher.deliver(push)
        good = isinstance(outcome, PassiveReply) or outcome == "acknowledged"
        if bubble:
            self.screens.change(push.openid, bubble, mark="delivered" if good else "failed")
        if isinstance(outcome, PassiveReply):
            reply = outcome.shown()
            self.screens.show(
                push.openid,
                "hotel",
                reply.text,
                kind=outcome.kind,
                pieces=reply.pieces,
                choices=reply.choices,
            )
        elif not good and push.values.get("Event") != "unsubscribe":
            self.screens.show(push.openid, "notice", OUT_OF_ORDER)


def _keys(menu: list[dict[str, Any]]) -> set[str]:
    return {str(b.get("key")) for top in menu for b in (top, *(top.get("sub_button") or []))}


def _below(path: str) -> str:
    return path.removeprefix("/").removeprefix("cgi-bin/")


def _rid() -> str:
    return "-".join(secrets.token_hex(4) for _ in range(3))


def _answered(path: str, answer: dict[str, Any]) -> Response:
    # The token and user calls say JSON, the message calls say plain text; the body is JSON either way.
    kind = (
        "text/plain" if path.startswith(("message", "menu", "media")) else "application/json; encoding=utf-8"
    )
    return Response(json.dumps(answer, ensure_ascii=False), headers={"Content-Type": kind})
