"""Redemptions: a reward held, confirmed with a code, and fulfilled or cancelled; and how to find them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, and_, func, or_, select, text
from sqlalchemy.orm import Mapped, Session, joinedload, mapped_column, relationship

from data.db import Base, UtcDateTime
from data.refusals import Unknown
from data.rewards import Reward


class RedemptionState(str, enum.Enum):
    held = "held"  # points and stock are reserved until `decide_by`
    confirmed = "confirmed"  # points are spent, the guest has the code
    fulfilled = "fulfilled"  # the guest has the reward
    cancelled = "cancelled"  # undone: before confirming nothing was spent, after it the points came back
    lapsed = "lapsed"  # the guest did not confirm in time


class Redemption(Base):
    """One guest's wish for one reward, from hold to hand-over."""

    __tablename__ = "redemptions"
    __table_args__ = (
        CheckConstraint("quantity >= 1", name="redemption_is_of_something"),
        Index("ix_redemptions_member", "member_id", "reward_id"),
        Index(
            "ix_redemptions_held",
            "reward_id",
            "decide_by",
            sqlite_where=text("state = 'held'"),
            postgresql_where=text("state = 'held'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    reward_id: Mapped[int] = mapped_column(ForeignKey("rewards.id"))
    quantity: Mapped[int]
    points: Mapped[int]  # for all of it; 0 for an extra that came with another redemption
    # What was agreed when the hold began; prices and the programme may change meanwhile. See `data.redeeming`.
    terms: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    key: Mapped[str] = mapped_column(String(128), unique=True)  # of the wish: the same wish twice is one
    hold_id: Mapped[int | None] = mapped_column(ForeignKey("point_holds.id"), unique=True)
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("point_entries.id"), unique=True)
    comes_with_id: Mapped[int | None] = mapped_column(ForeignKey("redemptions.id"))  # the ladder's extra
    code: Mapped[str | None] = mapped_column(String(16), unique=True)
    channel: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(64))
    held_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decide_by: Mapped[datetime] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    valid_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # of the code
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # fulfilled, cancelled or lapsed
    settled_by: Mapped[str | None] = mapped_column(String(64))
    hotel_id: Mapped[int | None] = mapped_column(ForeignKey("hotels.id"))  # where it was fulfilled

    reward: Mapped[Reward] = relationship()


# The condition of the partial index, word for word: SQLite uses such an index only if the query repeats it.
IS_HELD = text("redemptions.state = 'held'")

# The extra's key is made of the redemption's id, so that the one is found from the other; no wish begins like it.
EXTRA_KEY = "extra:"


def overdue(now: datetime) -> Any:
    """The condition that a hold's time has run out, though the row may not say so yet."""
    return and_(IS_HELD, Redemption.decide_by <= now)


def of_member(db: Session, member_id: int) -> Sequence[Redemption]:
    """A member's redemptions with their rewards, newest first; extras stand after what they came with."""
    found = select(Redemption).where(Redemption.member_id == member_id).options(joinedload(Redemption.reward))
    order = (func.coalesce(Redemption.comes_with_id, Redemption.id).desc(), Redemption.id)
    return db.scalars(found.order_by(*order).execution_options(populate_existing=True)).all()


def extra_of(db: Session, redemption_id: int) -> Redemption | None:
    """What came along with a redemption for nothing, if anything did."""
    wanted = select(Redemption).where(Redemption.key == f"{EXTRA_KEY}{redemption_id}")
    return db.scalars(wanted.execution_options(populate_existing=True)).one_or_none()


def found(db: Session, redemption_id: int, *, lock: bool = False) -> Redemption:
    """The redemption as it is now; `lock`: until the transaction ends. Raises `Unknown`.

    Lock in this order, or two processes wait for each other: members' accounts, rewards, redemptions.
    """
    wanted = select(Redemption).where(Redemption.id == redemption_id)
    if lock:
        wanted = wanted.with_for_update(key_share=True)
    redemption = db.scalars(wanted.execution_options(populate_existing=True)).one_or_none()
    if redemption is None:
        raise Unknown("redemption", f"there is no redemption {redemption_id}.", "Use the id of a redemption.")
    return redemption


def had(db: Session, member_id: int, *, now: datetime, reward_id: int | None = None) -> dict[int, int]:
    """How many of each reward (or of one) a member has or holds: reward id → number."""
    states = [RedemptionState.confirmed.value, RedemptionState.fulfilled.value]
    counts = or_(Redemption.state.in_(states), and_(IS_HELD, Redemption.decide_by > now))
    wanted = select(Redemption.reward_id, func.sum(Redemption.quantity)).where(
        Redemption.member_id == member_id, counts
    )
    if reward_id is not None:
        wanted = wanted.where(Redemption.reward_id == reward_id)
    return {reward: int(number) for reward, number in db.execute(wanted.group_by(Redemption.reward_id))}
