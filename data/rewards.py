"""The reward catalogue: what points can be turned into, for whom, when, and how many are left."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import UNSET
from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from data import audit
from data.db import Base, UtcDateTime, insert_once
from data.earning import day_begins_at
from data.hotels import Hotel, hotel_by_code
from data.programme_versions import in_force
from data.refusals import BadInput, Conflict, Unknown
from data.reward_descriptions import MOST_IN_STOCK, NewReward, RewardChanges


class Reward(Base):
    """One thing in the catalogue. `names` and `details` map a locale to words."""

    __tablename__ = "rewards"
    __table_args__ = (
        CheckConstraint("points > 0", name="reward_has_a_price"),
        CheckConstraint("stock >= 0", name="reward_is_not_oversold"),
        CheckConstraint("cash_minor >= 0 AND cost_minor >= 0", name="reward_money_is_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    kind: Mapped[str] = mapped_column(String(16))  # a `RewardKind`
    names: Mapped[dict[str, str]] = mapped_column(JSON)
    details: Mapped[dict[str, str]] = mapped_column(JSON)
    points: Mapped[int]
    cash_minor: Mapped[int] = mapped_column(default=0)  # to be paid besides, in `currency`
    cost_minor: Mapped[int] = mapped_column(default=0)  # what one costs the hotel, in `currency`
    currency: Mapped[str] = mapped_column(String(3))
    stock: Mapped[int | None]  # how many are left; None: as many as are wanted
    per_member: Mapped[int | None]  # how many one member may have, cancelled ones not counted; None: no limit
    min_tier: Mapped[str | None] = mapped_column(String(16))
    hotel_id: Mapped[int | None] = mapped_column(ForeignKey("hotels.id"))  # None: at every hotel
    available_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    available_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the first moment it is gone
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def said_in(self, locale: str) -> tuple[str, str]:
        """Name and details in a locale; English where we do not speak it."""
        return self.names.get(locale, self.names["en"]), self.details.get(locale, self.details["en"])


def add(db: Session, new: NewReward, *, actor: str, now: datetime) -> Reward:
    """Put a reward into the catalogue. Raises `Conflict` for a code that is taken, `Unknown` for hotel or tier."""
    reward_id = insert_once(db, Reward, code=new.code, stock=new.stock, **_columns(db, new, now=now))
    if reward_id is None:
        raise Conflict("code", "there is a reward with this code.", "Change that one, or use another code.")
    audit.record(db, "reward.added", f"reward:{reward_id}", actor=actor, now=now, code=new.code)
    return db.get_one(Reward, reward_id)


def change(db: Session, reward_id: int, changes: RewardChanges, *, actor: str, now: datetime) -> Reward:
    """Describe a reward anew; what guests hold or have confirmed stays as it was agreed. Again: nothing changes.

    Raises `Unknown`, `BadInput`.
    """
    reward = locked(db, reward_id)
    before = described(db, reward, now=now)
    asked = {field.name: getattr(changes, field.name) for field in fields(changes)}
    after = replace(before, **{name: value for name, value in asked.items() if value is not UNSET})
    different = [name for name in asked if getattr(after, name) != getattr(before, name)]
    if different:
        for column, value in _columns(db, after, now=now).items():
            setattr(reward, column, value)
        db.flush()
        audit.record(db, "reward.changed", f"reward:{reward_id}", actor=actor, now=now, fields=different)
    return reward


def withdraw(db: Session, reward_id: int, *, actor: str, now: datetime) -> Reward:
    """Offer it no more. Who holds it may still confirm, and codes stay good. Again: harmless. Raises `Unknown`."""
    reward = locked(db, reward_id)
    if reward.withdrawn_at is None:
        reward.withdrawn_at = now
        audit.record(db, "reward.withdrawn", f"reward:{reward_id}", actor=actor, now=now)
    return reward


def offer_again(db: Session, reward_id: int, *, actor: str, now: datetime) -> Reward:
    """Take a withdrawal back. Again: harmless. Raises `Unknown`."""
    reward = locked(db, reward_id)
    if reward.withdrawn_at is not None:
        reward.withdrawn_at = None
        audit.record(db, "reward.offered_again", f"reward:{reward_id}", actor=actor, now=now)
    return reward


def restock(db: Session, reward_id: int, by: int, *, actor: str, now: datetime) -> Reward:
    """Put `by` more in stock, or with a minus take some out. Every call counts: there is no key.

    Raises `Unknown`, `BadInput`, and `Conflict` for a reward that is not counted or has too few left.
    """
    if type(by) is not int or not 0 < abs(by) <= MOST_IN_STOCK:
        raise BadInput("by", "does not fit here.", f"Write a whole number, not 0, at most {MOST_IN_STOCK:,}.")
    reward = locked(db, reward_id)
    if reward.stock is None:
        raise Conflict(
            "reward", "is not counted.", "Add a counted one under another code, withdraw this one."
        )
    left = db.execute(
        update(Reward)
        .where(Reward.id == reward_id, (Reward.stock + by).between(0, MOST_IN_STOCK))
        .values(stock=Reward.stock + by)
        .returning(Reward.stock)
        .execution_options(synchronize_session=False)
    ).scalar()
    if left is None:
        raise Conflict("by", f"{reward.stock} are in stock.", f"Stay between 0 and {MOST_IN_STOCK:,}.")
    audit.record(db, "reward.restocked", f"reward:{reward_id}", actor=actor, now=now, by=by, left=left)
    db.refresh(reward)
    return reward


def reward_by_code(db: Session, code: str, *, field: str = "reward") -> Reward:
    """The reward with this code, as it is now. Raises `Unknown`, which names the `field` it came in."""
    wanted = select(Reward).where(Reward.code == code).execution_options(populate_existing=True)
    reward = db.scalars(wanted).one_or_none()
    if reward is None:
        raise Unknown(field, "there is no such reward.", "Use a code of the catalogue.")
    return reward


def locked(db: Session, reward_id: int) -> Reward:
    """The reward, locked until the transaction ends. Lock members' accounts before. Raises `Unknown`."""
    # Not FOR UPDATE: redemptions that refer to it need not wait.
    wanted = select(Reward).where(Reward.id == reward_id).with_for_update(key_share=True)
    reward = db.scalars(wanted.execution_options(populate_existing=True)).one_or_none()
    if reward is None:
        raise Unknown("reward", f"there is no reward with id {reward_id}.", "Use the id of a reward.")
    return reward


