"""People who join in tests, the hotels they join at, what the whole database says, and deeds for two processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from data import Base, consents, db, details, enrolment, referrals
from data.consents import Purpose
from data.details import MemberChanges
from data.enrolment import Enrolled, NewMember
from data.hotels import Hotel
from data.ledger import Posted
from data.members import Member
from data.refusals import BadInput
from data.stays import Stay
from tests.conftest import NOW
from tests.data.rivals import together

SHEN = NewMember(
    number="ZK200001",
    name="沈知微",
    latin_name="Shen Zhiwei",
    locale="zh-Hans",
    tier="gold",
    phone="136 0187 6543",
    email="Zhiwei.Shen@Example.com",
    document="e 1234-5678",
    birthday="1992-02-29",
    home_hotel="HLSH",
    time_zone="Asia/Tokyo",
    joined_at=NOW,
    consents={Purpose.offers: True, Purpose.surveys: False},
)
# Every way in which Shen's personal data might stand in a table.
PERSONAL = [
    "沈知微",
    "Zhiwei",
    "zhiwei",
    "13601876543",
    "0187 6543",
    "example.com",
    "12345678",
    "1992",
    "02-29",
    "0229",
]
MIN = NewMember(name="Min", locale="en")


def open_hotels() -> None:
    """HLSH in Shanghai and HLLN in London, in a transaction of their own."""
    houses = [
        ("HLSH", "Heron Lantern Suzhou Creek", "Shanghai", "Asia/Shanghai", "CNY"),
        ("HLLN", "Heron Lantern Wapping", "London", "Europe/London", "GBP"),
    ]
    with db.transaction() as session:
        session.add_all(
            Hotel(
                code=code, names={"en": name}, city=city, time_zone=zone, currency=currency, languages=["en"]
            )
            for code, name, city, zone, currency in houses
        )


def enrol(session: Session, new: NewMember, **other: Any) -> Enrolled:
    return enrolment.enrol(session, new, **{"via": "api:pms", "actor": "api:pms", "now": NOW} | other)


def join(new: NewMember = MIN, **told: Any) -> Member:
    """A member, enrolled in a transaction of their own."""
    with db.transaction() as session:
        return enrol(session, replace(new, **told)).member


def stayed(session: Session, member_id: int, confirmation: str = "S1", status: str = "checked_out") -> None:
    """A stay of the member's, in some hotel."""
    hotel = session.query(Hotel).first()
    assert hotel is not None
    session.add(
        Stay(
            confirmation=confirmation,
            hotel_id=hotel.id,
            member_id=member_id,
            room_type="king",
            arrival=date(2026, 3, 10),
            departure=date(2026, 3, 12),
            status=status,
        )
    )
    session.flush()


def everything(session: Session | None = None) -> dict[str, list[str]]:
    """All rows of all tables as they lie in the database, as text: table → rows in a stable order."""
    if session is None:
        with db.reading() as session:
            return everything(session)
    return {
        table.name: sorted(str(tuple(row)) for row in session.execute(text(f"SELECT * FROM {table.name}")))
        for table in Base.metadata.sorted_tables
    }


Outcome = tuple[str, str]


def enrol_rival(who: str, people: Sequence[NewMember]) -> list[Outcome]:
    """One after the other: ("made" or "again", number), or the class of the refusal and its field."""
    outcomes = []
    for new in people:
        together()
        try:
            with db.transaction() as session:
                done = enrol(session, new)
            outcomes.append(("again" if done.again else "made", done.member.number))
        except BadInput as refused:
            outcomes.append((type(refused).__name__, refused.field))
    return outcomes


def enrol_own(who: str, mine: dict[str, list[NewMember]]) -> list[Outcome]:
    return enrol_rival(who, mine[who])


def change_phone(who: str, members: dict[str, int], phones: Sequence[str]) -> list[str]:
    """Whether this process's member got each phone."""
    outcomes = []
    for phone in phones:
        together()
        try:
            with db.transaction() as session:
                changes = MemberChanges(phone=phone)
                details.change(session, members[who], changes, via="desk", actor=who, now=NOW)
            outcomes.append("got it")
        except BadInput as refused:
            outcomes.append(type(refused).__name__)
    return outcomes


def decide(who: str, members: Sequence[int]) -> list[bool]:
    outcomes = []
    for member_id in members:
        together()
        with db.transaction() as session:
            outcomes.append(
                consents.decide(session, member_id, Purpose.offers, True, via="desk", actor=who, now=NOW)
            )
    return outcomes


def ask_code(who: str, members: Sequence[int]) -> list[str]:
    outcomes = []
    for member_id in members:
        together()
        with db.transaction() as session:
            outcomes.append(referrals.code_of(session, member_id))
    return outcomes


def reward(who: str, friends: dict[str, list[int]]) -> list[tuple[Posted, ...]]:
    outcomes = []
    for friend_id in friends[who]:
        together()
        with db.transaction() as session:
            outcomes.append(referrals.reward(session, friend_id, now=NOW))
    return outcomes
