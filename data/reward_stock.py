"""Stock: taken when a wish begins, given back when it comes to nothing, each time by one guarded statement."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from data import audit, rewards
from data.redemptions import Redemption, RedemptionState, overdue
from data.rewards import Reward

# Who settles what nobody confirmed.
THE_CLOCK = "clock"


def locked_and_counted(db: Session, reward: Reward, *, now: datetime) -> None:
    """Lock a counted reward until the transaction ends, and see to it that its `stock` is all that is to be had."""
    rewards.locked(db, reward.id)
    if lapse(db, reward.id, now=now):
        db.refresh(reward)


def take(db: Session, reward: Reward, quantity: int) -> bool:
    """Take so many out of stock; whether there were enough. Of a reward that is not counted there always are."""
    if reward.stock is None:
        return True
    taken = db.execute(
        update(Reward)
        .where(Reward.id == reward.id, Reward.stock >= quantity)
        .values(stock=Reward.stock - quantity)
        .returning(Reward.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    db.expire(reward, ["stock"])
    return taken is not None


def give_back(db: Session, reward_id: int, quantity: int) -> None:
    """Put back what was taken. A reward is counted from the start or never, so nothing comes back uncalled for."""
    db.execute(
        update(Reward)
        .where(Reward.id == reward_id, Reward.stock.is_not(None))
        .values(stock=Reward.stock + quantity)
        .execution_options(synchronize_session=False)
    )


def lapse(db: Session, reward_id: int, *, now: datetime, only: Iterable[int] | None = None) -> int:
    """End every hold of this reward whose time has run out, and give its stock back, once; how many there were.

    `only`: of these redemptions. The reward is locked by the caller, so two who lapse take turns.
    """
    due = update(Redemption).where(Redemption.reward_id == reward_id, overdue(now))
    if only is not None:
        due = due.where(Redemption.id.in_(only))
    ended = db.execute(
        due.values(state=RedemptionState.lapsed.value, settled_at=now, settled_by=THE_CLOCK)
        .returning(Redemption.id, Redemption.quantity)
        .execution_options(synchronize_session=False)
    ).all()
    for row in ended:
        audit.record(db, "redemption.lapsed", f"redemption:{row.id}", actor=THE_CLOCK, now=now)
    if ended:
        give_back(db, reward_id, sum(row.quantity for row in ended))
    return len(ended)


def lapse_due(db: Session, *, now: datetime, limit: int = 500) -> int:
    """End up to `limit` holds whose time has run out, of all rewards; how many there were. For the sweeper."""
    due = db.execute(
        select(Redemption.id, Redemption.reward_id)
        .where(overdue(now))
        .order_by(Redemption.reward_id, Redemption.decide_by)
        .limit(limit)
    ).all()
    ended = 0
    for reward_id in sorted({row.reward_id for row in due}):
        rewards.locked(db, reward_id)
        ended += lapse(db, reward_id, now=now, only=[row.id for row in due if row.reward_id == reward_id])
    return ended


def left(now: datetime) -> ColumnElement[int | None]:
    """For a query over rewards: the stock, with what comes back from holds that have run out though no row says so."""
    coming_back = (
        select(func.coalesce(func.sum(Redemption.quantity), 0))
        .where(Redemption.reward_id == Reward.id, overdue(now))
        .correlate(Reward)
        .scalar_subquery()
    )
    return Reward.stock + coming_back