def described(db: Session, reward: Reward, *, now: datetime) -> NewReward:
    """The reward as a hotel would describe it today; `stock` is what is left."""
    hotel = db.get_one(Hotel, reward.hotel_id) if reward.hotel_id is not None else None
    zone = ZoneInfo(hotel.time_zone) if hotel else in_force(db, now=now).programme.zone
    first, gone = (
        moment.astimezone(zone).date() if moment else None
        for moment in (reward.available_from, reward.available_until)
    )
    return NewReward(
        **{name: getattr(reward, name) for name in _AS_WRITTEN},
        code=reward.code,
        stock=reward.stock,
        hotel=hotel.code if hotel else None,
        first_day=first,
        last_day=gone - timedelta(days=1) if gone else None,
    )


_AS_WRITTEN = (
    "kind",
    "names",
    "details",
    "points",
    "currency",
    "cash_minor",
    "cost_minor",
    "per_member",
    "min_tier",
)


def _columns(db: Session, new: NewReward, *, now: datetime) -> dict[str, Any]:
    """The columns of a described reward, but for code and stock. Raises `Unknown` for hotel or tier."""
    programme = in_force(db, now=now).programme
    if new.min_tier is not None:
        try:
            programme.tier(new.min_tier)
        except Unknown as error:
            raise Unknown("min_tier", error.problem, error.remedy) from None
    hotel = hotel_by_code(db, new.hotel) if new.hotel is not None else None
    zone = ZoneInfo(hotel.time_zone) if hotel else programme.zone
    after_last = new.last_day + timedelta(days=1) if new.last_day else None
    return {
        **{name: getattr(new, name) for name in _AS_WRITTEN},
        "names": dict(new.names),
        "details": dict(new.details),
        "hotel_id": hotel.id if hotel else None,
        "available_from": day_begins_at(new.first_day, zone) if new.first_day else None,
        "available_until": day_begins_at(after_last, zone) if after_last else None,
    }
