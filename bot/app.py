"""Where the house is joined: settings in, a Starlette application out. Nothing else knows how parts fit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from bot import api, metrics, training
from bot.answering import Answering
from bot.channel import SendError
from bot.database import lock_embedded
from bot.lanes import Lanes
from bot.outbox import Clock, Outbox, database_down
from bot.reception import Reception, StaffChat
from bot.recovery import Recovery
from bot.settings import Settings
from bot.telegram import TelegramDoor
from bot.wechat import WeChatDoor, WeChatIdentity
from bot.wechat_client import Account, WeChatSender
from data import db, messages
from nlu.phrasebook import Phrasebook

if TYPE_CHECKING:  # a house that serves real guests has no sandbox
    from bot.sandbox import Sandbox

log = structlog.get_logger(__name__)

RECOVERY_EVERY = 5.0  # seconds
SHUTDOWN_WITHIN = 10.0
PROBE_WITHIN = 2.5


def utc_now() -> datetime:
    """The clock of a house that runs for real."""
    return datetime.now(timezone.utc)


class House:
    """All parts of one process, and their life."""

    def __init__(self, settings: Settings, *, clock: Clock = utc_now, sandbox: Sandbox | None = None) -> None:
        self.settings = settings
        self.clock = clock
        self.process = f"{socket.gethostname()[:32]}:{os.getpid()}:{int(time.time())}"
        self.phrasebook = Phrasebook.load()
        self.answering = Answering(self.phrasebook, clock=clock)
        # Two sets: at the end the turns are closed first, and what they promised may still be sent.
        self.lanes, self.sends = Lanes(), Lanes()
        self.outbox = Outbox(process=self.process, clock=clock, lanes=self.sends)
        self.reception = Reception(
            answers=self.answering,
            phrasebook=self.phrasebook,
            outbox=self.outbox,
            lanes=self.lanes,
            process=self.process,
            clock=clock,
            staff=StaffChat("telegram", settings.telegram_staff_chat)
            if settings.telegram_staff_chat
            else None,
        )
        self.recovery = Recovery(
            reception=self.reception, outbox=self.outbox, process=self.process, clock=clock
        )
        self.sandbox = sandbox
        self.wechat_sender: WeChatSender | None = None
        self.telegram = self._telegram()
        self.wechat = self._wechat()
        self._tasks: list[asyncio.Task[None]] = []
        self._alone: IO[str] | None = None
        self._probe = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe")
        self._asking: asyncio.Future[bool] | None = None

    def _telegram(self) -> TelegramDoor | None:
        if not self.settings.telegram_token:
            return None
        door = TelegramDoor(
            token=self.settings.telegram_token,
            api=self.settings.telegram_api,
            secret=self.settings.telegram_secret,
            reception=self.reception,
        )
        self.outbox.open(door)
        return door

    def _wechat(self) -> WeChatDoor | None:
        given = self.settings
        if not given.wechat_app_id:
            return None
        self.wechat_sender = WeChatSender(
            Account(given.wechat_app_id, given.wechat_app_secret, given.wechat_api)
        )
        self.outbox.open(self.wechat_sender)
        return WeChatDoor(
            WeChatIdentity(
                given.wechat_app_id, given.wechat_token, given.wechat_aes_key, given.wechat_account
            ),
            reception=self.reception,
            phrasebook=self.phrasebook,
            clock=self.clock,
        )

    # Pages

    def routes(self) -> list[BaseRoute]:
        doors: list[BaseRoute] = [Route("/healthz", self.health), Route("/readyz", self.readiness)]
        doors.append(Route("/metrics", self.metrics))
        if self.telegram is not None and self.settings.telegram_mode == "webhook":
            doors.extend(self.telegram.routes)
        if self.wechat is not None:
            doors.extend(self.wechat.routes)
        doors.extend(api.routes(self.clock, phrasebook=self.phrasebook))
        if self.sandbox is not None:
            doors.append(Route("/", lambda _request: RedirectResponse("/sandbox/")))
            doors.append(Mount("/sandbox", routes=self.sandbox.routes))
        return doors

    async def health(self, request: Request) -> Response:
        """The process lives."""
        return PlainTextResponse("ok")

    async def readiness(self, request: Request) -> Response:
        """200 once questions can be answered: the model is loaded and the database answers."""
        database = await self._database_answers()
        if self.answering.trouble:
            status = "no model"
        elif not self.answering.ready:
            status = "starting"
        else:
            status = "ready" if database else "no database"
        body = {"status": status, "database": database, "trouble": self.answering.trouble}
        return JSONResponse(body, 200 if status == "ready" else 503)

    async def _database_answers(self) -> bool:
        """Asked in a thread of its own: questions to a database that hangs must not use up the others' threads."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().run_in_executor(self._probe, db.answers)
        try:
            return await asyncio.wait_for(asyncio.shield(self._asking), PROBE_WITHIN)
        except asyncio.TimeoutError:
            return False

    async def metrics(self, request: Request) -> Response:
        """Prometheus text format."""
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    # Life

    @contextlib.asynccontextmanager
    async def life(self, _app: Starlette) -> AsyncIterator[None]:
        """Take up what is open, open the doors, load the brain behind them; on leaving hand everything back."""
        alone = self._hold_alone()
        taken_up = self.recovery.look(alone=alone)
        log.info(
            "house.open", process=self.process, recovered=taken_up, channels=sorted(self.outbox.channels)
        )
        if self.sandbox is not None:
            await self.sandbox.start()
        self._start(self._load_brain())
        self._start(self._look_after())
        if self.telegram is not None:
            self._start(self._open_telegram(self.telegram))
        try:
            yield
        finally:
            await self._close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _hold_alone(self) -> bool:
        """On SQLite only one process serves: then whatever a server held was held by a dead one.

        The lock goes with the process, however it ends. Raises `BadSettings` if another one serves.
        """
        self._alone = lock_embedded(self.settings)
        return self._alone is not None

    async def _load_brain(self) -> None:
        started = time.monotonic()
        path = training.model_path(Path(self.settings.model_dir))
        if not path.exists():
            self.answering.give_up("the model is missing: run `zhike train`")
            log.error("brain.no_model", remedy="run `zhike train`", path=str(path))
            return
        try:
            self.answering.use(await asyncio.to_thread(_brain, path, self.phrasebook))
        except Exception as error:
            # One job: whatever a broken model raises, the doors go on taking messages.
            self.answering.give_up("the model cannot be loaded: run `zhike train`")
            log.error("brain.broken_model", error=type(error).__name__, path=str(path), exc_info=True)
            return
        log.info("brain.ready", seconds=round(time.monotonic() - started, 1), model=path.name)

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(RECOVERY_EVERY)
            try:
                self.recovery.look()
                with db.reading() as session:
                    counts = messages.count_open(session)
                for state in messages.OPEN:
                    metrics.OPEN.labels(state).set(counts.get(state, 0))
            except Exception as error:
                # One job: whatever went wrong this time, the next look comes.
                log.warning("recovery.failed", error=type(error).__name__, exc_info=not database_down(error))

    async def _open_telegram(self, door: TelegramDoor) -> None:
        webhook = self.settings.telegram_mode == "webhook"
        if self.sandbox is not None:
            await asyncio.sleep(0.5)  # the stand-in answers once this very server listens
        pause = 1.0
        while True:
            try:
                await door.open(self.settings.public_url if webhook else "", webhook=webhook)
                break
            except SendError as error:
                log.warning("telegram.not_open", outcome=error.outcome, reason=str(error), again_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 60.0)
        if not webhook:
            await door.poll()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A turn that only waits for the brain is not in flight; the next process answers it.
        finished = await self.lanes.close(SHUTDOWN_WITHIN if self.answering.ready else 0.5)
        finished &= await self.sends.close(SHUTDOWN_WITHIN / 2)
        self.outbox.close()
        if self.wechat_sender is not None:  # what is on the wire is not handed back while it may still arrive
            await self.wechat_sender.close()
        with contextlib.suppress(SQLAlchemyError), db.transaction() as session:
            messages.release(session, self.process, now=self.clock())
        if self.telegram is not None:
            await self.telegram.close()
        if self.sandbox is not None:
            await self.sandbox.stop()
        if self._alone is not None:
            self._alone.close()
        log.info("house.closed", finished=finished)


def _brain(path: Path, phrasebook: Phrasebook) -> Any:
    from bot.brain import Brain  # TensorFlow comes with it: seconds, so only here, in a thread

    brain = Brain(path, phrasebook)
    asyncio.run(brain.warm_up())
    return brain


def application(settings: Settings, *, clock: Clock = utc_now, sandbox: Sandbox | None = None) -> Starlette:
    """The application for these settings; the database must be open."""
    house = House(settings, clock=clock, sandbox=sandbox)
    app = Starlette(routes=house.routes(), lifespan=house.life)
    app.state.house = house
    return app
