"""Members of the loyalty programme, and the contacts through which they write to us."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from data.db import Base, UtcDateTime, insert_once
from data.sealed import SealedText


class Tier(str, enum.Enum):
    classic = "classic"
    silver = "silver"
    gold = "gold"
    platinum = "platinum"


class Member(Base):
    """One person in the programme, whichever channels they use. The name is encrypted at rest."""

    __tablename__ = "members"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(16), unique=True)  # printed on the card, e.g. ZK100023
    name: Mapped[str] = mapped_column(SealedText("members.name"))
    locale: Mapped[str] = mapped_column(String(8))  # en, zh_CN, zh_TW
    tier: Mapped[str] = mapped_column(String(16), default=Tier.classic.value)
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
    found = _find(db, channel, address)
    if found is None:
        insert_once(
            db, Contact, channel=channel, address=address, locale="", first_heard_at=now, last_heard_at=now
        )
        found = _find(db, channel, address)
        assert found is not None
    elif found.last_heard_at < now:
        found.last_heard_at = now
    return found


def _find(db: Session, channel: str, address: str) -> Contact | None:
    return db.scalar(select(Contact).where(Contact.channel == channel, Contact.address == address))
