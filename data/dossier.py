"""The dossier: everything we hold about one person, readable, for them to take along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from data import chain, persons, points
from data.audit import AuditEntry
from data.consents import Consent
from data.coupons import Coupon
from data.dialogues import DialogueTurn
from data.folios import FolioLine
from data.hotels import Hotel
from data.identifiers import Identifier
from data.ledger_rows import PointEntry, PointHold
from data.members import Contact, Member
from data.messages import Message
from data.points import LotShare
from data.preferences import Preference
from data.redemptions import Redemption
from data.referrals import Referral, ReferralCode
from data.stays import Stay
from data.tiers import TierChange


@dataclass(frozen=True)
class Whom:
    """The member who lives on, with the ids of all memberships that are theirs."""

    member: Member
    members: tuple[int, ...]
    now: datetime


def of(db: Session, member_id: int, *, now: datetime) -> dict[str, Any]:
    """Everything we hold about the person, as JSON: sections by name, moments in UTC, days and codes as they are.

    Memberships that were merged into one are one person's. Of our staff it says that they did something, not who; of
    other guests nothing. Raises `Unknown`.
    """
    member = persons.survivor(db, member_id)
    whom = Whom(member, persons.family(db, member.id), now)
    sections = {section.name: section.tell(db, whom) for section in SECTIONS}
    return {"as_of": chain.moment(now), "number": member.number, **sections}


def _memberships(db: Session, whom: Whom) -> list[dict[str, Any]]:
    hotels = _hotel_codes(db)
    names = "number name latin_name birthday locale time_zone tier tier_valid_until status joined_at"
    return [
        _told(row, names) | {"home_hotel": hotels.get(row.home_hotel_id)}
        for row in _rows(db, Member, Member.id.in_(whom.members))
    ]


def _identifiers(db: Session, whom: Whom) -> list[dict[str, Any]]:
    return _of(db, whom, Identifier, "kind value verified_at recorded_at", who="source")


def _contacts(db: Session, whom: Whom) -> list[dict[str, Any]]:
    return _of(db, whom, Contact, "channel address locale first_heard_at last_heard_at")


def _consents(db: Session, whom: Whom) -> list[dict[str, Any]]:
    return _of(db, whom, Consent, "purpose given at", who="via")


def _preferences(db: Session, whom: Whom) -> list[dict[str, Any]]:
    return _of(db, whom, Preference, "kind value confirmed recorded_at", who="source")


def _stays(db: Session, whom: Whom) -> list[dict[str, Any]]:
    names = "confirmation room_type arrival departure adults children status checked_out_at"
    hotels = _hotel_codes(db)
    return [
        _told(stay, names) | {"hotel": hotels[stay.hotel_id], "folio": _folio(db, stay)}
        for stay in _rows(db, Stay, Stay.member_id.in_(whom.members))
    ]


def _folio(db: Session, stay: Stay) -> list[dict[str, Any]]:
    lines = _rows(db, FolioLine, FolioLine.stay_id == stay.id)
    numbers = {line.id: line.line for line in lines}
    return [
        _told(line, "line outlet day amount_minor currency") | {"refunds": numbers.get(line.refunds_id)}
        for line in lines
    ]


def _points(db: Session, whom: Whom) -> dict[str, Any]:
    standing = points.standing(db, whom.member.id, now=whom.now)
    entries = "at kind amount balance_after reason facts"
    return {
        "spendable": standing.spendable,
        "held": standing.held,
        "owed": standing.owed,
        "usable": [_lot(lot) for lot in standing.usable],
        "pending": [_lot(lot) for lot in standing.pending],
        "entries": _of(db, whom, PointEntry, entries, who="actor"),
        "holds": _of(db, whom, PointHold, "amount reason made_at deadline state resolved_at", who="actor"),
    }


def _lot(lot: LotShare) -> dict[str, Any]:
    return _told(lot, "points held available_at expires_at reason facts")


def _redemptions(db: Session, whom: Whom) -> list[dict[str, Any]]:
    names = "quantity points state code held_at decide_by confirmed_at valid_until settled_at"
    hotels = _hotel_codes(db)
    return [
        _told(row, names)
        | {
            "reward": row.reward.code,
            "name": row.reward.said_in(whom.member.locale)[0],
            "fulfilled_at_hotel": hotels.get(row.hotel_id),
            "by": _who(row.actor),
        }
        for row in _rows(db, Redemption, Redemption.member_id.in_(whom.members))
    ]


def _coupons(db: Session, whom: Whom) -> list[dict[str, Any]]:
    names = "code benefit percent amount_minor currency reason given_at valid_from valid_until used_at withdrawn_at"
    return _of(db, whom, Coupon, names, who="actor")


def _referrals(db: Session, whom: Whom) -> dict[str, Any]:
    when = "made_at rewarded_at"
    codes = _rows(db, ReferralCode, ReferralCode.member_id.in_(whom.members), order=ReferralCode.member_id)
    return {
        "codes": [row.code for row in codes],
        "brought": [_told(row, when) for row in _rows(db, Referral, Referral.referrer_id.in_(whom.members))],
        "was_brought": [
            _told(row, when) for row in _rows(db, Referral, Referral.friend_id.in_(whom.members))
        ],
    }


def _tiers(db: Session, whom: Whom) -> list[dict[str, Any]]:
    return _of(db, whom, TierChange, "at was became valid_until reason figures", who="actor")


def _messages(db: Session, whom: Whom) -> list[dict[str, Any]]:
    theirs = Message.contact_id.in_(select(Contact.id).where(Contact.member_id.in_(whom.members)))
    return [
        _told(row, "created_at direction channel kind text payload state settled_at")
        for row in _rows(db, Message, theirs)
    ]


def _dialogue(db: Session, whom: Whom) -> list[dict[str, Any]]:
    contacts = db.scalars(select(Contact.id).where(Contact.member_id.in_(whom.members)))
    names = [f"member:{each}" for each in whom.members] + [f"contact:{each}" for each in contacts]
    return [
        _told(row, "at before events")
        for row in _rows(db, DialogueTurn, DialogueTurn.conversation.in_(names))
    ]


def _deeds(db: Session, whom: Whom) -> list[dict[str, Any]]:
    """The audit log of the person's memberships, stays, redemptions and coupons."""
    subjects = [f"member:{each}" for each in whom.members]
    for kind, table in (("stay", Stay), ("redemption", Redemption), ("coupon", Coupon)):
        ids = db.scalars(select(table.id).where(table.member_id.in_(whom.members)))
        subjects += [f"{kind}:{each}" for each in ids]
    return [
        _told(row, "at deed subject facts") | {"by": _who(row.actor)}
        for row in _rows(db, AuditEntry, AuditEntry.subject.in_(subjects))
    ]


