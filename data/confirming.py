"""Confirming a wish: what is held is spent, and the guest has a code to show at the desk."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from data import audit, codes, holds, ledger, redemptions, reward_stock
from data.earning import day_begins_at
from data.holds import HoldOver
from data.ledger import Cause
from data.ledger_rows import Kind
from data.members import Member
from data.offers import is_offered
from data.programme import Programme
from data.programme_versions import in_force
from data.redeeming import REASON, Agreed, zone_of
from data.redemptions import EXTRA_KEY, Redemption, RedemptionState
from data.rewards import Reward

# 26 ** 7 codes: a second collision in a row is bad luck, a tenth is a fault.
ATTEMPTS = 10


def confirm(db: Session, redemption_id: int, *, actor: str, now: datetime) -> Redemption:
    """Spend what is held and give the code, and what the ladder brings along a code of its own (`extra_of`).

    Again: the same redemption with the same code. From `decide_by` on, and for one that was cancelled or has lapsed,
    `HoldOver`: the points are free, and the stock is anybody's. Whoever asks for the reward next, or the sweeper,
    writes that down; here nothing is written, for a refusal undoes its transaction. Raises `Unknown`.
    """
    redemption = redemptions.found(db, redemption_id)
    ledger.lock(db, redemption.member_id)
    redemption = redemptions.found(db, redemption_id)
    if redemption.state in (RedemptionState.confirmed, RedemptionState.fulfilled):
        return redemption
    _still_held(redemption, now=now)
    terms = Agreed(**redemption.terms)
    extra = _extra(db, terms.extra, now=now)
    # The sweeper asks nobody's account: only this lock keeps it from ending the hold between here and the code.
    redemption = redemptions.found(db, redemption_id, lock=True)
    _still_held(redemption, now=now)
    assert redemption.hold_id is not None
    cause = Cause(
        kind=Kind.redeem,
        reason=REASON,
        key=f"{REASON}:{redemption_id}",
        actor=actor,
        channel=redemption.channel,
        facts=asdict(terms),
    )
    entry = holds.capture(db, redemption.hold_id, cause=cause, now=now)
    redemption.state = RedemptionState.confirmed.value
    redemption.entry_id = entry.entry_id
    redemption.confirmed_at = now
    redemption.valid_until = _code_ends(db, redemption, now=now)
    _give_code(db, redemption)
    audit.record(db, "redemption.confirmed", f"redemption:{redemption_id}", actor=actor, now=now)
    if extra is not None:
        _bring_along(db, redemption, extra, actor=actor, now=now)
    return redemption


def _still_held(redemption: Redemption, *, now: datetime) -> None:
    if redemption.state != RedemptionState.held or redemption.decide_by <= now:
        raise HoldOver


def _extra(db: Session, code: str | None, *, now: datetime) -> Reward | None:
    """The ladder's extra, locked if it is counted; None if it is not to be had now."""
    if code is None:
        return None
    extra = db.scalars(select(Reward).where(Reward.code == code)).one_or_none()
    if extra is not None and extra.stock is not None:
        reward_stock.locked_and_counted(db, extra, now=now)
    return extra if extra is not None and is_offered(extra, now=now) else None


def _bring_along(
    db: Session, redemption: Redemption, extra: Reward, *, actor: str, now: datetime
) -> Redemption | None:
    """The second redemption, for nothing. It counts towards the member's limit, but neither that nor a tier bars it."""
    if not reward_stock.take(db, extra, 1):
        return None
    brought = Redemption(
        member_id=redemption.member_id,
        reward_id=extra.id,
        quantity=1,
        points=0,
        terms={},
        state=RedemptionState.confirmed.value,
        key=f"{EXTRA_KEY}{redemption.id}",
        comes_with_id=redemption.id,
        channel=redemption.channel,
        actor=actor,
        held_at=now,
        decide_by=now,
        confirmed_at=now,
    )
    db.add(brought)
    db.flush()
    brought.valid_until = _code_ends(db, brought, now=now)
    _give_code(db, brought)
    audit.record(
        db, "redemption.came_along", f"redemption:{brought.id}", actor=actor, now=now, with_id=redemption.id
    )
    return brought


def _give_code(db: Session, redemption: Redemption) -> None:
    """A code nobody has. Two processes may draw the same one: the constraint tells the second to draw again."""
    db.flush()
    for attempt in range(1, ATTEMPTS + 1):
        code = codes.new_code()
        try:
            with db.begin_nested():
                db.execute(
                    update(Redemption)
                    .where(Redemption.id == redemption.id)
                    .values(code=code)
                    .execution_options(synchronize_session=False)
                )
            break
        except IntegrityError:
            if attempt == ATTEMPTS:
                raise
    db.refresh(redemption)


def _code_ends(db: Session, redemption: Redemption, *, now: datetime) -> datetime:
    """The midnight after its last day: at the reward's hotel, else at the member's home, else by the programme."""
    programme = in_force(db, now=now).programme
    zone = _clock(db, redemption, programme)
    last = now.astimezone(zone).date() + timedelta(days=programme.redemption.code_valid_days)
    return day_begins_at(last + timedelta(days=1), zone)


def _clock(db: Session, redemption: Redemption, programme: Programme) -> ZoneInfo:
    hotel_id = db.scalar(select(Reward.hotel_id).where(Reward.id == redemption.reward_id))
    if hotel_id is None:
        hotel_id = db.scalar(select(Member.home_hotel_id).where(Member.id == redemption.member_id))
    name = zone_of(db, hotel_id)
    return ZoneInfo(name) if name else programme.zone
