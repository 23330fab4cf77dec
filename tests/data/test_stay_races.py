"""A property system that calls twice at once, and one whose power fails."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from data import booking, db, referrals
from tests.data import staying
from tests.data.rivals import Rivals
from tests.data.staying import (
    NOW,
    booked,
    charge,
    check_out,
    day,
    entries,
    everything,
    new_line,
    refund,
    rules,
    spend,
    stayed,
)


@pytest.fixture(autouse=True)
def house(database: str) -> None:
    staying.open_hotels()


@pytest.fixture
def guest(house: None) -> int:
    """A member with no tier to speak of."""
    return staying.guest()


def test_two_processes_check_out_the_same_stays(rivals: Rivals, database: str, guest: int) -> None:
    stay_ids = []
    for number in range(4):
        start = day(-30 + 3 * number)
        stay_ids.append(booked(confirmation=f"S{number}", arrival=start, departure=start + timedelta(days=2)))
        charge(stay_ids[-1], "1", day=start)
        charge(stay_ids[-1], "2", 5_000, day=start)
    a, b = rivals.race(staying.race_to_check_out, database, stay_ids)
    for ours, theirs in zip(a, b, strict=True):
        assert {ours.again, theirs.again} == {True, False}
        assert [one.entry_id for one in ours.entries] == [one.entry_id for one in theirs.entries]
    assert [entry.seq for entry in entries(guest)] == list(range(1, len(entries(guest)) + 1))
    assert len({entry.key for entry in entries(guest)}) == len(entries(guest)) == 8


def test_two_processes_charge_the_same_line(rivals: Rivals, database: str, guest: int) -> None:
    stay_ids = [stayed(f"S{number}", day(-30 + 3 * number), 1) for number in range(4)]
    for number, stay_id in enumerate(stay_ids):
        line = new_line(day=day(-30 + 3 * number))
        done = rivals.race(staying.race_to_charge, database, [stay_id], dict.fromkeys("ab", line))
        assert sorted(done) == [["again"], ["charged"]]
    assert [entry.amount for entry in entries(guest)] == [1000] * 4


def test_a_line_that_comes_while_the_guest_checks_out_earns_once(
    rivals: Rivals, database: str, guest: int
) -> None:
    for number in range(4):
        start = day(-30 + 3 * number)
        stay_id = booked(confirmation=f"S{number}", arrival=start, departure=start + timedelta(days=2))
        charged, done = rivals.race(staying.race_to_charge, database, [stay_id], {"a": new_line(day=start)})
        assert charged == ["charged"]
        assert done in (["checked out, 0 earned"], ["checked out, 1 earned"])
        (entry,) = [each for each in entries(guest) if each.stay_id == stay_id]
        assert entry.facts["late"] == (done == ["checked out, 0 earned"])


def test_two_refunds_at_once_do_not_refund_more_than_was_charged(
    rivals: Rivals, database: str, guest: int
) -> None:
    for number in range(4):
        start = day(-30 + 3 * number)
        stay_id = stayed(f"S{number}", start, 2, lines=[("room", 100_000)])
        lines = {who: new_line(who, -60_000, refunds="1", day=start) for who in "ab"}
        done = rivals.race(staying.race_to_charge, database, [stay_id], lines)
        assert sorted(done) == [["BadInput amount_minor"], ["charged"]]
    assert sum(entry.amount for entry in entries(guest)) == 4 * 400


def test_two_stays_that_are_changed_at_once_do_not_meet(rivals: Rivals, database: str, guest: int) -> None:
    for number in range(6):
        start = day(20 * number)
        one = booked(confirmation=f"A{number}", arrival=start, departure=start + timedelta(days=3))
        two = booked(
            confirmation=f"B{number}",
            arrival=start + timedelta(days=6),
            departure=start + timedelta(days=9),
        )
        wanted = {
            "a": (one, booking.StayChanges(departure=start + timedelta(days=5))),
            "b": (two, booking.StayChanges(arrival=start + timedelta(days=4))),
        }
        done = rivals.race(staying.race_to_change, database, wanted)
        assert sorted(done) == ["Conflict arrival", "changed"]


class PowerCut(BaseException):
    """The process died here; nothing of ours may catch it."""


def killed_at(write: int, deed: Callable[[], object]) -> bool:
    """Do a deed, killed after that many writes; whether it came so far."""
    writes = itertools.count(1)

    def cut(_c: Any, _cursor: Any, statement: str, *_given: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "BEGIN")) and next(writes) == write:
            raise PowerCut

    event.listen(db.engine(), "after_cursor_execute", cut)
    try:
        deed()
    except PowerCut:
        return True
    finally:
        event.remove(db.engine(), "after_cursor_execute", cut)
    return False


def a_checkout() -> tuple[Callable[[], object], int]:
    """With two lines, a refund, a promotion and a referral."""
    referrer, friend = staying.guest("ZK900002"), staying.guest()
    with db.transaction() as session:
        code = referrals.code_of(session, referrer)
        referrals.refer(session, friend, code, actor="guest", now=NOW)
    stay_id = booked(arrival=day(-10), departure=day(3))
    charge(stay_id, "1")
    charge(stay_id, "2", 50_000)
    refund(stay_id, "2", 10_000)
    return lambda: check_out(stay_id, departure=day(4)), 18


def a_late_line() -> tuple[Callable[[], object], int]:
    staying.guest()
    stay_id = stayed("S", day(-10), 13, now=NOW)
    return lambda: charge(stay_id, "late", day=day(0)), 6


def a_late_refund() -> tuple[Callable[[], object], int]:
    member_id = staying.guest()
    rules(("claw_back: clamp", "claw_back: owe"))
    stay_id = stayed("S", day(-10), 5, lines=[("room", 100_000)])
    spend(member_id, 500, NOW)
    return lambda: refund(stay_id, "1", 100_000, line="R"), 8


def a_booking() -> tuple[Callable[[], object], int]:
    staying.guest()
    return lambda: staying.book(), 2


def a_change() -> tuple[Callable[[], object], int]:
    staying.guest()
    stay_id = booked()

    def change() -> None:
        with db.transaction() as session:
            changes = booking.StayChanges(departure=day(6), adults=2)
            booking.change_stay(session, stay_id, changes, actor="desk", now=NOW)

    return change, 2


@pytest.mark.parametrize("what", [a_checkout, a_late_line, a_late_refund, a_booking, a_change])
def test_a_power_cut_between_any_two_writes_leaves_everything_as_it_was(
    what: Callable[[], tuple[Callable[[], object], int]],
) -> None:
    deed, least = what()
    before = everything()
    cuts = 0
    while killed_at(cuts + 1, deed):
        cuts += 1
        assert everything() == before
    assert cuts >= least, "the deed writes more than once, or there would be nothing to interrupt"
    after = everything()
    assert after != before
    deed()
    assert everything() == after, "and once it is done, doing it again changes nothing"
