"""Points by the hotel's calendar: when they ripen and end, which days a promotion holds."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from data import db, expiry
from tests.data import staying
from tests.data.staying import (
    LONDON,
    NOW,
    SHANGHAI,
    UTC,
    booked,
    charge,
    check_out,
    entries,
    lots,
    measured,
    rules,
    spendable,
    stayed,
)


@pytest.fixture(autouse=True)
def house(database: str) -> None:
    staying.open_hotels()


@pytest.fixture
def guest(house: None) -> int:
    """A member with no tier to speak of."""
    return staying.guest()


@pytest.mark.parametrize(
    ("hotel", "departure", "ripe", "end"),
    [
        # London's clocks go forward on 29 March 2026 and back on 25 October.
        ("HLLN", date(2026, 3, 26), "2026-03-30T00:00+01:00", "2028-03-27T00:00+01:00"),
        ("HLLN", date(2026, 3, 25), "2026-03-29T00:00+00:00", "2028-03-26T00:00+00:00"),
        ("HLLN", date(2026, 10, 21), "2026-10-25T00:00+01:00", "2028-10-22T00:00+01:00"),
        ("HLLN", date(2026, 10, 22), "2026-10-26T00:00+00:00", "2028-10-23T00:00+01:00"),
        # Over New Year.
        ("HLSH", date(2026, 12, 29), "2027-01-02T00:00+08:00", "2028-12-30T00:00+08:00"),
        ("HLSH", date(2026, 12, 31), "2027-01-04T00:00+08:00", "2029-01-01T00:00+08:00"),
        # 29 February: 24 months on there is none, so through the 28th.
        ("HLSH", date(2028, 2, 29), "2028-03-04T00:00+08:00", "2030-03-01T00:00+08:00"),
        ("HLSH", date(2026, 2, 28), "2026-03-04T00:00+08:00", "2028-02-29T00:00+08:00"),
    ],
)
def test_points_ripen_and_end_at_the_hotels_midnight(
    guest: int, hotel: str, departure: date, ripe: str, end: str
) -> None:
    stayed("S", departure - timedelta(days=3), 3, hotel=hotel, lines=[("room", 100_000)])
    (lot,) = lots(guest)
    assert (lot.available_at, lot.expires_at) == (datetime.fromisoformat(ripe), datetime.fromisoformat(end))


@pytest.mark.parametrize(
    "start", [date(2026, 12, 30), date(2028, 2, 27), date(2026, 3, 28), date(2026, 10, 24)]
)
def test_nights_are_counted_by_the_calendar(guest: int, start: date) -> None:
    stay_id = stayed("S", start, 4, hotel="HLLN", lines=[("room", 10_000)])
    assert measured(guest).nights == 4
    for offset in range(6):  # every day of the stay and the one after it, over whatever edge
        charge(stay_id, f"late{offset}", 100, day=start + timedelta(days=offset))


def test_stays_in_two_zones_follow_each_its_own_clock(guest: int) -> None:
    stayed("SH", date(2026, 5, 4), 2, lines=[("room", 100_000)])
    stayed("LN", date(2026, 5, 6), 2, hotel="HLLN", currency="GBP", lines=[("room", 10_000)])
    stayed("SH2", date(2026, 5, 8), 2, lines=[("room", 50_000)])
    assert [lot.available_at for lot in lots(guest)] == [
        datetime(2026, 5, 10, tzinfo=SHANGHAI),
        datetime(2026, 5, 12, tzinfo=LONDON),
        datetime(2026, 5, 14, tzinfo=SHANGHAI),
    ]
    moment = datetime(2026, 5, 11, 20, tzinfo=UTC)  # the 12th in Shanghai, still the 11th in London
    assert spendable(guest, moment) == 1000
    assert spendable(guest, datetime(2026, 5, 11, 23, tzinfo=UTC)) == 1900


@pytest.mark.parametrize(
    ("of", "earns"),
    [
        (date(2026, 4, 30), 1000),  # the eve of the window
        (date(2026, 5, 1), 2000),  # its first day, a Friday
        (date(2026, 5, 3), 2000),  # Sunday
        (date(2026, 5, 4), 1000),  # Monday
    ],
)
def test_double_points_begin_with_the_hotels_day(guest: int, of: date, earns: int) -> None:
    stay_id = booked(arrival=date(2026, 4, 28), departure=date(2026, 5, 6))
    # 17:00 UTC on 30 April is 1 May in Shanghai; what counts is the day of the line.
    charge(stay_id, day=of, now=datetime(2026, 4, 30, 17, tzinfo=UTC))
    check_out(stay_id, now=datetime(2026, 5, 6, 4, tzinfo=UTC))
    assert [entry.amount for entry in entries(guest)] == [earns]


@pytest.mark.parametrize(("of", "earns"), [(date(2026, 6, 28), 2000), (date(2026, 7, 3), 1000)])
def test_double_points_end_with_the_hotels_day(guest: int, of: date, earns: int) -> None:
    rules(("weekdays: [friday, saturday, sunday]", "weekdays: [sunday, friday]"))
    stay_id = booked(arrival=date(2026, 6, 27), departure=date(2026, 7, 5))
    charge(stay_id, day=of)
    check_out(stay_id, now=datetime(2026, 7, 5, 4, tzinfo=UTC))
    assert [entry.amount for entry in entries(guest)] == [earns]


@pytest.mark.parametrize(("of", "earns"), [(date(2026, 6, 30), 200), (date(2026, 7, 1), 100)])
def test_the_last_day_of_a_window_belongs_to_it(guest: int, of: date, earns: int) -> None:
    rules((", weekdays: [friday, saturday, sunday]", ""))
    stay_id = booked(arrival=date(2026, 6, 27), departure=date(2026, 7, 5))
    charge(stay_id, amount_minor=10_000, day=of)
    check_out(stay_id, now=datetime(2026, 7, 5, 4, tzinfo=UTC))
    assert [entry.amount for entry in entries(guest)] == [earns]


def test_points_of_a_stay_that_is_reported_years_late_have_ended(guest: int) -> None:
    stayed("S", date(2023, 1, 1), 1, lines=[("room", 100_000)], now=NOW)
    assert spendable(guest) == 0
    with db.transaction() as session:
        assert expiry.due(session, now=NOW) == [guest]
