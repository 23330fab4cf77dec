"""Houses started one after the other on one database, and what became of a guest's messages there."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from bot.settings import Settings
from data import db
from data.ledger_rows import PointEntry
from data.members import Contact
from data.messages import Message
from tests.bot.crashing.house import Pace, serve
from tests.bot.crashing.platforms import Platforms, free_port, platforms
from tests.conftest import KEYS
from tests.data.conftest import new_member

PACE = 0.4  # of the platforms' waits
REPLY_WITHIN = 4 * PACE  # seconds that a push waits for its passive reply
FORKS = multiprocessing.get_context("forkserver")
_addresses = itertools.count(800_000_001)


@pytest.fixture(scope="module")
def door_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def outside(door_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platforms]:
    log = tmp_path_factory.mktemp("platforms") / "log"
    with platforms(door_port, log, pace=PACE) as running:
        yield running


@dataclass
class Host:
    """Starts houses one after the other on one database; the next stands ready while one runs."""

    settings: Settings
    port: int
    record: Path

    def __post_init__(self) -> None:
        # The house is imported once; each process is forked from there, in a few milliseconds.
        FORKS.set_forkserver_preload(["tests.bot.crashing.house"])
        self.running: list[ForkServerProcess] = []
        self.record.touch()

    def start(
        self,
        *,
        die_at: int = 0,
        go: Event | None = None,
        reply_within: float = REPLY_WITHIN,
        hold: float = 0.5,
    ) -> ForkServerProcess:
        """A process, killed by itself at step `die_at` if that is not 0. Times are in seconds."""
        given = (self.settings, self.port, Pace(PACE, reply_within, hold), die_at, self.record, go)
        process = FORKS.Process(target=serve, args=given, daemon=True)
        process.start()
        self.running.append(process)
        return process

    def close(self) -> None:
        for process in self.running:
            process.kill()
            process.join(5)


def open_host(database: str, outside: Platforms, port: int, folder: Path) -> Iterator[Host]:
    """A host with one member, in whose ledger deeds are written."""
    assert new_member() == 1
    given = {**outside.environment, "ZHIKE_DATABASE_URL": database, "ZHIKE_KEYS": KEYS}
    running = Host(
        Settings.from_environment({**given, "ZHIKE_MODEL_DIR": str(folder)}), port, folder / "steps"
    )
    yield running
    running.close()


@pytest.fixture
def host(sqlite_database: str, outside: Platforms, door_port: int, tmp_path: Path) -> Iterator[Host]:
    yield from open_host(sqlite_database, outside, door_port, tmp_path)


@pytest.fixture
def postgres_host(
    postgres_database: str, outside: Platforms, door_port: int, tmp_path: Path
) -> Iterator[Host]:
    yield from open_host(postgres_database, outside, door_port, tmp_path)


def ready(outside: Platforms) -> bool:
    """Whether a house stands at the door and can answer."""
    with contextlib.suppress(httpx.HTTPError):
        return outside.client.get(f"{outside.door}/readyz").status_code == 200
    return False


def rows_of(address: str) -> list[Message]:
    """All messages from and to an address, in order."""
    with db.reading() as session:
        found = (
            select(Message)
            .join(Contact, Contact.id == Message.contact_id)
            .where(Contact.address == address)
            .order_by(Message.id)
        )
        return list(session.scalars(found))


def deeds_of(address: str) -> int:
    """How many ledger entries a guest's turns have written."""
    with db.reading() as session:
        contact = session.scalar(select(Contact.id).where(Contact.address == address))
        found = select(func.count()).where(PointEntry.reason == f"contact {contact}")
        return session.scalar(found.select_from(PointEntry)) or 0


def settled(address: str, messages: int = 1) -> bool:
    """Whether so many messages were taken, each is answered, and each answer sent."""
    rows = rows_of(address)
    asked = [row.state for row in rows if row.direction == "in"]
    return asked == ["answered"] * messages and [row.state for row in rows if row.direction == "out"] == [
        "sent"
    ] * len(asked)


def newcomer(channel: str) -> str:
    """An address that has never written before."""
    number = next(_addresses)
    return str(number) if channel == "telegram" else f"oCrash_{number}"


def come_again(outside: Platforms, channel: str, address: str) -> None:
    """At this pace WeChat may have given up before the restart; at its own it would still bring the message."""
    if channel == "wechat":
        for key in outside.undelivered(channel, address):
            outside.fault(channel, "redeliver", key=key)


def describe(host: Host, outside: Platforms, channel: str, address: str) -> object:
    """All there is to know when something did not happen."""
    rows = [(row.direction, row.state, row.via, row.outcome, row.held_by) for row in rows_of(address)]
    return host.record.read_text().split("\n"), rows, outside.said(channel, address)
