"""What the tests of the doors share: a clock that stands still, a brain without a model, a house on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import uvicorn
from sqlalchemy import select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.app import House, application
from bot.channel import Outgoing
from bot.sandbox import Sandbox, Secrets
from bot.settings import Settings
from bot.turns import Outcome, Turn
from data import db, messages
from data.promises import Draft
from tests.conftest import NOW

TELEGRAM = "/sandbox/telegram/bot"
GUEST, OTHER = 7001, 7002  # two Telegram chats
HELLO = Outgoing(str(GUEST), "You have 500 points.", (("My points", "/points_balance"),))
WECHAT = "/sandbox/wechat/cgi-bin/"


class StandingClock:
    """The time is what the test says it is."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class StubBrain:
    """Stands where Rasa would: keeps what it is asked, says `reply`, raises `failure`, waits for `gate`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.turns: list[Turn] = []
        self.reply = Draft("You have 500 points.")
        self.then: tuple[Draft, ...] = ()
        self.failure: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def think(self, turn: Turn, words: str) -> Outcome:
        self.asked.append(words)
        self.turns.append(turn)
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Outcome((self.reply, *self.then))


@dataclass(frozen=True)
class Call:
    """A request that reached a stand-in."""

    name: str  # sendMessage, message/custom/send
    query: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Witness:
    """Sees every call of the platforms' APIs on its way to the stand-ins."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.calls: list[Call] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if not path.startswith((TELEGRAM, WECHAT)):
            await self._app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        name = path.removeprefix(WECHAT) if path.startswith(WECHAT) else path.rpartition("/")[2]
        self.calls.append(Call(name, dict(parse_qsl(scope["query_string"].decode())), body))
        read = False

        async def again() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)

    def named(self, name: str) -> list[Call]:
        return [call for call in self.calls if call.name == name]


class _Server(uvicorn.Server):
    """Stops at once when told, and leaves signals to the test."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leave = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # As its own, without the tenth of a second it always waits.
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def served(app: ASGIApp, listening: socket.socket) -> AsyncIterator[uvicorn.Server]:
    """A real server for `app`, on the loop of the test."""
    config = uvicorn.Config(
        app, access_log=False, log_config=None, server_header=False, ws="none", timeout_graceful_shutdown=2
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not running.done():
        await asyncio.sleep(0.002)
    try:
        yield server
    finally:
        server.leave.set()
        await running


@dataclass
class Running:
    """A house with open doors, and everything around it."""

    base: str
    server: uvicorn.Server
    settings: Settings
    house: House
    sandbox: Sandbox
    brain: StubBrain
    clock: StandingClock
    witness: Witness
    client: httpx.AsyncClient
    taken: list[str] = field(default_factory=list)  # keys of what reached reception

    async def idle(self) -> None:
        """Return once no turn, no send and no acknowledgement is under way."""
        door = self.house.telegram
        while under_way := [
            *self.house.lanes._tasks,
            *self.house.sends._tasks,
            *(door._chores if door else ()),
        ]:
            await asyncio.wait(under_way)

    async def until(self, found: Callable[[], object], within: float = 3.0) -> None:
        """Return as soon as `found()` is true. Raises `TimeoutError`."""

        async def look() -> None:
            while not found():
                await asyncio.sleep(0.005)

        await asyncio.wait_for(look(), within)

    def says(self, address: str) -> list[str]:
        """What the guest's phone shows from the hotel, on either platform."""
        screens = (self.sandbox.telegram.screens, self.sandbox.wechat.screens)
        return [b.text for screen in screens for b in screen.bubbles(address) if b.who == "hotel"]


@contextlib.asynccontextmanager
async def open_house(brain: StubBrain, clock: StandingClock, **changes: Any) -> AsyncIterator[Running]:
    """A house and the stand-ins of both platforms behind one real server; `changes` are settings."""
    listening = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    sandbox = Sandbox(base, Secrets.random(), clock=clock, pace=0.01)
    url = str(db.engine().url.render_as_string(hide_password=False))
    settings = replace(sandbox.settings(Settings(database_url=url)), **changes)
    app = application(settings, clock=clock, sandbox=sandbox)
    house: House = app.state.house
    witness = Witness(app)
    async with (
        served(witness, listening) as server,
        httpx.AsyncClient(trust_env=False, verify=False, timeout=10) as client,
    ):
        running = Running(base, server, settings, house, sandbox, brain, clock, witness, client)
        _watch_reception(running)
        house.answering.use(brain)  # type: ignore[arg-type]
        if settings.telegram_mode == "webhook":
            await running.until(lambda: sandbox.telegram.updates.webhook)
        yield running


def _watch_reception(running: Running) -> None:
    take = running.house.reception.take

    def watched(incoming: Any) -> Any:
        running.taken.append(incoming.key)
        return take(incoming)

    running.house.reception.take = watched  # type: ignore[method-assign]


def incoming_rows() -> list[messages.Message]:
    """Every message taken in, in order."""
    with db.reading() as session:
        found = select(messages.Message).where(messages.Message.direction == "in")
        return list(session.scalars(found.order_by(messages.Message.id)))


def outgoing_rows() -> list[messages.Message]:
    """Every message promised, in order."""
    with db.reading() as session:
        found = select(messages.Message).where(messages.Message.direction == "out")
        return list(session.scalars(found.order_by(messages.Message.id)))


@contextlib.contextmanager
def database_away(folder: Path) -> Iterator[None]:
    """For as long as this lasts the database of this process cannot be opened."""
    url = db.engine().url.render_as_string(hide_password=False)
    db.connect(f"sqlite:///{folder}")  # a folder is no database
    try:
        yield
    finally:
        db.connect(url)
