"""The schema's versions: which one a database has, and how it comes to another."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from data import db

MIGRATIONS = Path(__file__).parent / "migrations"

# Any number, as long as nothing else in this database takes the same advisory lock.
ADVISORY_LOCK = 0x5A48_494B_45

# How long one upgrade waits for another that runs at the same time, in seconds.
PATIENCE = 300


class UnknownVersion(RuntimeError):
    """The database, or the version asked for, is none that this release of Zhike knows."""


def upgrade(engine: Engine, to: str = "head") -> None:
    """Bring the schema up to version `to`, in one transaction; harmless if it is there already.

    Processes that try at once take turns. Raises `UnknownVersion`.
    """
    with _alone(engine) as connection, _known_versions():
        command.upgrade(_config(connection), to)


def downgrade(engine: Engine, to: str) -> None:
    """Bring the schema back to version `to`; `base` is no tables, so no data. Raises `UnknownVersion`."""
    with _alone(engine) as connection, _known_versions():
        command.downgrade(_config(connection), to)


def current(engine: Engine) -> str | None:
    """The version the database has; None for one that was never upgraded."""
    with engine.execution_options(reading=True).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The version this release of Zhike needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def is_current(engine: Engine) -> bool:
    """Whether the database has exactly the version this release needs."""
    return current(engine) == newest()


def draft(engine: Engine, message: str) -> Path:
    """Write a version file from how the models differ from the database, for a developer to read and mend."""
    with _alone(engine) as connection:
        script = command.revision(_config(connection), message, autogenerate=True)
    assert script is not None
    assert not isinstance(script, list)
    return Path(script.path)


def _config(connection: Connection | None = None) -> Config:
    config = Config(cmd_opts=Namespace(quiet=True))
    # Config expands percent signs, and a folder's name may hold one.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def _known_versions() -> Iterator[None]:
    try:
        yield
    except (CommandError, ResolutionError) as error:
        raise UnknownVersion(
            f"{error}. Was this database used by a newer release? Run that one, or restore a backup."
        ) from error


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other process's upgrade overlaps."""
    with engine.connect() as connection:
        turn = _alone_sqlite if engine.dialect.name == "sqlite" else _alone_postgresql
        with turn(connection):
            yield connection


@contextlib.contextmanager
def _alone_postgresql(connection: Connection) -> Iterator[None]:
    with connection.begin():
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
        yield


@contextlib.contextmanager
def _alone_sqlite(connection: Connection) -> Iterator[None]:
    # A table is altered by copying and dropping it; with foreign keys on, dropping it would take along or be
    # stopped by the rows that refer to it. SQLite obeys this switch only outside a transaction.
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA foreign_keys = OFF")
    driver.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
    try:
        with connection.begin():  # IMMEDIATE, so this is the lock
            yield
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            assert not broken, f"The migration left rows that point nowhere: {broken[:5]}"
    finally:
        driver.execute("PRAGMA foreign_keys = ON")
        driver.execute(f"PRAGMA busy_timeout = {db.PATIENCE * 1000}")
