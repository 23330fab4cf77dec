"""The demo group in the database: written once, however often it is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import catalogue, demo_plan, earning, ledger, points, programme, programme_versions
from data.db import insert_once
from data.demo_plan import House, Person, Story
from data.hotels import Hotel
from data.ledger import Cause, Terms
from data.ledger_rows import Kind
from data.members import Contact, Member
from data.stays import Stay

# Addresses that belong to nobody: guests we do not know.
STRANGER_TELEGRAM = "700900001"
STRANGER_WECHAT = demo_plan.openid("a stranger")


@dataclass(frozen=True)
class Seeded:
    """How many rows a seeding added; all 0 if everything was there."""

    hotels: int
    members: int
    contacts: int
    stays: int
    entries: int
    rewards: int


@dataclass(frozen=True)
class DemoMember:
    """A member to be in the sandbox: `points` is their balance now, the last two are their addresses."""

    member_id: int
    number: str
    name: str
    tier: str
    locale: str
    points: int
    telegram: str
    wechat: str


def seed(db: Session, *, now: datetime) -> Seeded:
    """Add whatever of the demo group is not there yet; what is there stays as it is.

    Dates are counted from `now` (aware) by each hotel's own calendar.
    """
    group = demo_plan.group()
    added: Counter[str] = Counter()
    if programme_versions.in_force(db, now=now).version == 0:
        programme_versions.load(db, programme.sample(), actor="demo", now=now)
    hotels = {house.code: _hotel(db, house, added) for house in group.houses}
    houses = {house.code: house for house in group.houses}
    for person in group.people:
        story = demo_plan.story(person)
        zone = ZoneInfo(houses[person.home].time_zone)
        joined_at = _moment(zone, story.joined, 10, now)
        member_id = _member(db, person, hotels[person.home], joined_at, added)
        _contacts(db, person, member_id, joined_at + timedelta(minutes=10), added)
        _stays(db, story, member_id, hotels, now, added)
        _entries(db, story, member_id, zone, now, added)
    listed = catalogue.read_catalogue(catalogue.sample())
    added["rewards"] += len(catalogue.load(db, listed, actor="demo", now=now).added)
    return Seeded(
        **{name: added[name] for name in ("hotels", "members", "contacts", "stays", "entries", "rewards")}
    )


def people(db: Session, *, now: datetime) -> list[DemoMember]:
    """The demo members that are in the database, by number, with what they can spend at `now`."""
    planned = {person.number: person for person in demo_plan.group().people}
    found = select(Member).where(Member.number.in_(planned)).order_by(Member.number)
    return [
        DemoMember(
            member_id=member.id,
            number=member.number,
            name=member.name,
            tier=member.tier,
            locale=member.locale,
            points=points.balance(db, member.id, now=now),
            telegram=planned[member.number].telegram,
            wechat=planned[member.number].wechat,
        )
        for member in db.scalars(found)
    ]


def _today(zone: ZoneInfo, now: datetime) -> date:
    return now.astimezone(zone).date()


def _moment(zone: ZoneInfo, day: int, hour: int, now: datetime) -> datetime:
    return datetime.combine(_today(zone, now) + timedelta(days=day), time(hour), tzinfo=zone)


def _add(db: Session, table: Any, added: Counter[str], what: str, **values: Any) -> int | None:
    row_id = insert_once(db, table, **values)
    added[what] += row_id is not None
    return row_id


def _hotel(db: Session, house: House, added: Counter[str]) -> int:
    row_id = _add(
        db,
        Hotel,
        added,
        "hotels",
        code=house.code,
        names=house.names,
        city=house.city,
        time_zone=house.time_zone,
        currency=house.currency,
        languages=house.languages,
    )
    return row_id or db.scalars(select(Hotel.id).where(Hotel.code == house.code)).one()


def _member(db: Session, person: Person, hotel_id: int, joined_at: datetime, added: Counter[str]) -> int:
    row_id = _add(
        db,
        Member,
        added,
        "members",
        number=person.number,
        name=person.name,
        locale=person.locale,
        tier=person.tier,
        home_hotel_id=hotel_id,
        joined_at=joined_at,
    )
    return row_id or db.scalars(select(Member.id).where(Member.number == person.number)).one()


def _contacts(db: Session, person: Person, member_id: int, at: datetime, added: Counter[str]) -> None:
    for channel, address in (("telegram", person.telegram), ("wechat", person.wechat)):
        _add(
            db,
            Contact,
            added,
            "contacts",
            channel=channel,
            address=address,
            member_id=member_id,
            locale="",
            first_heard_at=at,
            last_heard_at=at,
        )


def _stays(
    db: Session, story: Story, member_id: int, hotels: dict[str, int], now: datetime, added: Counter[str]
) -> None:
    for stay in story.stays:
        today = _today(ZoneInfo(stay.house.time_zone), now)
        _add(
            db,
            Stay,
            added,
            "stays",
            confirmation=stay.confirmation,
            hotel_id=hotels[stay.house.code],
            member_id=member_id,
            room_type=stay.room_type,
            arrival=today + timedelta(days=stay.arrival),
            departure=today + timedelta(days=stay.departure),
            status=stay.status.value,
        )


def _entries(
    db: Session, story: Story, member_id: int, zone: ZoneInfo, now: datetime, added: Counter[str]
) -> None:
    lives = programme.read(programme.sample()).earn.expires_months
    for entry in story.entries:
        at = _moment(zone, entry.day, entry.hour, now)
        cause = Cause(Kind(entry.kind), entry.reason, entry.key, entry.actor, facts=entry.facts)
        if entry.amount < 0:
            posted = ledger.debit(db, member_id, -entry.amount, cause=cause, now=at)
        else:
            ends = earning.expires_at(at.astimezone(zone).date(), zone, lives)
            # What is older than the programme's term is from the days before it, when points did not end.
            terms = Terms(at, ends if ends is not None and ends > now else None)
            posted = ledger.credit(db, member_id, entry.amount, cause=cause, now=at, terms=terms)
        added["entries"] += not posted.again
