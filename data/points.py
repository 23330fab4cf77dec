"""What a member has: the balance, told as lots with their ends and reasons, and the statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, text
from sqlalchemy.orm import Session

from data.db import UtcDateTime, run_prepared
from data.ledger_rows import HoldAllocation, PointAccount, PointEntry, PointHold, PointLot

# Conditions of the partial indexes, word for word: SQLite uses such an index only if the query repeats it.
IS_OPEN = text("point_lots.remaining <> 0")
HELD_NOW = and_(
    PointHold.member_id == bindparam("member"),
    text("point_holds.state = 'active'"),
    PointHold.deadline > bindparam("now", type_=UtcDateTime),
)

_NOW = bindparam("now", type_=UtcDateTime)


def usable_at(now: Any) -> Any:
    """The condition that a lot's points may be spent at `now`: they have ripened and not ended."""
    return and_(PointLot.available_at <= now, or_(PointLot.expires_at.is_(None), PointLot.expires_at > now))


def balance(db: Session, member_id: int, *, now: datetime) -> int:
    """What a member can spend at `now`, in points. Below zero if more was clawed back than was left.

    All entries, less what is not ripe yet, what has ended though no entry says so yet, and what is on hold.
    The cost does not grow with the number of entries.
    """
    return int(run_prepared(db, _SPENDABLE, {"member": member_id, "now": now}).scalar() or 0)


_HELD = (
    select(func.coalesce(func.sum(HoldAllocation.amount), 0))
    .join(PointHold, PointHold.id == HoldAllocation.hold_id)
    .join(
        PointLot,
        and_(PointLot.member_id == HoldAllocation.member_id, PointLot.number == HoldAllocation.lot),
    )
    .where(HELD_NOW)
)


def _open_sum(*conditions: Any) -> Any:
    return (
        select(func.coalesce(func.sum(PointLot.remaining), 0))
        .where(PointLot.member_id == bindparam("member"), IS_OPEN, *conditions)
        .scalar_subquery()
    )


_SPENDABLE = select(
    PointAccount.balance
    - _open_sum(PointLot.available_at > _NOW)
    - _open_sum(PointLot.available_at <= _NOW, PointLot.expires_at <= _NOW)
    # Only what is held of usable lots: the rest has been taken off above.
    - _HELD.where(usable_at(_NOW)).scalar_subquery()
).where(PointAccount.member_id == bindparam("member"))


@dataclass(frozen=True)
class LotShare:
    """What is left of a lot: `points` free, `held` set aside, from the entry with this `reason` and `facts`."""

    number: int
    points: int
    held: int
    available_at: datetime
    expires_at: datetime | None
    reason: str
    text_key: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Standing:
    """A balance told as lots, in the order in which they will be used.

    `spendable` = the points of `usable` − `owed`. `pending` lots have not ripened yet.
    """

    spendable: int
    held: int
    owed: int
    usable: tuple[LotShare, ...]
    pending: tuple[LotShare, ...]

    @property
    def pending_points(self) -> int:
        return sum(lot.points for lot in self.pending)


def standing(db: Session, member_id: int, *, now: datetime) -> Standing:
    """What a member has at `now`, lot by lot."""
    rows = run_prepared(db, _LOTS, {"member": member_id, "now": now}).all()
    lots = [LotShare(row.number, row.remaining - row.held, *row[2:]) for row in rows if row.remaining > 0]
    usable = tuple(lot for lot in lots if lot.available_at <= now and not _ended(lot, now))
    owed = -sum(row.remaining for row in rows if row.remaining < 0)
    return Standing(
        spendable=sum(lot.points for lot in usable) - owed,
        held=sum(lot.held for lot in lots),
        owed=owed,
        usable=tuple(lot for lot in usable if lot.points),
        pending=tuple(lot for lot in lots if lot.available_at > now),
    )


def _ended(lot: LotShare, now: datetime) -> bool:
    return lot.expires_at is not None and lot.expires_at <= now


_HELD_OF_LOT = (
    select(func.coalesce(func.sum(HoldAllocation.amount), 0))
    .join(PointHold, PointHold.id == HoldAllocation.hold_id)
    .where(HELD_NOW, HoldAllocation.member_id == PointLot.member_id, HoldAllocation.lot == PointLot.number)
    .correlate(PointLot)
    .scalar_subquery()
)

# Earliest end first, without an end last, then in the order in which they came.
USE_ORDER = (PointLot.expires_at.is_(None), PointLot.expires_at, PointLot.number)

_LOTS = (
    select(
        PointLot.number,
        PointLot.remaining,
        _HELD_OF_LOT.label("held"),
        PointLot.available_at,
        PointLot.expires_at,
        PointEntry.reason,
        PointEntry.text_key,
        PointEntry.facts,
    )
    .join(PointEntry, and_(PointEntry.member_id == PointLot.member_id, PointEntry.seq == PointLot.number))
    .where(PointLot.member_id == bindparam("member"), IS_OPEN)
    .order_by(*USE_ORDER)
)


def statement(
    db: Session, member_id: int, *, before: int | None = None, limit: int = 20
) -> Sequence[PointEntry]:
    """A member's entries, newest first; `before` is the `seq` the last page ended with."""
    newest_first = select(PointEntry).where(PointEntry.member_id == member_id)
    if before is not None:
        newest_first = newest_first.where(PointEntry.seq < before)
    return db.scalars(newest_first.order_by(PointEntry.seq.desc()).limit(limit)).all()


def free_lots(db: Session, member_id: int, *, now: datetime, limit: int) -> dict[int, int]:
    """Usable lots that have free points, in the order of use: lot number → free points. Lock the account first."""
    rows = run_prepared(db, _FREE, {"member": member_id, "now": now, "most": limit})
    return {row.number: row.free for row in rows}


def free_in_lot(db: Session, member_id: int, lot: int, *, now: datetime) -> int:
    """What of one lot is not on hold, whether it is ripe, ended, or neither."""
    one = select(PointLot.remaining - _HELD_OF_LOT).where(
        PointLot.member_id == bindparam("member"), PointLot.number == lot
    )
    return int(db.scalar(one, {"member": member_id, "now": now}) or 0)


def usable_lots(
    db: Session, member_id: int, besides: Collection[int], *, now: datetime
) -> list[tuple[datetime | None, int, int]]:
    """(end, lot number, free points) of usable lots that have any, and of usable ones among `besides`."""
    lots = select(
        PointLot.expires_at, PointLot.number, (PointLot.remaining - _HELD_OF_LOT).label("free")
    ).where(
        PointLot.member_id == bindparam("member"),
        or_(PointLot.remaining > _HELD_OF_LOT, PointLot.number.in_(besides)),
        PointLot.amount > 0,
        usable_at(_NOW),
    )
    return [(row[0], row[1], row[2]) for row in db.execute(lots, {"member": member_id, "now": now})]


def shortfalls(db: Session, member_id: int) -> dict[int, int]:
    """Lots below zero, oldest first: lot number → points owed."""
    below = (
        select(PointLot.number, -PointLot.remaining)
        .where(PointLot.member_id == member_id, IS_OPEN, PointLot.remaining < 0)
        .order_by(PointLot.number)
    )
    return {number: owed for number, owed in db.execute(below).tuples()}


_FREE = (
    select(PointLot.number, (PointLot.remaining - _HELD_OF_LOT).label("free"))
    .where(
        PointLot.member_id == bindparam("member"),
        IS_OPEN,
        PointLot.remaining > _HELD_OF_LOT,
        usable_at(_NOW),
    )
    .order_by(*USE_ORDER)
    .limit(bindparam("most"))
)
