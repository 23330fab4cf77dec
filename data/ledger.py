"""Writing the points ledger: credits and debits, each once under its key, each a link of the chain."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import points
from data.entries import Account, Cause, KeyUsedOtherwise, Posted, Terms, content, lock, posted_before, write
from data.ledger_rows import PointLot
from data.refusals import BadInput, Refusal

__all__ = [
    "Account",
    "Cause",
    "KeyUsedOtherwise",
    "Posted",
    "Terms",
    "content",
    "lock",
    "posted_before",
    "write",
]

# A single entry larger than this is a slip of the keyboard, not a reward.
LARGEST_ENTRY = 100_000_000

# How many lots are read at a time: most spends touch one or two, an old account may have thousands.
LOTS_AT_ONCE = 50


class BadAmount(BadInput):
    """Points come in whole numbers, not zero and not absurdly many."""


class NotEnoughPoints(Refusal):
    """The member has fewer points to spend than this takes. Values: `needed`, `points`."""

    utter = "utter_not_enough_points"


def check_amount(amount: int, field: str = "points") -> int:
    """`amount` if it is a possible number of points to move. Raises `BadAmount`."""
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= LARGEST_ENTRY:
        raise BadAmount(
            field, f"{amount!r} is no number of points.", f"Write a whole number from 1 to {LARGEST_ENTRY:,}."
        )
    return amount


def credit(
    db: Session, member_id: int, amount: int, *, cause: Cause, now: datetime, terms: Terms | None = None
) -> Posted:
    """Give points, as a lot of their own. Raises `BadAmount`, `KeyUsedOtherwise`, `Unknown`."""
    check_amount(amount)
    account = lock(db, member_id)
    if first := posted_before(db, member_id, cause, amount):
        return first
    return write(db, account, {}, cause=cause, now=now, opens=(amount, terms or Terms(now)))


def debit(db: Session, member_id: int, amount: int, *, cause: Cause, now: datetime) -> Posted:
    """Take points, from the lots that end first. Raises `NotEnoughPoints`, and whatever `credit` raises."""
    check_amount(amount)
    account = lock(db, member_id)
    if first := posted_before(db, member_id, cause, -amount):
        return first
    _require(db, member_id, amount, now)
    taken = choose(db, account, amount, now=now)
    return write(db, account, {lot: -part for lot, part in taken.items()}, cause=cause, now=now)


def close_lot(db: Session, member_id: int, lot: int, *, cause: Cause, now: datetime) -> Posted | None:
    """Take all that is left of one lot, ripe or not; None if nothing is. The lot must not be on hold."""
    account = lock(db, member_id)
    if first := posted_before(db, member_id, cause, None):
        return first
    left = db.scalar(
        select(PointLot.remaining).where(PointLot.member_id == member_id, PointLot.number == lot)
    )
    return write(db, account, {lot: -left}, cause=cause, now=now) if left else None


def choose(
    db: Session, account: Account, amount: int, *, now: datetime, own: int | None = None
) -> dict[int, int]:
    """Which lots give `amount`: lot number → points. Less if there is less; what is owed is left aside.

    Usable lots, earliest end first; before them the lot `own`, ripe or not.
    """
    free = _after_debts(_usable(db, account, amount + account.owed, now=now), account.owed)
    if own is not None:
        unripe = points.free_in_lot(db, account.member_id, own, now=now)
        free = {own: free.pop(own, unripe), **free}
    chosen: dict[int, int] = {}
    for lot, part in free.items():
        if take := min(part, amount):
            chosen[lot] = take
            amount -= take
    return chosen


def _usable(db: Session, account: Account, amount: int, *, now: datetime) -> dict[int, int]:
    """Usable lots in the order of use, at least enough for `amount` if there are enough: lot number → free points."""
    limit = LOTS_AT_ONCE
    while True:
        lots = points.free_lots(db, account.member_id, now=now, limit=limit)
        if len(lots) < limit or sum(lots.values()) >= amount:
            return lots
        limit *= 8


def _after_debts(free: dict[int, int], owed: int) -> dict[int, int]:
    """The same lots without the points that will pay what is owed: debts come first."""
    left = {}
    for lot, part in free.items():
        paid = min(part, owed)
        owed -= paid
        left[lot] = part - paid
    return left


def _require(db: Session, member_id: int, amount: int, now: datetime) -> None:
    spendable = points.balance(db, member_id, now=now)
    if spendable < amount:
        raise NotEnoughPoints(needed=amount, points=max(spendable, 0))
