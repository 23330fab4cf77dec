"""Reversals and claw-backs: the very lots, their ends, courtesy, and what is owed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from data import corrections, db, expiry, holds, ledger, ledger_check, merged_points, points
from data.ledger import Cause, Posted, Terms
from data.ledger_rows import Kind
from data.points import Standing
from data.refusals import BadInput, Unknown
from tests.conftest import NOW
from tests.data.conftest import everything, new_member

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Purse:
    """One member's deeds, each in a transaction of its own, `at` a time that the test moves."""

    def __init__(self, member_id: int) -> None:
        self.member_id = member_id
        self.at = NOW
        self.deeds = 0

    def cause(self, kind: Kind, key: str | None = None) -> Cause:
        self.deeds += 1
        return Cause(kind, "test", key or f"{self.member_id}:{self.deeds}", "test")

    def credit(self, amount: int, *, ripe: timedelta = timedelta(), ends: timedelta | None = None) -> Posted:
        terms = Terms(self.at + ripe, None if ends is None else self.at + ends)
        with db.transaction() as session:
            return ledger.credit(
                session, self.member_id, amount, cause=self.cause(Kind.earn), now=self.at, terms=terms
            )

    def debit(self, amount: int, kind: Kind = Kind.redeem) -> Posted:
        with db.transaction() as session:
            return ledger.debit(session, self.member_id, amount, cause=self.cause(kind), now=self.at)

    def reverse(self, entry: Posted, *, courtesy: timedelta = timedelta(), key: str | None = None) -> Posted:
        with db.transaction() as session:
            cause = self.cause(Kind.reverse, key)
            return corrections.reverse(session, entry.entry_id, cause=cause, now=self.at, courtesy=courtesy)

    def claw_back(self, entry: Posted, amount: int, *, owe: bool, key: str | None = None) -> Posted | None:
        with db.transaction() as session:
            cause = self.cause(Kind.reverse, key)
            return corrections.claw_back(session, entry.entry_id, amount, cause=cause, now=self.at, owe=owe)

    def expire(self) -> list[Posted]:
        with db.transaction() as session:
            return expiry.expire(session, self.member_id, now=self.at)

    def hold(self, amount: int, lasts: timedelta = HOUR) -> int:
        self.deeds += 1
        with db.transaction() as session:
            return holds.hold(
                session, self.member_id, amount, reason="test", key=f"h{self.deeds}", actor="test", now=self.at,
                lasts=lasts,
            ).id  # fmt: skip

    @property
    def standing(self) -> Standing:
        with db.reading() as session:
            told = points.standing(session, self.member_id, now=self.at)
            assert told.spendable == points.balance(session, self.member_id, now=self.at)
            return told

    @property
    def lots(self) -> dict[int, int]:
        return {lot.number: lot.points for lot in self.standing.usable}


@pytest.fixture
def purse(member_id: int) -> Purse:
    return Purse(member_id)


@pytest.fixture(autouse=True)
def sound(database: str) -> object:
    """Whatever a test does, the ledger is sound afterwards."""
    yield
    assert ledger_check.verify(db.engine(), now=NOW + 1000 * DAY).faults == ()


def ends(standing: Standing) -> list[datetime | None]:
    return [lot.expires_at for lot in standing.usable]


def test_a_reversal_is_as_if_nothing_had_happened(purse: Purse) -> None:
    for number in (3, 1, 2):
        purse.credit(100, ends=number * DAY)
    before = purse.standing
    spent = purse.debit(250)
    assert purse.lots == {1: 50}
    assert purse.reverse(spent).amount == 250
    assert purse.standing == before


def test_a_reversal_happens_once(purse: Purse) -> None:
    purse.credit(100)
    spent = purse.debit(40)
    first = purse.reverse(spent, key="cancelled")
    assert purse.reverse(spent, key="cancelled").again
    with pytest.raises(BadInput, match="reversed already"):
        purse.reverse(spent, key="cancelled again")
    with pytest.raises(BadInput, match="took no points"):
        purse.reverse(first)
    assert purse.standing.spendable == 100


def test_only_what_was_taken_for_a_guest_is_reversed(purse: Purse) -> None:
    earned = purse.credit(100, ends=DAY)
    with pytest.raises(BadInput, match="took no points"):
        purse.reverse(earned)
    purse.at += DAY
    (ended,) = purse.expire()
    with pytest.raises(BadInput, match="took no points"):
        purse.reverse(ended)
    with pytest.raises(Unknown, match="no entry 4711"), db.transaction() as session:
        corrections.reverse(session, 4711, cause=purse.cause(Kind.reverse), now=NOW)


