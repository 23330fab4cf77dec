"""Undoing what the ledger says, by new entries: a debit reversed, a credit clawed back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from data.ledger import Cause, Posted, Terms, check_amount, choose, lock, posted_before, write
from data.ledger_rows import (
    Kind,
    PointAllocation,
    PointEntry,
    PointLot,
)
from data.refusals import BadInput, Unknown

# What was taken for a guest or by a person; an expiry or a reversal is never undone, only answered by a new entry.
REVERSIBLE = (Kind.redeem.value, Kind.adjust.value)


def reverse(
    db: Session, entry_id: int, *, cause: Cause, now: datetime, courtesy: timedelta = timedelta()
) -> Posted:
    """Undo a debit: its points go back to the very lots they came from, with those lots' own ends.

    What came from a lot that has ended meanwhile comes as a new lot that is good for `courtesy`; without
    courtesy it goes back to its lot, and the next sweep ends it. Raises `BadInput` for an entry that is no
    debit or is reversed already under another key, `Unknown`, and `KeyUsedOtherwise`.
    """
    entry = _entry(db, entry_id)
    account = lock(db, entry.member_id)
    cause = replace(cause, kind=Kind.reverse, reverses_id=entry_id, stay_id=entry.stay_id)
    if first := posted_before(db, entry.member_id, cause, -entry.amount):
        return first
    if entry.amount > 0 or entry.kind not in REVERSIBLE:
        raise BadInput(
            "entry", f"entry {entry_id} took no points for a guest.", "Post a new entry to correct it."
        )
    if _given_back(db, entry_id):
        raise BadInput("entry", f"entry {entry_id} is reversed already.", "See the entry that reverses it.")
    back, late = _lots_to_refill(db, entry, now if courtesy else None)
    opens = (late, Terms(now, now + courtesy)) if late else None
    return write(db, account, back, cause=cause, now=now, opens=opens)


def claw_back(
    db: Session, entry_id: int, amount: int, *, cause: Cause, now: datetime, owe: bool
) -> Posted | None:
    """Take back `amount` of what a credit gave: from its own lot, else from the others, else as a debt.

    Never more than the credit gave and was not yet taken back. Where the member has too little left: `owe`
    lets the balance fall below zero, otherwise only what is there is taken, which may be nothing (None).
    """
    check_amount(amount)
    entry = _entry(db, entry_id)
    account = lock(db, entry.member_id)
    cause = replace(
        cause,
        kind=Kind.reverse,
        reverses_id=entry_id,
        stay_id=entry.stay_id,
        facts={**cause.facts, "asked": amount},
    )
    if first := posted_before(db, entry.member_id, cause, None):
        return first
    if entry.amount < 0 or entry.kind == Kind.reverse:
        raise BadInput("entry", f"entry {entry_id} gave no points.", "Reverse a debit instead.")
    amount = min(amount, entry.amount + _given_back(db, entry_id))
    taken = choose(db, account, amount, now=now, own=entry.seq)
    short = amount - sum(taken.values())
    moves = {lot: -part for lot, part in taken.items()}
    if short and owe:
        return write(db, account, moves, cause=cause, now=now, opens=(-short, Terms(now)))
    return write(db, account, moves, cause=cause, now=now) if moves else None


def _entry(db: Session, entry_id: int) -> PointEntry:
    entry = db.get(PointEntry, entry_id)
    if entry is None:
        raise Unknown("entry", f"there is no entry {entry_id}.", "Use the id of an entry of the ledger.")
    return entry


def _given_back(db: Session, entry_id: int) -> int:
    """The sum of all entries that reverse this one; the other sign than the entry's own."""
    given = select(func.coalesce(func.sum(PointEntry.amount), 0)).where(PointEntry.reverses_id == entry_id)
    return int(db.scalar(given) or 0)


def _lots_to_refill(db: Session, entry: PointEntry, now: datetime | None) -> tuple[dict[int, int], int]:
    """What a debit's lots get back, and how much of it came from lots that have ended by `now` (None: ignore)."""
    rows = db.execute(
        select(PointAllocation.lot, PointAllocation.amount, PointLot.expires_at)
        .join(
            PointLot,
            and_(PointLot.member_id == PointAllocation.member_id, PointLot.number == PointAllocation.lot),
        )
        .where(PointAllocation.member_id == entry.member_id, PointAllocation.seq == entry.seq)
    ).all()
    ended = {
        row.lot for row in rows if now is not None and row.expires_at is not None and row.expires_at <= now
    }
    back = {row.lot: -row.amount for row in rows if row.lot not in ended}
    return back, -sum(row.amount for row in rows if row.lot in ended)
