"""The ledger against a model in plain Python: whatever guests, desks and sweepers do in whatever order."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from data import corrections, db, expiry, holds, ledger, ledger_check, points
from data.holds import HoldOver
from data.ledger import Cause, KeyUsedOtherwise, NotEnoughPoints, Posted, Terms
from data.ledger_rows import Kind
from tests.conftest import NOW
from tests.data.conftest import everything, new_member
from tests.data.ledger_model import Book

NEVER = 10**6  # hours: beyond every step a test takes
COURTESY = 5

AMOUNTS = st.integers(1, 50)
HOURS = st.integers(0, 12)
numbers = itertools.count(1)


class Ledger(RuleBasedStateMachine):
    """Each rule does one deed to the model and to the database, and both must agree on every lot."""

    latest = NOW

    @initialize()
    def begin(self) -> None:
        self.name = f"ZM{next(numbers)}"
        self.member = new_member(self.name)
        self.book = Book()
        self.credits: list[tuple[Posted, list[int]]] = []  # with what has been clawed back of it
        self.debits: list[tuple[Posted, dict[int, int]]] = []
        self.holds: list[tuple[int, int, int, dict[int, int], dict[str, str]]] = []
        self.keys = itertools.count(1)

    @property
    def now(self) -> datetime:
        return NOW + timedelta(hours=self.book.now)

    def hour(self, hours: int) -> datetime:
        return NOW + timedelta(hours=hours)

    def cause(self, kind: Kind, **more: Any) -> Cause:
        return Cause(kind, "test", f"{self.name}:{next(self.keys)}", "test", **more)

    @rule(hours=st.integers(1, 8))
    def time_passes(self, hours: int) -> None:
        self.book.now += hours
        for held in self.holds:
            self.lapse(held)

    def lapse(self, held: tuple[int, int, int, dict[int, int], dict[str, str]]) -> None:
        _, _, deadline, lots, state = held
        if state["is"] == "active" and deadline <= self.book.now:
            state["is"] = "lapsed"
            for lot, part in lots.items():
                self.book.lots[lot].held -= part

    @rule(amount=AMOUNTS, ripens=HOURS, lives=st.none() | st.integers(1, 20))
    def credit(self, amount: int, ripens: int, lives: int | None) -> None:
        ripe = self.book.now + ripens
        terms = Terms(self.hour(ripe), None if lives is None else self.hour(ripe + lives))
        cause = self.cause(Kind.earn)
        with db.transaction() as session:
            posted = ledger.credit(session, self.member, amount, cause=cause, now=self.now, terms=terms)
        assert posted.amount == amount
        self.book.credit(posted.seq, amount, ripe, NEVER if lives is None else ripe + lives)
        self.credits.append((posted, [0]))
        again = {"cause": cause, "now": self.now + timedelta(days=9)}
        with db.transaction() as session:
            replayed = ledger.credit(session, self.member, amount, **again)
            assert (replayed.entry_id, replayed.again) == (posted.entry_id, True)
            with pytest.raises(KeyUsedOtherwise):
                ledger.credit(session, self.member, amount + 1, **again)

    @rule(amount=AMOUNTS)
    def debit(self, amount: int) -> None:
        cause = self.cause(Kind.redeem)
        if amount > self.book.spendable():
            self.refused(
                NotEnoughPoints, lambda s: ledger.debit(s, self.member, amount, cause=cause, now=self.now)
            )
            return
        with db.transaction() as session:
            posted = ledger.debit(session, self.member, amount, cause=cause, now=self.now)
        self.book.pay()
        self.debits.append((posted, self.book.take(amount)))

    @precondition(lambda self: self.debits)
    @rule(data=st.data(), courtesy=st.sampled_from([0, COURTESY]))
    def reverse(self, data: st.DataObject, courtesy: int) -> None:
        debit = data.draw(st.sampled_from(self.debits))
        self.debits.remove(debit)
        posted, taken = debit
        with db.transaction() as session:
            reversal = corrections.reverse(
                session,
                posted.entry_id,
                cause=self.cause(Kind.reverse),
                now=self.now,
                courtesy=timedelta(hours=courtesy),
            )
        assert reversal.amount == -posted.amount
        self.book.refill(taken, reversal.seq, courtesy)

    @precondition(lambda self: self.credits)
    @rule(data=st.data(), amount=AMOUNTS, owe=st.booleans())
    def claw_back(self, data: st.DataObject, amount: int, owe: bool) -> None:
        posted, gone = data.draw(st.sampled_from(self.credits))
        with db.transaction() as session:
            taken_back = corrections.claw_back(
                session, posted.entry_id, amount, cause=self.cause(Kind.reverse), now=self.now, owe=owe
            )
        self.book.pay()
        amount = min(amount, posted.amount - gone[0])
        taken = sum(self.book.take(amount, first=posted.seq).values())
        self.book.debt += amount - taken if owe else 0
        gone[0] += amount if owe else taken
        assert -(taken_back.amount if taken_back else 0) == (amount if owe else taken)

    @rule(amount=AMOUNTS, lasts=st.integers(1, 10))
    def hold(self, amount: int, lasts: int) -> None:
        key = f"{self.name}:{next(self.keys)}"
        wish: dict[str, Any] = {"reason": "test", "key": key, "actor": "test", "now": self.now}
        wish["lasts"] = timedelta(hours=lasts)
        if amount > self.book.spendable():
            self.refused(NotEnoughPoints, lambda s: holds.hold(s, self.member, amount, **wish))
            return
        with db.transaction() as session:
            made = holds.hold(session, self.member, amount, **wish)
            assert holds.hold(session, self.member, amount, **wish).id == made.id
        lots = self.set_aside(amount)
        self.holds.append((made.id, amount, self.book.now + lasts, lots, {"is": "active"}))

    def set_aside(self, amount: int) -> dict[int, int]:
        """What a hold holds: as a spend would take it, after what is owed."""
        skip, held = self.book.debt, {}
        for number in self.book.order():
            lot = self.book.lots[number]
            free = lot.free(self.book.now)
            skipped = min(skip, free)
            skip -= skipped
            if part := min(free - skipped, amount):
                amount -= part
                lot.held += part
                held[number] = part
        return held

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), part=st.integers(1, 60))
    def capture(self, data: st.DataObject, part: int) -> None:
        hold_id, amount, _, lots, state = data.draw(st.sampled_from(self.holds))
        spend, cause = min(part, amount), self.cause(Kind.redeem)
        if state["is"] != "active":
            self.refused(
                HoldOver, lambda s: holds.capture(s, hold_id, cause=cause, now=self.now, amount=spend)
            )
            return
        with db.transaction() as session:
            posted = holds.capture(session, hold_id, cause=cause, now=self.now, amount=spend)
        with db.transaction() as session:
            assert holds.capture(session, hold_id, cause=cause, now=self.now, amount=spend).again
            assert not holds.release(session, hold_id, now=self.now)
        state["is"], taken = "captured", {}
        self.let_go(lots)
        for lot in (number for number in self.book.order() if number in lots):
            if piece := min(lots[lot], spend):
                self.book.lots[lot].left -= piece
                taken[lot] = piece
                spend -= piece
        self.book.pay()
        self.debits.append((posted, taken))

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        hold_id, _, _, lots, state = data.draw(st.sampled_from(self.holds))
        with db.transaction() as session:
            assert holds.release(session, hold_id, now=self.now) == (state["is"] == "active")
        if state["is"] == "active":
            state["is"] = "released"
            self.let_go(lots)

    def let_go(self, lots: dict[int, int]) -> None:
        for lot, part in lots.items():
            self.book.lots[lot].held -= part

    @rule()
    def sweep(self) -> None:
        with db.transaction() as session:
            holds.lapse_due(session, now=self.now)
        for _ in range(2):
            with db.transaction() as session:
                expiry.expire(session, self.member, now=self.now)
        ended = [lot for lot in self.book.lots.values() if lot.ends <= self.book.now and not lot.held]
        if any(lot.left for lot in ended):
            self.book.pay()
        for lot in ended:
            lot.left = 0

    def refused(self, error: type[Exception], deed: Any) -> None:
        before = everything()
        with pytest.raises(error), db.transaction() as session:
            deed(session)
        assert everything() == before

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "book"):
            return
        with db.reading() as session:
            told = points.standing(session, self.member, now=self.now)
            assert (
                points.balance(session, self.member, now=self.now) == told.spendable == self.book.spendable()
            )
        usable = {lot.number: lot.points for lot in told.usable}
        pending = {lot.number: (lot.points, lot.held) for lot in told.pending}
        lots = self.book.lots.items()
        assert usable == {n: lot.free(self.book.now) for n, lot in lots if lot.free(self.book.now)}
        assert pending == {n: (lot.left, 0) for n, lot in lots if lot.left and lot.ripe > self.book.now}
        assert [lot.number for lot in told.usable] == [n for n in self.book.order() if n in usable]
        assert (told.held, told.owed) == (sum(lot.held for _, lot in lots), self.book.debt)

    def teardown(self) -> None:
        # The members of earlier runs are here too, and holds of theirs lapsed at later hours than this one.
        Ledger.latest = max(Ledger.latest, self.now)
        assert ledger_check.verify(db.engine(), now=Ledger.latest).faults == ()


def test_the_ledger_does_what_the_model_does(database: str) -> None:
    settled = settings(
        max_examples=40 if "sqlite" in database else 20,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Ledger, settings=settled)  # type: ignore[no-untyped-call]
