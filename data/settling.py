"""The end of a redemption: handed over at a desk, or cancelled with its points and its stock given back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from data import (
    audit,
    corrections,
    desk_codes,
    holds,
    ledger,
    merged_points,
    redemptions,
    reward_stock,
    rewards,
)
from data.desk_codes import CodeElsewhere, CodeOver, CodeUnknown, CodeUsed, CodeVoid, last_moment
from data.hotels import Hotel, hotel_by_code
from data.ledger import Cause
from data.ledger_rows import Kind, PointEntry
from data.programme_versions import in_force
from data.redemptions import Redemption, RedemptionState
from data.refusals import BadInput, Refusal
from data.reward_descriptions import CODE
from data.reward_refusals import AlreadyFulfilled, ExtraFulfilled
from data.rewards import Reward

REASON = "redemption_cancelled"
OVER = (RedemptionState.cancelled, RedemptionState.lapsed)


def cancel(db: Session, redemption_id: int, *, why: str, actor: str, now: datetime) -> Redemption:
    """Undo a redemption: its points go back to the very lots they came from, its stock back on the shelf.

    What came along with it goes too. Also after the code has ended: whether to be so kind is for the desk. Again, and
    for one that has lapsed: nothing happens. `why` is a code such as `guest` or `closed`, kept for ever.

    Raises `AlreadyFulfilled`, `ExtraFulfilled`, `Unknown`, `BadInput`.
    """
    if not CODE.fullmatch(why):
        raise BadInput("why", "is no code.", "Use small letters, digits and _, at most 32, such as guest.")
    redemption = _lock_all(db, redemption_id)
    extra = redemptions.extra_of(db, redemption_id)
    if redemption.state in OVER:
        return redemption
    if redemption.state == RedemptionState.fulfilled:
        raise AlreadyFulfilled
    if extra is not None and extra.state == RedemptionState.fulfilled:
        raise ExtraFulfilled
    if redemption.state == RedemptionState.held and redemption.decide_by <= now:
        reward_stock.lapse(db, redemption.reward_id, now=now, only=[redemption_id])
        db.refresh(redemption)
        return redemption
    if redemption.hold_id is not None and redemption.state == RedemptionState.held:
        holds.release(db, redemption.hold_id, now=now)
    if redemption.entry_id is not None:
        _give_points_back(db, redemption, redemption.entry_id, why=why, actor=actor, now=now)
    for each in (redemption, extra):
        if each is not None and each.state not in OVER:
            _end(db, each, why=why, actor=actor, now=now)
    return redemption


def fulfil(db: Session, code_typed: str, *, hotel: str, actor: str, now: datetime) -> Redemption:
    """Hand a reward over at the desk of `hotel`, once: of two desks with the same code one hears `CodeUsed`.

    The code may be typed in any case, width and spacing. Raises `CodeUnknown`, `CodeVoid`, `CodeUsed` (when and
    where), `CodeElsewhere`, `CodeOver`, and `Unknown` for the hotel.
    """
    here = hotel_by_code(db, hotel)
    code = desk_codes.read(code_typed)
    given_here = select(Reward.id).where(or_(Reward.hotel_id.is_(None), Reward.hotel_id == here.id))
    done = db.execute(
        update(Redemption)
        .where(
            Redemption.code == code,
            Redemption.state == RedemptionState.confirmed.value,
            Redemption.valid_until > now,
            Redemption.reward_id.in_(given_here),
        )
        .values(state=RedemptionState.fulfilled.value, settled_at=now, settled_by=actor, hotel_id=here.id)
        .returning(Redemption.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    if done is None:
        raise _why_not(db, code, here, now=now)
    audit.record(db, "redemption.fulfilled", f"redemption:{done}", actor=actor, now=now, hotel=hotel)
    return redemptions.found(db, done)


def _lock_all(db: Session, redemption_id: int) -> Redemption:
    """Everything a cancellation touches, locked in the order that all keep: accounts, rewards, redemptions."""
    redemption = redemptions.found(db, redemption_id)
    extra = redemptions.extra_of(db, redemption_id)
    for member_id in sorted({redemption.member_id, *_paid_by(db, redemption)}):
        ledger.lock(db, member_id)
    for reward_id in sorted({each.reward_id for each in (redemption, extra) if each is not None}):
        rewards.locked(db, reward_id)
    redemption = redemptions.found(db, redemption_id, lock=True)
    if extra is not None:
        redemptions.found(db, extra.id, lock=True)
    return redemption


def _paid_by(db: Session, redemption: Redemption) -> Sequence[int]:
    """Whose account paid: after a merge another one than the account of the member who has the reward now."""
    return db.scalars(select(PointEntry.member_id).where(PointEntry.id == redemption.entry_id)).all()


def _give_points_back(
    db: Session, redemption: Redemption, entry_id: int, *, why: str, actor: str, now: datetime
) -> None:
    courtesy = timedelta(days=in_force(db, now=now).programme.earn.courtesy_days)
    cause = Cause(
        kind=Kind.reverse,
        reason=REASON,
        key=f"redemption:{redemption.id}:cancelled",
        actor=actor,
        channel=redemption.channel,
        facts={"redemption": redemption.id, "why": why},
    )
    back = corrections.reverse(db, entry_id, cause=cause, now=now, courtesy=courtesy)
    if back.member_id != redemption.member_id:
        # After a merge they came back to an account that nobody uses.
        merged_points.carry_over(db, back.member_id, redemption.member_id, actor=actor, now=now)


def _end(db: Session, redemption: Redemption, *, why: str, actor: str, now: datetime) -> None:
    redemption.state = RedemptionState.cancelled.value
    redemption.settled_at = now
    redemption.settled_by = actor
    db.flush()
    reward_stock.give_back(db, redemption.reward_id, redemption.quantity)
    audit.record(db, "redemption.cancelled", f"redemption:{redemption.id}", actor=actor, now=now, why=why)


def _why_not(db: Session, code: str, here: Hotel, *, now: datetime) -> Refusal:
    """Why the desk `here` cannot hand over what this code stands for."""
    wanted = select(Redemption).where(Redemption.code == code)
    redemption = db.scalars(wanted.execution_options(populate_existing=True)).one_or_none()
    if redemption is None:
        return CodeUnknown()
    if redemption.state == RedemptionState.cancelled:
        return CodeVoid()
    if redemption.state == RedemptionState.fulfilled:
        there = db.get_one(Hotel, redemption.hotel_id)
        assert redemption.settled_at is not None
        return CodeUsed(at=redemption.settled_at.astimezone(ZoneInfo(there.time_zone)), hotel=there.code)
    meant_for = redemption.reward.hotel_id
    if meant_for is not None and meant_for != here.id:
        return CodeElsewhere(hotel=db.get_one(Hotel, meant_for).code)
    assert redemption.valid_until is not None
    return CodeOver(at=last_moment(redemption.valid_until, ZoneInfo(here.time_zone)))
