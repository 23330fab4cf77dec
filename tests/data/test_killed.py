"""kill -9 before any statement and around any commit of a member's life: run again, it ends as if nothing had been."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from data import (
    booking,
    catalogue,
    checkout,
    confirming,
    db,
    enrolment,
    expiry,
    ledger_check,
    points,
    redeeming,
    sealed,
    settling,
)
from data.booking import NewStay
from data.checkout import NewLine
from data.enrolment import NewMember
from data.redemptions import Redemption
from tests.conftest import KEYS
from tests.data.people import open_hotels

BOOKED = datetime(2026, 2, 20, 4, tzinfo=timezone.utc)
ARRIVED = datetime(2026, 2, 27, 7, tzinfo=timezone.utc)
LEFT = datetime(2026, 3, 2, 3, tzinfo=timezone.utc)
RIPE = LEFT + timedelta(days=5)
LATER = RIPE + timedelta(days=20)
ENDED = datetime(2028, 3, 2, 3, tzinfo=timezone.utc)
WHO = "api:pms"
FOLIO = (
    NewLine(line="1", outlet="room", day=date(2026, 2, 27), amount_minor=180_000, currency="CNY"),
    NewLine(line="2", outlet="spa", day=date(2026, 2, 28), amount_minor=64_050, currency="CNY"),
    NewLine(
        line="3", outlet="room", day=date(2026, 2, 28), amount_minor=-30_000, currency="CNY", refunds="1"
    ),
)
REFUND = NewLine(
    line="4", outlet="spa", day=date(2026, 3, 2), amount_minor=-64_050, currency="CNY", refunds="2"
)


def life() -> None:
    """One member from joining to the end of their points. Each `with` is what one request or tap would do."""
    with db.transaction() as session:
        enrolment.enrol(
            session,
            NewMember(number="ZK300001", name="顾长卿", locale="zh_CN", home_hotel="HLSH", joined_at=BOOKED),
            via="pms",
            actor=WHO,
            now=BOOKED,
        )
    with db.transaction() as session:
        new = NewStay(
            confirmation="HLSH-1", member="ZK300001", hotel="HLSH", room_type="creek_king",
            arrival=date(2026, 2, 27), departure=date(2026, 3, 2),
        )  # fmt: skip
        stay = booking.book(session, new, actor=WHO, now=BOOKED).stay.id
    with db.transaction() as session:
        if session.get_one(booking.Stay, stay).status == "booked":
            booking.check_in(session, stay, actor=WHO, now=ARRIVED)
    with db.transaction() as session:
        for line in FOLIO:
            checkout.charge(session, stay, line, actor=WHO, now=LEFT)
    with db.transaction() as session:
        member = checkout.check_out(session, stay, actor=WHO, now=LEFT).stay.member_id
    with db.transaction() as session:
        wish = {"key": "turn:1", "channel": "wechat", "actor": "guest", "now": RIPE}
        cancelled = redeeming.begin(session, member, "breakfast", **wish).id  # type: ignore[arg-type]
    with db.transaction() as session:
        if session.get_one(Redemption, cancelled).state != "cancelled":
            confirming.confirm(session, cancelled, actor="guest", now=RIPE)
    with db.transaction() as session:
        settling.cancel(session, cancelled, why="guest", actor="guest", now=LATER)
    with db.transaction() as session:
        checkout.charge(session, stay, REFUND, actor=WHO, now=LATER)
    with db.transaction() as session:
        expiry.expire(session, member, now=ENDED)


class Dying:
    """Notes the places where a process can die, and kills it at the one asked for."""

    def __init__(self, die_at: int, record: Path) -> None:
        self.die_at, self.record, self.steps = die_at, record, 0

    def step(self, where: str) -> None:
        self.steps += 1
        with self.record.open("a") as record:
            record.write(f"{where}\n")
        if self.steps == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", lambda *_: self.step("statement"))
        event.listen(engine, "commit", lambda *_: self.step("before commit"))
        original = engine.dialect.do_commit

        def commit(connection: Any) -> None:
            original(connection)
            self.step("after commit")  # the database has it, and nobody has been told

        engine.dialect.do_commit = commit  # type: ignore[method-assign]


def doomed(url: str, die_at: int, record: Path) -> None:
    sealed.use_keys(KEYS)
    Dying(die_at, record).watch(db.connect(url))
    life()


@pytest.fixture
def forked(database: str, tmp_path: Path) -> Iterator[Callable[[int], BaseProcess]]:
    """Runs `life` in a process of its own that dies at the given step."""
    fork = multiprocessing.get_context("fork")

    def run(die_at: int) -> BaseProcess:
        db.disconnect()
        process = fork.Process(target=doomed, args=(database, die_at, tmp_path / "steps"))
        process.start()
        process.join(60)
        db.connect(database)
        return process

    yield run
    db.disconnect()


def story() -> list[tuple[Any, ...]]:
    """What the ledger says, without what depends on when a row was numbered."""
    with db.reading() as session:
        member = enrolment.member_by_number(session, "ZK300001").id
        told = points.standing(session, member, now=ENDED)
        entries = points.statement(session, member, limit=100)
    said = [(entry.seq, entry.kind, entry.amount, entry.reason, entry.facts.get("rule")) for entry in entries]
    return [*said, (told.spendable, told.held, told.owed)]


def fresh_start(url: str) -> None:
    from tests.conftest import _empty

    if url.startswith("postgresql"):
        db.disconnect()
        _empty(url)
        db.connect(url)


def test_killed_anywhere_and_run_again(
    database: str, forked: Callable[[int], BaseProcess], tmp_path: Path
) -> None:
    """The same requests come again after the crash, as a property system or a guest's tap would bring them."""
    open_hotels()
    with db.transaction() as session:
        catalogue.load(session, catalogue.read_catalogue(catalogue.sample()), actor="staff:li", now=BOOKED)
    clean = Snapshot(database, tmp_path)
    assert forked(0).exitcode == 0
    steps, wanted = (tmp_path / "steps").read_text().split("\n")[:-1], story()
    # Statements of one transaction are undone together: a few of them stand for the others.
    stride = 9 if database.startswith("sqlite") else 40
    deaths = [n for n, step in enumerate(steps, 1) if step != "statement" or n % stride == 0]
    assert steps.count("before commit") == steps.count("after commit") == 10
    assert steps.count("statement") > 100
    for die_at in deaths:
        clean.restore()
        assert forked(die_at).exitcode == -signal.SIGKILL
        assert ledger_check.verify(db.engine(), now=ENDED).faults == (), f"killed at step {die_at}"
        life()
        assert story() == wanted, f"killed at step {die_at}"
        assert ledger_check.verify(db.engine(), now=ENDED).faults == (), f"run again after step {die_at}"


class Snapshot:
    """A database as it is now, to come back to."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else None
        if self.file:
            db.disconnect()
            self.kept = self.file.read_bytes()
            db.connect(url)

    def restore(self) -> None:
        db.disconnect()
        if self.file:
            for path in self.file.parent.glob(f"{self.file.name}*"):
                path.unlink()
            self.file.write_bytes(self.kept)
            db.connect(self.url)
            return
        db.connect(self.url)
        fresh_start(self.url)
        open_hotels()
        with db.transaction() as session:
            catalogue.load(
                session, catalogue.read_catalogue(catalogue.sample()), actor="staff:li", now=BOOKED
            )
