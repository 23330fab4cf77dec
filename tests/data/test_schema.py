"""Migrations: they make what the models say, and they go both ways."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Column, Integer, MetaData, String, func, inspect, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError, IntegrityError

from data import Base, db, ledger, ledger_check, points, schema
from data.ledger import Cause
from data.ledger_rows import Kind
from data.members import Contact, Member
from data.schema import MIGRATIONS
from tests.conftest import NOW, PostgresServer, connected, seed_demo
from tests.data import rivals as deeds
from tests.data.rivals import Rivals


def differences(metadata: MetaData = Base.metadata) -> list[Any]:
    """What would have to change in the database to make it equal `metadata`."""
    options = {"compare_type": True, "compare_server_default": True}
    with db.engine().connect() as connection:
        found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    return found


def test_migrations_make_what_the_models_say(database: str) -> None:
    assert differences() == []


def test_the_comparison_would_notice(database: str) -> None:
    wanted = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(wanted)
    wanted.tables["members"].append_column(Column("shoe_size", Integer))
    wanted.tables["stays"].c.room_type.type = String(8)
    wanted.tables["messages"].indexes.clear()
    kinds = {str(found[0] if isinstance(found, tuple) else found[0][0]) for found in differences(wanted)}
    assert kinds == {"add_column", "modify_type", "remove_index"}


def test_checks_are_those_of_the_models(database: str) -> None:
    # Alembic does not compare these.
    inspector = inspect(db.engine())
    for table in Base.metadata.sorted_tables:
        wanted = {str(rule.name) for rule in table.constraints if isinstance(rule, CheckConstraint)}
        assert {rule["name"] for rule in inspector.get_check_constraints(table.name)} == wanted


def test_versions_are_told(blank_database: str) -> None:
    engine = db.engine()
    assert schema.current(engine) is None
    assert not schema.is_current(engine)
    schema.upgrade(engine)
    assert schema.current(engine) == schema.newest()
    assert schema.is_current(engine)


def test_up_down_up_with_a_full_house(blank_database: str) -> None:
    engine = db.engine()
    schema.upgrade(engine)
    first = seed_demo()
    schema.upgrade(engine)  # again: nothing to do, nothing lost
    assert seed_demo() == first
    schema.downgrade(engine, "base")
    assert schema.current(engine) is None
    assert inspect(engine).get_table_names() == ["alembic_version"]
    schema.upgrade(engine)
    assert differences() == []
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Member)) == 0
    assert [member.name for member in seed_demo()] == [member.name for member in first]


# What a house of version 0001 could hold: three members, one who spent from several lots, one below zero.
OLD_ROWS = """
INSERT INTO hotels (id, code, names, city, time_zone, currency) VALUES
  (1, 'HLSH', '{}', 'Shanghai', 'Asia/Shanghai', 'CNY');
INSERT INTO members (id, number, name, locale, tier, home_hotel_id, joined_at) VALUES
  (1, 'ZK1', 'v1.x.y', 'en', 'gold', 1, '2024-01-01 00:00:00.000000'),
  (2, 'ZK2', 'v1.x.y', 'en', 'gold', NULL, '2024-01-01 00:00:00.000000'),
  (3, 'ZK3', 'v1.x.y', 'en', 'gold', NULL, '2024-01-01 00:00:00.000000');
INSERT INTO stays (id, confirmation, hotel_id, member_id, room_type, arrival, departure, status) VALUES
  (1, 'HLSH-1', 1, 1, 'creek_king', '2024-02-01', '2024-02-03', 'checked_out');
INSERT INTO point_entries (id, member_id, amount, kind, reason, key, actor, at) VALUES
  (1, 1, 500, 'earn', 'welcome', 'welcome:1', 'programme', '2024-01-01 03:00:00.123456'),
  (2, 2, 10, 'earn', 'stay', 'stay:a', 'pms', '2024-01-02 03:00:00.000000'),
  (3, 1, 840, 'earn', 'stay', 'stay:HLSH-1', 'pms', '2024-02-03 05:00:00.000000'),
  (4, 1, -800, 'redeem', 'breakfast', 'redeem:1', 'guest', '2024-02-04 05:00:00.000000'),
  (6, 2, -25, 'adjust', 'mistake', 'fix:1', 'desk', '2024-02-05 05:00:00.000000'),
  (7, 2, 20, 'earn', 'stay', 'stay:b', 'pms', '2024-02-06 05:00:00.000000');
