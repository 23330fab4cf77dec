"""What a person can be found by: phone, e-mail, document number. Sealed, with a blind index for exact look-up."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from data import audit, identities
from data.db import Base, UtcDateTime, insert_once
from data.members import Member
from data.refusals import Conflict, Unknown
from data.sealed import SealedText, blind, blinds

BIRTHDAY_CONTEXT = "members.birthday_index"  # of the blind index over month and day


class IdentifierKind(str, enum.Enum):
    phone = "phone"
    email = "email"
    document = "document"  # passport or identity card


class Identifier(Base):
    """One way to find a member. The same phone, address or document belongs to one member only."""

    __tablename__ = "identifiers"
    __table_args__ = (UniqueConstraint("kind", "index"), Index("ix_identifiers_member", "member_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    kind: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(SealedText("identifiers.value"))  # normalised: E.164, lower case, …
    index: Mapped[str] = mapped_column(String(48))  # `sealed.blind(value, "identifiers.<kind>")`
    source: Mapped[str] = mapped_column(String(32))  # who told us: api:<key name>, import, chat, desk
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # a code was returned, a document seen
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BelongsToAnother(Conflict):
    """Another member has this phone, address or document; `number` is theirs. For staff and their systems only."""

    def __init__(self, field: str, number: str) -> None:
        remedy = "Use that membership; if the guest has two, merge them once they have proved it."
        super().__init__(field, f"belongs to member {number}.", remedy)
        self.number = number


def normalised(kind: IdentifierKind, value: str, *, region: str = identities.HOME_REGION) -> str:
    """`value` in the spelling it is kept and found in. Raises `BadInput`, with the kind as the field."""
    if kind == IdentifierKind.phone:
        return identities.phone(value, region=region)
    return _SPELLINGS[kind](value)


_SPELLINGS: dict[IdentifierKind, Callable[[str], str]] = {
    IdentifierKind.email: identities.email,
    IdentifierKind.document: identities.document,
}


def find(
    db: Session, kind: IdentifierKind, value: str, *, region: str = identities.HOME_REGION
) -> Member | None:
    """The member with this phone, address or document, however it is spelt and whatever their status.

    Raises `BadInput` for what cannot be one.
    """
    row = _at(db, kind, blinds(normalised(kind, value, region=region), _context(kind)))
    return None if row is None else db.get_one(Member, row.member_id)


def of(db: Session, member_id: int, kind: IdentifierKind) -> dict[str, Identifier]:
    """A member's phones, addresses or documents by their values: none, one, or after a merge several."""
    rows = db.scalars(
        select(Identifier)
        .where(Identifier.member_id == member_id, Identifier.kind == kind.value)
        .order_by(Identifier.id)
    )
    return {row.value: row for row in rows}


def add(db: Session, member_id: int, kind: IdentifierKind, value: str, *, source: str, now: datetime) -> None:
    """Record one more for the member, `value` in our spelling. Raises `BelongsToAnother`."""
    newest, *older = blinds(value, _context(kind))
    # The unique constraint knows only how the newest key spells it.
    row = _at(db, kind, older) if older else None
    if row is None:
        written = insert_once(
            db,
            Identifier,
            member_id=member_id,
            kind=kind.value,
            value=value,
            index=newest,
            source=source,
            verified_at=None,
            recorded_at=now,
        )
        if written is not None:
            return
        row = _at(db, kind, [newest])
    if row is None:
        raise Conflict(kind.value, "was recorded and removed at this very moment.", "Send it again.")
    raise BelongsToAnother(kind.value, db.get_one(Member, row.member_id).number)


def hold_alone(
    db: Session, member_id: int, kind: IdentifierKind, value: str | None, *, source: str, now: datetime
) -> bool:
    """Make `value` (in our spelling) the member's only one of its kind, None: leave none; whether that was news.

    A value they had already stays verified. The caller has the account locked. Raises `BelongsToAnother`.
    """
    had = of(db, member_id, kind)
    if value is not None and value not in had:
        add(db, member_id, kind, value, source=source, now=now)
    gone = [row.id for known, row in had.items() if known != value]
    if gone:
        db.execute(delete(Identifier).where(Identifier.id.in_(gone)))
    return bool(gone) or (value is not None and value not in had)


def verify(
    db: Session, member_id: int, kind: IdentifierKind, *, actor: str, now: datetime, value: str | None = None
) -> Identifier:
    """Note that a code was returned or a document seen; the first time counts.

    `value`, in any spelling, says which where the member has several. Raises `Unknown`.
    """
    had = of(db, member_id, kind)
    wanted = None if value is None else normalised(kind, value)
    rows = [row for known, row in had.items() if wanted in (None, known)]
    if not rows:
        raise Unknown(kind.value, "is not recorded for this member.", "Record it first.")
    if len(rows) > 1:
        raise Conflict(kind.value, "is recorded more than once for this member.", "Say which one was proved.")
    if rows[0].verified_at is None:
        rows[0].verified_at = now
        audit.record(db, "identifier.verified", f"member:{member_id}", actor=actor, now=now, field=kind.value)
    return rows[0]


def birthday_index(birthday: str | None) -> str | None:
    """What stands in `members.birthday_index` for a birthday in our spelling."""
    return None if birthday is None else blind(identities.month_day(birthday), BIRTHDAY_CONTEXT)


def born_on(month_day: str) -> tuple[str, ...]:
    """`Member.birthday_index.in_(born_on("02-28"))` finds those with a birthday on that day."""
    return blinds(month_day, BIRTHDAY_CONTEXT)


def _at(db: Session, kind: IdentifierKind, indexes: Sequence[str]) -> Identifier | None:
    return db.scalars(
        select(Identifier).where(Identifier.kind == kind.value, Identifier.index.in_(indexes))
    ).first()


def _context(kind: IdentifierKind) -> str:
    return f"identifiers.{kind.value}"
