"""Lines of a folio: what is refused, what is the same line again, what counts in which currency."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from data import booking, checkout, db
from data.checkout import NewLine
from data.refusals import BadInput, Conflict
from tests.data import staying
from tests.data.staying import (
    NOW,
    UTC,
    booked,
    changing_nothing,
    charge,
    check_out,
    day,
    entries,
    new_line,
    refund,
)


@pytest.fixture(autouse=True)
def house(database: str) -> None:
    staying.open_hotels()


@pytest.fixture
def guest(house: None) -> int:
    """A member with no tier to speak of."""
    return staying.guest()


BAD_LINES = [
    ("line", {"line": ""}),
    ("line", {"line": "x" * 33}),
    ("line", {"line": "1 2"}),
    ("line", {"line": "1\x00"}),
    ("outlet", {"outlet": ""}),
    ("outlet", {"outlet": "Room"}),
    ("outlet", {"outlet": "x" * 33}),
    ("day", {"day": day(-1)}),
    ("day", {"day": day(5)}),
    ("day", {"day": datetime(2026, 3, 10, tzinfo=UTC)}),
    ("amount_minor", {"amount_minor": 0}),
    ("amount_minor", {"amount_minor": 100_000_001}),
    ("amount_minor", {"amount_minor": -100_000_001, "refunds": "old"}),
    ("amount_minor", {"amount_minor": 10.0}),
    ("amount_minor", {"amount_minor": True}),
    ("amount_minor", {"amount_minor": "100"}),
    ("amount_minor", {"amount_minor": 100, "refunds": "old"}),
    ("amount_minor", {"amount_minor": -100_001, "refunds": "old"}),
    ("refunds", {"amount_minor": -100}),
    ("refunds", {"amount_minor": -100, "refunds": "no such"}),
    ("refunds", {"amount_minor": -100, "refunds": "nowhere"}),
    ("refunds", {"amount_minor": -100, "refunds": "another"}),
    ("refunds", {"amount_minor": -100, "refunds": "given_back"}),
    ("refunds", {"amount_minor": -100, "refunds": "1"}),
    ("currency", {"currency": "CNX"}),
    ("currency", {"currency": "cny"}),
    ("currency", {"currency": ""}),
    ("currency", {"currency": "JPY"}),
    ("currency", {"amount_minor": -100, "refunds": "old", "currency": "GBP"}),
    ("outlet", {"amount_minor": -100, "refunds": "old", "outlet": "spa"}),
    ("day", {"amount_minor": -100, "refunds": "old", "day": day(-1)}),
    ("day", {"amount_minor": -100, "refunds": "old", "day": day(6)}),  # two days ahead of today
]


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize(("field", "told"), BAD_LINES)
def test_what_cannot_be_a_line_is_refused_by_its_field(
    guest: int, field: str, told: dict[str, Any], over: bool
) -> None:
    stay_id = booked()
    charge(stay_id, "old")
    charge(stay_id, "half", 200)
    refund(stay_id, "half", 100, line="given_back")
    staying.guest("ZK900002")
    charge(booked(confirmation="B", member="ZK900002"), "another")
    if over:
        check_out(stay_id)
    line = NewLine(
        **{"line": "1", "outlet": "room", "day": day(0), "amount_minor": 100, "currency": "CNY"} | told
    )
    with changing_nothing(), db.transaction() as session, pytest.raises(BadInput) as refused:
        checkout.charge(session, stay_id, line, actor="api:pms", now=NOW)
    assert refused.value.field == field
    assert refused.value.remedy


@pytest.mark.parametrize("offset", [0, 3, 4])
def test_days_at_the_edge_of_a_stay_are_taken(guest: int, offset: int) -> None:
    assert not charge(booked(), day=day(offset)).again


@pytest.mark.parametrize("amount", [1, 100_000_000])
def test_amounts_at_the_edge_are_taken_and_refunded(guest: int, amount: int) -> None:
    stay_id = booked()
    charge(stay_id, amount_minor=amount)
    refund(stay_id, "1", amount)
    with pytest.raises(BadInput, match="0 are left"):
        refund(stay_id, "1", 1)
    assert check_out(stay_id).entries == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [("outlet", "spa"), ("day", day(1)), ("amount_minor", 99_999), ("currency", "GBP"), ("refunds", None)],
)
@pytest.mark.parametrize("over", [False, True])
def test_a_lines_number_means_one_line(guest: int, field: str, value: Any, over: bool) -> None:
    stay_id = booked()
    charge(stay_id, "0")
    charge(stay_id, "00")
    told = {"refunds": "00", "amount_minor": -50_000} if field == "refunds" else {field: value}
    first = {"refunds": "0", "amount_minor": -50_000} if field == "refunds" else {}
    charge(stay_id, "1", **first)
    if over:
        check_out(stay_id)
    with changing_nothing(), db.transaction() as session:
        again = checkout.charge(session, stay_id, new_line(**first), actor="api:other", now=NOW)
        assert (again.again, again.entry) == (True, None)
        with pytest.raises(Conflict) as refused:
            checkout.charge(session, stay_id, new_line(**told), actor="api:pms", now=NOW)
    assert refused.value.field == ("amount_minor" if field == "amount_minor" else field)


def test_a_line_stays_recorded_though_the_dates_have_changed(guest: int) -> None:
    stay_id = booked(departure=day(4))
    charge(stay_id, "1", day=day(3))
    check_out(stay_id, departure=day(1))
    assert charge(stay_id, "1", day=day(3)).again
    assert [entry.amount for entry in entries(guest)] == [1000], "what was paid for has earned"


def test_a_cancelled_stay_takes_no_lines(guest: int) -> None:
    stay_id = booked()
    charge(stay_id, "deposit")
    with db.transaction() as session:
        booking.cancel(session, stay_id, actor="desk", now=NOW)
    with changing_nothing(), pytest.raises(Conflict, match="cancelled"):
        charge(stay_id)
    with changing_nothing():
        assert charge(stay_id, "deposit").again


def test_a_deposit_can_be_refunded_before_the_day_it_is_for(guest: int) -> None:
    stay_id = booked(arrival=day(20), departure=day(22))
    charge(stay_id, "deposit", day=day(20))
    assert not refund(stay_id, "deposit", 1, day=day(4)).again  # today in Shanghai
    with pytest.raises(BadInput, match="2026-03-14 to 2026-03-30"):
        refund(stay_id, "deposit", 1, day=day(3))


@pytest.mark.parametrize(
    ("hotel", "currency", "amount", "earns"),
    [
        ("HLSH", "CNY", 100_000, 1000),
        ("HLSH", "GBP", 10_000, 900),  # 100.00 pounds, 9 points each
        ("HLLN", "CNY", 100_000, 1000),
        ("HLTT", "TWD", 100_000, None),  # the hotel's own, but the programme has no rate for it
        ("HLTT", "CNY", 100_000, 1000),
    ],
)
def test_what_a_currency_earns(guest: int, hotel: str, currency: str, amount: int, earns: int | None) -> None:
    stay_id = booked(hotel=hotel)
    charge(stay_id, amount_minor=amount, currency=currency)
    assert [posted.amount for posted in check_out(stay_id).entries] == ([earns] if earns else [])


def test_a_colon_does_not_make_two_lines_one(guest: int) -> None:
    staying.guest("ZK900002")
    one = booked(confirmation="A")
    two = booked(confirmation="A:1", member="ZK900002")
    charge(one, "1:1")
    charge(two, "1")
    assert [posted.again for stay_id in (one, two) for posted in check_out(stay_id).entries] == [False, False]
