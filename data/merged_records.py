"""What else follows a person from one membership to the other when they are merged."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from data import consents, tier_moves
from data.consents import Purpose
from data.coupons import Coupon
from data.identifiers import Identifier
from data.members import Contact, Member
from data.preferences import Preference, known
from data.programme import Programme
from data.programme_versions import InForce
from data.redemptions import Redemption
from data.referrals import Referral, ReferralCode
from data.stays import Stay
from data.tiers import TierChange

# They only change hands. Entries, holds, consents and tier changes stay where they were written, as history.
FOLLOWING = (Contact, Identifier, Stay, Redemption, Coupon)


def move(db: Session, keep: Member, gone: Member, *, rules: InForce, actor: str, now: datetime) -> list[int]:
    """Hand over everything but points; the ids of referrals between the two, which are none and are deleted."""
    for table in FOLLOWING:
        db.execute(update(table).where(table.member_id == gone.id).values(member_id=keep.id))
    _likings(db, keep.id, gone.id)
    _consents(db, keep.id, gone.id, actor=actor, now=now)
    own = _referrals(db, keep, gone)
    _tier(db, keep, gone, rules=rules, actor=actor, now=now)
    for name in ("latin_name", "time_zone", "home_hotel_id"):
        if getattr(keep, name) is None:
            setattr(keep, name, getattr(gone, name))
    keep.joined_at = min(keep.joined_at, gone.joined_at)
    db.flush()
    return own


def _likings(db: Session, keep_id: int, gone_id: int) -> None:
    """Likings of both, without a guess beside a confirmed one; where a kind holds one value, the better known of two.

    Confirmed goes before guessed, then the later before the earlier.
    """
    rows = db.scalars(select(Preference).where(Preference.member_id.in_([keep_id, gone_id]))).all()
    rows = sorted(rows, key=lambda each: (each.confirmed, each.recorded_at, each.id), reverse=True)
    taken: set[Any] = set()
    for row in rows:
        kind = known().get(row.kind)
        place = row.kind if kind is not None and kind.hold == "one" else (row.kind, row.value)
        if place in taken:
            db.delete(row)
        taken.add(place)
    db.flush()
    db.execute(update(Preference).where(Preference.member_id == gone_id).values(member_id=keep_id))


def _consents(db: Session, keep_id: int, gone_id: int, *, actor: str, now: datetime) -> None:
    """The stricter word wins until the guest decides anew: a no of either, else a yes of either."""
    for purpose in Purpose:
        words = [
            history[-1].given
            for each in (keep_id, gone_id)
            if (history := consents.history(db, each, purpose))
        ]
        if words:
            consents.decide(db, keep_id, purpose, all(words), via="merge", actor=actor, now=now)


def _referrals(db: Session, keep: Member, gone: Member) -> list[int]:
    """Whom they brought stays brought; who brought them is who brought the older membership."""
    pair = [keep.id, gone.id]
    between = select(Referral.id).where(Referral.referrer_id.in_(pair), Referral.friend_id.in_(pair))
    own = list(db.scalars(between))
    db.execute(delete(Referral).where(Referral.id.in_(own)))
    db.execute(update(Referral).where(Referral.referrer_id == gone.id).values(referrer_id=keep.id))
    brought = select(Referral.id).where(Referral.friend_id == keep.id)
    if gone.joined_at <= keep.joined_at and db.scalar(brought) is None:
        db.execute(update(Referral).where(Referral.friend_id == gone.id).values(friend_id=keep.id))
    if db.get(ReferralCode, keep.id) is None:
        # A code of gone's that stays behind is still good: it is followed to who lives on.
        db.execute(update(ReferralCode).where(ReferralCode.member_id == gone.id).values(member_id=keep.id))
    return own


def _tier(db: Session, keep: Member, gone: Member, *, rules: InForce, actor: str, now: datetime) -> None:
    """The higher tier with its end, of equal ones the later end. One given by hand stays one given by hand."""
    if _height(gone, rules.programme) <= _height(keep, rules.programme):
        return
    newest = select(TierChange).where(TierChange.member_id == gone.id).order_by(TierChange.id.desc()).limit(1)
    last = db.scalars(newest).one_or_none()
    until = gone.tier_valid_until
    if last is not None and (last.reason, last.became, last.valid_until) == (
        tier_moves.BY_HAND,
        gone.tier,
        until,
    ):
        if until is not None and until >= tier_moves.today_of(db, keep, programme=rules.programme, now=now):
            tier_moves.set_by_hand(db, keep.id, gone.tier, until=until, why="merge", actor=actor, now=now)
        return
    db.add(
        TierChange(
            member_id=keep.id,
            was=keep.tier,
            became=gone.tier,
            valid_until=until,
            reason="merged",
            figures={"from": gone.id},
            programme_version=rules.version or None,
            key=f"merge:{gone.id}",
            actor=actor,
            at=now,
        )
    )
    keep.tier, keep.tier_valid_until = gone.tier, until
    db.flush()


def _height(member: Member, programme: Programme) -> tuple[int, date]:
    """For comparing: a tier the programme no longer has is below all, a tier without an end lasts longest."""
    codes = [tier.code for tier in programme.tiers]
    rank = codes.index(member.tier) if member.tier in codes else -1
    return rank, member.tier_valid_until or date.max
