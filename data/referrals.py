"""Referrals: a member's code, the friend who came with it, and the reward of both on the first stay."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from data import audit, codes, gifts, ledger, membership, programme_versions, reasons
from data.db import Base, UtcDateTime, insert_once
from data.ledger import Posted
from data.members import Member, MemberStatus
from data.programme_versions import InForce
from data.refusals import Conflict, Unknown
from data.stays import Stay, StayStatus


class ReferralCode(Base):
    """The code a member passes on."""

    __tablename__ = "referral_codes"

    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"), primary_key=True, autoincrement=False)
    code: Mapped[str] = mapped_column(String(16), unique=True)


class Referral(Base):
    """One friend who joined with a member's code. A friend can be referred once."""

    __tablename__ = "referrals"
    __table_args__ = (
        CheckConstraint("referrer_id <> friend_id", name="nobody_refers_themselves"),
        Index("ix_referrals_referrer", "referrer_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    referrer_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    friend_id: Mapped[int] = mapped_column(ForeignKey("members.id"), unique=True)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    rewarded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def code_of(db: Session, member_id: int) -> str:
    """The code a member passes on, made when it is first asked for. Raises `Conflict`, `Unknown`."""
    membership.active(db, member_id)  # locked: asked for twice at once, it is made once
    known = db.get(ReferralCode, member_id)
    while known is None:
        insert_once(db, ReferralCode, member_id=member_id, code=codes.new_code())
        known = db.get(ReferralCode, member_id)  # None still: that code was somebody else's
    return known.code


def referrer_by_code(db: Session, typed: str, *, field: str = "referral_code") -> Member:
    """The active member who passed on this code, however it was typed. Raises `Unknown`, `Conflict`."""
    code = codes.read_code(typed)
    found = db.scalars(select(ReferralCode).where(ReferralCode.code == code)).one_or_none() if code else None
    if found is None:
        raise Unknown(field, "is no code of a member.", "Ask the friend for it again, or leave it out.")
    referrer = membership.living(db, db.get_one(Member, found.member_id))
    if referrer.status != MemberStatus.active:
        raise Conflict(field, "belongs to a member who is no longer with us.", "Leave it out.")
    return referrer


def refer(
    db: Session, friend_id: int, code: str, *, actor: str, now: datetime, field: str = "referral_code"
) -> Referral:
    """Note that the friend came with this code; the same code again changes nothing.

    Raises `Unknown` for a code that is nobody's; `Conflict` for the friend's own code, a friend who came with
    another one, who has stayed with us already, or who brought the other; and for members who are not active.
    """
    membership.active(db, friend_id)
    referrer = referrer_by_code(db, code, field=field)
    known = _of_friend(db, friend_id)
    if known is not None:
        if known.referrer_id == referrer.id:
            return known
        raise Conflict(field, "this guest came with another code.", "A guest can be referred once.")
    if referrer.id == friend_id:
        raise Conflict(field, "is the guest's own code.", "Use the code of the friend who brought them.")
    if _has_stayed(db, friend_id):
        raise Conflict(field, "this guest has stayed with us already.", "Codes are for newcomers.")
    backwards = _of_friend(db, referrer.id)
    if backwards is not None and backwards.referrer_id == friend_id:
        raise Conflict(field, "belongs to a member whom this guest brought.", "Leave it out.")
    referral = Referral(referrer_id=referrer.id, friend_id=friend_id, made_at=now)
    db.add(referral)
    db.flush()
    audit.record(db, "referral.made", f"member:{friend_id}", actor=actor, now=now, referral=referral.id)
    return referral


def lock_both(db: Session, friend_id: int) -> Referral | None:
    """Lock the accounts that `reward` may credit, in the order of member ids; the referral that waits for it, if any.

    Whoever writes to the friend's account before `reward` calls this first, else two processes could deadlock.
    """
    referral = _waiting(db, friend_id)
    while referral is not None:
        referrer_id = referral.referrer_id
        for member_id in sorted((referrer_id, friend_id)):
            ledger.lock(db, member_id)
        referral = _waiting(db, friend_id)
        if referral is None or referral.referrer_id == referrer_id:
            return referral
        # A merge gave the referral to another member while we waited.
    ledger.lock(db, friend_id)
    return None


def reward(
    db: Session, friend_id: int, *, now: datetime, rules: InForce | None = None, actor: str = "programme"
) -> tuple[Posted, ...]:
    """Thank both sides for the friend's first completed stay, once: the referrer's entry, then the friend's.

    By `rules`, or those in force now. A side whose gift is 0 has no entry, nor has a referrer who is no longer
    active. Nothing at all happens without a completed stay, for a friend who is not active, or a second time.
    """
    referral = lock_both(db, friend_id)
    if referral is None or not _is_active(db, friend_id) or not _has_stayed(db, friend_id):
        return ()
    rules = rules or programme_versions.in_force(db, now=now)
    referral.rewarded_at = now
    gift = rules.programme.gifts.referral
    sides = (
        ("referrer", reasons.phrase("referral"), referral.referrer_id, gift.referrer),
        ("friend", reasons.phrase("referred"), friend_id, gift.friend),
    )
    posted = tuple(
        gifts.give(
            db,
            member_id,
            points,
            reason="referral",
            key=f"referral:{referral.id}:{side}",
            rule=f"gifts.referral.{side}",
            rules=rules,
            actor=actor,
            now=now,
            text_key=text_key,
        )
        for side, text_key, member_id, points in sides
        if points and _is_active(db, member_id)
    )
    audit.record(db, "referral.rewarded", f"member:{friend_id}", actor=actor, now=now, referral=referral.id)
    db.flush()
    return posted


def _of_friend(db: Session, friend_id: int) -> Referral | None:
    return db.scalars(select(Referral).where(Referral.friend_id == friend_id)).one_or_none()


def _waiting(db: Session, friend_id: int) -> Referral | None:
    """The friend's referral as recorded now, unless its reward was given."""
    return db.scalars(
        select(Referral)
        .where(Referral.friend_id == friend_id, Referral.rewarded_at.is_(None))
        .execution_options(populate_existing=True)
    ).one_or_none()


def _has_stayed(db: Session, member_id: int) -> bool:
    stays = select(Stay.id).where(Stay.member_id == member_id, Stay.status == StayStatus.checked_out.value)
    return db.execute(stays.limit(1)).first() is not None


def _is_active(db: Session, member_id: int) -> bool:
    return db.scalar(select(Member.status).where(Member.id == member_id)) == MemberStatus.active.value
