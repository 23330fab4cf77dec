"""Joining the programme: one transaction makes the member with all that is told about them, and only once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from data import (
    audit,
    card_numbers,
    consents,
    details,
    gifts,
    identifiers,
    identities,
    programme_versions,
    referrals,
)
from data.codes import read_code
from data.consents import Purpose
from data.db import insert_once
from data.details import MemberChanges, change
from data.hotels import Hotel, hotel_by_code
from data.identifiers import IdentifierKind
from data.members import Member
from data.membership import member_by_number, refuse_if_over
from data.programme import Programme
from data.programme_versions import InForce
from data.referrals import Referral, ReferralCode
from data.refusals import BadInput, Conflict
from data.tier_rules import Measures, judge
from data.tiers import TierChange

# Who looks for what can be done to a member's record looks here first.
__all__ = ["Enrolled", "MemberChanges", "NewMember", "change", "enrol", "member_by_number"]

_EARLIEST = datetime(1900, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, kw_only=True)
class NewMember:
    """What a property system, a file or a chat tells about a person who joins; None: it says nothing of that.

    `number`: None draws the next free one. `tier`: None is the entry tier. `joined_at`: None is now. `birthday` is
    `YYYY-MM-DD` or `--MM-DD`, `home_hotel` a hotel's code, `referral_code` that of the friend who brought them.
    """

    name: str = field(repr=False)
    locale: str
    number: str | None = None
    latin_name: str | None = field(default=None, repr=False)
    tier: str | None = None
    phone: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    document: str | None = field(default=None, repr=False)
    birthday: str | None = field(default=None, repr=False)
    home_hotel: str | None = None
    time_zone: str | None = None
    joined_at: datetime | None = None
    referral_code: str | None = None
    consents: Mapping[Purpose, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Enrolled:
    """The member; `again` if they were enrolled with this number and content before."""

    member: Member
    again: bool


def enrol(
    db: Session, new: NewMember, *, via: str, actor: str, now: datetime, welcome: bool = True
) -> Enrolled:
    """Make the member, with identifiers, consents, referral, tier history and the welcome gift: all or nothing.

    The same number again changes nothing if what is told agrees with what is recorded; tier and consents are held
    against those at joining. `welcome` False gives no gift: for members who joined elsewhere, long ago.

    Raises `Conflict` naming the first field that differs, or that belongs to another member (`BelongsToAnother`),
    and `BadInput` for what cannot be.
    """
    rules = programme_versions.in_force(db, now=now)
    hotel = None if new.home_hotel is None else hotel_by_code(db, new.home_hotel, field="home_hotel")
    told = _told(new, hotel, rules.programme, now=now)
    with db.begin_nested():
        member = _made(db, told, hotel, rules.programme, now=now)
        if member is not None:
            _join(db, member, told, rules=rules, via=via, actor=actor, now=now)
            if welcome:
                _welcome(db, member, rules=rules, via=via, actor=actor, now=now)
            return Enrolled(member, again=False)
    member = db.scalars(select(Member).where(Member.number == told["number"])).one()
    _refuse_difference(db, member, told)
    return Enrolled(member, again=True)


def _told(new: NewMember, hotel: Hotel | None, programme: Programme, *, now: datetime) -> dict[str, Any]:
    """What is told, in our spelling, by the names of the fields; consents as `consents.offers`."""
    told: dict[str, Any] = {}
    if new.number is not None:
        told["number"] = identities.card_number(new.number)
    given = {name: getattr(new, name) for name in details.SPELT if getattr(new, name) is not None}
    told |= details.spelt(given, today=programme.today(now), hotel=hotel)
    if new.tier is not None:
        told["tier"] = programme.tier(new.tier).code
    if hotel is not None:
        told["home_hotel"] = hotel.code
    if new.joined_at is not None:
        told["joined_at"] = _past(new.joined_at, now)
    if new.referral_code is not None:
        told["referral_code"] = read_code(new.referral_code) or "-"
    return told | {f"consents.{Purpose(purpose).value}": said for purpose, said in new.consents.items()}


def _past(joined_at: datetime, now: datetime) -> datetime:
    if joined_at.utcoffset() is None:
        raise BadInput("joined_at", "has no time zone.", "Write it as in 2026-03-14T09:00:00+08:00.")
    if not _EARLIEST <= joined_at <= now:
        raise BadInput("joined_at", "is in the future or far too long ago.", "Write the moment of joining.")
    return joined_at


def _made(
    db: Session, told: Mapping[str, Any], hotel: Hotel | None, programme: Programme, *, now: datetime
) -> Member | None:
    """The member's row; None if the number that was given has one already."""
    tier = told.get("tier", programme.entry_tier.code)
    values = {
        "name": told["name"],
        "latin_name": told.get("latin_name"),
        "locale": told["locale"],
        "time_zone": told.get("time_zone"),
        "birthday": told.get("birthday"),
        "birthday_index": identifiers.birthday_index(told.get("birthday")),
        "tier": tier,
        "tier_valid_until": _valid_until(programme, tier, programme.today(now)),
        "status": "active",
        "home_hotel_id": hotel.id if hotel else None,
        "joined_at": told.get("joined_at", now),
    }
    for number in [told["number"]] if "number" in told else card_numbers.free(db):
        member_id = insert_once(db, Member, number=number, **values)
        if member_id is not None:
            return db.get_one(Member, member_id)
    return None


