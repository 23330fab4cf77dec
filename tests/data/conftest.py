"""Two processes that act at once, a blank database, and one member to act upon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data import Base, db
from data.hotels import Hotel
from data.members import Contact, Member
from tests.conftest import NOW, PostgresServer, connected
from tests.data.rivals import Rivals


@pytest.fixture(scope="session")
def rivals() -> Iterator[Rivals]:
    pair = Rivals()
    yield pair
    pair.close()


@pytest.fixture(params=["sqlite", "postgres"])
def blank_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without any schema."""
    if request.param == "sqlite":
        with connected(f"sqlite:///{tmp_path / 'blank.db'}") as url:
            yield url
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    fresh = server.make()
    try:
        with connected(fresh) as url:
            yield url
    finally:
        server.drop(fresh)


@pytest.fixture
def member_id(database: str) -> int:
    """The id of one member in `database`, without points or contacts."""
    return new_member()


def new_member(number: str = "ZK900001", name: str = "沈知微") -> int:
    """A member, in a transaction of its own; gives their id."""
    with db.transaction() as session:
        session.add(member := Member(number=number, name=name, locale="zh_CN", tier="gold", joined_at=NOW))
        session.flush()
        return member.id


def everything() -> dict[str, list[str]]:
    """All rows of all tables as the database holds them: equal before and after means that nothing was changed."""
    with db.engine().connect() as connection:
        return {
            table.name: sorted(map(str, connection.exec_driver_sql(f'SELECT * FROM "{table.name}"').tuples()))
            for table in Base.metadata.sorted_tables
        }


def new_contact(address: str) -> int:
    """A Telegram contact of nobody, in a transaction of its own; gives its id."""
    with db.transaction() as session:
        contact = Contact(channel="telegram", address=address, first_heard_at=NOW, last_heard_at=NOW)
        session.add(contact)
        session.flush()
        return contact.id


def new_hotel(code: str = "HLTT") -> int:
    """A hotel, in a transaction of its own; gives its id."""
    with db.transaction() as session:
        names = {"en": "Test House", "zh_CN": "测试之家", "zh_TW": "測試之家"}
        hotel = Hotel(code=code, names=names, city="Taipei", time_zone="Asia/Taipei", currency="TWD")
        session.add(hotel)
        session.flush()
        return hotel.id
