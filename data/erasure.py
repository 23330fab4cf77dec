"""Erasure at the guest's wish: personal data goes; the ledger and the stays remain, under a pseudonym."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import String, case, cast, delete, literal, select, update
from sqlalchemy.orm import Session

from data import audit, closing, codes, consents, coupons, holds, ledger, persons
from data.api_keys import ApiRequest
from data.consents import Purpose
from data.coupons import Coupon
from data.dialogues import DialogueTurn
from data.identifiers import Identifier
from data.ledger import Cause
from data.ledger_rows import Kind
from data.members import Contact, Member, MemberStatus
from data.mentions import mentions
from data.messages import OPEN, Direction, Message, State
from data.preferences import Preference
from data.referrals import ReferralCode
from data.refusals import Conflict
from data.stays import Stay, StayStatus

REASON = "erasure"
PSEUDONYM = "ER"  # what the number of an erased member begins with
PAGE = 500  # rows opened at a time


@dataclass(frozen=True)
class Erased:
    """The member, under the number they have now. `again`: erased before; whatever came since was removed too.

    `members`: their id and those of memberships that were merged into theirs.
    """

    member_id: int
    number: str
    members: tuple[int, ...]
    points_ended: int
    again: bool


def erase(db: Session, member_id: int, *, actor: str, now: datetime) -> Erased:
    """Remove whatever says who this member is, with every membership that was merged into theirs.

    Gone are names, birthday, card number, identifiers, addresses, likings, the words of all messages, the dialogue,
    and kept answers that mention them. Points end, open coupons are withdrawn, consents too. What stays, under a
    pseudonym: the ledger, stays with their folios, redemptions (a code that was handed out stays good), the tier
    history, the audit log, and, as proof, what was agreed to and when.

    Raises `Conflict` while points are on hold or a stay is to come or under way, `Unknown`.
    """
    member, members = persons.lock_family(db, member_id)
    again = member.status == MemberStatus.erased
    _refuse_unfinished(db, members, now)
    ended = sum(_end_points(db, each, actor=actor, now=now) for each in members)
    if not again:
        _withdraw(db, member, members, actor=actor, now=now)
    contacts = db.scalars(select(Contact).where(Contact.member_id.in_(members))).all()
    _forget_mentions(db, _traces(db, members, contacts))
    _forget_conversations(db, members, contacts, now)
    for table in (Identifier, Preference, ReferralCode):
        db.execute(delete(table).where(table.member_id.in_(members)))
    for each in members:
        _forget_person(db.get_one(Member, each))
    if not again:
        audit.record(db, "member.erased", f"member:{member.id}", actor=actor, now=now, members=list(members))
    db.flush()
    return Erased(member.id, member.number, members, ended, again)


def _refuse_unfinished(db: Session, members: Collection[int], now: datetime) -> None:
    if any(holds.running(db, each, now=now) for each in members):
        remedy = "Let the redemption be confirmed or cancelled, or wait until its time has run out."
        raise Conflict("member", "points of this member are on hold.", remedy)
    unfinished = (StayStatus.booked.value, StayStatus.in_house.value)
    stays = select(Stay.confirmation).where(Stay.member_id.in_(members), Stay.status.in_(unfinished))
    confirmation = db.scalars(stays.limit(1)).one_or_none()
    if confirmation is not None:
        remedy = "Check it out or cancel it first; the bill needs a name."
        raise Conflict("member", f"stay {confirmation} of this member is not over.", remedy)


def _end_points(db: Session, member_id: int, *, actor: str, now: datetime) -> int:
    """Let go what the member owes and end what they have; how many points ended."""
    account = ledger.lock(db, member_id)
    # A cancelled reward may bring points back later, and they end then: hence the entry's place in the key.
    owed = Cause(Kind.adjust, REASON, f"erasure:{member_id}:owed@{account.entries + 1}", actor)
    closing.let_go(db, account, cause=owed, now=now)
    left = Cause(Kind.adjust, REASON, f"erasure:{member_id}@{account.entries + 1}", actor)
    posted = closing.take_out(db, account, cause=left, now=now)
    return -posted.amount if posted else 0


def _withdraw(db: Session, member: Member, members: Collection[int], *, actor: str, now: datetime) -> None:
    """What the member agreed to, and what they could still use."""
    for purpose in Purpose:
        if consents.allowed(db, member.id, purpose):
            consents.decide(db, member.id, purpose, False, via=REASON, actor=actor, now=now)
    wallet = select(Coupon.id).where(
        Coupon.member_id.in_(members), Coupon.used_at.is_(None), Coupon.withdrawn_at.is_(None)
    )
    for coupon_id in db.scalars(wallet).all():
        coupons.withdraw(db, coupon_id, why=REASON, actor=actor, now=now)


def _traces(db: Session, members: Collection[int], contacts: Collection[Contact]) -> set[str]:
    """Every text by which the person could be recognised."""
    people = db.scalars(select(Member).where(Member.id.in_(members))).all()
    known = db.scalars(select(Identifier).where(Identifier.member_id.in_(members))).all()
    told = [text for each in people for text in (each.number, each.name, each.latin_name, each.birthday)]
    return {
        text
        for text in (*told, *(each.value for each in known), *(each.address for each in contacts))
        if text
    }


def _forget_mentions(db: Session, traces: Collection[str]) -> None:
    """What is not filed under the person: answers kept for a repeated request, and deliveries nobody could read.

    All are opened for that. There are few: answers are kept for a day, unreadable deliveries are rare.
    """
    answers = select(ApiRequest.id, ApiRequest.body).execution_options(yield_per=PAGE)
    for answer_id in [row.id for row in db.execute(answers) if mentions(row.body, traces)]:
        # A client that sends the request again is answered anew; what it did has a key of its own.
        db.execute(delete(ApiRequest).where(ApiRequest.id == answer_id))
    unreadable = select(Message.id, Message.text).where(Message.contact_id.is_(None))
    rows = db.execute(unreadable.execution_options(yield_per=PAGE))
    for message_id in [row.id for row in rows if mentions(row.text, traces)]:
        db.execute(update(Message).where(Message.id == message_id).values(text="", payload={}))


def _forget_conversations(
    db: Session, members: Collection[int], contacts: Collection[Contact], now: datetime
) -> None:
    """The words of both sides, what the dialogue remembers, and the addresses. Nothing more is sent or answered."""
    names = [f"member:{each}" for each in members] + [f"contact:{each.id}" for each in contacts]
    db.execute(delete(DialogueTurn).where(DialogueTurn.conversation.in_(names)))
    for contact in contacts:
        # Before the platforms' own ids were hidden in keys, an address could be.
        _forget_messages(db, contact, now)
        contact.address, contact.member_id, contact.locale = f"erased:{contact.id}", None, ""


def _forget_messages(db: Session, contact: Contact, now: datetime) -> None:
    received = Message.direction == Direction.incoming.value
    is_open = Message.state.in_(OPEN)
    ended = case((received, State.noted.value), else_=State.failed.value)
    no_words: dict[str, Any] = {
        "text": "",
        "payload": {},
        "platform_id": "",
        "held_by": "",
        "held_until": None,
    }
    of_contact = Message.contact_id == contact.id
    db.execute(
        update(Message)
        .where(of_contact, is_open)
        .values(state=ended, outcome=REASON, settled_at=now)
        .execution_options(synchronize_session=False)
    )
    # WeChat's events have the address in their key, Telegram's a number of their own, which tells a redelivery.
    key = literal("erased:") + cast(Message.id, String)
    db.execute(
        update(Message)
        .where(of_contact)
        .values(
            **no_words,
            key=case((Message.key.contains(contact.address, autoescape=True), key), else_=Message.key),
        )
        .execution_options(synchronize_session=False)
    )


def _forget_person(member: Member) -> None:
    if not member.number.startswith(PSEUDONYM):
        member.number = PSEUDONYM + codes.new_code(12)
    member.name, member.latin_name = "", None
    member.birthday, member.birthday_index = None, None
    member.time_zone, member.home_hotel_id = None, None
    if member.status != MemberStatus.merged:
        member.status = MemberStatus.erased.value
