"""Tiers in the database: what is counted, when a member moves, and what a tier given by hand leaves behind."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from data import db, tier_moves
from data.audit import AuditEntry
from data.members import Member, MemberStatus
from data.refusals import BadInput, Conflict, Unknown
from data.tier_rules import Measures
from data.tiers import TierChange
from tests.data import staying
from tests.data.rivals import Rivals
from tests.data.staying import (
    LONDON,
    NOW,
    SHANGHAI,
    UTC,
    booked,
    changing_nothing,
    charge,
    check_out,
    day,
    measured,
    member,
    moves,
    refund,
    rules,
    stayed,
)


@pytest.fixture(autouse=True)
def house(database: str) -> None:
    staying.open_hotels()


@pytest.fixture
def guest(house: None) -> int:
    return staying.guest()


def settle(member_id: int, now: datetime = NOW, cause: str = "review") -> TierChange | None:
    with db.transaction() as session:
        return tier_moves.settle(session, member_id, cause=cause, actor="job:tiers", now=now)


def by_hand(
    member_id: int, tier: str, until: date | None, *, now: datetime = NOW, why: str = "goodwill"
) -> TierChange:
    with db.transaction() as session:
        return tier_moves.set_by_hand(
            session, member_id, tier, until=until, why=why, actor="staff:wu", now=now
        )


def held(member_id: int) -> tuple[str, date | None]:
    return member(member_id).tier, member(member_id).tier_valid_until


def at(when: date, zone: Any = SHANGHAI) -> datetime:
    """Noon of a day."""
    return datetime(when.year, when.month, when.day, 12, tzinfo=zone)


# What is counted.


def test_nights_stays_and_spend_of_finished_stays_are_counted(guest: int) -> None:
    stayed("A", day(-20), 3, lines=[("room", 100_050), ("spa", 10_000), ("tax", 9_000)])
    stayed("B", day(-10), 2, hotel="HLLN", currency="GBP", lines=[("room", 10_000)])
    booked(confirmation="C", arrival=day(0), departure=day(1))
    charge(booked(confirmation="D", arrival=day(2), departure=day(3)), day=day(2))
    other = staying.guest("ZK900002")
    stayed("E", day(-20), 9, member="ZK900002")
    # 1,000.50 for the room and 100.00 x 1.5 at the spa, each rounded down; 100 pounds at 9.
    assert measured(guest) == Measures(nights=5, stays=2, spend=1000 + 150 + 900)
    assert measured(other) == Measures(nights=9, stays=1, spend=0)


def test_spend_is_what_is_left_after_refunds_before_any_multiplier() -> None:
    gold = staying.guest(tier="gold", tier_valid_until=date(2027, 1, 1))
    stay_id = booked()
    charge(stay_id, "1")
    charge(stay_id, "2", 50_000)
    refund(stay_id, "2", 20_000)
    check_out(stay_id)
    assert measured(gold).spend == 1300
    refund(stay_id, "1", 40_000)
    assert measured(gold).spend == 900
    charge(stay_id, "3", 5_000)
    assert measured(gold).spend == 950


@pytest.mark.parametrize(
    ("window", "counted"),
    [((-5, 0), 1), ((-5, -1), 0), ((0, 0), 1), ((1, 5), 0), ((-2, 0), 1)],
)
def test_a_stay_belongs_to_the_day_on_which_it_ended(
    guest: int, window: tuple[int, int], counted: int
) -> None:
    stayed("A", day(-3), 3)
    assert measured(guest, (day(window[0]), day(window[1]))).stays == counted


# Moves.


def test_a_tier_is_reached_with_the_stay_that_reaches_it(guest: int) -> None:
    for number in range(4):
        stayed(f"S{number}", day(-40 + 5 * number), 2)
        assert held(guest) == ("classic", None)
    version = rules(("name: Heron Lantern Circle", "name: Lantern Circle"))
    stayed("S5", day(-3), 2)
    assert held(guest) == ("silver", date(2027, 3, 9))
    (move,) = moves(guest)
    assert (move.was, move.became, move.reason, move.valid_until) == (
        "classic",
        "silver",
        "promoted",
        date(2027, 3, 9),
    )
    assert (move.programme_version, move.actor) == (version, "api:pms")
    assert move.figures["measures"] == {"nights": 10, "stays": 5, "spend": 0}
    assert (move.figures["met"], move.figures["cause"]) == ({"nights": 10}, "stay:S5")
    assert move.figures["window"] == ["2025-03-10", "2026-03-09"]
    with db.reading() as session:
        (audited,) = session.scalars(select(AuditEntry).where(AuditEntry.deed == "tier.promoted"))
    assert audited.subject == f"member:{guest}"
    with changing_nothing():
        assert settle(guest) is None


def test_the_file_that_comes_with_zhike_is_no_version(guest: int) -> None:
    stayed("A", day(-10), 10)
    assert [move.programme_version for move in moves(guest)] == [None]


SILVER_UNTIL = date(2026, 3, 31)


@pytest.fixture
def silver(house: None) -> int:
    return staying.guest("ZK900009", tier="silver", tier_valid_until=SILVER_UNTIL)


@pytest.mark.parametrize(
    ("today", "becomes"),
    [
        (SILVER_UNTIL, None),
        (SILVER_UNTIL + timedelta(days=1), None),  # grace
        (SILVER_UNTIL + timedelta(days=60), None),
        (SILVER_UNTIL + timedelta(days=61), ("classic", None)),
    ],
)
def test_a_tier_that_was_not_earned_again_is_lost_after_its_grace(
    silver: int, today: date, becomes: tuple[str, date | None] | None
) -> None:
    move = settle(silver, at(today))
    if becomes is None:
        assert move is None
        assert held(silver) == ("silver", SILVER_UNTIL)
        return
    assert move is not None
    assert (move.reason, move.was, held(silver)) == ("demoted", "silver", becomes)
    with changing_nothing():
        assert settle(silver, at(today)) is None


def test_a_tier_that_was_earned_again_is_kept_as_soon_as_its_period_has_ended(silver: int) -> None:
    stayed("A", date(2025, 6, 1), 10, member="ZK900009")
    with changing_nothing():
        assert settle(silver, at(SILVER_UNTIL)) is None
    move = settle(silver, at(SILVER_UNTIL + timedelta(days=1)))
    assert move is not None
    assert (move.reason, held(silver)) == ("renewed", ("silver", date(2027, 3, 31)))


def test_a_stay_in_the_time_of_grace_keeps_the_tier(silver: int) -> None:
    stayed("A", date(2026, 4, 10), 10, member="ZK900009")
    assert [move.reason for move in moves(silver)] == ["renewed"]
    assert held(silver) == ("silver", date(2027, 3, 31))


@pytest.mark.parametrize(
    ("home", "moment", "over"),
    [
        ("HLLN", datetime(2026, 5, 30, 23, tzinfo=UTC), True),  # 31 May in London
        ("HLLN", datetime(2026, 5, 30, 22, 59, tzinfo=UTC), False),
        ("HLSH", datetime(2026, 5, 30, 16, tzinfo=UTC), True),
        ("HLSH", datetime(2026, 5, 30, 15, 59, tzinfo=UTC), False),
        (None, datetime(2026, 5, 30, 16, tzinfo=UTC), True),  # the programme's clock is Shanghai's
        (None, datetime(2026, 5, 30, 15, 59, tzinfo=UTC), False),
    ],
)
def test_a_day_ends_when_it_does_at_the_members_home(home: str | None, moment: datetime, over: bool) -> None:
    member_id = staying.guest(tier="silver", tier_valid_until=SILVER_UNTIL, home=home)
    assert (settle(member_id, moment) is not None) == over


def test_who_moves_to_another_home_hotel_is_not_judged_twice() -> None:
    member_id = staying.guest(tier="gold", tier_valid_until=SILVER_UNTIL, home="HLSH")
    moment = datetime(2026, 5, 30, 16, tzinfo=UTC)  # 31 May in Shanghai, still the 30th in London
    assert settle(member_id, moment) is not None
    with db.transaction() as session:
        session.get_one(Member, member_id).home_hotel_id = 2
    for hours in (0, 1, 24):
        assert settle(member_id, moment + timedelta(hours=hours)) is None
    assert held(member_id) == ("silver", date(2027, 3, 31)), "one step, and no further"


def test_a_stay_that_ended_on_what_is_tomorrow_at_home_counts() -> None:
    member_id = staying.guest(home="HLLN")
    morning = datetime(2026, 3, 12, 22, tzinfo=UTC)  # 13 March, 6:00 in Shanghai
    stayed("A", day(-7), 10, now=morning)
    assert held(member_id) == ("silver", date(2027, 3, 12))


def test_the_29th_of_february_is_a_day_to_reach_a_tier(guest: int) -> None:
    stayed("A", date(2028, 2, 19), 10)
    assert held(guest) == ("silver", date(2029, 2, 28))


def test_a_calendar_year_ends_with_new_year(guest: int) -> None:
    rules(("window: rolling_12_months", "window: calendar_year"))
    stayed("A", date(2026, 12, 20), 9)
    stayed("B", date(2026, 12, 30), 3)
    assert held(guest) == ("classic", None), "nine nights of one year, three of the next"
    stayed("C", date(2027, 3, 1), 7)
    assert held(guest) == ("silver", date(2028, 12, 31))


@pytest.mark.parametrize("status", [MemberStatus.left, MemberStatus.merged, MemberStatus.erased])
def test_who_is_not_with_us_does_not_move(guest: int, silver: int, status: MemberStatus) -> None:
    with db.transaction() as session:
        gone = session.get_one(Member, silver)
        gone.status, gone.merged_into_id = status.value, guest if status is MemberStatus.merged else None
    late = at(SILVER_UNTIL + timedelta(days=100))
    with changing_nothing():
        assert settle(silver, late) is None
        with db.transaction() as session:
            assert tier_moves.due_for_review(session, late.date()) == []
    with pytest.raises(Conflict):
        by_hand(silver, "gold", date(2026, 12, 31))


def test_due_are_those_whose_period_has_ended(guest: int, silver: int) -> None:
    staying.guest("ZK900008", tier="gold")  # without an end
    other = staying.guest("ZK900007", tier="gold", tier_valid_until=SILVER_UNTIL - timedelta(days=1))
    with db.transaction() as session:
        for offset, due in ((-1, []), (0, [other]), (1, [silver, other])):
            today = SILVER_UNTIL + timedelta(days=offset)
            assert tier_moves.due_for_review(session, today) == due
    for member_id in (silver, other):
        settle(member_id, at(SILVER_UNTIL + timedelta(days=100)))
    with db.transaction() as session:
        assert tier_moves.due_for_review(session, SILVER_UNTIL + timedelta(days=100)) == []


def test_a_tier_the_programme_no_longer_has_is_judged_anew() -> None:
    member_id = staying.guest(tier="diamond", tier_valid_until=date(2027, 1, 1))
    stay_id = booked(arrival=day(-7), departure=day(3))
    charge(stay_id, day=day(0))
    done = check_out(stay_id)
    assert [posted.amount for posted in done.entries] == [1000], "as the first tier does"
    (move,) = moves(member_id)
    assert (move.was, move.became, move.reason) == ("diamond", "silver", "tier_gone")


# By hand.


def test_a_tier_given_by_hand_ends_on_its_day_and_leaves_nothing_behind(guest: int) -> None:
    until = date(2026, 6, 30)
    move = by_hand(guest, "platinum", until)
    assert (move.was, move.became, move.reason, move.valid_until) == ("classic", "platinum", "by_hand", until)
    assert (move.figures["why"], move.actor) == ("goodwill", "staff:wu")
    with changing_nothing():
        assert by_hand(guest, "platinum", until, why="another_reason").id == move.id
        assert settle(guest, at(until)) is None
    with db.transaction() as session:
        assert tier_moves.due_for_review(session, until + timedelta(days=1)) == [guest]
    ended = settle(guest, at(until + timedelta(days=1)))
    assert ended is not None
    assert (ended.reason, held(guest)) == ("hand_ended", ("classic", None)), "no grace, no steps"
    with changing_nothing():
        assert settle(guest, at(until + timedelta(days=2))) is None


def test_what_was_earned_counts_again_after_a_tier_by_hand(silver: int) -> None:
    until = date(2026, 3, 20)
    by_hand(silver, "gold", until)
    by_hand(silver, "platinum", until + timedelta(days=1))  # more of it, and still silver was earned
    by_hand(silver, "gold", until)
    move = settle(silver, at(until + timedelta(days=1)))
    assert move is not None
    assert (move.became, held(silver)) == ("silver", ("silver", SILVER_UNTIL))
    with db.transaction() as session:
        assert tier_moves.due_for_review(session, SILVER_UNTIL) == []


def test_an_earned_tier_that_ended_meanwhile_has_its_grace(silver: int) -> None:
    until = SILVER_UNTIL + timedelta(days=30)
    by_hand(silver, "gold", until)
    assert settle(silver, at(until + timedelta(days=1))) is not None
    assert held(silver) == ("silver", SILVER_UNTIL)
    assert settle(silver, at(SILVER_UNTIL + timedelta(days=60))) is None
    assert settle(silver, at(SILVER_UNTIL + timedelta(days=61))) is not None
    assert held(silver) == ("classic", None)


def test_what_is_earned_under_a_tier_by_hand_is_not_lost(guest: int) -> None:
    by_hand(guest, "gold", date(2026, 6, 30))
    stayed("A", date(2026, 4, 1), 10)
    assert held(guest) == ("gold", date(2026, 6, 30))
    assert settle(guest, at(date(2026, 7, 1))) is not None
    assert held(guest) == ("silver", date(2027, 7, 1))


def test_a_higher_tier_than_that_by_hand_is_reached_at_once(guest: int) -> None:
    by_hand(guest, "silver", date(2026, 6, 30))
    stayed("A", date(2026, 4, 1), 25)
    assert held(guest) == ("gold", date(2027, 4, 26))
    assert settle(guest, at(date(2026, 7, 1))) is None, "the one by hand is forgotten"


def test_a_lower_tier_by_hand_takes_the_higher_one_away() -> None:
    gold = staying.guest(tier="gold", tier_valid_until=date(2027, 1, 1))
    by_hand(gold, "silver", date(2026, 6, 30))
    settle(gold, at(date(2026, 7, 1)))
    assert held(gold) == ("classic", None)
    by_hand(gold, "classic", None, now=at(date(2026, 7, 2)))
    with changing_nothing():
        assert settle(gold, at(date(2026, 7, 3))) is None


@pytest.mark.parametrize(
    ("tier", "until", "why", "error", "field"),
    [
        ("diamond", date(2026, 12, 31), "goodwill", Unknown, "tier"),
        ("gold", None, "goodwill", BadInput, "until"),
        ("gold", date(2026, 3, 13), "goodwill", BadInput, "until"),
        ("gold", date(2036, 3, 13), "goodwill", BadInput, "until"),
        ("classic", date(2026, 12, 31), "goodwill", BadInput, "until"),
        ("gold", date(2026, 12, 31), "Mr Wu asked for it", BadInput, "why"),
        ("gold", date(2026, 12, 31), "", BadInput, "why"),
    ],
)
def test_what_cannot_be_given_by_hand(
    guest: int, tier: str, until: date | None, why: str, error: type[BadInput], field: str
) -> None:
    with changing_nothing(), db.transaction() as session, pytest.raises(error) as refused:
        tier_moves.set_by_hand(session, guest, tier, until=until, why=why, actor="staff:wu", now=NOW)
    assert refused.value.field == field


def test_today_is_long_enough_for_a_tier_by_hand() -> None:
    member_id = staying.guest(home="HLLN")
    evening = datetime(2026, 3, 13, 23, 30, tzinfo=LONDON)  # already the 14th in Shanghai
    assert by_hand(member_id, "gold", date(2026, 3, 13), now=evening).became == "gold"


def test_nobody_who_is_not_there_moves(guest: int) -> None:
    with changing_nothing(), pytest.raises(Unknown):
        settle(404)
    with changing_nothing(), pytest.raises(Unknown):
        by_hand(404, "gold", date(2026, 12, 31))


def test_a_tier_by_hand_counts_at_the_next_checkout(guest: int) -> None:
    by_hand(guest, "platinum", date(2026, 6, 30))
    stay_id = booked()
    charge(stay_id)
    assert [posted.amount for posted in check_out(stay_id).entries] == [2000]


def test_two_processes_settle_the_same_members(rivals: Rivals, database: str) -> None:
    ended = date(2025, 12, 1)
    members = [staying.guest(f"ZK9100{n}", tier="gold", tier_valid_until=ended) for n in range(6)]
    a, b = rivals.race(staying.race_to_settle, database, members)
    assert all(ours != theirs for ours, theirs in zip(a, b, strict=True))
    for member_id in members:
        assert [move.became for move in moves(member_id)] == ["silver"]
