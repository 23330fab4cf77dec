"""What comes after checkout: late lines earn, refunds take their share back."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from data import db, identifiers, merging, tier_moves
from data.identifiers import IdentifierKind
from data.ledger_rows import PointAccount
from data.members import Member
from data.merge_proof import DocumentSeen
from tests.data import staying
from tests.data.staying import (
    NOW,
    RIPE,
    SHANGHAI,
    booked,
    changing_nothing,
    charge,
    check_out,
    day,
    entries,
    lots,
    moves,
    refund,
    rules,
    spend,
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


def test_a_late_line_earns_at_once_by_the_rules_of_the_checkout(guest: int) -> None:
    silver = staying.guest("ZK900002", tier="silver", tier_valid_until=date(2027, 1, 1))
    stay_id = booked(member="ZK900002")
    check_out(stay_id)
    rules(("CNY: 1,", "CNY: 10,"), ("ripens_days: 3 ", "ripens_days: 30 "), since=NOW + timedelta(days=1))
    with db.transaction() as session:
        tier_moves.set_by_hand(
            session,
            silver,
            "platinum",
            until=date(2026, 12, 31),
            why="goodwill",
            actor="desk",
            now=NOW + timedelta(days=1),
        )
    late = charge(stay_id, "minibar", 10_000, outlet="minibar", day=day(4), now=NOW + timedelta(days=2))
    assert late.entry is not None
    assert (late.entry.amount, late.entry.again) == (125, False)
    (entry,) = entries(silver)
    assert (entry.facts["tier"], entry.facts["programme"], entry.facts["late"]) == ("silver", 0, True)
    assert lots(silver)[0].available_at == datetime(2026, 3, 17, tzinfo=SHANGHAI)
    with changing_nothing():
        again = charge(stay_id, "minibar", 10_000, outlet="minibar", day=day(4), now=NOW + timedelta(days=3))
        assert again.entry is not None
        assert (again.again, again.entry.again, again.entry.entry_id) == (True, True, entry.id)


def test_a_late_line_of_a_stay_that_promoted_its_guest_earns_as_the_stay_did(guest: int) -> None:
    stay_id = booked(arrival=day(-6), departure=day(4))  # ten nights: silver
    charge(stay_id, "1", 10_000, day=day(0))
    check_out(stay_id)
    assert staying.member(guest).tier == "silver"
    charge(stay_id, "2", 10_000, day=day(0), now=NOW)
    charge(stay_id, "3", 10_000, day=day(0), now=NOW + timedelta(days=1))
    assert [entry.amount for entry in entries(guest)] == [100, 100, 100]
    next_stay = booked(confirmation="B", hotel="HLLN", arrival=day(4), departure=day(5))
    charge(next_stay, "1", 10_000, day=day(4))
    check_out(next_stay, now=NOW + timedelta(days=2))
    assert entries(guest)[-1].amount == 125


def test_a_late_line_can_promote(guest: int) -> None:
    rules(("reach: [{nights: 10}, {stays: 5, spend: 8000}]", "reach: [{nights: 10}, {spend: 900}]"))
    stay_id = stayed("A", day(0), 1)
    assert staying.member(guest).tier == "classic"
    charge(stay_id, "late", 90_000, now=NOW)
    assert staying.member(guest).tier == "silver"
    assert [move.figures["cause"] for move in moves(guest)] == ["stay:A"]


def test_refunds_after_checkout_take_their_share_before_the_points_ripen(guest: int) -> None:
    stay_id = booked()
    charge(stay_id)
    charge(stay_id, "2", 30_000)
    check_out(stay_id)
    back = refund(stay_id, "1", 25_000, line="R")
    assert back.entry is not None
    assert (back.entry.amount, back.entry.balance_after) == (-250, 1050)
    entry = entries(guest)[-1]
    assert (entry.kind, entry.reason, entry.key) == ("reverse", "refund", "folio:SH-1:R")
    assert (entry.stay_id, entry.reverses_id) == (stay_id, entries(guest)[0].id)
    assert entry.facts["refunds"] == "1"
    assert [lot.remaining for lot in lots(guest)] == [750, 300], "of its own lot"
    with changing_nothing():
        again = charge(stay_id, "R", -25_000, refunds="1", day=day(3))
    assert (again.again, again.entry is not None and again.entry.amount) == (True, -250)


def test_a_refund_of_what_earned_nothing_takes_nothing(guest: int) -> None:
    stay_id = booked()
    charge(stay_id, outlet="tax")
    check_out(stay_id)
    assert refund(stay_id, "1", 100_000, outlet="tax").entry is None
    assert entries(guest) == []


@pytest.mark.parametrize(
    ("policy", "taken", "left", "owed"), [("clamp", -200, 0, 0), ("owe", -1000, -800, 800)]
)
def test_a_refund_of_points_that_are_spent(guest: int, policy: str, taken: int, left: int, owed: int) -> None:
    rules(("claw_back: clamp", f"claw_back: {policy}"))
    stay_id = booked()
    charge(stay_id)
    check_out(stay_id)
    spend(guest, 800, RIPE)
    back = refund(stay_id, "1", 100_000, now=RIPE)
    assert back.entry is not None
    assert (back.entry.amount, spendable(guest, RIPE)) == (taken, left)
    with db.reading() as session:
        assert session.get_one(PointAccount, guest).owed == owed
    # The next points pay the debt, once they are ripe; without one they are free.
    stayed("B", day(4), 1, lines=[("room", 90_000)], now=RIPE)
    assert spendable(guest, RIPE + timedelta(days=4)) == left + 900


@pytest.mark.parametrize("policy", ["clamp", "owe"])
def test_spent_points_are_taken_from_the_others_first(guest: int, policy: str) -> None:
    rules(("claw_back: clamp", f"claw_back: {policy}"))
    stay_id = booked()
    charge(stay_id, "1")
    charge(stay_id, "2", 40_000)
    check_out(stay_id)
    spend(guest, 1000, RIPE)
    back = refund(stay_id, "1", 100_000, now=RIPE)
    assert back.entry is not None
    assert back.entry.amount == (-400 if policy == "clamp" else -1000)


def test_the_policy_is_that_of_the_checkout(guest: int) -> None:
    stay_id = booked()
    charge(stay_id)
    check_out(stay_id)
    rules(("claw_back: clamp", "claw_back: owe"), since=NOW + timedelta(hours=1))
    spend(guest, 1000, RIPE)
    assert refund(stay_id, "1", 100_000, now=RIPE).entry is None
    assert spendable(guest, RIPE) == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    charged=st.integers(1, 5_000),
    before=st.lists(st.integers(1, 2_000), max_size=2),
    after=st.lists(st.integers(1, 2_000), max_size=5),
    rounding=st.sampled_from(["down", "half_up", "up"]),
)
def test_refunds_never_take_more_than_was_earned_and_a_full_one_takes_all(
    charged: int, before: list[int], after: list[int], rounding: str
) -> None:
    with db.reading() as session:
        number = len(session.scalars(select(Member.id)).all())
    rules(("rounding: down", f"rounding: {rounding}"))
    member_id = staying.guest(f"ZK8{number}")
    stay_id = booked(confirmation=f"S{number}", member=f"ZK8{number}")
    charge(stay_id, "1", charged)
    left = charged
    for part in before:
        part = min(part, left)
        if part:
            refund(stay_id, "1", part)
            left -= part
    earned = sum(posted.amount for posted in check_out(stay_id).entries)
    net, gone = left, 0
    for part in [*after, left]:
        part = min(part, left)
        if not part:
            continue
        refund(stay_id, "1", part)
        left -= part
        gone += part
        balance = sum(entry.amount for entry in entries(member_id))
        assert balance == earned - earned * gone // net
    assert left == 0
    assert sum(entry.amount for entry in entries(member_id)) == 0


@pytest.mark.parametrize(("policy", "left"), [("clamp", 0), ("owe", -600)])
def test_a_refund_after_a_merge_takes_back_from_who_lives_on(guest: int, policy: str, left: int) -> None:
    rules(("claw_back: clamp", f"claw_back: {policy}"))
    about = {"birthday": "1990-02-28", "name": "沈知微"}
    with db.transaction() as session:
        for name, value in about.items():
            setattr(session.get_one(Member, guest), name, value)
        identifiers.add(session, guest, IdentifierKind.document, "E12345678", source="desk", now=NOW)
    keep = staying.guest("ZK900002", **about)
    stay_id = booked()
    charge(stay_id)
    check_out(stay_id)
    spend(guest, 600, RIPE)
    with db.transaction() as session:
        proof = DocumentSeen(numbers=("E12345678",), birthday="1990-02-28")
        merging.merge(session, keep_id=keep, gone_id=guest, proof=proof, actor="staff:wu", now=RIPE)
    assert (spendable(guest, RIPE), spendable(keep, RIPE)) == (0, 400)
    half = refund(stay_id, "1", 30_000, now=RIPE)
    assert half.entry is not None
    assert (half.entry.member_id, half.entry.amount) == (keep, -300)
    refund(stay_id, "1", 70_000, now=RIPE)
    assert spendable(keep, RIPE) == left
    late = charge(stay_id, "late", 20_000, now=RIPE)
    assert late.entry is not None
    assert (late.entry.member_id, late.entry.amount) == (keep, 200)
    assert check_out(stay_id).again
