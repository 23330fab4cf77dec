"""Transactions, moments, and rows that are written once."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from data import db
from data.db import BadDatabaseUrl, insert_once
from data.dialogues import DialogueTurn
from data.members import Contact, Member
from tests.conftest import NOW
from tests.data import rivals as deeds
from tests.data.rivals import Rivals

SHANGHAI = timezone(timedelta(hours=8))


def write_turn(conversation: str = "c", at: datetime = NOW) -> None:
    with db.transaction() as session:
        session.add(DialogueTurn(conversation=conversation, before={}, events=[], at=at))


def count_turns() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(DialogueTurn)) or 0


def contact(address: str, **more: Any) -> dict[str, Any]:
    return dict(channel="telegram", address=address, locale="", first_heard_at=NOW, last_heard_at=NOW, **more)


def test_naive_moment_is_refused(database: str) -> None:
    with pytest.raises(StatementError) as refused:
        write_turn(at=datetime(2026, 3, 14, 10, 0))  # noqa: DTZ001 - the very mistake
    assert isinstance(refused.value.orig, ValueError)
    assert count_turns() == 0


def test_moment_comes_back_in_utc_to_the_microsecond(database: str) -> None:
    write_turn(at=NOW.astimezone(SHANGHAI))
    with db.reading() as session:
        found = session.scalars(select(DialogueTurn.at)).one()
    assert found == NOW
    assert found.utcoffset() == timedelta(0)
    assert found.microsecond == NOW.microsecond


def test_moments_compare_as_moments_whatever_zone_they_came_in(database: str) -> None:
    write_turn("earlier", NOW.astimezone(SHANGHAI))  # a later hour on the wall, an earlier moment
    write_turn("later", NOW + timedelta(microseconds=1))
    with db.reading() as session:
        until_now = select(DialogueTurn.conversation).where(DialogueTurn.at <= NOW.astimezone(SHANGHAI))
        assert session.scalars(until_now).all() == ["earlier"]
        in_order = select(DialogueTurn.conversation).order_by(DialogueTurn.at)
        assert session.scalars(in_order).all() == ["earlier", "later"]


def test_transaction_commits(database: str) -> None:
    write_turn()
    assert count_turns() == 1


def test_transaction_rolls_back_on_any_exception(database: str) -> None:
    def break_midway() -> None:
        with db.transaction() as session:
            session.add(DialogueTurn(conversation="c", before={}, events=[], at=NOW))
            session.flush()
            raise KeyError("midway")

    with pytest.raises(KeyError):
        break_midway()
    assert count_turns() == 0


def test_reading_goes_on_beside_a_writer_and_sees_what_was_before(database: str) -> None:
    write_turn("before")
    with db.transaction() as session:
        session.add(DialogueTurn(conversation="during", before={}, events=[], at=NOW))
        session.flush()
        assert count_turns() == 1
    assert count_turns() == 2


def test_reading_refuses_to_write(database: str) -> None:
    with db.reading() as session:
        session.add(DialogueTurn(conversation="c", before={}, events=[], at=NOW))
        with pytest.raises(db.ReadingOnly):
            session.flush()
    with db.reading() as session, pytest.raises(db.ReadingOnly):
        session.execute(text("DELETE FROM dialogue_turns"))
    assert count_turns() == 0


def test_insert_once_writes_the_first_and_keeps_it(database: str) -> None:
    with db.transaction() as session:
        first = insert_once(session, Contact, **contact("7", member_id=None))
    with db.transaction() as session:
        assert insert_once(session, Contact, **(contact("7") | {"locale": "en"})) is None
        # The transaction that lost goes on.
        other = insert_once(session, Contact, **contact("8"))
    with db.reading() as session:
        rows = session.execute(select(Contact.id, Contact.address, Contact.locale).order_by(Contact.id)).all()
    assert [tuple(row) for row in rows] == [(first, "7", ""), (other, "8", "")]


def test_insert_once_comes_after_what_the_session_still_holds(database: str) -> None:
    with db.transaction() as session:
        session.add(Contact(**contact("7")))
        assert insert_once(session, Contact, **contact("7")) is None


def test_insert_once_keeps_the_models_defaults(database: str) -> None:
    with db.transaction() as session:
        insert_once(session, Member, number="ZK1", name="沈", locale="en", joined_at=NOW)
    with db.reading() as session:
        member = session.scalars(select(Member)).one()
    assert (member.tier, member.name, member.home_hotel_id) == ("classic", "沈", None)


def test_insert_once_hides_no_other_mistake(database: str) -> None:
    with pytest.raises(IntegrityError), db.transaction() as session:
        insert_once(session, Contact, **contact("7", member_id=404))
    with pytest.raises(IntegrityError), db.transaction() as session:
        insert_once(session, Member, number=None, name="沈", locale="en", tier="gold", joined_at=NOW)


def test_sqlite_keeps_what_it_was_given_after_a_power_cut(sqlite_database: str) -> None:
    with db.reading() as session:
        pragmas = {
            name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}


def test_two_processes_open_a_new_file_at_once(rivals: Rivals, sqlite_database: str, tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / 'deep' / f'{number}.db'}" for number in range(30)]
    assert rivals.race(deeds.open_file, sqlite_database, urls) == (["wal"] * 30, ["wal"] * 30)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://root:hunter2@db/zhike", "names mysql"),
        ("not a url", "is not a database URL"),
        ("", "is not a database URL"),
    ],
)
def test_other_databases_are_refused_by_name_without_their_password(url: str, says: str) -> None:
    with pytest.raises(BadDatabaseUrl, match="ZHIKE_DATABASE_URL") as refused:
        db.new_engine(url)
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_engine_is_the_one_of_the_environment(sqlite_database: str) -> None:
    assert os.environ["ZHIKE_DATABASE_URL"] == sqlite_database
    db.disconnect()
    assert db.engine().url.render_as_string() == sqlite_database
    assert db.engine() is db.engine()


def test_answers(database: str) -> None:
    assert db.answers()
    assert not db.answers(within=0)


def test_a_database_that_is_down_does_not_answer(database: str, tmp_path: Path) -> None:
    db.connect("postgresql://nobody@127.0.0.1:1/nowhere")
    assert not db.answers()
    db.connect(f"sqlite:///{tmp_path}")  # a folder is no database
    assert not db.answers()


def test_a_pool_without_a_free_connection_does_not_answer(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool: Any = db.engine().pool
    monkeypatch.setattr(pool, "_timeout", 0.01)
    held = [db.engine().raw_connection() for _ in range(pool.size() + pool._max_overflow)]
    assert not db.answers()
    for connection in held:
        connection.close()
    assert db.answers()
