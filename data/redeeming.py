"""A guest's wish for a reward: points and stock are held while they think, at the price of that moment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import audit, holds, ledger, redemptions, reward_stock, rewards
from data.db import insert_once
from data.hotels import Hotel
from data.ledger import KeyUsedOtherwise
from data.members import Member, MemberStatus
from data.offers import obstacle
from data.programme import priced
from data.programme_versions import InForce, in_force
from data.redemptions import EXTRA_KEY, Redemption, RedemptionState
from data.refusals import BadInput
from data.reward_refusals import MembershipNotActive, RewardGone
from data.rewards import Reward

REASON = "redemption"
MOST_AT_ONCE = 99
LONGEST_KEY = 100  # the hold's key is longer, and has room for 128
_HELD = "redemption.held"


@dataclass(frozen=True)
class Agreed:
    """What a hold began with: prices and programme may change meanwhile, what the guest was told may not.

    The ledger keeps it as the reason of the price.
    """

    reward: str
    quantity: int
    list_points: int
    percent_off: int
    extra: str | None
    programme: int  # version


def begin(
    db: Session,
    member_id: int,
    reward_code: str,
    *,
    key: str,
    channel: str,
    actor: str,
    now: datetime,
    quantity: int = 1,
    locale: str | None = None,
) -> Redemption:
    """Hold a reward, and the points for it, until the guest says yes or the programme's time to think is over.

    The same key again gives the first redemption, whatever became of it. Stock, limit, points and the wish itself
    are one transaction; a refusal undoes all of it. `locale` is for names in refusals, else the member's own.

    Raises `Unavailable`, `NotEnoughPoints`, `MembershipNotActive`, `Unknown`, `KeyUsedOtherwise`, `BadInput`.
    """
    _check_wish(key, quantity)
    ledger.lock(db, member_id)
    if first := _begun_before(db, member_id, reward_code, key=key, quantity=quantity):
        return first
    asker = _active(db, member_id)
    law = in_force(db, now=now)
    reward = rewards.reward_by_code(db, reward_code)
    if reward.stock is not None:
        reward_stock.locked_and_counted(db, reward, now=now)
    no = obstacle(
        reward,
        programme=law.programme,
        tier=asker.tier,
        had=_had(db, member_id, reward, now=now),
        quantity=quantity,
        left=reward.stock,
        zone=zone_of(db, reward.hotel_id),
        locale=locale or asker.locale,
        now=now,
    )
    if no is not None:
        raise no
    return _hold(
        db, member_id, reward, law, key=key, quantity=quantity, channel=channel, actor=actor, now=now
    )


def _check_wish(key: str, quantity: int) -> None:
    if type(quantity) is not int or not 1 <= quantity <= MOST_AT_ONCE:
        raise BadInput("quantity", "does not fit here.", f"Write a whole number from 1 to {MOST_AT_ONCE}.")
    if not 0 < len(key) <= LONGEST_KEY or key.startswith(EXTRA_KEY):
        remedy = f"Use 1 to {LONGEST_KEY} characters that do not begin with {EXTRA_KEY}"
        raise BadInput("key", "does not fit here.", f"{remedy}.")


def _begun_before(
    db: Session, member_id: int, reward_code: str, *, key: str, quantity: int
) -> Redemption | None:
    wanted = select(Redemption, Reward.code).join(Reward, Reward.id == Redemption.reward_id)
    row = db.execute(
        wanted.where(Redemption.key == key).execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        return None
    first: Redemption = row[0]
    if (first.member_id, row[1], first.quantity) != (member_id, reward_code, quantity):
        raise KeyUsedOtherwise(
            "key", f"this key belongs to redemption {first.id}, which differs.", "Use a key of its own."
        )
    return first


def _had(db: Session, member_id: int, reward: Reward, *, now: datetime) -> int:
    if reward.per_member is None:
        return 0
    return redemptions.had(db, member_id, now=now, reward_id=reward.id).get(reward.id, 0)


@dataclass(frozen=True)
class _Asker:
    tier: str
    locale: str


def _active(db: Session, member_id: int) -> _Asker:
    row = db.execute(select(Member.status, Member.tier, Member.locale).where(Member.id == member_id)).one()
    if row.status != MemberStatus.active:
        raise MembershipNotActive
    return _Asker(row.tier, row.locale)


def _hold(
    db: Session,
    member_id: int,
    reward: Reward,
    law: InForce,
    *,
    key: str,
    quantity: int,
    channel: str,
    actor: str,
    now: datetime,
) -> Redemption:
    """Set points and stock aside for what nothing stands in the way of any more."""
    price = priced(law.programme, reward.points * quantity)
    held = holds.hold(
        db,
        member_id,
        price.points,
        reason=REASON,
        key=f"{REASON}:{key}",
        actor=actor,
        now=now,
        lasts=timedelta(minutes=law.programme.redemption.hold_minutes),
        channel=channel,
    )
    if not reward_stock.take(db, reward, quantity):
        raise RewardGone
    agreed = Agreed(
        reward.code, quantity, price.list_points, price.percent_off, price.extra, programme=law.version
    )
    redemption_id = insert_once(
        db,
        Redemption,
        member_id=member_id,
        reward_id=reward.id,
        quantity=quantity,
        points=price.points,
        terms=asdict(agreed),
        state=RedemptionState.held.value,
        key=key,
        hold_id=held.id,
        channel=channel,
        actor=actor,
        held_at=now,
        decide_by=held.deadline,
    )
    if redemption_id is None:
        raise KeyUsedOtherwise(
            "key", "this key belongs to another member's redemption.", "Use a key of its own."
        )
    audit.record(db, _HELD, f"redemption:{redemption_id}", actor=actor, now=now, **asdict(agreed))
    return redemptions.found(db, redemption_id)


def zone_of(db: Session, hotel_id: int | None) -> str | None:
    """The time zone of a hotel; None for no hotel."""
    if hotel_id is None:
        return None
    return db.scalar(select(Hotel.time_zone).where(Hotel.id == hotel_id))
