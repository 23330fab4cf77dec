"""Databases to test on: real SQLite files and a real PostgreSQL server, a clean one for every test.

Fixtures `database` (each test runs on both), `sqlite_database` and `postgres_database` connect this process
and give the URL; `demo_data` seeds the demo group into `database` and gives its members.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from data import Base, db, demo, schema, sealed
from data.demo import DemoMember

NOW = datetime(2026, 3, 14, 1, 59, 26, 535897, tzinfo=timezone.utc)
KEYS = base64.b64encode(bytes(range(32))).decode()
ADMIN_URL = os.environ.get("ZHIKE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


class PostgresServer:
    """Makes and drops databases; their names hold the process id, so that two runs do not collide."""

    def __init__(self) -> None:
        self._url = make_url(ADMIN_URL).set(drivername="postgresql")
        self._admin = psycopg.connect(
            self._url.render_as_string(hide_password=False), autocommit=True, connect_timeout=5
        )
        self._numbers = itertools.count(1)

    def make(self) -> str:
        """The URL of a new database without a schema."""
        name = f"zhike_test_{os.getpid()}_{next(self._numbers)}"
        # A killed run with our process id may have left one.
        self._drop(name)
        self._admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        name = make_url(url).database
        assert name is not None
        self._drop(name)

    def _drop(self, name: str) -> None:
        self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        self._admin.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except psycopg.OperationalError as error:
        reason = f"No PostgreSQL for the tests (set ZHIKE_TEST_POSTGRES): {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_kept(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a database with the newest schema, emptied before each test that uses it.

    Emptying takes a few milliseconds; a copy for each test would write 8 MB to disk and take up to half a second.
    """
    url = postgres_server.make()
    try:
        _upgrade(url)
        yield url
    finally:
        postgres_server.drop(url)


def _empty(url: str) -> None:
    with psycopg.connect(url) as connection:
        # The ledger refuses to be emptied, as it should: as a replica its triggers and foreign keys are asleep,
        # for this transaction only.
        connection.execute("SET LOCAL lock_timeout = '10s'")
        connection.execute("SET LOCAL session_replication_role = replica")
        emptied = [sql.SQL("DELETE FROM {}").format(sql.Identifier(table)) for table in Base.metadata.tables]
        emptied.append(
            sql.SQL(
                "SELECT setval(oid, 1, false) FROM pg_class"
                " WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
            )
        )
        connection.execute(
            sql.SQL(";").join(emptied)
        )  # in one go: each test that uses the database waits for it


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the newest schema and no rows, to be copied."""
    path = tmp_path_factory.mktemp("template") / "zhike.db"
    _upgrade(f"sqlite:///{path}")
    assert not path.with_name("zhike.db-wal").exists(), "the last connection to close leaves one whole file"
    return path


def _upgrade(url: str) -> None:
    engine = db.new_engine(url)
    schema.upgrade(engine)
    engine.dispose()


@contextlib.contextmanager
def connected(url: str) -> Iterator[str]:
    """This process and those it starts use the database at `url`, with `KEYS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIKE_DATABASE_URL", url)
        patch.setenv("ZHIKE_KEYS", KEYS)
        db.connect(url)
        sealed.use_keys(KEYS)
        try:
            yield url
        finally:
            db.disconnect()


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[str]:
    """URL of a clean SQLite file that this process is connected to."""
    shutil.copy(sqlite_template, tmp_path / "zhike.db")
    with connected(f"sqlite:///{tmp_path / 'zhike.db'}") as url:
        yield url


@pytest.fixture
def postgres_database(postgres_kept: str) -> Iterator[str]:
    """URL of a clean PostgreSQL database that this process is connected to. Leave its schema as it is."""
    _empty(postgres_kept)
    with connected(postgres_kept) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """URL of a clean database; the test runs once on SQLite, once on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_database")
    return url


@pytest.fixture
def demo_data(database: str) -> list[DemoMember]:
    """The demo group, as of `NOW`, in `database`."""
    return seed_demo()


def seed_demo(now: datetime = NOW) -> list[DemoMember]:
    """Write the demo group, as of `now`, into the database of this process."""
    with db.transaction() as session:
        demo.seed(session, now=now)
    with db.reading() as session:
        return demo.people(session, now=now)
