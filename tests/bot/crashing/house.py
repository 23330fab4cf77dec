"""The real house, doors and server in a process that kills itself at the step it was given."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import bot.app
import bot.database
import bot.outbox
import bot.passive
import bot.recovery
import bot.wechat
import data.messages
import data.promises
from bot import logs, training
from bot.server import Server, configuration
from bot.settings import Settings
from bot.telegram import TelegramDoor
from bot.wechat_client import Account
from tests.bot.crashing import brain

DOORS = ("/wechat", "/telegram/webhook")


@dataclass(frozen=True)
class Pace:
    """How fast time goes here: the platforms' pace, and in seconds what else would take too long."""

    platforms: float
    reply_within: float
    hold: float


class Steps:
    """Counts the steps of a turn from the first delivery on, writes their names, and dies at number `die_at`."""

    def __init__(self, die_at: int, record: Path) -> None:
        self._die_at = die_at
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._count = 0
        self.armed = False

    def __call__(self, name: str) -> None:
        if not self.armed:
            return
        self._count += 1
        os.write(self._record, f"{name}\n".encode())
        if self._count == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextlib.contextmanager
    def around(self, name: str) -> Iterator[None]:
        self(f"before {name}")
        yield
        self(f"after {name}")


class Doors:
    """Marks the first delivery, and each piece of an answer on its way out."""

    def __init__(self, app: ASGIApp, step: Steps) -> None:
        self._app = app
        self._step = step

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in DOORS:
            await self._app(scope, receive, send)
            return
        self._step.armed = True

        async def send_in_steps(message: Message) -> None:
            with self._step.around(message["type"].removeprefix("http.")):
                await send(message)

        await self._app(scope, receive, send_in_steps)


def serve(settings: Settings, port: int, pace: Pace, die_at: int, record: Path, go: Event | None) -> None:
    """Run until killed or told to stop; `go`: wait for it before the doors open. Takes no Rasa along."""
    sys.modules["bot.brain"] = brain.module()
    logs.configure("json")
    _hurry(pace.platforms, pace.reply_within, pace.hold)
    step = Steps(die_at, record)
    _wrap_commits(step)
    _wrap_sends(step)
    model = Path(settings.model_dir) / "none-is-read.tar.gz"
    model.touch()
    training.model_path = lambda folder: model
    if go is not None:
        go.wait()
    bot.database.open_database(settings)
    app = Doors(bot.app.application(settings), step)
    Server(configuration(app, host="127.0.0.1", port=port), before_stopping=lambda: None).run()


def _hurry(pace: float, reply_within: float, hold: float) -> None:
    """Scale what is measured in WeChat's time by the stand-in's pace; look for lost work more often."""
    deadline = bot.passive.PUSH_DEADLINE * pace
    last = deadline * (bot.passive.DELIVERIES - 1) - timedelta(seconds=pace)
    window = deadline * bot.passive.DELIVERIES + timedelta(seconds=pace)
    changes: dict[Any, dict[str, object]] = {
        bot.passive: {"PUSH_DEADLINE": deadline, "LOST_AFTER": bot.passive.LOST_AFTER * pace},
        bot.wechat: {
            "REPLY_WITHIN": reply_within,
            "HANG_UP_AFTER": bot.wechat.HANG_UP_AFTER * pace,
        },
        bot.outbox: {"FIRST_WAIT": timedelta(seconds=0.1)},
        bot.app: {"RECOVERY_EVERY": 0.2, "SHUTDOWN_WITHIN": 1.0},
        data.messages: {"HOLD": timedelta(seconds=hold)},
        data.promises: {"HOLD": timedelta(seconds=hold)},
    }
    for module in (bot.passive, bot.recovery):
        changes.setdefault(module, {}).update({"BACK_WITHIN": last, "WINDOW": window})
    for module, values in changes.items():
        for name, value in values.items():
            assert hasattr(module, name)
            setattr(module, name, value)
    brain.Brain.late_by = reply_within + 0.2


def _wrap_commits(step: Steps) -> None:
    event.listen(Session, "before_commit", lambda session: step("before commit"))
    event.listen(Session, "after_commit", lambda session: step("after commit"))


def _wrap_sends(step: Steps) -> None:
    send: Callable[..., Any] = TelegramDoor.send
    post: Callable[..., Any] = Account.post_custom

    async def send_in_steps(door: TelegramDoor, words: Any) -> Any:
        with step.around("telegram send"):
            return await send(door, words)

    def post_in_steps(account: Account, data: Any) -> None:
        with step.around("wechat send"):
            post(account, data)

    TelegramDoor.send = send_in_steps  # type: ignore[method-assign, assignment]
    Account.post_custom = post_in_steps  # type: ignore[method-assign, assignment]
