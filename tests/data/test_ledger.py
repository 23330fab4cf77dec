"""The ledger's rows: amounts, keys, what cannot be changed, and races for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session

from data import chain, db, ledger, ledger_check, points
from data.ledger import LARGEST_ENTRY, BadAmount, Cause, KeyUsedOtherwise, NotEnoughPoints, Posted, Terms
from data.ledger_rows import Kind, PointEntry
from data.refusals import Unknown
from tests.conftest import NOW
from tests.data import rivals as deeds
from tests.data.conftest import everything, new_member
from tests.data.rivals import Rivals

DAY = timedelta(days=1)


def earn(session: Session, member_id: int, amount: Any, key: str = "stay:1", **other: Any) -> Posted:
    cause = Cause(**{"kind": Kind.earn, "reason": "stay", "key": key, "actor": "pms"} | other)
    return ledger.credit(session, member_id, amount, cause=cause, now=NOW)


def spend(session: Session, member_id: int, amount: Any, key: str = "spa:1", **other: Any) -> Posted:
    cause = Cause(**{"kind": Kind.redeem, "reason": "spa_hour", "key": key, "actor": "guest"} | other)
    return ledger.debit(session, member_id, amount, cause=cause, now=NOW)


def balance(member_id: int) -> int:
    with db.reading() as session:
        return points.balance(session, member_id, now=NOW)


def entries() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(PointEntry)) or 0


def test_balance_is_of_ones_own_entries(database: str, member_id: int) -> None:
    other = new_member("ZK900002")
    with db.transaction() as session:
        assert points.balance(session, member_id, now=NOW) == 0
        earn(session, member_id, 1500, "a")
        spend(session, member_id, 400, "b")
        earn(session, other, 77, "c")
        assert points.balance(session, member_id, now=NOW) == 1100
    assert (balance(member_id), balance(other), balance(404)) == (1100, 77, 0)


def test_balance_may_exceed_what_one_entry_may_hold(database: str, member_id: int) -> None:
    with db.transaction() as session:
        for number in range(30):  # beyond 2^31 in all
            earn(session, member_id, LARGEST_ENTRY, str(number))
    assert balance(member_id) == 30 * LARGEST_ENTRY
    assert type(balance(member_id)) is int


def test_an_entry_tells_all_about_itself(database: str, member_id: int) -> None:
    facts = {"rule": "room", "base": "1000.80", "multiplier": "1.5", "名": "灯火"}
    with db.transaction() as session:
        earn(session, member_id, 1501, facts=facts, channel="wechat", text_key="entry_stay_room")
    with db.reading() as session:
        (entry,) = points.statement(session, member_id)
    assert (entry.seq, entry.amount, entry.balance_after) == (1, 1501, 1501)
    assert (entry.facts, entry.channel, entry.text_key, entry.at) == (facts, "wechat", "entry_stay_room", NOW)
    assert entry.previous == chain.START


def test_a_statement_is_read_page_by_page(database: str, member_id: int) -> None:
    with db.transaction() as session:
        for number in range(1, 8):
            earn(session, member_id, number, str(number))
    with db.reading() as session:
        first = points.statement(session, member_id, limit=4)
        rest = points.statement(session, member_id, before=first[-1].seq, limit=4)
    assert [entry.amount for entry in (*first, *rest)] == [7, 6, 5, 4, 3, 2, 1]


def test_same_command_again_gives_the_first_result(database: str, member_id: int) -> None:
    with db.transaction() as session:
        first = earn(session, member_id, 500)
    for _ in range(2):
        with db.transaction() as session:
            again = earn(session, member_id, 500, actor="desk")
        assert (again.entry_id, again.amount, again.balance_after) == (first.entry_id, 500, 500)
        assert (first.again, again.again) == (False, True)
    assert (entries(), balance(member_id)) == (1, 500)


@pytest.mark.parametrize(
    "difference",
    [{"amount": 501}, {"kind": Kind.gift}, {"reason": "welcome"}, {"member_id": "another"}, {"debit": True}],
)
def test_key_of_another_entry_is_refused(database: str, member_id: int, difference: dict[str, Any]) -> None:
    other = new_member("ZK900002")
    with db.transaction() as session:
        earn(session, member_id, 500)
    wish: dict[str, Any] = {"amount": 500, "member_id": member_id, "key": "stay:1"} | difference
    deed = spend if wish.pop("debit", False) else earn
    if wish["member_id"] == "another":
        wish["member_id"] = other
    before = everything()
    with pytest.raises(KeyUsedOtherwise, match="key"), db.transaction() as session:
        deed(session, **wish)
    assert everything() == before
    with db.transaction() as session:
        earn(session, member_id, 3, "stay:2")
    assert (balance(member_id), balance(other)) == (503, 0)


@pytest.mark.parametrize(
    "amount", [0, -1, LARGEST_ENTRY + 1, 10**30, 1.0, 0.5, float("nan"), True, False, "5", None]
)
@pytest.mark.parametrize("deed", [earn, spend])
def test_amounts_that_are_no_points_are_refused(sqlite_database: str, amount: Any, deed: Any) -> None:
    member_id = new_member()
    before = everything()
    with db.transaction() as session, pytest.raises(BadAmount, match="whole number") as refused:
        deed(session, member_id, amount)
    assert refused.value.field == "points"
    assert everything() == before


def test_nobody_earns_nothing(database: str) -> None:
    before = everything()
    with pytest.raises(Unknown, match="no member with id 404"), db.transaction() as session:
        earn(session, 404, 500)
    assert everything() == before


def test_spending_more_than_there_is_changes_nothing(database: str, member_id: int) -> None:
    with db.transaction() as session:
        earn(session, member_id, 500)
    before = everything()
    with pytest.raises(NotEnoughPoints) as refused, db.transaction() as session:
        spend(session, member_id, 501)
    assert refused.value.values == {"needed": 501, "points": 500}
    assert everything() == before


def test_earliest_end_goes_first_and_no_end_last(database: str, member_id: int) -> None:
    ends = [None, NOW + 9 * DAY, NOW + 3 * DAY, NOW + 9 * DAY]
    with db.transaction() as session:
        for number, end in enumerate(ends):
            cause = Cause(Kind.earn, "stay", str(number), "pms")
            ledger.credit(session, member_id, 100, cause=cause, now=NOW, terms=Terms(NOW, end))
        spend(session, member_id, 250)
        told = points.standing(session, member_id, now=NOW)
    assert [(lot.number, lot.points) for lot in told.usable] == [(4, 50), (1, 100)]


def test_a_lot_is_good_until_the_moment_it_ends(database: str, member_id: int) -> None:
    with db.transaction() as session:
        cause = Cause(Kind.earn, "stay", "k", "pms")
        ledger.credit(session, member_id, 10, cause=cause, now=NOW, terms=Terms(NOW + DAY, NOW + 2 * DAY))
    moment = timedelta(microseconds=1)
    for at, held in ((DAY - moment, 0), (DAY, 10), (2 * DAY - moment, 10), (2 * DAY, 0)):
        with db.reading() as session:
            assert points.balance(session, member_id, now=NOW + at) == held
            assert points.standing(session, member_id, now=NOW + at).spendable == held


def test_many_lots_are_spent_in_one_go(database: str, member_id: int) -> None:
    with db.transaction() as session:
        for number in range(120):
            earn(session, member_id, 1, str(number))
        spend(session, member_id, 119)
    assert balance(member_id) == 1
    assert ledger_check.verify(db.engine(), now=NOW).sound


CHANGES = {
    "point_entries": [
        "UPDATE point_entries SET amount = 5000",
        "UPDATE point_entries SET actor = actor",
        "DELETE FROM point_entries",
    ],
    "point_allocations": ["UPDATE point_allocations SET amount = 5", "DELETE FROM point_allocations"],
    "point_lots": [
        "UPDATE point_lots SET amount = 5",
        "UPDATE point_lots SET expires_at = NULL",
        "UPDATE point_lots SET available_at = available_at",
        "DELETE FROM point_lots",
    ],
    "audit_entries": ["UPDATE audit_entries SET actor = 'me'", "DELETE FROM audit_entries"],
    "programme_versions": ["UPDATE programme_versions SET text = ''", "DELETE FROM programme_versions"],
}
EVERY_CHANGE = [(table, change) for table, changes in CHANGES.items() for change in changes]
SQLITE_CHANGES = [
    "INSERT OR REPLACE INTO point_entries SELECT * FROM point_entries",
    "INSERT OR REPLACE INTO point_allocations SELECT * FROM point_allocations",
]
POSTGRES_CHANGES = [
    "TRUNCATE point_entries CASCADE",
    "TRUNCATE point_allocations",
    "TRUNCATE members CASCADE",
    "INSERT INTO point_entries SELECT * FROM point_entries ON CONFLICT (id) DO UPDATE SET amount = 5000",
]


def refuses(change: str) -> None:
    from data import audit, programme, programme_versions

    member_id = new_member()
    with db.transaction() as session:
        earn(session, member_id, 500)
        audit.record(session, "test", "member:1", actor="test", now=NOW)
        programme_versions.load(session, programme.sample(), actor="test", now=NOW)
    before = everything()
    with pytest.raises(DatabaseError, match="append-only"), db.transaction() as session:
        session.execute(text(change))
    assert everything() == before
    with db.transaction() as session:
        spend(session, member_id, 20)
    assert balance(member_id) == 480


@pytest.mark.parametrize(("table", "change"), EVERY_CHANGE)
def test_what_is_written_cannot_be_changed(database: str, table: str, change: str) -> None:
    refuses(change)


@pytest.mark.parametrize("change", SQLITE_CHANGES)
def test_nor_the_sqlite_way(sqlite_database: str, change: str) -> None:
    refuses(change)


@pytest.mark.parametrize("change", POSTGRES_CHANGES)
def test_nor_the_postgres_way(postgres_database: str, change: str) -> None:
    refuses(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE point_lots SET remaining = -1",
        "UPDATE point_lots SET remaining = 501",
        "UPDATE point_accounts SET owed = -1",
    ],
)
def test_a_lot_can_neither_be_overdrawn_nor_overfilled(database: str, member_id: int, change: str) -> None:
    with db.transaction() as session:
        earn(session, member_id, 500)
    with pytest.raises(IntegrityError), db.transaction() as session:
        session.execute(text(change))


def test_two_processes_post_the_same_keys(rivals: Rivals, database: str, member_id: int) -> None:
    keys = [f"stay:{number}" for number in range(20)]
    a, b = rivals.race(deeds.earn, database, member_id, keys)
    assert [posted.entry_id for posted in a] == [posted.entry_id for posted in b]
    assert all(ours.again != theirs.again for ours, theirs in zip(a, b, strict=True))
    assert (entries(), balance(member_id)) == (20, 20 * 7)


def test_two_processes_spend_the_last_points(rivals: Rivals, database: str, member_id: int) -> None:
    """Twenty times both want ten of the ten points that are there: one gets them, one hears no."""
    a, b = rivals.race(deeds.spend_the_last, database, member_id, 20)
    assert [sorted(pair) for pair in zip(a, b, strict=True)] == [["no", "spent"]] * 20
    assert balance(member_id) == 0
    assert ledger_check.verify(db.engine(), now=NOW).sound


def test_capture_and_the_sweep_at_the_deadline(rivals: Rivals, database: str, member_id: int) -> None:
    """One process captures holds, the other lets them lapse, at the same moment: each hold goes one way."""
    with db.transaction() as session:
        earn(session, member_id, 300)
    a, b = rivals.race(deeds.capture_or_lapse, database, member_id, 15)
    assert all(a[number] or b[number] for number in range(15))
    captured = 15 - sum(1 for lost in a if not lost)
    assert balance(member_id) == 300 - 20 * captured
    report = ledger_check.verify(db.engine(), now=NOW + DAY)
    assert report.faults == ()