def _valid_until(programme: Programme, tier: str, today: date) -> date | None:
    """The end of a tier that is given at joining: as if it had been reached today. None for the entry tier."""
    entry = programme.entry_tier.code
    if tier == entry:
        return None
    enough = Measures(*programme.tier(tier).reach[0].asks)
    return judge(programme, tier=entry, valid_until=None, measures=enough, today=today).valid_until


def _join(
    db: Session,
    member: Member,
    told: Mapping[str, Any],
    *,
    rules: InForce,
    via: str,
    actor: str,
    now: datetime,
) -> None:
    """What hangs on a new member: identifiers, the first row of the tier history, consents, referral, audit."""
    for kind in IdentifierKind:
        if kind.value in told:
            identifiers.add(db, member.id, kind, told[kind.value], source=via, now=now)
    db.add(
        TierChange(
            member_id=member.id,
            was=member.tier,
            became=member.tier,
            valid_until=member.tier_valid_until,
            reason="joined",
            figures={},
            programme_version=rules.version or None,
            key=f"joined:{member.id}",
            actor=actor,
            at=now,
        )
    )
    words = {
        purpose: told[f"consents.{purpose.value}"]
        for purpose in Purpose
        if f"consents.{purpose.value}" in told
    }
    consents.first_words(db, member.id, words, via=via, actor=actor, now=now)
    if "referral_code" in told:
        referrals.refer(db, member.id, told["referral_code"], actor=actor, now=now)
    audit.record(
        db, "member.enrolled", f"member:{member.id}", actor=actor, now=now, via=via, fields=list(told)
    )
    db.flush()


def _welcome(db: Session, member: Member, *, rules: InForce, via: str, actor: str, now: datetime) -> None:
    if points := rules.programme.gifts.welcome:
        gifts.give(
            db,
            member.id,
            points,
            reason="welcome",
            key=f"welcome:{member.id}",
            rule="gifts.welcome",
            rules=rules,
            actor=actor,
            now=now,
            channel=via.partition(":")[0],
        )


def _refuse_difference(db: Session, member: Member, told: Mapping[str, Any]) -> None:
    """Raise `Conflict` for the first field of what is told that the record of this number contradicts."""
    refuse_if_over(member, field="number")
    recorded = _recorded(db, member)
    for name, value in told.items():
        if value not in recorded.get(name, ()):
            remedy = "Send it as a change of this member, or use another number."
            raise Conflict(name, f"differs from what is recorded for {member.number}.", remedy)


def _recorded(db: Session, member: Member) -> dict[str, tuple[Any, ...]]:
    """Field by field, what would be no contradiction to be told of this member."""
    hotel = db.get(Hotel, member.home_hotel_id) if member.home_hotel_id else None
    joined = db.scalars(select(TierChange).where(TierChange.key == f"joined:{member.id}")).one_or_none()
    referrer = select(Referral.referrer_id).where(Referral.friend_id == member.id).scalar_subquery()
    # After a merge the code may still be in the name of who lives on in the referrer.
    passed_on = (
        select(ReferralCode.code)
        .join(Member, Member.id == ReferralCode.member_id)
        .where(or_(Member.id == referrer, Member.merged_into_id == referrer))
    )
    recorded: dict[str, tuple[Any, ...]] = {
        name: (getattr(member, name),) for name in ("number", *details.COLUMNS, "joined_at")
    }
    recorded["home_hotel"] = (hotel.code,) if hotel else ()
    recorded["tier"] = (joined.became if joined else member.tier,)
    recorded["referral_code"] = tuple(db.scalars(passed_on))
    for kind in IdentifierKind:
        recorded[kind.value] = tuple(identifiers.of(db, member.id, kind))
    for decision in consents.history(db, member.id):
        recorded.setdefault(f"consents.{decision.purpose}", (decision.given,))
    return recorded
