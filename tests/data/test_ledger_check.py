"""The check of the ledger: silent about what was written, and it names whatever row was touched."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, and_, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from data import Base, chain, corrections, db, entries, expiry, holds, ledger, ledger_check, merging
from data.ledger import Cause, Terms
from data.ledger_check import Report
from data.ledger_rows import Kind, PointEntry
from data.merging import DocumentSeen
from tests.conftest import NOW
from tests.data.conftest import new_member
from tests.data.people import SHEN, everything, join, open_hotels, stayed

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LATER = NOW + HOUR

TABLES = (
    "point_accounts", "point_entries", "point_lots", "point_allocations", "point_holds", "hold_allocations",
)  # fmt: skip

# Columns that nothing in the ledger seals or repeats, each with the reason why that is bearable.
UNSEALED = {
    "point_entries.id": "a name; what refers to it is checked",
    "point_holds.reason": "a captured hold has an entry, which seals its own reason",
    "point_holds.key": "tells a repeated wish; moves no points",
    "point_holds.actor": "as reason",
    "point_holds.channel": "as reason",
    "point_holds.made_at": "only its order with the other times is known",
    "point_holds.deadline": "as made_at; what was captured stays captured",
    "point_holds.resolved_at": "as made_at, but for captured holds, whose entry seals it",
    "hold_allocations.lot": "of a hold that was not captured: any lot that has enough",
}


def cause(kind: Kind, key: str, **other: Any) -> Cause:
    return Cause(kind, kind.value, key, "desk", facts={"why": key, "at": [1, "二"]}, **other)


@pytest.fixture
def lived(database: str) -> dict[str, int]:
    """A ledger in which everything has happened, to be looked at at `LATER`; its members by name."""
    open_hotels()
    shen = join(SHEN).id
    _earn_spend_and_undo(shen)
    _hold(shen)
    owing = _owe()
    keep, gone = _merge()
    empty = new_member()
    with db.transaction() as session:
        ledger.lock(session, empty)
        assert expiry.expire(session, shen, now=NOW + 50 * MINUTE)
    return {"shen": shen, "owing": owing, "keep": keep, "gone": gone, "empty": empty}


def _earn_spend_and_undo(member: int) -> None:
    """Lots that end, never end and are not ripe; a spend undone in time, one whose lot has ended, one in part."""
    with db.transaction() as session:
        stayed(session, member)
        soon = Terms(NOW, NOW + 30 * MINUTE)
        ledger.credit(session, member, 1000, cause=cause(Kind.earn, "soon", stay_id=1), now=NOW, terms=soon)
        pending = Terms(NOW + 5 * DAY, NOW + 100 * DAY)
        earned = ledger.credit(
            session, member, 2000, cause=cause(Kind.earn, "earned"), now=NOW, terms=pending
        )
        first = ledger.debit(session, member, 700, cause=cause(Kind.redeem, "first"), now=NOW)
        second = ledger.debit(session, member, 400, cause=cause(Kind.redeem, "second"), now=NOW)
        undone = cause(Kind.reverse, "second undone")
        corrections.reverse(session, second.entry_id, cause=undone, now=NOW)
        late = cause(Kind.reverse, "first undone")
        corrections.reverse(session, first.entry_id, cause=late, now=NOW + 40 * MINUTE, courtesy=30 * DAY)
        for part in (300, 200):
            refund = cause(Kind.reverse, f"refund {part}")
            corrections.claw_back(session, earned.entry_id, part, cause=refund, now=NOW, owe=False)


def _hold(member: int) -> None:
    """One hold of each fate; the active one is still good at `LATER`."""
    with db.transaction() as session:
        for amount, fate, lasts in ((100, "captured", HOUR), (50, "released", HOUR), (60, "lapsed", MINUTE)):
            held = holds.hold(
                session, member, amount, reason="redemption", key=fate, actor="guest", now=NOW, lasts=lasts
            )
            if fate == "captured":
                holds.capture(session, held.id, cause=cause(Kind.redeem, "capture"), now=NOW, amount=90)
            if fate == "released":
                holds.release(session, held.id, now=NOW)
        holds.lapse_due(session, now=NOW + 2 * MINUTE)
        still = NOW + 45 * MINUTE  # of the courtesy lot
        holds.hold(
            session, member, 80, reason="redemption", key="active", actor="guest", now=still, lasts=3 * HOUR
        )


def _owe() -> int:
    """A member who owes points, and has paid part of an earlier debt."""
    member = join(name="Min").id
    with db.transaction() as session:
        earned = ledger.credit(session, member, 300, cause=cause(Kind.earn, "min"), now=NOW)
        ledger.debit(session, member, 750, cause=cause(Kind.redeem, "min spends"), now=NOW)
        refund = cause(Kind.reverse, "min refund")
        corrections.claw_back(session, earned.entry_id, 300, cause=refund, now=NOW, owe=True)
        ledger.credit(session, member, 100, cause=cause(Kind.adjust, "min paid"), now=NOW)
    return member


def _merge() -> tuple[int, int]:
    """Two who were one: the one that is gone had points and owed some."""
    keep = join(name="Li Na", birthday="1980-01-02", document="G1234567").id
    gone = join(name="Li Na", birthday="1980-01-02").id
    with db.transaction() as session:
        earned = ledger.credit(session, gone, 200, cause=cause(Kind.earn, "gone"), now=NOW)
        ledger.debit(session, gone, 600, cause=cause(Kind.redeem, "gone spends"), now=NOW)
        refund = cause(Kind.reverse, "gone refund")
        corrections.claw_back(session, earned.entry_id, 150, cause=refund, now=NOW, owe=True)
        unripe = Terms(NOW + DAY)
        ledger.credit(session, gone, 40, cause=cause(Kind.earn, "unripe"), now=NOW, terms=unripe)
        proof = DocumentSeen(numbers=("G1234567",), birthday="1980-01-02")
        merging.merge(session, keep_id=keep, gone_id=gone, proof=proof, actor="staff:wu", now=NOW)
        again = cause(Kind.reverse, "refund after the merge")
        merging.claw_back(session, earned.entry_id, 50, cause=again, now=NOW, owe=True)
    return keep, gone


def verify(**other: Any) -> Report:
    return ledger_check.verify(db.engine(), **{"now": LATER} | other)


def test_what_was_written_is_sound(lived: dict[str, int]) -> None:
    before = everything()
    report = verify()
    assert [str(fault) for fault in report.faults] == []
    assert report.sound
    assert everything() == before
    counts = {table: len(rows) for table, rows in before.items()}
    assert (report.entries, report.members, report.lots) == tuple(
        counts[table] for table in ("point_entries", "point_accounts", "point_lots")
    )
    kinds = {Kind(row.split(", ")[3].strip("'")) for row in before["point_entries"]}
    assert kinds == set(Kind), "a scene in which something never happens proves nothing about it"


def test_totals_are_told(lived: dict[str, int]) -> None:
    totals = verify().totals
    # shen: 500 welcome, 1000, 2000 less 500; min: 500, 300 less 300, 100; li na: 500 twice, of which 450 were there to
    # be clawed back, 200 less 150 less 50, 40.
    assert totals.issued == 3000 + 600 + 590
    # shen: 90; min: 750; li na: 600.
    assert totals.used == 1440
    assert totals.issued - totals.used - totals.expired == totals.outstanding
    with db.reading() as session:
        assert totals.outstanding == session.scalar(text("SELECT sum(balance) FROM point_accounts"))
        assert totals.owed == session.scalar(text("SELECT sum(owed) FROM point_accounts"))
    assert totals.expired > 0
    assert totals.owed > 0


def test_an_empty_ledger_is_sound(database: str) -> None:
    report = verify()
    assert report.sound
    assert (report.entries, report.members, report.lots, report.totals.outstanding) == (0, 0, 0, 0)


def test_the_seal_is_of_every_last_entry(lived: dict[str, int]) -> None:
    sealed = verify().seal
    assert verify().seal == sealed
    with db.transaction() as session:
        ledger.credit(session, lived["empty"], 1, cause=cause(Kind.gift, "one more"), now=NOW)
    assert verify().seal != sealed


def test_progress_is_told_up_to_the_end(lived: dict[str, int]) -> None:
    told: list[tuple[int, int]] = []
    report = verify(progress=lambda done, all_: told.append((done, all_)))
    assert told[-1] == (report.entries, report.entries)


@contextlib.contextmanager
def intruding() -> Iterator[Connection]:
    """A transaction of somebody with the owner's rights, who put all guards to sleep; nothing of it stays."""
    engine = db.engine()
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            driver: Any = connection.connection.dbapi_connection
            driver.execute("PRAGMA foreign_keys = OFF")
            driver.execute("PRAGMA ignore_check_constraints = ON")
            names = connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).scalars()
            for name in names.all():
                connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        else:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            checks = connection.exec_driver_sql(
                "SELECT conrelid::regclass::text, conname FROM pg_constraint"
                " WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
            )
            for table, name in checks.all():
                connection.exec_driver_sql(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        try:
            yield connection
        finally:
            connection.rollback()
            if engine.dialect.name == "sqlite":
                driver.execute("PRAGMA ignore_check_constraints = OFF")
                driver.execute("PRAGMA foreign_keys = ON")


def faults(connection: Connection) -> list[str]:
    report = ledger_check.check(connection, now=LATER, most=10_000)
    assert report.fault_count == len(report.faults)
    return [str(fault) for fault in report.faults]


Row = dict[str, Any]


def names_of(table: str, row: Row) -> list[str]:
    """Texts of which one must stand in a fault for the row to be named."""
    member = f"(member {row.get('member_id')}"
    return {
        "point_accounts": lambda: [
            f"point_accounts {member})",
            f"{member}, seq 1): its member has no account",
        ],
        "point_entries": lambda: [f"{member}, seq {row['seq']})"],
        "point_lots": lambda: [f"point_lots {member}, lot {row['number']})"],
        "point_allocations": lambda: [f"point_allocations {member}, seq {row['seq']}, lot {row['lot']})"],
        "point_holds": lambda: [f"point_holds {row['id']} {member})", f"(hold {row['id']}, lot"],
        # Which of a hold's allocations was changed their sum does not tell.
        "hold_allocations": lambda: [
            f"(hold {row['hold_id']}, lot {row['lot']})",
            f"point_holds {row['hold_id']} ",
        ],
    }[table]()


def is_named(table: str, rows: list[Row], told: list[str]) -> bool:
    return any(name in fault for row in rows for name in names_of(table, row) for fault in told)


def rows_of(connection: Connection, table: str) -> list[Row]:
    content = Base.metadata.tables[table]
    found = connection.execute(select(content).order_by(*content.primary_key))
    return [dict(row) for row in found.mappings()]


def this(table: str, row: Row) -> Any:
    return and_(*(column == row[column.name] for column in Base.metadata.tables[table].primary_key))


def change(connection: Connection, table: str, row: Row, column: str, value: Any) -> list[str]:
    """What the check tells after this change."""
    content = Base.metadata.tables[table]
    connection.execute(update(content).where(this(table, row)).values({column: value}))
    return faults(connection)


def another(value: Any) -> Any:
    """A value of the same kind that is not this one."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return f"{value[:-1]}~" if value else "~"
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    return {**value, "points": 1_000_000}


COLUMNS = [
    f"{table}.{column.name}"
    for table in TABLES
    for column in Base.metadata.tables[table].columns
    if f"{table}.{column.name}" not in UNSEALED
]


def test_every_column_is_watched(lived: dict[str, int]) -> None:
    """Each column of each table once, in the last of its rows that holds something there."""
    for name in COLUMNS:
        table, column = name.split(".")
        with intruding() as connection:
            row = next(row for row in reversed(rows_of(connection, table)) if row[column] is not None)
            # No row has this number: neither a member nor a seq, a lot, a hold, an entry.
            value = 77_777 if isinstance(row[column], int) and column.endswith(("id", "seq", "lot")) else None
            value = value or another(row[column])
            if name == "point_holds.state":
                value = "active" if row[column] != "active" else "released"
            told = change(connection, table, row, column, value)
            assert is_named(table, [row, {**row, column: value}], told), f"{name} of {row}: {told}"


def test_what_is_said_not_to_be_sealed_is_not(lived: dict[str, int]) -> None:
    """The list of exceptions is no longer than it must be."""
    for name in UNSEALED:
        table, column = name.split(".")
        with intruding() as connection:
            rows = [row for row in rows_of(connection, table) if row[column] is not None]
            unnoticed = 0
            for row in rows:
                value = row[column] + 77_777 if column == "id" else another(row[column])
                with contextlib.suppress(IntegrityError), connection.begin_nested() as savepoint:
                    unnoticed += not change(connection, table, row, column, value)
                    savepoint.rollback()
            assert unnoticed, f"{name} is watched after all"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_any_row_names_it(lived: dict[str, int], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(COLUMNS))
    table, column = name.split(".")
    with intruding() as connection:
        rows = rows_of(connection, table)
        row = data.draw(st.sampled_from(rows))
        now = row[column]
        others = [other[column] for other in rows if other[column] not in (None, now)]
        if Base.metadata.tables[table].columns[column].nullable and now is not None:
            others.append(None)
        if now is not None:
            others.append(another(now))
        if not others:
            reject()
        value = data.draw(st.sampled_from(others))
        if isinstance(now, int):
            value = data.draw(
                st.one_of(st.just(value), st.integers(-(2**31), 2**31 - 1), st.integers(-10, 10))
            )
        if value == now or (name == "point_holds.state" and value is None):
            reject()
        try:
            told = change(connection, table, row, column, value)
        except IntegrityError:  # a unique key is a guard that is still awake
            reject()
        assert is_named(table, [row, {**row, column: value}], told), f"{row} → {value}: {told}"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_row_taken_away_is_missed(lived: dict[str, int], data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(TABLES))
    with intruding() as connection:
        row = data.draw(st.sampled_from(rows_of(connection, table)))
        if table == "point_accounts" and row["entries"] == 0:
            reject()  # the account of a member who never had a point: made again when it is needed
        connection.execute(delete(Base.metadata.tables[table]).where(this(table, row)))
        told = faults(connection)
        whose = [f"(member {row['member_id']}", f"(hold {row.get('hold_id', row.get('id'))},"]
        assert any(name in fault for name in whose for fault in told), f"{row}: {told}"


def newest(connection: Connection, member: int) -> Row:
    rows = [row for row in rows_of(connection, "point_entries") if row["member_id"] == member]
    return max(rows, key=lambda row: int(row["seq"]))


def test_the_newest_entry_is_missed_by_its_account(lived: dict[str, int]) -> None:
    with intruding() as connection:
        row = newest(connection, lived["shen"])
        for table in ("point_allocations", "point_entries"):
            seq = Base.metadata.tables[table].c.seq
            member = Base.metadata.tables[table].c.member_id
            connection.execute(
                delete(Base.metadata.tables[table]).where(member == lived["shen"], seq == row["seq"])
            )
        told = [fault for fault in faults(connection) if f"point_accounts (member {lived['shen']})" in fault]
        assert any(f"says {row['seq']} entries, there are {row['seq'] - 1}" in fault for fault in told)
        assert any("head" in fault for fault in told)
        assert any("balance" in fault for fault in told)


def test_a_hole_in_the_chain_is_told_where_it_is(lived: dict[str, int]) -> None:
    with intruding() as connection:
        entry = PointEntry.__table__
        connection.execute(delete(entry).where(entry.c.member_id == lived["shen"], entry.c.seq == 3))
        told = faults(connection)
    assert any(f"(member {lived['shen']}, seq 4): follows seq 2" in fault for fault in told)


def test_one_change_is_told_of_one_entry(lived: dict[str, int]) -> None:
    with intruding() as connection:
        row = rows_of(connection, "point_entries")[2]
        told = change(connection, "point_entries", row, "reason", "goodwill")
    assert len(told) == 1
    assert told[0].startswith(f"point_entries {row['id']} (member {row['member_id']}, seq {row['seq']}): ")


def test_a_row_that_was_sealed_anew_breaks_with_the_next(lived: dict[str, int]) -> None:
    """An intruder who knows the layout can make one row fit itself, but not what follows it."""
    with intruding() as connection:
        row = next(row for row in rows_of(connection, "point_entries") if row["seq"] == 4)
        forged = {**row, "reason": "goodwill"}
        lots = [lot for lot in rows_of(connection, "point_lots") if lot["member_id"] == row["member_id"]]
        terms = next(
            (Terms(lot["available_at"], lot["expires_at"]) for lot in lots if lot["number"] == 4), None
        )
        changes = {
            each["lot"]: each["amount"]
            for each in rows_of(connection, "point_allocations")
            if (each["member_id"], each["seq"]) == (row["member_id"], 4)
        }
        values = {name: forged[name] for name in forged if name not in ("id", "previous", "digest")}
        fits = chain.digest(row["previous"], entries.content(values, terms, changes))
        entry = PointEntry.__table__
        connection.execute(
            update(entry).where(entry.c.id == row["id"]).values(reason="goodwill", digest=fits)
        )
        told = faults(connection)
    assert len(told) == 1
    assert f"(member {row['member_id']}, seq 5): does not continue the chain" in told[0]


def test_points_out_of_nowhere_are_told(lived: dict[str, int]) -> None:
    """An entry, its lot and its allocation, well sealed, put behind the last; the account was not thought of."""
    with intruding() as connection:
        last = newest(connection, lived["owing"])
        seq = last["seq"] + 1
        values = {
            **last,
            "seq": seq,
            "amount": 999,
            "key": "forged",
            "balance_after": last["balance_after"] + 999,
        }
        values = {name: value for name, value in values.items() if name not in ("id", "previous", "digest")}
        digest = chain.digest(last["digest"], entries.content(values, Terms(NOW), {seq: 999}))
        connection.execute(
            insert(PointEntry.__table__).values(**values, previous=last["digest"], digest=digest)
        )
        lot = {
            "member_id": lived["owing"],
            "number": seq,
            "amount": 999,
            "remaining": 999,
            "available_at": NOW,
        }
        connection.execute(insert(Base.metadata.tables["point_lots"]).values(lot))
        moved = {"member_id": lived["owing"], "seq": seq, "lot": seq, "amount": 999}
        connection.execute(insert(Base.metadata.tables["point_allocations"]).values(moved))
        told = faults(connection)
    assert {fault.partition(":")[0] for fault in told} == {f"point_accounts (member {lived['owing']})"}


def test_a_sum_that_is_wrong_is_told_though_it_is_sealed(lived: dict[str, int]) -> None:
    """A program of ours that is wrong, not an intruder."""
    with db.transaction() as session:
        account = ledger.lock(session, lived["owing"])
        account.balance += 5
        wrong = cause(Kind.gift, "wrong sum")
        posted = ledger.write(session, account, {}, cause=wrong, now=NOW, opens=(10, Terms(NOW)))
    told = [str(fault) for fault in verify().faults]
    entry = f"point_entries {posted.entry_id} (member {lived['owing']}, seq {posted.seq}): says a balance"
    assert any(fault.startswith(entry) for fault in told)
    assert any(
        fault.startswith(f"point_accounts (member {lived['owing']}): says a balance") for fault in told
    )


def test_more_given_back_than_was_taken_is_told(lived: dict[str, int]) -> None:
    """By rows that are well sealed: a program of ours that is wrong, not an intruder."""
    with db.transaction() as session:
        spent = session.scalars(select(PointEntry).where(PointEntry.key == "capture")).one()
        for key, amount in (("back", 60), ("and again", 60)):
            account = ledger.lock(session, lived["shen"])
            back = cause(Kind.reverse, key, reverses_id=spent.id)
            ledger.write(session, account, {}, cause=back, now=NOW, opens=(amount, Terms(NOW)))
        wrong = cause(Kind.reverse, "the same way", reverses_id=spent.id)
        ledger.write(
            session, ledger.lock(session, lived["shen"]), {}, cause=wrong, now=NOW, opens=(-5, Terms(NOW))
        )
        foreign = cause(Kind.reverse, "somebody else's", reverses_id=spent.id)
        account = ledger.lock(session, lived["empty"])
        ledger.write(session, account, {}, cause=foreign, now=NOW, opens=(5, Terms(NOW)))
    told = [str(fault) for fault in verify().faults]
    for text_ in ("of -90 is reversed by 120", "both add or both take", "who does not live on here"):
        assert any(text_ in fault for fault in told), f"{text_}: {told}"


def test_a_hold_of_more_than_there_is_is_told_while_it_holds(lived: dict[str, int]) -> None:
    with intruding() as connection:
        active = next(row for row in rows_of(connection, "point_holds") if row["state"] == "active")
        held = next(row for row in rows_of(connection, "hold_allocations") if row["hold_id"] == active["id"])
        table = Base.metadata.tables["hold_allocations"]
        connection.execute(update(table).where(this("hold_allocations", held)).values(amount=100_000))
        connection.execute(
            update(Base.metadata.tables["point_holds"])
            .where(this("point_holds", active))
            .values(amount=100_000)
        )
        told = faults(connection)
        assert [fault for fault in told if "100000 are on hold of this lot, but only" in fault] == told
        over = ledger_check.check(connection, now=active["deadline"])
        assert over.sound, "from its deadline on a hold holds nothing"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("facts", "{not json"),
        ("facts", '{"points": NaN}'),
        ("facts", "[" * 100_000),
        ("at", "yesterday"),
        ("amount", "many"),
        ("seq", "third"),
        ("balance_after", "much"),
        ("reason", b"\x00\xff"),
    ],
)
def test_what_cannot_be_read_is_named_too(sqlite_database: str, column: str, value: Any) -> None:
    """SQLite takes anything; the check must not fall over it."""
    member = join(name="Min").id
    with db.transaction() as session:
        for number in range(5):
            ledger.credit(session, member, 10, cause=cause(Kind.earn, str(number)), now=NOW)
    with intruding() as connection:
        connection.exec_driver_sql(
            f"UPDATE point_entries SET {column} = ? WHERE member_id = ? AND seq = 3", (value, member)
        )
        told = faults(connection)
    entry = [fault for fault in told if fault.startswith("point_entries 3 ")]
    assert len(entry) >= 1
    assert not any(fault.startswith(("point_entries 1 ", "point_entries 5 ")) for fault in told), told


def test_at_most_so_many_faults_are_kept_and_all_are_counted(lived: dict[str, int]) -> None:
    with intruding() as connection:
        connection.execute(update(PointEntry.__table__).values(reason="goodwill"))
        report = ledger_check.check(connection, now=LATER, most=3)
    assert len(report.faults) == 3
    assert report.fault_count == report.entries
    assert not report.sound


def test_the_house_goes_on_while_the_ledger_is_checked(lived: dict[str, int]) -> None:
    """Entries that are written meanwhile are not seen by halves, and nobody waits for the check."""
    wrote = False

    def write(_done: int, _all: int) -> None:
        nonlocal wrote
        with db.transaction() as session:
            ledger.credit(session, lived["empty"], 7, cause=cause(Kind.gift, "meanwhile"), now=NOW)
        wrote = True

    before = verify()
    during = verify(progress=write)
    assert wrote
    assert replace(during, seal="") == replace(before, seal="")
    assert during.seal == before.seal
    assert verify().entries == before.entries + 1


def test_the_check_cannot_write(postgres_database: str) -> None:
    with ledger_check._snapshot(db.engine()) as connection:
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "repeatable read"
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "0"
    with db.engine().connect() as connection:
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "off"
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "10s"


def test_a_fault_reads_well() -> None:
    fault = ledger_check.Fault("point_entries", "4711 (member 17, seq 3)", "its digest does not fit")
    assert str(fault) == "point_entries 4711 (member 17, seq 3): its digest does not fit"
    assert json.dumps(str(fault))
