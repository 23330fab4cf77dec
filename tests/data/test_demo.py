"""The demo group: believable, the same every time, and written once."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import accumulate, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from data import Base, db, demo, demo_plan
from data.demo import STRANGER_TELEGRAM, STRANGER_WECHAT, DemoMember, Seeded
from data.hotels import Hotel
from data.ledger_rows import PointEntry
from data.members import Contact, Member
from data.stays import Stay
from tests.conftest import NOW, seed_demo

NOTHING = Seeded(hotels=0, members=0, contacts=0, stays=0, entries=0, rewards=0)


def seed(now: datetime = NOW) -> Seeded:
    with db.transaction() as session:
        return demo.seed(session, now=now)


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, names opened (sealed ones differ each time)."""
    with db.reading() as session:
        return {
            table.name: [
                tuple(map(str, row)) for row in session.execute(select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
        }


def of_each_member(table: type[Stay] | type[PointEntry]) -> list[list[Any]]:
    """The rows of `table`, one list for each member of the demo group."""
    with db.reading() as session:
        members = session.scalars(select(Member.id)).all()
        return [
            list(session.scalars(select(table).where(table.member_id == member).order_by(table.id)))
            for member in members
        ]


def test_it_says_what_it_added(database: str) -> None:
    added = seed()
    rows = everything()
    assert added == Seeded(
        hotels=len(rows["hotels"]),
        members=len(rows["members"]),
        contacts=len(rows["contacts"]),
        stays=len(rows["stays"]),
        entries=len(rows["point_entries"]),
        rewards=len(rows["rewards"]),
    )
    assert added.hotels == 2
    assert 55 <= added.members <= 65
    assert added.contacts == 2 * added.members


def test_a_second_time_adds_and_changes_nothing(database: str) -> None:
    seed()
    before = everything()
    assert seed() == NOTHING
    assert seed(NOW + timedelta(days=40, hours=7)) == NOTHING, "nor on another day"
    assert everything() == before


def test_what_happened_since_is_kept(database: str) -> None:
    seed()
    with db.transaction() as session:
        member = session.scalars(select(Member).where(Member.number == "ZK100002")).one()
        member.name, member.locale = "王雨彤", "en"
    assert seed() == NOTHING
    with db.reading() as session:
        assert session.get_one(Member, member.id).name == "王雨彤"


def test_it_is_the_same_in_every_database(sqlite_database: str, request: pytest.FixtureRequest) -> None:
    seed()
    first = everything()
    request.getfixturevalue("postgres_database")
    seed()
    assert everything() == first


def test_hotels_live_in_two_time_zones_and_three_languages(demo_data: list[DemoMember]) -> None:
    with db.reading() as session:
        hotels = session.scalars(select(Hotel)).all()
    offsets = {NOW.astimezone(ZoneInfo(hotel.time_zone)).utcoffset() for hotel in hotels}
    assert len(offsets) == 2
    for hotel in hotels:
        assert sorted(hotel.names) == ["en", "zh_CN", "zh_TW"]
        assert len(set(hotel.names.values())) == 3


def test_members_are_a_believable_mix(demo_data: list[DemoMember]) -> None:
    tiers = Counter(member.tier for member in demo_data)
    assert tiers["classic"] > tiers["silver"] > tiers["gold"] > tiers["platinum"] > 0
    locales = Counter(member.locale for member in demo_data)
    assert set(locales) == {"en", "zh_CN", "zh_TW"}
    assert min(locales.values()) >= 5
    assert len({member.name for member in demo_data}) == len(demo_data)
    assert [member.number for member in demo_data] == sorted({member.number for member in demo_data})
    points = Counter(member.points for member in demo_data)
    assert points[1] >= 2
    assert points[0] == 1
    assert sum(1 for balance in points if balance > 1_000_000) == 1
    assert all(member.points >= 0 for member in demo_data)


def test_members_with_one_point_have_one_entry(demo_data: list[DemoMember]) -> None:
    entries = of_each_member(PointEntry)
    assert sum(1 for own in entries if [entry.amount for entry in own] == [1]) >= 2
    assert sum(1 for own in entries if not own) == 1


def test_every_member_can_be_reached_on_both_channels(demo_data: list[DemoMember]) -> None:
    with db.reading() as session:
        owners = {(c.channel, c.address): c.member_id for c in session.scalars(select(Contact))}
    assert len(owners) == 2 * len(demo_data)
    for member in demo_data:
        assert owners["telegram", member.telegram] == owners["wechat", member.wechat] == member.member_id
        assert re.fullmatch(r"[1-9]\d{5,14}", member.telegram)
        assert re.fullmatch(r"o[A-Za-z0-9_-]{27}", member.wechat)


def test_strangers_belong_to_nobody(demo_data: list[DemoMember]) -> None:
    with db.reading() as session:
        addresses = set(session.scalars(select(Contact.address)))
    assert not {STRANGER_TELEGRAM, STRANGER_WECHAT} & addresses
    assert re.fullmatch(r"[1-9]\d{5,14}", STRANGER_TELEGRAM)
    assert re.fullmatch(r"o[A-Za-z0-9_-]{27}", STRANGER_WECHAT)


# 23:30 in London is already tomorrow in Shanghai, and in July London has moved its clocks.
@pytest.mark.parametrize("hour", [0, 12, 23])
@pytest.mark.parametrize("month", [1, 7])
def test_stays_fit_the_day_by_the_hotels_own_calendar(sqlite_database: str, month: int, hour: int) -> None:
    now = datetime(2026, month, 15, hour, 30, tzinfo=timezone.utc)
    seed(now)
    seen: Counter[str] = Counter()
    with db.reading() as session:
        for stay in session.scalars(select(Stay)):
            today = now.astimezone(ZoneInfo(stay.hotel.time_zone)).date()
            seen[stay.status] += 1
            assert stay.arrival < stay.departure
            if stay.status == "checked_out":
                assert stay.departure < today
            elif stay.status == "in_house":
                assert stay.arrival <= today <= stay.departure
            elif stay.status == "booked":
                assert today < stay.arrival
    assert set(seen) == {"booked", "in_house", "checked_out", "cancelled"}
    assert min(seen.values()) >= 5


def test_nobody_stays_in_two_places_or_too_often(demo_data: list[DemoMember]) -> None:
    counts: Counter[int] = Counter()
    for stays in of_each_member(Stay):
        counts[len(stays)] += 1
        slept = sorted((stay.arrival, stay.departure) for stay in stays if stay.status != "cancelled")
        assert all(one[1] <= other[0] for one, other in pairwise(slept))
    assert max(counts) <= 8
    assert counts[0] >= 1


def test_nobody_did_anything_before_joining_or_after_now(demo_data: list[DemoMember]) -> None:
    with db.reading() as session:
        joined = dict(session.execute(select(Member.id, Member.joined_at)).tuples().all())
    assert all(at < NOW for at in joined.values())
    assert max(joined.values()) - min(joined.values()) > timedelta(days=3 * 365)
    for entries in of_each_member(PointEntry):
        assert all(joined[entry.member_id] <= entry.at < NOW for entry in entries)
    for stays in of_each_member(Stay):
        assert all(stay.arrival >= joined[stay.member_id].date() for stay in stays)


def test_no_balance_was_ever_negative(demo_data: list[DemoMember]) -> None:
    spent = 0
    for entries in of_each_member(PointEntry):
        moments = [entry.at for entry in entries]
        assert moments == sorted(moments)
        assert all(balance >= 0 for balance in accumulate(entry.amount for entry in entries))
        spent += sum(1 for entry in entries if entry.kind == "redeem")
    assert spent >= 20


def test_every_finished_stay_earned_by_tier(demo_data: list[DemoMember]) -> None:
    tiers = {member.member_id: member.tier for member in demo_data}
    group = demo_plan.group()
    rooms = {(house.code, room): night for house in group.houses for room, night in house.rooms.items()}
    with db.reading() as session:
        earned = dict(session.execute(select(PointEntry.key, PointEntry.amount)).tuples().all())
        finished = session.scalars(select(Stay).where(Stay.status == "checked_out")).all()
        for stay in finished:
            nights = (stay.departure - stay.arrival).days
            night = rooms[stay.hotel.code, stay.room_type] * group.earning[tiers[stay.member_id]] // 100
            assert earned.pop(f"stay:{stay.confirmation}") == nights * night
    assert not [key for key in earned if key.startswith("stay:")], "and no other stay did"


def test_a_new_person_changes_nobody_elses_story() -> None:
    someone = demo_plan.Person("ZK100999", "新来的", "zh_CN", "gold", "HLSH")
    before = demo_plan.story(demo_plan.group().people[0])
    assert demo_plan.story(someone).stays
    assert demo_plan.story(demo_plan.group().people[0]) == before


def test_people_are_those_who_are_there(database: str) -> None:
    with db.reading() as session:
        assert demo.people(session, now=NOW) == []
    members = seed_demo()
    with db.transaction() as session:
        session.add(Member(number="ZK900001", name="沈", locale="en", tier="gold", joined_at=NOW))
    with db.reading() as session:
        assert demo.people(session, now=NOW) == members
