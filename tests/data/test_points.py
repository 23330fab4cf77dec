"""The ledger: sums, keys, refusals, and rows that stay as they were written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session

from data import db, points
from data.points import LARGEST_ENTRY, BadAmount, KeyUsedOtherwise, PointEntry, Posted
from tests.conftest import NOW
from tests.data import rivals as deeds
from tests.data.conftest import new_member
from tests.data.rivals import Rivals


def post(session: Session, member_id: int, amount: Any, **other: Any) -> Posted:
    entry: dict[str, Any] = {
        "kind": "earn",
        "reason": "stay",
        "key": "stay:1",
        "actor": "pms",
        "now": NOW,
    } | other
    return points.post(session, member_id, amount, **entry)


def balance(member_id: int) -> int:
    with db.reading() as session:
        return points.balance(session, member_id)


def rows() -> list[tuple[Any, ...]]:
    with db.reading() as session:
        return [tuple(row) for row in session.execute(select(PointEntry.__table__).order_by(PointEntry.id))]


def test_balance_is_the_sum_of_ones_own_entries(database: str, member_id: int) -> None:
    other = new_member("ZK900002")
    with db.transaction() as session:
        assert points.balance(session, member_id) == 0
        post(session, member_id, 1500, key="a")
        post(session, member_id, -400, key="b", kind="redeem", reason="spa_hour")
        post(session, other, 77, key="c")
        assert points.balance(session, member_id) == 1100
    assert (balance(member_id), balance(other), balance(404)) == (1100, 77, 0)


def test_balance_may_exceed_what_one_entry_may_hold(database: str, member_id: int) -> None:
    with db.transaction() as session:
        for number in range(30):  # beyond 2^31 in all
            post(session, member_id, LARGEST_ENTRY, key=str(number))
    assert balance(member_id) == 30 * LARGEST_ENTRY
    assert type(balance(member_id)) is int


def test_same_command_again_gives_the_first_result(database: str, member_id: int) -> None:
    with db.transaction() as session:
        first = post(session, member_id, 500)
    assert not first.again
    with db.transaction() as session:
        assert post(session, member_id, 500, actor="desk") == Posted(first.entry_id, again=True)
        assert post(session, member_id, 500) == Posted(first.entry_id, again=True)
    assert len(rows()) == 1
    assert balance(member_id) == 500


@pytest.mark.parametrize(
    "difference",
    [{"amount": 501}, {"amount": -500}, {"kind": "adjust"}, {"reason": "welcome"}, {"member_id": "another"}],
)
def test_key_of_another_entry_is_refused(database: str, member_id: int, difference: dict[str, Any]) -> None:
    other = new_member("ZK900002")
    with db.transaction() as session:
        post(session, member_id, 500)
    before = rows()
    with db.transaction() as session:
        entry = {"amount": 500, "member_id": member_id} | difference
        if difference == {"member_id": "another"}:
            entry["member_id"] = other
        with pytest.raises(KeyUsedOtherwise, match="stay:1"):
            post(session, **entry)
        post(session, member_id, 3, key="stay:2")  # the transaction goes on
    assert rows()[:-1] == before
    assert (balance(member_id), balance(other)) == (503, 0)


@pytest.mark.parametrize(
    "amount",
    [0, LARGEST_ENTRY + 1, -LARGEST_ENTRY - 1, 10**30, 1.0, 0.5, float("nan"), True, False, "5", None],
)
def test_amounts_that_are_no_points_are_refused(sqlite_database: str, amount: Any) -> None:
    member_id = new_member()
    with db.transaction() as session, pytest.raises(BadAmount, match="whole number"):
        post(session, member_id, amount)
    assert rows() == []


@pytest.mark.parametrize("amount", [1, -1, LARGEST_ENTRY, -LARGEST_ENTRY])
def test_amounts_at_the_edge_are_taken(database: str, member_id: int, amount: int) -> None:
    with db.transaction() as session:
        post(session, member_id, amount)
    assert balance(member_id) == amount


def test_nobody_earns_nothing(database: str) -> None:
    with pytest.raises(IntegrityError), db.transaction() as session:
        post(session, 404, 500)
    assert rows() == []


CHANGES = [
    "UPDATE point_entries SET amount = 5000",
    "UPDATE point_entries SET actor = actor",
    "DELETE FROM point_entries",
]
SQLITE_CHANGES = [
    "INSERT OR REPLACE INTO point_entries SELECT id, member_id, 5000, kind, reason, key, actor, at "
    "FROM point_entries",
]
POSTGRES_CHANGES = [
    "TRUNCATE point_entries",
    "TRUNCATE members CASCADE",
    "INSERT INTO point_entries SELECT * FROM point_entries ON CONFLICT (id) DO UPDATE SET amount = 5000",
]


def execute(change: str) -> None:
    with db.transaction() as session:
        session.execute(text(change))


def refuses(change: str) -> None:
    member_id = new_member()
    with db.transaction() as session:
        post(session, member_id, 500)
    before = rows()
    with pytest.raises(DatabaseError, match="append-only: correct a mistake with a new entry"):
        execute(change)
    assert rows() == before
    with db.transaction() as session:
        post(session, member_id, -20, key="stay:1:corrected", kind="reverse")
    assert balance(member_id) == 480


@pytest.mark.parametrize("change", CHANGES)
def test_entries_cannot_be_changed(database: str, change: str) -> None:
    refuses(change)


@pytest.mark.parametrize("change", SQLITE_CHANGES)
def test_entries_cannot_be_changed_the_sqlite_way(sqlite_database: str, change: str) -> None:
    refuses(change)


@pytest.mark.parametrize("change", POSTGRES_CHANGES)
def test_entries_cannot_be_changed_the_postgres_way(postgres_database: str, change: str) -> None:
    refuses(change)


def test_an_entry_of_zero_is_refused_by_the_database_too(database: str, member_id: int) -> None:
    with pytest.raises(IntegrityError, match="entry_changes_something"), db.transaction() as session:
        session.add(
            PointEntry(member_id=member_id, amount=0, kind="earn", reason="r", key="k", actor="a", at=NOW)
        )


def test_two_processes_post_the_same_keys(rivals: Rivals, database: str, member_id: int) -> None:
    keys = [f"stay:{number}" for number in range(20)]
    a, b = rivals.race(deeds.post, database, member_id, keys)
    assert [posted.entry_id for posted in a] == [posted.entry_id for posted in b]
    assert all(ours.again != theirs.again for ours, theirs in zip(a, b, strict=True))
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(PointEntry)) == 20
    assert balance(member_id) == 20 * 7


class Crash(Exception):
    """The process died before its transaction was committed."""


Command = tuple[int, int, bool]  # which key, how many points, whether it crashes
AMOUNTS = st.integers(-LARGEST_ENTRY, LARGEST_ENTRY).filter(bool)
COMMANDS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([500, -500]) | AMOUNTS, st.booleans()))


def obey(member_id: int, command: Command) -> Posted:
    key, amount, crashes = command
    with db.transaction() as session:
        posted = post(session, member_id, amount, key=f"{member_id}:{key}")
        if crashes:
            raise Crash
    return posted


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commands=COMMANDS)
def test_balance_is_a_plain_sum_whatever_is_replayed_or_lost(database: str, commands: list[Command]) -> None:
    with db.reading() as session:
        number = session.scalar(select(func.count()).select_from(text("members")))
    member_id = new_member(f"ZK8{number}")
    written: dict[int, int] = {}
    for command in commands:
        key, amount, crashes = command
        if written.get(key, amount) != amount:
            with pytest.raises(KeyUsedOtherwise):
                obey(member_id, command)
        elif crashes:
            with pytest.raises(Crash):
                obey(member_id, command)
        else:
            assert obey(member_id, command).again == (key in written)
            written[key] = amount
        assert balance(member_id) == sum(written.values())
