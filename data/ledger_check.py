"""Proof that the points ledger says what was written: one pass over all of it, in memory that does not grow."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.engine import Connection

from data.ledger_rows import Kind, PointAccount, PointEntry, PointLot
from data.ledger_rules import RULES, Fault
from data.ledger_walk import PAGE, Progress, walk

__all__ = ["Fault", "Progress", "Report", "Totals", "check", "verify"]

# Under what an entry counts in the totals, by its kind and whether it adds. What a reversal takes was issued before,
# what it adds was used before. What merges move stays in the book.
_ISSUED = {(Kind.earn, True), (Kind.gift, True), (Kind.adjust, True), (Kind.reverse, False)}
_USED = {(Kind.redeem, False), (Kind.adjust, False), (Kind.reverse, True)}
_EXPIRED = {(Kind.expire, False)}


@dataclass(frozen=True)
class Totals:
    """Points of the whole book: outstanding = issued - used - expired, with what members owe taken off."""

    issued: int  # earned, given or credited by hand, less what was clawed back
    used: int  # redeemed or debited by hand, less what was given back
    expired: int
    outstanding: int
    owed: int


@dataclass(frozen=True)
class Report:
    """What a check found. `members` have an account; `faults` are the first of `fault_count`.

    `seal` is one digest over the last entry of every member. Whoever owns the database could write a whole chain
    anew; a seal that was noted where they cannot write proves what a copy of that day must hold.
    """

    entries: int
    members: int
    lots: int
    totals: Totals
    faults: tuple[Fault, ...]
    fault_count: int
    seal: str

    @property
    def sound(self) -> bool:
        return self.fault_count == 0


def verify(engine: Engine, *, now: datetime, progress: Progress | None = None, most: int = 100) -> Report:
    """Check every row of the ledger as it is at this moment, while the house goes on; changes nothing.

    `now` tells which holds still hold. At most `most` faults are kept, all are counted. `progress` hears now and then
    how many of how many entries were looked at.
    """
    with _snapshot(engine) as connection:
        return check(connection, now=now, progress=progress, most=most)


def check(
    connection: Connection, *, now: datetime, progress: Progress | None = None, most: int = 100
) -> Report:
    """As `verify`, of what a transaction of the caller's sees."""
    found = _Found(most)
    entries = _count(connection, PointEntry)
    found.take(walk(connection, entries, progress or _silent))
    for rule in RULES:
        found.take(rule.faults(connection, now=now, page=PAGE))
    return Report(
        entries=entries,
        members=_count(connection, PointAccount),
        lots=_count(connection, PointLot),
        totals=_totals(connection),
        faults=tuple(found.faults),
        fault_count=found.count,
        seal=_seal(connection),
    )


@dataclass
class _Found:
    most: int
    count: int = 0
    faults: list[Fault] = field(default_factory=list)

    def take(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.count += 1
            if len(self.faults) < self.most:
                self.faults.append(fault)


@contextlib.contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """One moment of the database for as long as it takes; nobody waits for it."""
    sqlite = engine.dialect.name == "sqlite"
    options: dict[str, Any] = (
        {"reading": True} if sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )
    with engine.connect().execution_options(**options) as connection, connection.begin():
        if not sqlite:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        yield connection


def _silent(_done: int, _entries: int) -> None:
    return


def _count(connection: Connection, table: type[Any]) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _totals(connection: Connection) -> Totals:
    adds = PointEntry.amount > 0
    by_kind = select(PointEntry.kind, adds, func.sum(PointEntry.amount)).group_by(PointEntry.kind, adds)
    sums = connection.execute(by_kind).all()

    def of(group: set[tuple[Kind, bool]]) -> int:
        return sum(int(points) for kind, plus, points in sums if (kind, bool(plus)) in group)

    return Totals(
        issued=of(_ISSUED),
        used=-of(_USED),
        expired=-of(_EXPIRED),
        outstanding=sum(int(points) for *_, points in sums),
        owed=int(connection.execute(select(func.coalesce(func.sum(PointAccount.owed), 0))).scalar_one()),
    )


def _seal(connection: Connection) -> str:
    seal = hashlib.sha256()
    heads = select(PointAccount.member_id, PointAccount.head).order_by(PointAccount.member_id)
    for member_id, head in connection.execute(heads.execution_options(yield_per=PAGE)):
        seal.update(f"{member_id} {head}\n".encode())
    return seal.hexdigest()