"""


def test_what_was_posted_before_is_carried_over(blank_database: str) -> None:
    """Up from 0001 with a ledger in it, then on with it, then down again: every entry as it was."""
    engine = db.engine()
    schema.upgrade(engine, to="0001")
    with engine.begin() as connection:
        for statement in OLD_ROWS.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        before = old_entries(connection)
    schema.upgrade(engine)
    assert ledger_check.verify(engine, now=NOW).faults == ()
    with db.transaction() as session:
        balances = [points.balance(session, member, now=NOW) for member in (1, 2, 3)]
        assert balances == [540, 5, 0]
        assert {lot.number: lot.points for lot in points.standing(session, 1, now=NOW).usable} == {2: 540}
        ledger.debit(session, 1, 40, cause=Cause(Kind.redeem, "breakfast", "redeem:2", "guest"), now=NOW)
    assert ledger_check.verify(engine, now=NOW).faults == ()
    schema.downgrade(engine, "0001")
    with engine.begin() as connection:
        assert old_entries(connection)[: len(before)] == before
        assert len(old_entries(connection)) == len(before) + 1
        connection.exec_driver_sql("DELETE FROM hotels WHERE id = 2")  # the old tables are all there
    with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM point_entries")
    schema.upgrade(engine)
    assert differences() == []
    assert ledger_check.verify(engine, now=NOW).faults == ()


def old_entries(connection: Connection) -> list[tuple[Any, ...]]:
    rows = connection.exec_driver_sql(
        "SELECT id, member_id, amount, kind, reason, key, actor, at FROM point_entries ORDER BY id"
    )
    return [tuple(row) for row in rows]


def test_downgrade_leaves_no_function_behind(
    postgres_server: PostgresServer, request: pytest.FixtureRequest
) -> None:
    fresh = postgres_server.make()
    request.addfinalizer(lambda: postgres_server.drop(fresh))
    ours = text("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    with connected(fresh):
        schema.upgrade(db.engine())
        with db.engine().connect() as connection:
            assert set(connection.scalars(ours)) == {
                "point_entries_refuse",
                "point_allocations_refuse",
                "point_lots_refuse",
                "audit_entries_refuse",
                "programme_versions_refuse",
            }
        schema.downgrade(db.engine(), "base")
        with db.engine().connect() as connection:
            assert connection.scalars(ours).all() == []


def test_two_processes_upgrade_at_once(rivals: Rivals, blank_database: str) -> None:
    newest = schema.newest()
    assert rivals.race(deeds.upgrade, blank_database) == (newest, newest)
    assert differences() == []


def test_a_version_from_a_newer_release_is_refused_in_words(blank_database: str) -> None:
    schema.upgrade(db.engine())
    with db.engine().begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'from_2031'")
    assert not schema.is_current(db.engine())
    with pytest.raises(schema.UnknownVersion, match=r"from_2031.*newer release"):
        schema.upgrade(db.engine())
    with pytest.raises(schema.UnknownVersion):
        schema.downgrade(db.engine(), "base")


def test_foreign_keys_are_on_again_after_an_upgrade(blank_database: str) -> None:
    schema.upgrade(db.engine())
    with pytest.raises(IntegrityError), db.transaction() as session:
        session.add(
            Contact(channel="telegram", address="1", member_id=404, first_heard_at=NOW, last_heard_at=NOW)
        )


def test_a_migration_that_fails_leaves_nothing(
    blank_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", _copied_migrations(tmp_path))
    newest = schema.newest()
    broken = schema.MIGRATIONS / "versions" / "v9999_broken.py"
    broken.write_text(
        "from alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = '9999', '{newest}', None, None\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE half_way (id INTEGER)')\n"
        "    raise ZeroDivisionError\n"
    )
    with pytest.raises(ZeroDivisionError):
        schema.upgrade(db.engine())
    assert schema.current(db.engine()) is None
    assert inspect(db.engine()).get_table_names() == []


def test_draft_writes_what_is_missing(
    sqlite_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", _copied_migrations(tmp_path))
    with db.engine().begin() as connection:
        connection.exec_driver_sql("DROP TABLE messages")
    drafted = schema.draft(db.engine(), "messages again").read_text()
    assert "messages again" in drafted
    newest = max(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v0*.py"))
    assert f"down_revision = '{newest}'" in drafted
    assert "sa.DateTime(timezone=True)" in drafted
    assert "data." not in drafted  # a version names the database's own types
    with connected(f"sqlite:///{tmp_path / 'other.db'}"):
        schema.upgrade(db.engine(), to=newest)
        with db.engine().begin() as connection:
            connection.exec_driver_sql("DROP TABLE messages")
        schema.upgrade(db.engine())
        assert differences() == []


def _copied_migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "100% migrations"
    shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
