"""Points that end: each lot at its own end, or all of them after a long time without activity."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select, text
from sqlalchemy.orm import Session

from data import chain, ledger, points
from data.ledger import Cause, Posted
from data.ledger_rows import HoldAllocation, HoldState, Kind, PointAccount, PointEntry, PointHold, PointLot

_HELD_NOW = (
    exists()
    .where(HoldAllocation.member_id == PointLot.member_id, HoldAllocation.lot == PointLot.number)
    .where(PointHold.id == HoldAllocation.hold_id, PointHold.state == HoldState.active.value)
)
_LEFT = text("point_lots.remaining > 0")  # word for word as in the partial index


def due(db: Session, *, now: datetime, limit: int = 1000) -> Sequence[int]:
    """Ids of members with lots that have ended, for the sweeper: one transaction with `expire` for each."""
    held = _HELD_NOW.where(PointHold.deadline > now)
    ended = select(PointLot.member_id).where(_LEFT, PointLot.expires_at <= now, ~held).distinct()
    return db.scalars(ended.order_by(PointLot.member_id).limit(limit)).all()


def expire(db: Session, member_id: int, *, now: datetime) -> list[Posted]:
    """Close the member's lots that have ended by `now`, an entry for each; again finds nothing left to close.

    A lot of which something is on hold is left for the next sweep: what is held may still be spent.
    """
    held = _HELD_NOW.where(PointHold.deadline > now)
    return _close(db, member_id, and_(PointLot.expires_at <= now, ~held), reason="expiry", now=now)


def due_inactive(
    db: Session, *, since: datetime, counts: Collection[str], now: datetime, limit: int = 1000
) -> Sequence[int]:
    """Ids of members with points and no entry since `since` whose kind or reason `counts` as activity."""
    active = exists().where(
        PointEntry.member_id == PointAccount.member_id,
        PointEntry.at > since,
        _is_activity(counts),
    )
    older = exists().where(PointEntry.member_id == PointAccount.member_id, PointEntry.at <= since)
    held = exists().where(
        PointHold.member_id == PointAccount.member_id,
        PointHold.state == HoldState.active.value,
        PointHold.deadline > now,
    )
    idle = select(PointAccount.member_id).where(PointAccount.balance > 0, older, ~active, ~held)
    return db.scalars(idle.order_by(PointAccount.member_id).limit(limit)).all()


def expire_inactive(
    db: Session, member_id: int, *, since: datetime, counts: Collection[str], now: datetime
) -> list[Posted]:
    """Close all lots of a member who has shown no activity since `since`; nothing if they have meanwhile."""
    ledger.lock(db, member_id)
    active = select(PointEntry.id).where(
        PointEntry.member_id == member_id,
        PointEntry.at > since,
        _is_activity(counts),
    )
    if db.execute(active.limit(1)).first() is not None:
        return []
    held = _HELD_NOW.where(PointHold.deadline > now)
    return _close(db, member_id, ~held, reason="inactivity", now=now)


def _is_activity(counts: Collection[str]) -> ColumnElement[bool]:
    # A merge too: what the guest did under the other membership stands in the ledger of that one.
    return or_(PointEntry.kind.in_([*counts, Kind.merge.value]), PointEntry.reason.in_(counts))


def _close(db: Session, member_id: int, which: object, *, reason: str, now: datetime) -> list[Posted]:
    account = ledger.lock(db, member_id)
    lots = db.execute(
        select(PointLot.number, PointLot.expires_at)
        .where(PointLot.member_id == member_id, _LEFT, which)  # type: ignore[arg-type]
        .order_by(*points.USE_ORDER)
    ).all()
    closed = []
    for lot in lots:
        # The entry's own place makes the key unique: a lot that was refilled by a reversal can end again.
        cause = Cause(
            Kind.expire,
            reason,
            f"{reason}:{member_id}:{lot.number}@{account.entries + 1}",
            "programme",
            facts={"lot": lot.number, "ended": chain.moment(lot.expires_at)},
        )
        if posted := ledger.close_lot(db, member_id, lot.number, cause=cause, now=now):
            closed.append(posted)
    return closed