@pytest.mark.parametrize(("late", "kept"), [(timedelta(0), 60), (-timedelta(microseconds=1), 100)])
def test_a_lot_that_ended_meanwhile_comes_back_ended(purse: Purse, late: timedelta, kept: int) -> None:
    """At its very end a lot is gone; the microsecond before, it is not."""
    purse.credit(40, ends=DAY)
    purse.credit(60, ends=9 * DAY)
    spent = purse.debit(100)
    purse.at += DAY + late
    purse.reverse(spent)
    assert purse.standing.spendable == kept
    purse.expire()
    assert purse.standing.spendable == kept


def test_courtesy_gives_a_new_lot_for_what_ended(purse: Purse) -> None:
    purse.credit(40, ends=DAY)
    purse.credit(60, ends=9 * DAY)
    spent = purse.debit(90)
    purse.at += DAY
    purse.reverse(spent, courtesy=30 * DAY)
    assert purse.lots == {2: 60, 4: 40}
    assert ends(purse.standing) == [NOW + 9 * DAY, purse.at + 30 * DAY]


def test_a_lot_can_end_again_after_a_reversal(purse: Purse) -> None:
    purse.credit(100, ends=DAY)
    spent = purse.debit(30)
    purse.at += DAY
    assert [entry.amount for entry in purse.expire()] == [-70]
    purse.reverse(spent)
    assert [entry.amount for entry in purse.expire()] == [-30]
    assert purse.expire() == []


def test_a_claw_back_takes_the_credits_own_lot_first(purse: Purse) -> None:
    purse.credit(100, ends=DAY)
    earned = purse.credit(100, ends=9 * DAY)
    purse.claw_back(earned, 30, owe=False)
    assert purse.lots == {1: 100, 2: 70}


def test_a_claw_back_of_pending_points_costs_nothing(purse: Purse) -> None:
    earned = purse.credit(100, ripe=3 * DAY)
    purse.claw_back(earned, 100, owe=False)
    assert (purse.standing.pending, purse.standing.spendable) == ((), 0)


def test_never_more_is_clawed_back_than_was_given(purse: Purse) -> None:
    purse.credit(500)
    earned = purse.credit(100)
    taken = [purse.claw_back(earned, 40, owe=True) for _ in range(4)]
    assert [entry.amount if entry else 0 for entry in taken] == [-40, -40, -20, 0]
    assert purse.standing.spendable == 500


def test_a_claw_back_happens_once(purse: Purse) -> None:
    earned = purse.credit(100)
    assert purse.claw_back(earned, 40, owe=True, key="refund:1") is not None
    again = purse.claw_back(earned, 40, owe=True, key="refund:1")
    assert again is not None
    assert again.again
    with pytest.raises(BadInput, match="key"):
        purse.claw_back(earned, 41, owe=True, key="refund:1")
    assert purse.standing.spendable == 60


def test_clamped_to_what_is_left(purse: Purse) -> None:
    earned = purse.credit(100)
    purse.debit(80)
    clawed = purse.claw_back(earned, 100, owe=False)
    assert clawed is not None
    assert clawed.amount == -20
    assert purse.claw_back(earned, 10, owe=False) is None
    assert purse.standing.spendable == 0


def test_what_is_owed_is_paid_by_the_next_credits(purse: Purse) -> None:
    earned = purse.credit(100)
    purse.debit(80)
    purse.claw_back(earned, 100, owe=True)
    assert (purse.standing.spendable, purse.standing.owed) == (-80, 80)
    purse.credit(50)
    assert (purse.standing.spendable, purse.standing.owed) == (-30, 30)
    purse.credit(50)
    assert (purse.standing.spendable, purse.standing.owed) == (20, 0)
    assert purse.lots == {5: 20}


def test_debts_come_before_spending_when_points_ripen(purse: Purse) -> None:
    """30 are owed, 100 ripen: 70 can be spent, and spending them pays the debt from the earliest points."""
    earned = purse.credit(100)
    purse.debit(100)
    purse.credit(60, ripe=DAY, ends=9 * DAY)
    purse.credit(40, ripe=DAY, ends=5 * DAY)
    purse.claw_back(earned, 30, owe=True)
    assert purse.standing.spendable == -30
    purse.at += DAY
    assert purse.standing.spendable == 70
    with pytest.raises(ledger.NotEnoughPoints):
        purse.debit(71)
    purse.debit(20)
    assert (purse.lots, purse.standing.owed) == ({3: 50}, 0)


def test_clamping_leaves_what_is_owed_to_be_paid(purse: Purse) -> None:
    """Of 50 points 30 are owed already: clamped means that 20 go, not that the balance goes below zero."""
    first = purse.credit(30)
    purse.debit(30)
    second = purse.credit(50, ripe=DAY)
    purse.claw_back(first, 30, owe=True)
    purse.at += DAY
    clawed = purse.claw_back(second, 50, owe=False)
    assert clawed is not None
    assert clawed.amount == -20
    assert (purse.standing.spendable, purse.standing.owed) == (0, 0)


