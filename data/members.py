"""Members of the loyalty programme, and the contacts through which they write to us."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, String, Table, UniqueConstraint, bindparam, case, update
from sqlalchemy.orm import Mapped, Session, make_transient_to_detached, mapped_column, relationship
from sqlalchemy.orm.util import identity_key

from data.db import Base, UtcDateTime, insert_once, run_prepared
from data.sealed import SealedText


class Tier(str, enum.Enum):
    classic = "classic"
    silver = "silver"
    gold = "gold"
    platinum = "platinum"


class MemberStatus(str, enum.Enum):
    """Only an active member earns, redeems and is written to."""

    active = "active"
    left = "left"  # the guest ended the membership
    merged = "merged"  # the same person had two; this one lives on in `merged_into_id`
    erased = "erased"  # personal data removed at the guest's wish; the ledger stays under a pseudonym


class Member(Base):
    """One person in the programme, whichever channels they use. Name and birthday are encrypted at rest."""

    __tablename__ = "members"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(16), unique=True)  # printed on the card, e.g. ZK100023
    name: Mapped[str] = mapped_column(SealedText("members.name"))
    latin_name: Mapped[str | None] = mapped_column(SealedText("members.latin_name"))  # as in the passport
    locale: Mapped[str] = mapped_column(String(8))  # en, zh_CN, zh_TW
    time_zone: Mapped[str | None] = mapped_column(String(64))  # where they live; None: as their home hotel
    # `1990-02-28`, or `--02-28` (ISO 8601) from who keeps the year to themselves.
    birthday: Mapped[str | None] = mapped_column(SealedText("members.birthday"))
    # Of month and day alone (`02-28`): the birthday job finds its members without opening anything.
    birthday_index: Mapped[str | None] = mapped_column(String(48), index=True)
    tier: Mapped[str] = mapped_column(String(16), default=Tier.classic.value)
    tier_valid_until: Mapped[date | None]  # None: until something is better
    status: Mapped[str] = mapped_column(String(8), default=MemberStatus.active.value)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("members.id"))
    home_hotel_id: Mapped[int | None] = mapped_column(ForeignKey("hotels.id"))
    joined_at: Mapped[datetime] = mapped_column(UtcDateTime)

    contacts: Mapped[list[Contact]] = relationship(back_populates="member")


class Contact(Base):
    """An address on a channel: a Telegram chat or a WeChat openid. Only linking makes it a member's."""

    __tablename__ = "contacts"
    __table_args__ = (
        UniqueConstraint("channel", "address"),
        Index("ix_contacts_member", "member_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(128))
    member_id: Mapped[int | None] = mapped_column(ForeignKey("members.id"))
    locale: Mapped[str] = mapped_column(String(8), default="")  # last language used; "" until we know
    first_heard_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_heard_at: Mapped[datetime] = mapped_column(UtcDateTime)

    member: Mapped[Member | None] = relationship(back_populates="contacts")


def contact_at(db: Session, channel: str, address: str, *, now: datetime) -> Contact:
    """The contact at this address, made if we have never heard from it; `last_heard_at` becomes `now`.

    Two processes may meet a newcomer at once: the loser of the unique key reads the winner's row.
    """
    # One statement past the session's bookkeeping, written once for all: every message asks for its contact.
    values = {"on": channel, "at": address, "now": now}
    row = run_prepared(db, _HEARD, values).one_or_none()
    if row is None:
        insert_once(
            db, Contact, channel=channel, address=address, locale="", first_heard_at=now, last_heard_at=now
        )
        row = run_prepared(db, _HEARD, values).one()
    known = db.identity_map.get(identity_key(Contact, row.id))
    if isinstance(known, Contact):
        db.refresh(known)
        return known
    contact = Contact(**row._mapping)
    make_transient_to_detached(contact)
    db.add(contact)
    return contact


_CONTACTS: Table = Contact.__table__  # type: ignore[assignment]
_HEARD = (
    update(_CONTACTS)
    .where(_CONTACTS.c.channel == bindparam("on"), _CONTACTS.c.address == bindparam("at"))
    .values(
        last_heard_at=case(
            (
                _CONTACTS.c.last_heard_at < bindparam("now", type_=UtcDateTime),
                bindparam("now", type_=UtcDateTime),
            ),
            else_=_CONTACTS.c.last_heard_at,
        )
    )
    .returning(*_CONTACTS.c)
)
