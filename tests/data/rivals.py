"""Two real processes that do the same deed at the same moment."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any, TypeVar

from data import db, holds, ledger, messages, promises, schema, sealed
from data.holds import HoldOver
from data.ledger import Cause, NotEnoughPoints, Posted
from data.ledger_rows import Kind
from data.members import contact_at
from tests.conftest import KEYS, NOW

T = TypeVar("T")

# Longer than any start-up on a busy machine; a rival that never comes fails the test instead of hanging it.
PATIENCE = 60

_gate: Barrier


class Rivals:
    """A pair of processes, started on first use and kept for the next race."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._gate = context.Barrier(2)
        self._pool = ProcessPoolExecutor(2, mp_context=context, initializer=_stand_at, initargs=(self._gate,))

    def race(self, deed: Callable[..., T], url: str, *given: Any) -> tuple[T, T]:
        """What `deed(who, *given)` gave to each; `who` is "a" or "b", and `url` their database."""
        if self._gate.broken:
            self._gate.reset()
        a, b = (self._pool.submit(_take_part, deed, url, who, given) for who in ("a", "b"))
        errors = [error for error in (a.exception(PATIENCE), b.exception(PATIENCE)) if error]
        for error in errors:
            if not isinstance(error, BrokenBarrierError):  # that is only the other one's error seen from here
                raise error
        return a.result(), b.result()

    def close(self) -> None:
        self._pool.shutdown()


def _stand_at(gate: Barrier) -> None:
    global _gate
    _gate = gate


def _take_part(deed: Callable[..., T], url: str, who: str, given: tuple[Any, ...]) -> T:
    finished = False
    db.connect(url)
    sealed.use_keys(KEYS)
    try:
        done = deed(who, *given)
        finished = True
        return done
    finally:
        if not finished:
            _gate.abort()  # else the other would wait for one who no longer comes
        db.disconnect()


def together() -> None:
    """Wait until the other process is here too."""
    _gate.wait(PATIENCE)


def upgrade(who: str) -> str | None:
    together()
    schema.upgrade(db.engine())
    return schema.current(db.engine())


def open_file(who: str, urls: list[str]) -> list[str]:
    modes = []
    for url in urls:
        engine = db.new_engine(url)
        together()
        with engine.connect() as connection:
            modes.append(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())
        engine.dispose()
    return modes


def make_keys(who: str, databases: list[Path]) -> list[str]:
    made = []
    for database in databases:
        together()
        made.append(sealed.keys_beside(database))
    return made


def meet(who: str, addresses: list[str]) -> list[int]:
    met = []
    for address in addresses:
        together()
        with db.transaction() as session:
            met.append(contact_at(session, "telegram", address, now=NOW).id)
    return met


def earn(who: str, member_id: int, keys: list[str]) -> list[Posted]:
    posted = []
    for key in keys:
        together()
        with db.transaction() as session:
            cause = Cause(Kind.earn, "stay", key, actor=who)
            posted.append(ledger.credit(session, member_id, 7, cause=cause, now=NOW))
    return posted


def spend_the_last(who: str, member_id: int, times: int) -> list[str]:
    """Each time there are ten points, and each process wants all of them: "spent" or "no"."""
    told = []
    for time in range(times):
        if who == "a":
            with db.transaction() as session:
                ledger.credit(
                    session, member_id, 10, cause=Cause(Kind.gift, "test", f"g{time}", who), now=NOW
                )
        together()
        try:
            with db.transaction() as session:
                cause = Cause(Kind.redeem, "test", f"{who}{time}", who)
                ledger.debit(session, member_id, 10, cause=cause, now=NOW)
            told.append("spent")
        except NotEnoughPoints:
            told.append("no")
        together()
    return told


def capture_or_lapse(who: str, member_id: int, times: int) -> list[bool]:
    """Process a captures a hold a moment before its end, b sweeps a moment after it; whether each found it active."""
    found = []
    for time in range(times):
        with db.transaction() as session:
            held = holds.hold(
                session,
                member_id,
                20,
                reason="test",
                key=f"h{time}",
                actor="test",
                now=NOW,
                lasts=timedelta(hours=1),
            )
        together()
        if who == "a":
            cause = Cause(Kind.redeem, "test", f"c{time}", who)
            try:
                with db.transaction() as session:
                    holds.capture(
                        session, held.id, cause=cause, now=held.deadline - timedelta(microseconds=1)
                    )
                found.append(True)
            except HoldOver:
                found.append(False)
        else:
            with db.transaction() as session:
                found.append(holds.lapse_due(session, now=held.deadline) == 1)
        together()
    return found


def claim(who: str, contact_ids: list[int]) -> list[int]:
    """The ids of the messages this process won, one contact after the other."""
    won = []
    for contact_id in contact_ids:
        together()
        with db.transaction() as session:
            message = promises.claim_next(session, contact_id, by=who, via="api", now=NOW)
            if message is not None:
                won.append(message.id)
    return won


def receive(who: str, keys: list[str]) -> list[int | None]:
    taken = []
    for key in keys:
        together()
        with db.transaction() as session:
            taken.append(
                messages.receive(
                    session,
                    channel="telegram",
                    key=key,
                    contact_id=None,
                    kind="text",
                    text="你好",
                    payload={},
                    by=who,
                    now=NOW,
                )
            )
    return taken


def take_over(who: str, message_ids: list[int]) -> list[bool]:
    later = NOW + timedelta(minutes=5)
    taken = []
    for message_id in message_ids:
        together()
        with db.transaction() as session:
            taken.append(messages.take_over(session, message_id, was="dead", by=who, now=later))
    return taken
