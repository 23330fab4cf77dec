"""The tables of the points ledger. `data.ledger` and its neighbours write them, `data.points` reads them."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from data.db import Base, RowId, UtcDateTime


class Kind(str, enum.Enum):
    """What an entry does."""

    earn = "earn"  # for money spent at a hotel
    gift = "gift"  # welcome, birthday, referral
    redeem = "redeem"
    adjust = "adjust"  # by a person, with a reason
    expire = "expire"
    reverse = "reverse"  # undoes all or part of another entry
    merge = "merge"  # out of one member's account, into another's


class PointAccount(Base):
    """The head of a member's ledger, and the row that whoever changes their points locks.

    `balance` and `owed` repeat what the entries and lots say; `zhike ledger verify` proves that they do.
    """

    __tablename__ = "point_accounts"
    __table_args__ = (CheckConstraint("owed >= 0", name="owed_is_not_negative"),)

    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"), primary_key=True, autoincrement=False)
    entries: Mapped[int]  # how many; the last one's `seq`
    balance: Mapped[int] = mapped_column(BigInteger)  # the sum of all entries
    owed: Mapped[int] = mapped_column(
        BigInteger
    )  # points clawed back that were no longer there; the next credits pay them
    head: Mapped[str] = mapped_column(String(64))  # digest of the last entry


class PointEntry(Base):
    """One change of a member's points. Triggers in the database refuse to change or delete a row."""

    __tablename__ = "point_entries"
    __table_args__ = (
        UniqueConstraint("member_id", "seq"),  # two writers cannot both append, whatever they locked
        CheckConstraint("amount <> 0", name="entry_changes_something"),
        Index("ix_point_entries_reverses", "reverses_id"),
        Index("ix_point_entries_stay", "stay_id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    seq: Mapped[int]  # 1, 2, 3 … within the member
    kind: Mapped[str] = mapped_column(String(16))
    amount: Mapped[int]
    balance_after: Mapped[int] = mapped_column(BigInteger)  # the sum of this entry and all before it
    reason: Mapped[str] = mapped_column(String(64))  # a code, e.g. stay, birthday, welcome
    text_key: Mapped[str] = mapped_column(String(64))  # of the phrase that tells the guest why
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)  # rule, base amount, multiplier: why this many
    key: Mapped[str] = mapped_column(String(128), unique=True)  # of the business event that caused it
    actor: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    reverses_id: Mapped[int | None] = mapped_column(ForeignKey("point_entries.id"))
    hold_id: Mapped[int | None] = mapped_column(ForeignKey("point_holds.id"), unique=True)
    stay_id: Mapped[int | None] = mapped_column(ForeignKey("stays.id"))
    previous: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))  # see `data.chain`


class PointLot(Base):
    """Points that came together and end together. `number` is the `seq` of the entry that opened it.

    `remaining` repeats the sum of the lot's allocations. A lot below zero is a shortfall: points that were
    clawed back after they had been spent.
    """

    __tablename__ = "point_lots"
    __table_args__ = (
        ForeignKeyConstraint(["member_id", "number"], ["point_entries.member_id", "point_entries.seq"]),
        CheckConstraint(
            "(amount > 0 AND remaining >= 0 AND remaining <= amount)"
            " OR (amount < 0 AND remaining <= 0 AND remaining >= amount)",
            name="lot_is_not_overdrawn",
        ),
        # Only open lots are ever searched for.
        Index(
            "ix_point_lots_expiry",
            "member_id",
            "expires_at",
            "number",
            sqlite_where=text("remaining <> 0"),
            postgresql_where=text("remaining <> 0"),
        ),
        Index(
            "ix_point_lots_pending",
            "member_id",
            "available_at",
            sqlite_where=text("remaining <> 0"),
            postgresql_where=text("remaining <> 0"),
        ),
        Index(
            "ix_point_lots_due",
            "expires_at",
            sqlite_where=text("remaining > 0"),
            postgresql_where=text("remaining > 0"),
        ),
    )

    member_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
    remaining: Mapped[int]
    available_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the first moment it is gone


class PointAllocation(Base):
    """What an entry did to a lot. An entry's allocations sum to its amount, a lot's to what remains of it."""

    __tablename__ = "point_allocations"
    __table_args__ = (
        ForeignKeyConstraint(["member_id", "seq"], ["point_entries.member_id", "point_entries.seq"]),
        ForeignKeyConstraint(["member_id", "lot"], ["point_lots.member_id", "point_lots.number"]),
        CheckConstraint("amount <> 0", name="allocation_moves_something"),
        Index("ix_point_allocations_lot", "member_id", "lot"),
    )

    member_id: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    lot: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


class HoldState(str, enum.Enum):
    active = "active"
    captured = "captured"
    released = "released"
    lapsed = "lapsed"


class PointHold(Base):
    """Points set aside until a deadline: captured, released or lapsed, and only one of these."""

    __tablename__ = "point_holds"
    __table_args__ = (
        CheckConstraint("amount > 0", name="hold_holds_something"),
        Index(
            "ix_point_holds_active",
            "member_id",
            "deadline",
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    amount: Mapped[int]
    reason: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(128), unique=True)
    actor: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(16))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deadline: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16))
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class HoldAllocation(Base):
    """The lots a hold has set aside: a hold made before midnight is good for points that end at midnight."""

    __tablename__ = "hold_allocations"
    __table_args__ = (
        ForeignKeyConstraint(["member_id", "lot"], ["point_lots.member_id", "point_lots.number"]),
        CheckConstraint("amount > 0", name="allocation_holds_something"),
        Index("ix_hold_allocations_lot", "member_id", "lot"),
    )

    hold_id: Mapped[int] = mapped_column(ForeignKey("point_holds.id"), primary_key=True)
    lot: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int]
    amount: Mapped[int]
