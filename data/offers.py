"""What a member could have for their points now: the catalogue with prices, what is left, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from data import points, redemptions, reward_stock
from data.hotels import Hotel, hotel_by_code
from data.members import Member
from data.programme import Programme, priced
from data.programme_versions import in_force
from data.refusals import Unknown
from data.reward_refusals import (
    RewardForTier,
    RewardGone,
    RewardLimit,
    RewardNotNow,
    RewardNotYet,
    RewardTooFew,
    Unavailable,
)
from data.rewards import Reward


@dataclass(frozen=True)
class Offer:
    """One reward as it is offered to somebody, for one of it.

    `points` is the price by the ladder, `list_points` before it; `cash_minor` in `currency` is paid at the hotel
    besides. `affordable` None: nobody in particular asked. `left` None: as many as are wanted. `why_not` is the
    refusal that asking for it would meet, points apart. `extra`: the code of what comes along for nothing.
    """

    reward_id: int
    code: str
    kind: str
    name: str
    details: str
    points: int
    list_points: int
    extra: str | None
    cash_minor: int
    currency: str
    hotel: str | None
    available_until: datetime | None
    left: int | None
    affordable: bool | None
    why_not: Unavailable | None


def catalogue(
    db: Session, member_id: int | None, *, now: datetime, locale: str, hotel: str | None = None
) -> list[Offer]:
    """Every reward that is offered now or will be, cheapest first; `hotel`: only what that one gives.

    Without a member tiers and limits stop nobody. Raises `Unknown` for the member or the hotel.
    """
    programme = in_force(db, now=now).programme
    asker = _asker(db, member_id, now=now) if member_id is not None else _Asker(None, None, {})
    offers = [
        _offer(reward, place, left, programme=programme, asker=asker, locale=locale, now=now)
        for reward, place, left in _offered(db, hotel, now=now)
    ]
    return sorted(offers, key=lambda offer: (offer.points, offer.code))


def obstacle(
    reward: Reward,
    *,
    programme: Programme,
    tier: str | None,
    had: int,
    quantity: int,
    left: int | None,
    zone: str | None,
    locale: str,
    now: datetime,
) -> Unavailable | None:
    """Why a member of this tier who has `had` some cannot have `quantity` of it; None if they can.

    `zone` is that of the reward's hotel, None for a reward of every hotel. Points are looked at elsewhere.
    """
    if reward.available_from is not None and reward.available_from > now and reward.withdrawn_at is None:
        clock = ZoneInfo(zone) if zone else programme.zone
        return RewardNotYet(day=reward.available_from.astimezone(clock).date())
    if not is_offered(reward, now=now):
        return RewardNotNow()
    if tier is not None and reward.min_tier is not None:
        gate = _rank(programme, reward.min_tier, otherwise=len(programme.tiers))
        if _rank(programme, tier, otherwise=0) < gate:
            return RewardForTier(tier=_tier_name(programme, reward.min_tier, locale))
    if reward.per_member is not None and had + quantity > reward.per_member:
        return RewardLimit(most=reward.per_member)
    if left is not None and left < quantity:
        return RewardTooFew(left=left) if left else RewardGone()
    return None


def is_offered(reward: Reward, *, now: datetime) -> bool:
    """Whether its time has come, is not over, and nobody withdrew it."""
    begun = reward.available_from is None or reward.available_from <= now
    over = reward.available_until is not None and reward.available_until <= now
    return begun and not over and reward.withdrawn_at is None


@dataclass(frozen=True)
class _Asker:
    """What of a member matters here: tier, points to spend, and how many of each reward they have."""

    tier: str | None
    spendable: int | None
    had: dict[int, int]


def _asker(db: Session, member_id: int, *, now: datetime) -> _Asker:
    tier = db.scalar(select(Member.tier).where(Member.id == member_id))
    if tier is None:
        raise Unknown("member", f"there is no member with id {member_id}.", "Use the id of a member.")
    spendable = points.balance(db, member_id, now=now)
    return _Asker(tier, spendable, redemptions.had(db, member_id, now=now))


def _offered(
    db: Session, hotel: str | None, *, now: datetime
) -> list[tuple[Reward, Hotel | None, int | None]]:
    wanted = (
        select(Reward, Hotel, reward_stock.left(now))
        .outerjoin(Hotel, Hotel.id == Reward.hotel_id)
        .where(
            Reward.withdrawn_at.is_(None),
            or_(Reward.available_until.is_(None), Reward.available_until > now),
        )
    )
    if hotel is not None:
        here = hotel_by_code(db, hotel).id
        wanted = wanted.where(or_(Reward.hotel_id.is_(None), Reward.hotel_id == here))
    rows = db.execute(wanted.execution_options(populate_existing=True))
    return [(reward, place, left) for reward, place, left in rows]


def _offer(
    reward: Reward,
    place: Hotel | None,
    left: int | None,
    *,
    programme: Programme,
    asker: _Asker,
    locale: str,
    now: datetime,
) -> Offer:
    price = priced(programme, reward.points)
    name, details = reward.said_in(locale)
    why_not = obstacle(
        reward,
        programme=programme,
        tier=asker.tier,
        had=asker.had.get(reward.id, 0),
        quantity=1,
        left=left,
        zone=place.time_zone if place else None,
        locale=locale,
        now=now,
    )
    return Offer(
        reward_id=reward.id,
        code=reward.code,
        kind=reward.kind,
        name=name,
        details=details,
        points=price.points,
        list_points=price.list_points,
        extra=price.extra,
        cash_minor=reward.cash_minor,
        currency=reward.currency,
        hotel=place.code if place else None,
        available_until=reward.available_until,
        left=left,
        affordable=None if asker.spendable is None else asker.spendable >= price.points,
        why_not=why_not,
    )


def _rank(programme: Programme, tier: str, *, otherwise: int) -> int:
    """A tier that a later programme does not know any more opens no gate, and is itself a gate for all."""
    try:
        return programme.rank(tier)
    except Unknown:
        return otherwise


def _tier_name(programme: Programme, tier: str, locale: str) -> str:
    known = {each.code: each.names.said_in(locale) for each in programme.tiers}
    return known.get(tier, tier)
