"""Consent: given or withdrawn, for a purpose, where and when. Nothing is overwritten; the last word counts."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from data import audit, membership
from data.db import Base, RowId, UtcDateTime
from data.members import MemberStatus


class Purpose(str, enum.Enum):
    """What a guest may agree to. Messages about their own stay and points need no consent."""

    offers = "offers"  # promotions and news
    birthday = "birthday"  # the greeting; the gift comes without a word where it is refused
    surveys = "surveys"
    preferences = "preferences"  # remembering what they like


class Consent(Base):
    """One decision of a member about one purpose."""

    __tablename__ = "consents"
    __table_args__ = (Index("ix_consents_member", "member_id", "purpose", "id"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    purpose: Mapped[str] = mapped_column(String(16))
    given: Mapped[bool]
    via: Mapped[str] = mapped_column(String(32))  # telegram, wechat, api:<key name>, import, desk
    actor: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime)


def decide(
    db: Session, member_id: int, purpose: Purpose, given: bool, *, via: str, actor: str, now: datetime
) -> bool:
    """Record that the member agrees to `purpose`, or does not; False if that was their last word already.

    Who left may still decide. Raises `Conflict` for a member who was merged or erased, `Unknown`.
    """
    # Locked, so that the same answer given twice at once is one row.
    member = membership.locked(db, member_id)
    if member.status != MemberStatus.left:
        membership.refuse_if_over(member)
    last = _last(db, member_id, purpose)
    if last is not None and last.given == given:
        return False
    _add(db, member_id, purpose, given, via=via, actor=actor, now=now)
    db.flush()
    return True


def first_words(
    db: Session, member_id: int, words: Mapping[Purpose, bool], *, via: str, actor: str, now: datetime
) -> None:
    """What somebody decides in joining, before anybody else can know them: there is nothing to compare or to lock."""
    for purpose in sorted(words):
        _add(db, member_id, purpose, words[purpose], via=via, actor=actor, now=now)


def allowed(db: Session, member_id: int, purpose: Purpose) -> bool:
    """Whether the member's last word on `purpose` is yes. Who never said anything did not agree."""
    last = _last(db, member_id, purpose)
    return last is not None and last.given


def history(db: Session, member_id: int, purpose: Purpose | None = None) -> Sequence[Consent]:
    """A member's decisions, about one purpose or all, the oldest first."""
    decisions = select(Consent).where(Consent.member_id == member_id)
    if purpose is not None:
        decisions = decisions.where(Consent.purpose == purpose.value)
    return db.scalars(decisions.order_by(Consent.id)).all()


def _add(
    db: Session, member_id: int, purpose: Purpose, given: bool, *, via: str, actor: str, now: datetime
) -> None:
    db.add(Consent(member_id=member_id, purpose=purpose.value, given=given, via=via, actor=actor, at=now))
    deed = "consent.given" if given else "consent.withdrawn"
    audit.record(db, deed, f"member:{member_id}", actor=actor, now=now, purpose=purpose.value, via=via)


def _last(db: Session, member_id: int, purpose: Purpose) -> Consent | None:
    return db.scalars(
        select(Consent)
        .where(Consent.member_id == member_id, Consent.purpose == purpose.value)
        .order_by(Consent.id.desc())
        .limit(1)
    ).one_or_none()
