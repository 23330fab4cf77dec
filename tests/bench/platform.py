"""A load of Telegram guests, and a Bot API that only takes note of when each answer arrives."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import uvicorn

SECRET = "bench-secret"
TOKEN = "1000:bench"


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Sink:
    """The Bot API as far as sending goes; `answered` resolves when a chat hears something."""

    port: int = field(default_factory=free_port)
    _waiting: dict[int, asyncio.Future[float]] = field(default_factory=dict)
    _ids: int = 10_000

    def answered(self, chat: int) -> asyncio.Future[float]:
        """The moment (`time.perf_counter()`) of the next message to this chat."""
        self._waiting[chat] = asyncio.get_running_loop().create_future()
        return self._waiting[chat]

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        result = self._result(scope["path"].rsplit("/", 1)[1], body)
        answer = json.dumps({"ok": True, "result": result}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _result(self, method: str, body: bytes) -> Any:
        if method == "getMe":
            return {"id": 1000, "is_bot": True, "first_name": "Bench", "username": "bench_bot"}
        if method != "sendMessage":
            return True
        given = parse_qs(body.decode())
        chat = int(given["chat_id"][0])
        waiting = self._waiting.pop(chat, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(time.perf_counter())
        self._ids += 1
        sent = {"id": chat, "type": "private", "first_name": "Guest"}
        return {"message_id": self._ids, "date": int(time.time()), "chat": sent, "text": given["text"][0]}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve in this process; yields the base address."""
        config = uvicorn.Config(
            self, port=self.port, log_level="error", access_log=False, lifespan="off", ws="none"
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{self.port}"
        finally:
            server.should_exit = True
            await running


class Guests:
    """Guests who ask, wait for the answer, and ask again."""

    def __init__(self, door: str, sink: Sink, chats: Sequence[int]) -> None:
        self._sink = sink
        self._chats = chats
        self._updates = int(time.time() * 1000)
        self._client = httpx.AsyncClient(
            base_url=door, headers={"X-Telegram-Bot-Api-Secret-Token": SECRET}, timeout=30
        )

    async def ask(self, chat: int, text: str) -> float:
        """Seconds from the update leaving Telegram to the answer reaching it."""
        self._updates += 1
        guest = {"id": chat, "is_bot": False, "first_name": "Guest", "language_code": "en"}
        update = {
            "update_id": self._updates,
            "message": {
                "message_id": self._updates % 1_000_000,
                "date": int(time.time()),
                "chat": {"id": chat, "type": "private", "first_name": "Guest"},
                "from": guest,
                "text": text,
            },
        }
        answered = self._sink.answered(chat)
        began = time.perf_counter()
        taken = await self._client.post("/telegram/webhook", json=update)
        taken.raise_for_status()
        return await asyncio.wait_for(answered, 30) - began

    async def load(self, at_once: int, turns: int, texts: Sequence[str]) -> tuple[list[float], float]:
        """`turns` questions by `at_once` guests; each answer's seconds, and the seconds it took in all."""
        left = iter(range(turns))

        async def one(chat: int) -> list[float]:
            return [await self.ask(chat, texts[n % len(texts)]) for n in left]

        began = time.perf_counter()
        took = await asyncio.gather(*(one(chat) for chat in self._chats[:at_once]))
        return [each for some in took for each in some], time.perf_counter() - began

    async def close(self) -> None:
        await self._client.aclose()
