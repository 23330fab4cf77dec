"""Booking a stay, changing it, checking in, cancelling: what is refused, and what is done once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from data import booking, db
from data.audit import AuditEntry
from data.booking import StayChanges
from data.members import Member, MemberStatus
from data.refusals import BadInput, Conflict, Unknown
from data.stays import Stay, StayStatus
from tests.data import staying
from tests.data.rivals import Rivals
from tests.data.staying import (
    LONDON,
    LONG_AGO,
    NOW,
    SHANGHAI,
    book,
    booked,
    changing_nothing,
    day,
    new_stay,
    the,
)


@pytest.fixture(autouse=True)
def house(database: str) -> None:
    staying.open_hotels()
    staying.guest()


def change(stay_id: int, *, now: datetime = NOW, **changes: Any) -> Stay:
    with db.transaction() as session:
        return booking.change_stay(session, stay_id, StayChanges(**changes), actor="desk", now=now)


def check_in(stay_id: int, now: datetime = NOW) -> Stay:
    with db.transaction() as session:
        return booking.check_in(session, stay_id, actor="desk", now=now)


def cancel(stay_id: int, now: datetime = NOW) -> Stay:
    with db.transaction() as session:
        return booking.cancel(session, stay_id, actor="desk", now=now)


def become(member_id: int, status: MemberStatus, **other: Any) -> None:
    with db.transaction() as session:
        member = session.get_one(Member, member_id)
        member.status = status.value
        for name, value in other.items():
            setattr(member, name, value)


def audited() -> list[tuple[str, str]]:
    with db.reading() as session:
        return [
            (entry.deed, entry.subject)
            for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        ]


def test_a_booking_is_recorded_as_it_was_told() -> None:
    done = book(adults=2, children=1)
    stay = the(done.stay.id)
    assert not done.again
    assert (stay.confirmation, stay.hotel.code, stay.room_type) == ("SH-1", "HLSH", "lake view")
    assert (stay.arrival, stay.departure, stay.adults, stay.children) == (day(0), day(3), 2, 1)
    assert (stay.status, stay.checked_out_at) == ("booked", None)
    assert audited() == [("stay.booked", f"stay:{stay.id}")]


BAD = [
    ("confirmation", ""),
    ("confirmation", "A" * 33),
    ("confirmation", "SH 1"),
    ("confirmation", "预订1"),
    ("confirmation", "SH\x00"),
    ("confirmation", "SH-1\n"),
    ("hotel", ""),
    ("hotel", "HL\x00"),
    ("room_type", ""),
    ("room_type", " "),
    ("room_type", "x" * 33),
    ("room_type", "lake\x00view"),
    ("room_type", "lake\nview"),
    ("room_type", "\ud83d"),
    ("departure", day(0)),
    ("departure", day(-1)),
    ("departure", day(366)),
    ("departure", date.max),
    ("departure", datetime(2026, 3, 13, tzinfo=timezone.utc)),
    ("arrival", date(1969, 12, 31)),
    ("arrival", date.min),
    ("adults", 0),
    ("adults", 21),
    ("adults", 1.5),
    ("adults", True),
    ("adults", 10**30),
    ("children", -1),
    ("children", 21),
    ("children", "2"),
    ("status", StayStatus.checked_out),
    ("status", StayStatus.cancelled),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_what_cannot_be_a_stay_is_refused_by_its_field(field: str, value: Any) -> None:
    other = {field: value}
    if field == "arrival":
        other["departure"] = value + timedelta(days=1)
    with changing_nothing(), db.transaction() as session, pytest.raises(BadInput) as refused:
        booking.book(session, new_stay(**other), actor="api:pms", now=NOW)
    assert refused.value.field == field
    assert refused.value.remedy


def test_limits_themselves_are_taken() -> None:
    wide = {"confirmation": "!" + "~" * 31, "room_type": "豪" * 32, "adults": 20, "children": 20}
    assert the(booked(departure=day(365), **wide)).confirmation == "!" + "~" * 31
    far = NOW.date() + timedelta(days=3 * 365)
    assert the(booked(confirmation="far", arrival=far, departure=far + timedelta(days=1))).arrival == far
    with pytest.raises(BadInput, match="arrival"):
        booked(confirmation="farther", arrival=far + timedelta(days=1), departure=far + timedelta(days=2))


@pytest.mark.parametrize(("field", "value"), [("hotel", "HLXX"), ("member", "ZK999999"), ("member", "?\x00")])
def test_who_and_where_must_be_known(field: str, value: str) -> None:
    with changing_nothing(), db.transaction() as session, pytest.raises(Unknown) as refused:
        booking.book(session, new_stay(**{field: value}), actor="api:pms", now=NOW)
    assert refused.value.field == field


def test_the_same_stay_again_changes_nothing_whatever_became_of_it() -> None:
    first = book()
    deeds: list[Callable[[], object]] = [lambda: None, lambda: check_in(first.stay.id)]
    deeds.append(lambda: staying.check_out(first.stay.id))
    for deed in deeds:
        deed()
        with changing_nothing():
            again = book()
        assert (again.stay.id, again.again) == (first.stay.id, True)
    become(the(first.stay.id).member_id, MemberStatus.left)
    assert book().again, "nor does it matter that the guest has left the programme since"


OTHERWISE = [
    ("member", "ZK900002"),
    ("hotel", "HLLN"),
    ("room_type", "court view"),
    ("arrival", day(1)),
    ("departure", day(4)),
    ("adults", 2),
    ("children", 1),
]


@pytest.mark.parametrize(("field", "value"), OTHERWISE)
def test_a_confirmation_means_one_stay(field: str, value: Any) -> None:
    staying.guest("ZK900002")
    booked()
    with changing_nothing(), db.transaction() as session, pytest.raises(Conflict) as refused:
        booking.book(session, new_stay(**{field: value}), actor="api:pms", now=NOW)
    assert refused.value.field == field
    expected = "under another confirmation" if field in ("member", "hotel") else "Send a change"
    assert expected in refused.value.remedy


def test_every_field_of_a_booking_is_compared() -> None:
    told = {field.name for field in dataclasses.fields(booking.NewStay)}
    assert {field for field, _ in OTHERWISE} == told - {"confirmation", "status"}


@pytest.mark.parametrize(
    ("arrival", "departure", "free"),
    [
        (-3, -1, True),
        (-3, 0, True),
        (-3, 1, False),
        (0, 3, False),
        (1, 2, False),
        (-1, 9, False),
        (2, 9, False),
        (3, 9, True),
        (4, 9, True),
    ],
)
@pytest.mark.parametrize("hotel", ["HLSH", "HLLN"])
def test_nobody_sleeps_in_two_places(arrival: int, departure: int, free: bool, hotel: str) -> None:
    booked()
    other = {
        "confirmation": "B",
        "hotel": hotel,
        "arrival": day(arrival),
        "departure": day(departure),
    }
    if free:
        assert not book(**other).again
        return
    with (
        changing_nothing(),
        db.transaction() as session,
        pytest.raises(Conflict, match="stay SH-1") as refused,
    ):
        booking.book(session, new_stay(**other), actor="api:pms", now=NOW)
    assert refused.value.field == "arrival"
    staying.guest("ZK900002")
    assert not book(**other, member="ZK900002").again, "somebody else may"


def test_a_cancelled_stay_is_in_nobodys_way() -> None:
    cancel(booked())
    assert not book(confirmation="B").again


def test_an_early_departure_frees_the_nights() -> None:
    staying.check_out(booked(departure=day(9)), departure=day(2))
    assert not book(confirmation="B", arrival=day(2), departure=day(9)).again


@pytest.mark.parametrize("status", [MemberStatus.left, MemberStatus.erased])
def test_only_who_is_with_us_can_be_booked_for(status: MemberStatus) -> None:
    gone = staying.guest("ZK900002")
    become(gone, status)
    with pytest.raises(Conflict) as refused:
        booked(member="ZK900002")
    assert refused.value.field == "member"
    with db.reading() as session:
        assert session.scalars(select(Stay)).all() == []


def test_a_merged_members_number_books_for_who_lives_on() -> None:
    keep, gone = staying.guest("ZK900002"), staying.guest("ZK900003")
    become(gone, MemberStatus.merged, merged_into_id=keep)
    assert the(booked(member="ZK900003")).member_id == keep
    assert book(member="ZK900002").again
    assert book(member="ZK900003").again


def test_a_guest_who_walks_in_is_in_the_house_at_once() -> None:
    assert the(booked(status=StayStatus.in_house)).status == "in_house"
    with pytest.raises(Conflict, match="begins on"):
        booked(confirmation="B", arrival=day(30), departure=day(31), status=StayStatus.in_house)


def test_a_stay_is_found_by_its_confirmation() -> None:
    stay_id = booked()
    with db.reading() as session:
        assert booking.stay_by_confirmation(session, "SH-1").id == stay_id
        for unknown in ("SH-2", "sh-1", "", "no such stay", "\x00", "\ud83d"):
            with pytest.raises(Unknown) as refused:
                booking.stay_by_confirmation(session, unknown, field="stay.confirmation")
            assert refused.value.field == "stay.confirmation"


def test_dates_room_and_party_can_change() -> None:
    stay_id = booked()
    wanted = {"room_type": "suite", "arrival": day(1), "departure": day(5), "adults": 2, "children": 3}
    change(stay_id, **wanted)
    stay = the(stay_id)
    assert {name: getattr(stay, name) for name in wanted} == wanted
    with changing_nothing():
        change(stay_id, **wanted)
        change(stay_id)
    assert audited()[1:] == [("stay.changed", f"stay:{stay_id}")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"departure": day(0)}, "departure"),
        ({"arrival": day(3)}, "departure"),
        ({"departure": day(366)}, "departure"),
        ({"room_type": ""}, "room_type"),
        ({"adults": 0}, "adults"),
        ({"children": -1}, "children"),
        ({"departure": day(11)}, "arrival"),  # into the next stay
    ],
)
def test_a_change_is_held_to_the_same_rules(changes: dict[str, Any], field: str) -> None:
    stay_id = booked()
    booked(confirmation="B", hotel="HLLN", arrival=day(10), departure=day(12))
    with changing_nothing(), db.transaction() as session, pytest.raises(BadInput) as refused:
        booking.change_stay(session, stay_id, StayChanges(**changes), actor="desk", now=NOW)
    assert refused.value.field == field


def test_a_stay_may_be_moved_into_its_own_nights() -> None:
    assert change(booked(), arrival=day(1), departure=day(6)).departure == day(6)


def test_a_guest_in_the_house_cannot_arrive_later_than_tomorrow() -> None:
    stay_id = booked(departure=day(30))
    check_in(stay_id)
    change(stay_id, arrival=day(5))  # 15 March, and in Shanghai it is the 14th
    with pytest.raises(Conflict, match="begins on"):
        change(stay_id, arrival=day(6))


# What each deed does to a stay in each state: where it leads, or None where it is refused.
LIFE: dict[str, dict[str, str | None]] = {
    "check in": {"booked": "in_house", "in_house": "in_house", "checked_out": None, "cancelled": None},
    "cancel": {"booked": "cancelled", "in_house": None, "checked_out": None, "cancelled": "cancelled"},
    "check out": {
        "booked": "checked_out",
        "in_house": "checked_out",
        "checked_out": "checked_out",
        "cancelled": None,
    },
    "change": {"booked": "booked", "in_house": "in_house", "checked_out": None, "cancelled": None},
}
DEEDS: dict[str, Callable[[int], Any]] = {
    "check in": check_in,
    "cancel": cancel,
    "check out": staying.check_out,
    "change": lambda stay_id: change(stay_id, adults=3),
}
WAYS: dict[str, list[str]] = {
    "booked": [],
    "in_house": ["check in"],
    "checked_out": ["check out"],
    "cancelled": ["cancel"],
}


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("deed", LIFE)
def test_what_may_become_of_a_stay(deed: str, state: str) -> None:
    stay_id = booked()
    for step in WAYS[state]:
        DEEDS[step](stay_id)
    becomes = LIFE[deed][state]
    if becomes is None:
        with changing_nothing(), pytest.raises(Conflict, match=state.replace("_", " ")) as refused:
            DEEDS[deed](stay_id)
        assert refused.value.field == "stay"
        assert refused.value.remedy
        return
    DEEDS[deed](stay_id)
    assert the(stay_id).status == becomes
    with changing_nothing():
        DEEDS[deed](stay_id)


@pytest.mark.parametrize("deed", DEEDS)
def test_nothing_becomes_of_a_stay_that_is_not_there(deed: str) -> None:
    with changing_nothing(), pytest.raises(Unknown):
        DEEDS[deed](404)


@pytest.mark.parametrize(("hotel", "zone"), [("HLSH", SHANGHAI), ("HLLN", LONDON)])
def test_check_in_begins_the_day_before_by_the_hotels_clock(hotel: str, zone: Any) -> None:
    stay_id = booked(hotel=hotel, arrival=day(20), departure=day(22))
    eve = datetime(2026, 3, 29, tzinfo=zone)  # 29 March is 23 hours long in London
    with changing_nothing(), pytest.raises(Conflict) as refused:
        check_in(stay_id, eve - timedelta(microseconds=1))
    assert refused.value.field == "arrival"
    assert check_in(stay_id, eve).status == "in_house"


def test_two_processes_book_overlapping_nights(rivals: Rivals, database: str) -> None:
    for number in range(6):
        start = day(10 * number)
        mine = new_stay(confirmation=f"A{number}", arrival=start, departure=start + timedelta(days=4))
        other = new_stay(
            confirmation=f"B{number}",
            hotel="HLLN",
            arrival=start + timedelta(days=3),
            departure=start + timedelta(days=5),
        )
        done = rivals.race(staying.race_to_book, database, {"a": mine, "b": other})
        assert sorted(done) == ["Conflict arrival", "booked"]


def test_two_processes_book_the_same_stay(rivals: Rivals, database: str) -> None:
    done = rivals.race(staying.race_to_book, database, dict.fromkeys("ab", new_stay()))
    assert sorted(done) == ["again", "booked"]


def test_two_processes_book_different_stays_under_one_confirmation(rivals: Rivals, database: str) -> None:
    staying.guest("ZK900002")
    for number in range(6):
        start = day(10 * number)
        stay = new_stay(confirmation=f"A{number}", arrival=start, departure=start + timedelta(days=4))
        other = dataclasses.replace(stay, member="ZK900002")
        done = rivals.race(staying.race_to_book, database, {"a": stay, "b": other})
        assert sorted(done) == ["Conflict member", "booked"]
    with db.reading() as session:
        assert len(session.scalars(select(Stay)).all()) == 6


PLANS = st.lists(
    st.tuples(
        st.sampled_from(["book", "change", "cancel"]),
        st.integers(0, 2),  # which stay
        st.integers(0, 12),  # arrival
        st.integers(1, 5),  # nights
        st.sampled_from(["HLSH", "HLLN"]),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=PLANS)
def test_whatever_is_booked_changed_or_cancelled_no_night_is_slept_twice(plans: list[Any]) -> None:
    with db.reading() as session:
        number = f"ZK8{len(session.scalars(select(Member.id)).all())}"
    staying.guest(number)
    model: dict[int, tuple[range, bool]] = {}  # nights, and whether the stay was cancelled
    ids: dict[int, int] = {}

    def free(nights: range, but: int | None) -> bool:
        return not any(
            set(nights) & set(theirs)
            for which, (theirs, cancelled) in model.items()
            if not cancelled and which != but
        )

    for deed, which, arrival, length, hotel in plans:
        nights = range(arrival, arrival + length)
        dates = {"arrival": day(arrival), "departure": day(arrival + length)}
        try:
            if deed == "book":
                if which in model:
                    continue
                ids[which] = booked(confirmation=f"{number}-{which}", member=number, hotel=hotel, **dates)
                assert free(nights, None)
                model[which] = (nights, False)
            elif which not in model:
                continue
            elif deed == "change":
                before, cancelled = model[which]
                change(ids[which], now=LONG_AGO + timedelta(days=2000), **dates)
                assert before == nights or (not cancelled and free(nights, which))
                model[which] = (nights, cancelled)
            else:
                cancel(ids[which])
                model[which] = (model[which][0], True)
        except Conflict:
            assert not free(nights, None if deed == "book" else which) or model[which][1]
    for which, (nights, cancelled) in model.items():
        stay = the(ids[which])
        assert (stay.arrival, stay.departure) == (day(nights.start), day(nights.stop))
        assert (stay.status == "cancelled") == cancelled