@dataclass(frozen=True)
class Section:
    """A part of the dossier, and the tables it tells."""

    name: str
    tables: tuple[str, ...]
    tell: Callable[[Session, Whom], Any]


SECTIONS = (
    Section("memberships", ("members",), _memberships),
    Section("identifiers", ("identifiers",), _identifiers),
    Section("contacts", ("contacts",), _contacts),
    Section("consents", ("consents",), _consents),
    Section("preferences", ("preferences",), _preferences),
    Section("stays", ("stays", "folio_lines"), _stays),
    Section("points", ("point_entries", "point_lots", "point_holds"), _points),
    Section("redemptions", ("redemptions",), _redemptions),
    Section("coupons", ("coupons",), _coupons),
    Section("referrals", ("referrals", "referral_codes"), _referrals),
    Section("tiers", ("tier_changes",), _tiers),
    Section("messages", ("messages",), _messages),
    Section("dialogue", ("dialogue_turns",), _dialogue),
    Section("deeds", ("audit_entries",), _deeds),
)

# What leads to a person and is not told, with the reason.
NOT_TOLD = {
    "point_accounts": "repeats the entries: how many they are and what they sum to",
    "point_allocations": "told as what is left of each lot",
    "hold_allocations": "told as what is on hold of each lot",
    "api_requests": "copies, kept for a short time, of answers that say what is told here",
}


def _rows(db: Session, table: Any, which: ColumnElement[bool], *, order: Any = None) -> Any:
    return db.scalars(select(table).where(which).order_by(table.id if order is None else order)).all()


def _of(db: Session, whom: Whom, table: Any, names: str, *, who: str = "") -> list[dict[str, Any]]:
    """The rows of a table that are the person's, by these columns; `who` names one that says who did it."""
    return [
        _told(row, names) | ({"by": _who(getattr(row, who))} if who else {})
        for row in _rows(db, table, table.member_id.in_(whom.members))
    ]


def _told(row: Any, names: str) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in names.split()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return chain.moment(value)
    return value.isoformat() if isinstance(value, date) else value


def _who(actor: str) -> str:
    """`staff` of `staff:…`: who of our people it was is theirs to keep."""
    return actor.partition(":")[0]


def _hotel_codes(db: Session) -> dict[int | None, str]:
    return {row.id: row.code for row in db.execute(select(Hotel.id, Hotel.code))}
