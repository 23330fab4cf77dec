"""Confirming: points are spent, a code is given, the ladder's extra comes along; or it is too late."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from data import (
    codes,
    db,
    holds,
    programme,
    programme_versions,
    redemptions,
    reward_stock,
    rewards,
)
from data.holds import HoldOver
from data.refusals import Unknown
from tests.conftest import NOW
from tests.data.conftest import everything
from tests.data.reward_scenes import (
    BY,
    LATER,
    agree,
    balance,
    bought,
    cancel,
    deeds,
    entry,
    extra,
    hand_over,
    new_guest,
    open_house,
    put,
    row,
    stock,
    wish,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def guest(database: str) -> int:
    """A gold member with 50,000 points in two lots, in an open house."""
    open_house()
    return new_guest("ZK900001", 20_000, 30_000)


def test_confirming_spends_and_gives_a_code(guest: int) -> None:
    held = wish(guest, "paper_lantern")
    taken = agree(held.id)
    assert taken.state == "confirmed"
    assert taken.code is not None
    assert codes.read_code(taken.code) == taken.code
    spent = entry(taken.entry_id)
    assert (spent.kind, spent.amount, spent.reason, spent.key, spent.hold_id, spent.channel) == (
        "redeem",
        -3000,
        "redemption",
        f"redemption:{held.id}",
        held.hold_id,
        "telegram",
    )
    assert (balance(guest), stock("paper_lantern")) == (47_000, 29)
    # 14 March in Shanghai + 90 days, to the end of that day.
    assert taken.valid_until == datetime(2026, 6, 13, tzinfo=ZoneInfo("Asia/Shanghai"))
    before = everything()
    assert agree(held.id, now=LATER).code == taken.code
    assert everything() == before


def test_a_code_ends_by_the_clock_of_the_hotel_or_of_home(guest: int) -> None:
    at_home = new_guest("ZK900003", 9000, home="HLLN")
    london, shanghai = ZoneInfo("Europe/London"), ZoneInfo("Asia/Shanghai")
    everywhere = bought(at_home, "breakfast", key="1")
    assert everywhere.valid_until == datetime(2026, 6, 13, tzinfo=london)
    assert bought(at_home, "paper_lantern", key="2").valid_until == datetime(2026, 6, 13, tzinfo=shanghai)
    assert bought(guest, "breakfast", key="3").valid_until == datetime(2026, 6, 13, tzinfo=shanghai)


def test_after_the_deadline_nothing_is_spent_and_the_stock_is_anybodys(guest: int) -> None:
    put("last", stock=1)
    held = wish(guest, "last")
    before = everything()
    with pytest.raises(HoldOver):
        agree(held.id, now=LATER)
    assert everything() == before
    assert balance(guest, now=LATER) == 50_000
    with db.transaction() as session:
        assert reward_stock.lapse_due(session, now=LATER) == 1
        assert reward_stock.lapse_due(session, now=LATER) == 0
    assert (row(held.id).state, stock("last")) == ("lapsed", 1)
    with pytest.raises(HoldOver):
        agree(held.id, now=NOW)


def test_a_hold_that_the_ledgers_sweeper_ended_is_not_confirmed(guest: int) -> None:
    held = wish(guest, "paper_lantern")
    with db.transaction() as session:
        assert holds.lapse_due(session, now=LATER) == 1
    before = everything()
    with pytest.raises(HoldOver):
        agree(held.id, now=LATER - MINUTE)
    assert everything() == before


def test_sweeping_goes_on_where_it_stopped(guest: int) -> None:
    put("many", stock=10)
    for number in range(5):
        wish(guest, "many", key=str(number), quantity=2)
    wish(guest, "breakfast", key="not counted")
    with db.transaction() as session:
        assert reward_stock.lapse_due(session, now=LATER, limit=4) == 4
    with db.transaction() as session:
        assert reward_stock.lapse_due(session, now=LATER, limit=4) == 2
    assert (stock("many"), stock("breakfast")) == (10, None)


def test_the_ladder_brings_another_reward_along(guest: int) -> None:
    taken = bought(guest, "free_night", quantity=2)
    along = extra(taken.id)
    assert along is not None
    assert along.code != taken.code
    assert (along.state, along.points, along.quantity, along.comes_with_id) == ("confirmed", 0, 1, taken.id)
    assert (along.valid_until, along.entry_id, along.hold_id) == (taken.valid_until, None, None)
    with db.reading() as session:
        told = redemptions.of_member(session, guest)
        assert [(each.reward.code, each.points) for each in told] == [
            ("free_night", 27_000),
            ("late_checkout", 0),
        ]


@pytest.mark.parametrize("hindrance", ["withdrawn", "sold out", "unknown"])
def test_an_extra_that_is_not_to_be_had_does_not_come(guest: int, hindrance: str) -> None:
    named = programme.sample().replace("extra: late_checkout", "extra: bonus")
    with db.transaction() as session:
        programme_versions.load(session, named, actor="test", now=NOW)
    if hindrance != "unknown":
        bonus = put("bonus", stock=0 if hindrance == "sold out" else 3)
        if hindrance == "withdrawn":
            with db.transaction() as session:
                rewards.withdraw(session, bonus, **BY)
    taken = bought(guest, "free_night", quantity=2)
    assert taken.state == "confirmed"
    assert extra(taken.id) is None


def test_a_counted_extra_is_taken_from_stock(guest: int) -> None:
    put("bonus", stock=1, per_member=1, min_tier="platinum")
    named = programme.sample().replace("extra: late_checkout", "extra: bonus")
    with db.transaction() as session:
        programme_versions.load(session, named, actor="test", now=NOW)
    assert extra(bought(guest, "free_night", quantity=2).id) is not None
    assert stock("bonus") == 0


def test_a_code_that_is_taken_is_drawn_again(guest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter("222222222222223333333")
    monkeypatch.setattr("secrets.choice", lambda alphabet: next(draws))
    first, second = bought(guest, "breakfast", key="1"), bought(guest, "breakfast", key="2")
    assert (first.code or "")[:7] == "2222222"
    assert (second.code or "")[:7] == "3333333"
    assert second.state == "confirmed"
    assert entry(second.entry_id).amount == -800


def test_unknown_redemptions_are_named(guest: int) -> None:
    for deed in (agree, cancel):
        with pytest.raises(Unknown):
            deed(404)


def test_every_deed_is_in_the_audit_log_without_personal_data(guest: int) -> None:
    taken = bought(guest, "breakfast")
    hand_over(taken.code)
    other = bought(guest, "breakfast", key="other")
    cancel(other.id)
    assert deeds(f"redemption:{taken.id}") == [
        "redemption.held",
        "redemption.confirmed",
        "redemption.fulfilled",
    ]
    assert deeds(f"redemption:{other.id}") == [
        "redemption.held",
        "redemption.confirmed",
        "redemption.cancelled",
    ]
    assert (taken.code or "") not in str(everything()["audit_entries"])
