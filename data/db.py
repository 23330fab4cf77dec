"""The database: one engine, one way to open a transaction, UTC time columns."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    CursorResult,
    DateTime,
    Engine,
    Executable,
    Integer,
    MetaData,
    TypeDecorator,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

DEFAULT_URL = "sqlite:///var/zhike.db"

# How long a writer waits for another writer before it gives up, in seconds, on either database.
PATIENCE = 10

_engine: Engine | None = None


class Base(DeclarativeBase):
    """The one catalogue of tables."""

    # A constraint without a name cannot be altered by a later migration on SQLite.
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )


# SQLite numbers rows by itself only in a plain INTEGER column.
RowId = BigInteger().with_variant(Integer, "sqlite")


class BadDatabaseUrl(ValueError):
    """ZHIKE_DATABASE_URL names a database this house cannot use."""


class ReadingOnly(RuntimeError):
    """A write in a session that only reads."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored in UTC; a naive one is refused before it reaches the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"A moment without a time zone reached the database: {value!r}")
        value = value.astimezone(timezone.utc)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def _prepare_sqlite(patience: float, connection: Any, _record: ConnectionPoolEntry) -> None:
    # The driver itself would begin transactions late and DEFERRED; we say BEGIN ourselves.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
    _use_wal(connection)
    # FULL: a message acknowledged to a platform survives a power cut, not only a crash.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # Else INSERT OR REPLACE would remove a ledger row past its append-only trigger.
    connection.execute("PRAGMA recursive_triggers = ON")


def _use_wal(connection: Any) -> None:
    # SQLite does not heed busy_timeout while the journal changes hands: two processes that both open a new
    # file can be told "locked" at once. The mode stays with the file, so this happens once in its life.
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: check-then-write is neither overtaken nor refused half-way.
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def new_engine(url: str, *, patience: float = PATIENCE) -> Engine:
    """An engine for `url`: `sqlite:///path` or `postgresql://…` (spoken with psycopg 3).

    `patience` is how many seconds a statement waits for a lock that another process holds. Raises `BadDatabaseUrl`
    for any other kind of database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadDatabaseUrl(
            "ZHIKE_DATABASE_URL is not a database URL; write sqlite:///var/zhike.db or postgresql://user@host/name."
        ) from None
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=False,
            pool_size=5,
            max_overflow=10,
            pool_timeout=5,
            # An error's text goes to the log; parameters are guests' data.
            hide_parameters=True,
            # While we wait for the server nobody is served. A connection that died without a word is noticed
            # within ten seconds; a statement that takes as long is given up by the server.
            connect_args={
                "connect_timeout": 2,
                "tcp_user_timeout": 4000,
                "keepalives_idle": 3,
                "keepalives_interval": 2,
                "keepalives_count": 2,
                "options": (
                    f"-c timezone=utc -c lock_timeout={int(patience * 1000)} -c statement_timeout=10000"
                ),
            },
        )
    if parsed.get_backend_name() != "sqlite":
        raise BadDatabaseUrl(
            f"ZHIKE_DATABASE_URL names {parsed.get_backend_name()}; "
            "Zhike keeps its data in SQLite or PostgreSQL."
        )
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, hide_parameters=True)
    event.listen(engine, "connect", functools.partial(_prepare_sqlite, patience))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def connect(url: str | None = None, *, patience: float = PATIENCE) -> Engine:
    """Make `url` (default: `ZHIKE_DATABASE_URL`, else SQLite under `var/`) the database of this process."""
    global _engine
    disconnect()
    _engine = new_engine(url or os.environ.get("ZHIKE_DATABASE_URL") or DEFAULT_URL, patience=patience)
    return _engine


def disconnect() -> None:
    """Close every connection of this process; the next use opens the database anew."""
    global _engine
    if _engine is not None:
        _engine.dispose()
    _engine = None


def engine() -> Engine:
    """The database of this process, connected on first use."""
    return _engine if _engine is not None else connect()


@contextlib.contextmanager
def transaction() -> Iterator[Session]:
    """Commit on leaving, roll back on any exception. Keep it short, and never hold it across an `await`."""
    with Session(engine(), expire_on_commit=False) as db, db.begin():
        yield db


@contextlib.contextmanager
def reading() -> Iterator[Session]:
    """A session that only reads: it takes no write lock. What was read stays readable afterwards.

    On PostgreSQL each statement stands alone, which spares a BEGIN and a ROLLBACK over the wire; a reader that
    needs two statements to see the same moment opens a `transaction()`.
    """
    with Session(_reader(engine())) as db:
        yield db


@functools.lru_cache(maxsize=4)
def _reader(writer: Engine) -> Engine:
    """The same connections, used for reading only."""
    sqlite_option, postgres_option = {"reading": True}, {"isolation_level": "AUTOCOMMIT"}
    reader = writer.execution_options(
        **(sqlite_option if writer.dialect.name == "sqlite" else postgres_option)
    )
    event.listen(reader, "before_cursor_execute", _refuse_to_write)
    return reader


def _refuse_to_write(_connection: Connection, _cursor: Any, statement: str, *_given: Any) -> None:
    if not statement.lstrip().upper().startswith(("SELECT", "WITH", "EXPLAIN", "PRAGMA", "BEGIN")):
        raise ReadingOnly(
            "A session opened with reading() was asked to write; open a transaction() for that."
        )


def run_prepared(db: Session, statement: Executable, values: dict[str, Any]) -> CursorResult[Any]:
    """Run a Core statement that was written once, as a module's constant, with its bound `values`.

    For what every turn does: the session's own way costs several times the database's work.
    """
    db.flush()
    return db.connection().execute(statement, values)


def insert_once(db: Session, table: type[Base], **values: Any) -> int | None:
    """Insert a row and return its primary key; None if a unique key says it is already there.

    One statement, so two processes that try at once get one row and one None.
    """
    db.flush()
    connection = db.connection()
    insertion = _insertion(table, connection.dialect, tuple(values))
    written: int | None = connection.execute(insertion, values).scalar()
    return written


# SQLAlchemy 2.0 compiles ON CONFLICT anew at every call, at ten times the cost of the insertion itself. It
# takes a compiled statement just as well, though its annotations do not say so: hence Any.
@functools.lru_cache(maxsize=64)
def _insertion(table: type[Base], dialect: Dialect, names: tuple[str, ...]) -> Any:
    insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    once = insert(table).on_conflict_do_nothing().returning(*table.__table__.primary_key)
    return once.compile(dialect=dialect, column_keys=names)


def answers(within: float = 2.0) -> bool:
    """Whether the database answers a trivial question, and within `within` seconds; for the health check."""
    started = time.monotonic()
    try:
        with reading() as db:
            db.execute(text("SELECT 1"))
    except SQLAlchemyError:  # a pool that gives up waiting is no DBAPIError
        return False
    return time.monotonic() - started <= within