def test_what_is_on_hold_is_not_clawed_back(purse: Purse) -> None:
    earned = purse.credit(100)
    held = purse.hold(70)
    purse.claw_back(earned, 100, owe=True)
    assert (purse.standing.spendable, purse.standing.held, purse.standing.owed) == (-70, 70, 70)
    with db.transaction() as session:
        holds.capture(session, held, cause=purse.cause(Kind.redeem), now=purse.at)
    assert (purse.standing.spendable, purse.standing.owed) == (-70, 70)


def test_a_hold_keeps_points_beyond_their_end(purse: Purse) -> None:
    purse.credit(100, ends=HOUR / 2)
    held = purse.hold(60, HOUR)
    purse.at += HOUR / 2
    assert purse.expire() == []
    assert (purse.standing.spendable, purse.standing.held) == (0, 60)
    with db.transaction() as session:
        holds.capture(session, held, cause=purse.cause(Kind.redeem), now=purse.at, amount=50)
    assert [entry.amount for entry in purse.expire()] == [-50]


def test_a_lapsed_hold_frees_at_its_deadline(purse: Purse) -> None:
    purse.credit(100)
    held = purse.hold(60, HOUR)
    purse.at += HOUR - timedelta(microseconds=1)
    assert purse.standing.spendable == 40
    purse.at += timedelta(microseconds=1)
    assert purse.standing.spendable == 100
    before = everything()
    with pytest.raises(holds.HoldOver), db.transaction() as session:
        holds.capture(session, held, cause=purse.cause(Kind.redeem), now=purse.at)
    assert everything() == before
    with db.transaction() as session:
        assert holds.lapse_due(session, now=purse.at) == 1
        assert holds.lapse_due(session, now=purse.at) == 0
        assert not holds.release(session, held, now=purse.at)
    purse.debit(100)


def test_more_than_is_held_cannot_be_captured(purse: Purse) -> None:
    purse.credit(100)
    held = purse.hold(60)
    with pytest.raises(BadInput, match="61 are more than the 60 on hold"), db.transaction() as session:
        holds.capture(session, held, cause=purse.cause(Kind.redeem), now=purse.at, amount=61)


@pytest.mark.parametrize("counts", [("redeem", "test"), ("earn",)])
def test_activity_by_kind_or_reason_keeps_points(purse: Purse, counts: tuple[str, ...]) -> None:
    purse.credit(100)
    purse.at += 600 * DAY
    assert inactive(purse, since=NOW - DAY, counts=counts) == []


def test_a_merge_is_activity(purse: Purse) -> None:
    """What the guest did under the membership that was merged into this one stands in that one's ledger."""
    gone = Purse(new_member("ZK900002"))
    gone.credit(100)
    purse.at = gone.at = NOW + 500 * DAY
    with db.transaction() as session:
        merged_points.carry_over(session, gone.member_id, purse.member_id, actor="desk", now=purse.at)
    purse.at += 300 * DAY
    assert inactive(purse, since=NOW + 400 * DAY, counts=("stay",)) == []
    assert inactive(purse, since=NOW + 600 * DAY, counts=("stay",)) == [-100]


def test_inactivity_ends_everything_at_once(purse: Purse) -> None:
    purse.credit(100)
    purse.credit(50, ends=900 * DAY)
    purse.hold(10)
    purse.at += 600 * DAY
    assert inactive(purse, since=NOW, counts=("earn",)) == [-50, -100]
    assert inactive(purse, since=NOW, counts=("earn",)) == []


def inactive(purse: Purse, *, since: datetime, counts: tuple[str, ...]) -> list[int]:
    with db.transaction() as session:
        closed = expiry.expire_inactive(session, purse.member_id, since=since, counts=counts, now=purse.at)
    return [entry.amount for entry in closed]


def test_who_is_due_for_inactivity(purse: Purse) -> None:
    purse.credit(100)
    later = purse.at + 600 * DAY
    with db.reading() as session:
        for since, counts, due in (
            (purse.at, ("earn",), [purse.member_id]),
            (purse.at - DAY, ("earn",), []),  # active since then
            (purse.at, ("stay",), [purse.member_id]),
        ):
            assert expiry.due_inactive(session, since=since, counts=counts, now=later) == due


def test_who_is_due_for_expiry(purse: Purse) -> None:
    purse.credit(100, ends=DAY)
    with db.reading() as session:
        assert expiry.due(session, now=NOW + DAY - timedelta(microseconds=1)) == []
        assert expiry.due(session, now=NOW + DAY) == [purse.member_id]
    purse.at += DAY
    purse.expire()
    with db.reading() as session:
        assert expiry.due(session, now=NOW + 9 * DAY) == []
