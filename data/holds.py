"""Holds: points set aside until a deadline, then captured, released or lapsed, and only one of these."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import and_, insert, select, text, update
from sqlalchemy.orm import Session

from data import ledger, points
from data.db import insert_once
from data.ledger import Cause, KeyUsedOtherwise, NotEnoughPoints, Posted
from data.ledger_rows import HoldAllocation, HoldState, PointHold, PointLot
from data.refusals import BadInput, Refusal, Unknown

log = structlog.get_logger(__name__)


class HoldOver(Refusal):
    """The hold was released, or its time ran out; the points are free again."""

    utter = "utter_hold_over"


def hold(
    db: Session,
    member_id: int,
    amount: int,
    *,
    reason: str,
    key: str,
    actor: str,
    now: datetime,
    lasts: timedelta,
    channel: str = "",
) -> PointHold:
    """Set points aside until `now + lasts`, from the lots that end first; the same key again finds the first hold.

    Raises `NotEnoughPoints`, `BadAmount`, `KeyUsedOtherwise`, `Unknown`.
    """
    ledger.check_amount(amount)
    account = ledger.lock(db, member_id)
    first = db.scalars(select(PointHold).where(PointHold.key == key)).one_or_none()
    if first is not None:
        if (first.member_id, first.amount, first.reason) != (member_id, amount, reason):
            log.warning("holds.key_used_otherwise", hold=first.id, member=member_id)
            raise KeyUsedOtherwise(
                "key", f"this key belongs to hold {first.id}, which differs.", "Use a key of its own."
            )
        return first
    spendable = points.balance(db, member_id, now=now)
    if spendable < amount:
        raise NotEnoughPoints(needed=amount, points=max(spendable, 0))
    hold_id = insert_once(
        db,
        PointHold,
        member_id=member_id,
        amount=amount,
        reason=reason,
        key=key,
        actor=actor,
        channel=channel,
        made_at=now,
        deadline=now + lasts,
        state=HoldState.active.value,
    )
    if hold_id is None:
        raise KeyUsedOtherwise(
            "key", "this key belongs to a hold of another member.", "Use a key of its own."
        )
    lots = ledger.choose(db, account, amount, now=now)
    db.execute(
        insert(HoldAllocation),
        [
            {"hold_id": hold_id, "lot": lot, "member_id": member_id, "amount": part}
            for lot, part in lots.items()
        ],
    )
    return db.get_one(PointHold, hold_id)


def capture(db: Session, hold_id: int, *, cause: Cause, now: datetime, amount: int | None = None) -> Posted:
    """Spend what is held, or `amount` of it (the rest is free again). The same capture again returns the first.

    Raises `HoldOver` from the deadline on, `BadInput` for more than is held, `KeyUsedOtherwise`, `Unknown`.
    """
    held = _hold(db, hold_id)
    spend = held.amount if amount is None else ledger.check_amount(amount)
    if spend > held.amount:
        raise BadInput(
            "points", f"{spend} are more than the {held.amount} on hold.", "Capture at most what is held."
        )
    account = ledger.lock(db, held.member_id)
    cause = replace(cause, hold_id=hold_id)
    if first := ledger.posted_before(db, held.member_id, cause, -spend):
        return first
    if not _resolve(db, hold_id, HoldState.captured, now=now):
        raise HoldOver()
    return ledger.write(db, account, _taken(db, hold_id, spend), cause=cause, now=now)


def release(db: Session, hold_id: int, *, now: datetime) -> bool:
    """Let go of what is held; whether it was still held. A captured hold stays captured. Raises `Unknown`."""
    ledger.lock(db, _hold(db, hold_id).member_id)
    return _resolve(db, hold_id, HoldState.released, now=now)


def lapse_due(db: Session, *, now: datetime) -> int:
    """Mark every hold whose time has run out, and say how many. Its points were free from the deadline on."""
    due = update(PointHold).where(text("point_holds.state = 'active'"), PointHold.deadline <= now)
    done = db.execute(
        due.values(state=HoldState.lapsed.value, resolved_at=now).execution_options(synchronize_session=False)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def running(db: Session, member_id: int, *, now: datetime) -> bool:
    """Whether any of the member's points are on hold at `now`."""
    return (
        db.execute(
            select(PointHold.id).where(points.HELD_NOW).limit(1), {"member": member_id, "now": now}
        ).first()
        is not None
    )


def _hold(db: Session, hold_id: int) -> PointHold:
    held = db.get(PointHold, hold_id)
    if held is None:
        raise Unknown("hold", f"there is no hold {hold_id}.", "Use the id of a hold.")
    return held


def _resolve(db: Session, hold_id: int, state: HoldState, *, now: datetime) -> bool:
    """One guarded statement: of a capture, a release and a sweep that come at once only one finds the hold active."""
    done = db.execute(
        update(PointHold)
        .where(PointHold.id == hold_id, PointHold.state == HoldState.active.value, PointHold.deadline > now)
        .values(state=state.value, resolved_at=now)
        .returning(PointHold.id)
        .execution_options(synchronize_session="fetch")
    ).one_or_none()
    return done is not None


def _taken(db: Session, hold_id: int, amount: int) -> dict[int, int]:
    """What a capture does to the lots: in the order of use, `amount` of what is held."""
    rows = db.execute(
        select(HoldAllocation.lot, HoldAllocation.amount)
        .join(
            PointLot,
            and_(PointLot.member_id == HoldAllocation.member_id, PointLot.number == HoldAllocation.lot),
        )
        .where(HoldAllocation.hold_id == hold_id)
        .order_by(*points.USE_ORDER)
    )
    moves: dict[int, int] = {}
    for lot, part in rows:
        if amount:
            moves[lot] = -min(part, amount)
            amount += moves[lot]
    return moves
