"""Checkout: what a folio earns, for whom, and on which departure."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from data import booking, checkout, db, earning, membership, referrals
from data.audit import AuditEntry
from data.members import Member, MemberStatus
from data.refusals import BadInput, Conflict, Unknown
from tests.data import staying
from tests.data.staying import (
    NOW,
    SHANGHAI,
    UTC,
    booked,
    changing_nothing,
    charge,
    check_out,
    day,
    entries,
    lots,
    measured,
    moves,
    refund,
    rules,
    spend,
    spendable,
    stayed,
    the,
)


@pytest.fixture(autouse=True)
def house(database: str) -> None:
    staying.open_hotels()


@pytest.fixture
def guest(house: None) -> int:
    """A member with no tier to speak of."""
    return staying.guest()


def test_the_whole_life_of_a_stay(guest: int) -> None:
    stay_id = booked(arrival=day(0), departure=day(3), now=NOW - timedelta(days=20))
    charge(stay_id, "deposit", 30_000, day=day(0), now=NOW - timedelta(days=20))
    with db.transaction() as session:
        booking.check_in(session, stay_id, actor="api:pms", now=NOW - timedelta(days=4))
    for number, (outlet, amount) in enumerate(
        [("room", 68_050), ("spa", 45_000), ("tax", 6_000), ("gift_shop", 1_999)], start=1
    ):
        charge(stay_id, str(number), amount, outlet=outlet, day=day(1))
    refund(stay_id, "2", 15_000, outlet="spa")
    assert entries(guest) == [], "nothing is earned before checkout"

    done = check_out(stay_id)
    assert not done.again
    assert (done.stay.status, done.stay.checked_out_at, done.stay.departure) == ("checked_out", NOW, day(3))
    # Deposit, room (680.50 rounded down), spa (300.00 left, x 1.5), no tax, an outlet that is not listed.
    assert [posted.amount for posted in done.entries] == [300, 680, 450, 19]
    earned = entries(guest)
    assert [entry.key for entry in earned] == [f"folio:SH-1:{line}" for line in ("deposit", "1", "2", "4")]
    for entry in earned:
        assert (entry.kind, entry.reason, entry.text_key) == ("earn", "stay", "utter_entry_stay")
        assert (entry.stay_id, entry.actor, entry.at) == (stay_id, "api:pms", NOW)
        assert earning.recomputed(entry.facts) == entry.amount
        assert (entry.facts["programme"], entry.facts["late"]) == (0, False)
    assert earned[2].facts["refunded_minor"] == 15_000
    assert earned[2].facts["base_minor"] == 30_000

    # Checked out on 13 March in Shanghai: three full days, then ripe; good through 13 March two years on.
    ripe = datetime(2026, 3, 17, tzinfo=SHANGHAI)
    end = datetime(2028, 3, 14, tzinfo=SHANGHAI)
    assert {(lot.available_at, lot.expires_at) for lot in lots(guest)} == {(ripe, end)}
    assert spendable(guest, ripe - timedelta(microseconds=1)) == 0
    assert spendable(guest, ripe) == 1449
    assert spendable(guest, end - timedelta(microseconds=1)) == 1449
    assert spendable(guest, end) == 0
    with db.reading() as session:
        deeds = session.scalars(select(AuditEntry.deed).order_by(AuditEntry.id)).all()
    assert deeds == [
        "stay.booked",
        "folio.charged",
        "stay.checked_in",
        *["folio.charged"] * 4,
        "folio.refunded",
        "stay.checked_out",
    ]


def test_a_second_checkout_gives_what_the_first_did(guest: int) -> None:
    stay_id = booked()
    charge(stay_id, "1")
    charge(stay_id, "2", outlet="tax")
    charge(stay_id, "3", 5_000)
    first = check_out(stay_id)
    charge(stay_id, "late", 7_000)  # at the same moment, and still none of the checkout's
    with changing_nothing():
        for departure in (None, day(3)):
            again = check_out(stay_id, now=NOW + timedelta(days=9), departure=departure)
            assert again.again
            assert [(one.entry_id, one.amount) for one in again.entries] == [
                (one.entry_id, one.amount) for one in first.entries
            ]
            assert again.stay.checked_out_at == NOW
    with changing_nothing(), pytest.raises(Conflict) as refused:
        check_out(stay_id, departure=day(2))
    assert refused.value.field == "departure"


@pytest.mark.parametrize(("actual", "nights"), [(1, 1), (3, 3), (4, 4)])
def test_a_guest_may_leave_early_or_late(guest: int, actual: int, nights: int) -> None:
    stay_id = booked()
    charge(stay_id)
    check_out(stay_id, departure=day(actual))
    assert the(stay_id).departure == day(actual)
    assert lots(guest)[0].available_at == datetime(2026, 3, 10 + actual + 4, tzinfo=SHANGHAI)
    measures = measured(guest)
    assert measures.nights == nights


@pytest.mark.parametrize(
    ("departure", "problem"),
    [
        (day(0), "not after the arrival"),
        (day(-1), "not after the arrival"),
        (day(5), "still to come"),
        (datetime(2026, 3, 12, tzinfo=UTC), "time of day"),
    ],
)
def test_a_departure_that_cannot_be(guest: int, departure: date, problem: str) -> None:
    stay_id = booked()
    charge(stay_id)
    with changing_nothing(), db.transaction() as session, pytest.raises(BadInput, match=problem) as refused:
        checkout.check_out(session, stay_id, departure=departure, actor="api:pms", now=NOW)
    assert refused.value.field == "departure"


def test_nobody_leaves_before_the_booked_day_without_saying_so(guest: int) -> None:
    stay_id = booked(departure=day(9))
    with changing_nothing(), pytest.raises(BadInput, match="still to come"):
        check_out(stay_id)
    assert check_out(stay_id, departure=day(4)).stay.departure == day(4)


def test_today_is_the_hotels_own(guest: int) -> None:
    evening = datetime(2026, 3, 13, 16, 30, tzinfo=UTC)  # the 14th in Shanghai, the 13th in London
    in_london = booked(hotel="HLLN", departure=day(4))
    with pytest.raises(BadInput, match="it is 2026-03-13"):
        check_out(in_london, now=evening)
    staying.guest("ZK900002")
    in_shanghai = booked(confirmation="B", member="ZK900002", departure=day(4))
    assert check_out(in_shanghai, now=evening).stay.departure == day(4)


def test_a_longer_stay_does_not_run_into_the_next(guest: int) -> None:
    stay_id = booked(departure=day(2))
    booked(confirmation="B", hotel="HLLN", arrival=day(3), departure=day(9))
    with changing_nothing(), pytest.raises(Conflict, match="stay B"):
        check_out(stay_id, departure=day(4))
    assert check_out(stay_id, departure=day(3)).stay.departure == day(3)


def test_only_a_stay_that_is_there_is_checked_out(guest: int) -> None:
    with changing_nothing(), pytest.raises(Unknown):
        check_out(404)


def leave(member_id: int) -> None:
    with db.transaction() as session:
        membership.leave(session, member_id, via="desk", actor="staff:wu", now=NOW)


def test_who_has_left_earns_nothing_and_owes_nothing(guest: int) -> None:
    rules(("claw_back: clamp", "claw_back: owe"))
    stayed("A", day(-9), 1, lines=[("room", 100_000)])
    stay_id = booked()
    charge(stay_id)
    leave(guest)
    assert check_out(stay_id).entries == ()
    assert charge(stay_id, "late", 5_000).entry is None
    assert len(entries(guest)) == 1
    assert moves(guest) == []
    spend(guest, 1000, NOW)
    with db.reading() as session:
        first = booking.stay_by_confirmation(session, "A").id
    assert refund(first, "1", 100_000, day=day(0)).entry is None
    assert spendable(guest) == 0


def test_points_go_to_who_lives_on(guest: int) -> None:
    keep = staying.guest("ZK900002", tier="gold", tier_valid_until=date(2027, 1, 1))
    stay_id = booked()
    charge(stay_id)
    with db.transaction() as session:
        gone = session.get_one(Member, guest)
        gone.status, gone.merged_into_id = MemberStatus.merged.value, keep
    check_out(stay_id)
    assert entries(guest) == []
    assert [entry.amount for entry in entries(keep)] == [1500]


def test_both_sides_of_a_referral_are_thanked_at_the_friends_first_checkout(guest: int) -> None:
    friend = staying.guest("ZK900002")
    with db.transaction() as session:
        code = referrals.code_of(session, guest)
        referrals.refer(session, friend, code, actor="guest", now=NOW)
    stayed("A", day(0), 1, member="ZK900002", lines=[("room", 100_000)])
    stayed("B", day(2), 1, member="ZK900002")
    assert [(entry.kind, entry.amount) for entry in entries(guest)] == [("gift", 1000)]
    assert [(entry.kind, entry.amount) for entry in entries(friend)] == [("earn", 1000), ("gift", 500)]
