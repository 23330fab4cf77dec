"""Stub doors: they keep what the stand-ins push, and answer as a test tells them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bot.sandbox.wechat_crypto import Envelope, signature
from bot.sandbox.wechat_xml import read, write

Answer = Callable[[dict[str, Any]], Awaitable[Response]]


async def silent(_given: dict[str, Any]) -> Response:
    return Response()


@dataclass
class TelegramDoor:
    """Keeps updates with their headers; `answer` may be changed at any time."""

    answer: Answer = silent
    updates: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[str | None] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def receive(self, request: Request) -> Response:
        update = json.loads(await request.body())
        self.updates.append(update)
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self.answer(update)
        finally:
            self.under_way -= 1

    @property
    def routes(self) -> list[BaseRoute]:
        return [Route("/telegram/webhook", self.receive, methods=["POST"])]


@dataclass
class WeChatDoor:
    """Opens pushes with the shared key and keeps their fields; answers with what `answer` returns."""

    token: str
    envelope: Envelope
    answer: Answer = silent
    pushes: list[dict[str, str]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    echo: Callable[[str], str] = str

    async def receive(self, request: Request) -> Response:
        query = dict(request.query_params)
        self.queries.append(query)
        if request.method == "GET":
            good = query["signature"] == signature(self.token, query["timestamp"], query["nonce"])
            return Response(self.echo(query["echostr"])) if good else Response(status_code=403)
        body = await request.body()
        self.bodies.append(body)
        push = read(self.envelope.open(read(body).texts()["Encrypt"])).texts()
        self.pushes.append(push)
        return await self.answer(push)

    def reply(self, push: dict[str, str], **changes: Any) -> bytes:
        """A good encrypted text reply, but for `changes` to its inner fields."""
        inner: dict[str, str | int] = {
            "ToUserName": push["FromUserName"],
            "FromUserName": push["ToUserName"],
            "CreateTime": 1_750_000_000,
            "MsgType": "text",
            "Content": "好的",
        }
        return self.sealed(write({**inner, **changes}))

    def sealed(self, inner: bytes, **changes: str) -> bytes:
        encrypted = self.envelope.seal(inner)
        outer = {"Encrypt": encrypted, "TimeStamp": "1750000000", "Nonce": "42"}
        signed = signature(self.token, outer["TimeStamp"], outer["Nonce"], encrypted)
        return write({**outer, "MsgSignature": signed, **changes})

    @property
    def routes(self) -> list[BaseRoute]:
        return [Route("/wechat", self.receive, methods=["GET", "POST"])]


async def until(true: Callable[[], bool], timeout: float = 5.0) -> None:
    """Wait for something to become true; fail if it does not."""
    ends = asyncio.get_running_loop().time() + timeout
    while not true():
        assert asyncio.get_running_loop().time() < ends, "it did not happen in time"
        await asyncio.sleep(0.005)
