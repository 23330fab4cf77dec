"""The points ledger: append-only entries, a unique key for each, and a balance that is their sum."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, bindparam, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from data.db import Base, RowId, UtcDateTime, insert_once, run_prepared

# A single entry larger than this is a slip of the keyboard, not a reward.
LARGEST_ENTRY = 100_000_000


class PointEntry(Base):
    """One change of a member's points. Triggers in the database refuse to change or delete a row."""

    __tablename__ = "point_entries"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="entry_changes_something"),
        Index("ix_point_entries_member", "member_id", "amount"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    amount: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))  # earn, redeem, adjust, expire, reverse
    reason: Mapped[str] = mapped_column(String(64))  # a code, e.g. stay, birthday, welcome
    key: Mapped[str] = mapped_column(String(128), unique=True)  # of the business event that caused it
    actor: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class BadAmount(ValueError):
    """Points come in whole numbers, not zero and not absurdly many."""


class KeyUsedOtherwise(ValueError):
    """The key of this entry was used before for something else; the first stays, this one is refused."""


@dataclass(frozen=True)
class Posted:
    """The ledger row a command led to; `again` if an earlier attempt had already written it."""

    entry_id: int
    again: bool


def balance(db: Session, member_id: int) -> int:
    """The sum of a member's entries, in points. Nothing stores a balance, so none can be wrong."""
    return int(run_prepared(db, _BALANCE, {"member": member_id}).scalar_one())


_BALANCE = select(func.coalesce(func.sum(PointEntry.amount), 0)).where(
    PointEntry.member_id == bindparam("member")
)


def post(
    db: Session, member_id: int, amount: int, *, kind: str, reason: str, key: str, actor: str, now: datetime
) -> Posted:
    """Write one entry under `key`; the same command again returns the first result.

    Raises `BadAmount`, and `KeyUsedOtherwise` when the key stands for another entry.
    """
    if isinstance(amount, bool) or not isinstance(amount, int) or amount == 0 or abs(amount) > LARGEST_ENTRY:
        raise BadAmount(f"{amount!r} points: write a whole number, not 0, of at most {LARGEST_ENTRY:,}.")
    written = insert_once(
        db,
        PointEntry,
        member_id=member_id,
        amount=amount,
        kind=kind,
        reason=reason,
        key=key,
        actor=actor,
        at=now,
    )
    if written is not None:
        return Posted(written, again=False)
    first = db.scalars(select(PointEntry).where(PointEntry.key == key)).one()
    if (first.member_id, first.amount, first.kind, first.reason) != (member_id, amount, kind, reason):
        raise KeyUsedOtherwise(f"Key {key!r} belongs to entry {first.id}, which says something else.")
    return Posted(first.id, again=True)
