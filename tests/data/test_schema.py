"""Migrations: they make what the models say, and they go both ways."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Column, Integer, MetaData, String, func, inspect, select, text
from sqlalchemy.exc import IntegrityError

from data import Base, db, schema
from data.members import Member
from data.points import PointEntry
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


def test_downgrade_leaves_no_function_behind(
    postgres_server: PostgresServer, request: pytest.FixtureRequest
) -> None:
    fresh = postgres_server.make()
    request.addfinalizer(lambda: postgres_server.drop(fresh))
    ours = text("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    with connected(fresh):
        schema.upgrade(db.engine())
        with db.engine().connect() as connection:
            assert connection.scalars(ours).all() == ["point_entries_refuse"]
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
            PointEntry(member_id=404, amount=1, kind="earn", reason="stay", key="k", actor="pms", at=NOW)
        )


def test_a_migration_that_fails_leaves_nothing(
    blank_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", _copied_migrations(tmp_path))
    second = schema.MIGRATIONS / "versions" / "v0002_broken.py"
    second.write_text(
        "from alembic import op\n"
        "revision, down_revision, branch_labels, depends_on = '0002', '0001', None, None\n"
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
    assert "down_revision = '0001'" in drafted
    assert "sa.DateTime(timezone=True)" in drafted
    assert "data." not in drafted  # a version names the database's own types
    with connected(f"sqlite:///{tmp_path / 'other.db'}"):
        schema.upgrade(db.engine(), to="0001")
        with db.engine().begin() as connection:
            connection.exec_driver_sql("DROP TABLE messages")
        schema.upgrade(db.engine())
        assert differences() == []


def _copied_migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "100% migrations"
    shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
