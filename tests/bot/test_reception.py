"""Reception: each message is recorded once and answered once, whatever breaks in between."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from bot import reception, recovery
from bot.channel import Kind
from bot.turns import Outcome, Turn
from data import db, messages
from data.members import contact_at
from data.promises import Draft
from tests.bot.faults import (
    GUEST,
    Clock,
    FrontDesk,
    Scripted,
    Wire,
    database_gone,
    failing_commit,
    states,
    stored,
    text,
)
from tests.conftest import ADMIN_URL

ANSWERED = [("in", "answered"), ("out", "sent")]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "PATIENCE", (0.02, 0.05, 0.1, 0.2, 0.4))


async def test_a_message_is_recorded_answered_and_sent(database: str) -> None:
    desk = FrontDesk()
    taken = desk.reception.take(text("hello", reference="77"))
    assert taken.fresh
    assert desk.reception.in_hand(taken.message_id)
    await desk.quiet()
    assert not desk.reception.in_hand(taken.message_id)
    assert states() == ANSWERED
    asked, reply = stored()
    assert (asked.platform_id, reply.platform_id) == ("77", "1001")
    assert (reply.answers_id, reply.via, reply.attempts) == (asked.id, "api", 1)
    assert desk.wire.texts == ["re hello"]


async def test_a_second_delivery_finds_the_first(database: str) -> None:
    desk = FrontDesk()
    first = desk.reception.take(text("hello"))
    again = desk.reception.take(text("hello"))
    await desk.quiet()
    late = desk.reception.take(text("hello"))
    await desk.quiet()
    assert (first.fresh, again.fresh, late.fresh) == (True, False, False)
    assert first.message_id == again.message_id == late.message_id
    assert desk.wire.texts == ["re hello"]


def test_the_same_delivery_to_two_processes_at_once_is_answered_once(database: str) -> None:
    together = threading.Barrier(2)
    sent: list[str] = []
    fresh: list[bool] = []

    def process(name: str) -> None:
        async def run() -> None:
            desk = FrontDesk(process=name)
            for number in range(20):
                together.wait(10)
                fresh.append(desk.reception.take(text(f"n{number}", f"update:{number}")).fresh)
            await desk.quiet()
            sent.extend(desk.wire.texts)

        asyncio.run(run())

    threads = [threading.Thread(target=process, args=(name,)) for name in ("one:1:1", "two:2:2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert fresh.count(True) == 20
    assert fresh.count(False) == 20
    assert sorted(sent) == sorted(f"re n{number}" for number in range(20))
    assert [message.state for message in stored()].count("sent") == 20


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_database_that_fails_at_a_commit_of_the_turn(database: str, number: int) -> None:
    """Commits of one message: taken, settled with its replies, marked as sent."""
    desk = FrontDesk(Scripted(), clock=Clock())
    with failing_commit(number, database_gone()):
        if number == 1:
            with pytest.raises(OperationalError):
                desk.reception.take(text("hello"))
            assert stored() == []
        desk.reception.take(text("hello"))
        await desk.quiet()
    assert states() == ANSWERED
    assert desk.wire.texts == ["re hello"]


async def test_a_turn_that_breaks_at_its_commit_leaves_nothing_half_done(database: str) -> None:
    answers = Scripted()
    desk = FrontDesk(answers)
    with failing_commit(2, ValueError("not the database's fault")):
        desk.reception.take(text("hello"))
        await desk.quiet()
    assert states() == [("in", "failed"), ("out", "sent")], "the reply went with its transaction"
    assert len(desk.wire.texts) == 1
    assert "sorry" in desk.wire.texts[0]


async def test_a_turn_whose_apology_breaks_too_is_begun_again_by_recovery(database: str) -> None:
    answers = Scripted()
    desk = FrontDesk(answers)
    with failing_commit(2, ValueError("broken")), failing_commit(2, ValueError("broken again")):
        desk.reception.take(text("hello"))
        await desk.quiet()
    assert states() == [("in", "received")], "no reply was promised"
    desk.recovery.look()
    await desk.quiet()
    assert states() == [("in", "received")], "still held"
    desk.clock.forward(61)
    desk.recovery.look()
    await desk.quiet()
    assert states() == ANSWERED
    assert [turn.key for turn in answers.turns] == ["turn:1", "turn:1"], "deeds meet their own key again"
    assert desk.wire.texts == ["re hello"]


async def test_a_turn_that_kills_its_process_every_time_is_given_up(database: str) -> None:
    answers = Scripted()
    desk = FrontDesk(answers)
    with db.transaction() as session:
        contact = contact_at(session, "telegram", "700900001", now=desk.clock())
        question = messages.receive(
            session, channel="telegram", key="update:9", contact_id=contact.id, kind="text", text="boom",
            payload={}, by="dead:0", now=desk.clock(),
        )  # fmt: skip
    assert question is not None
    for life in range(recovery.ATTEMPTS):
        with db.transaction() as session:
            assert messages.take_over(
                session, question, was=f"dead:{life}", by=f"dead:{life + 1}", now=desk.clock()
            )
    desk.recovery.look(alone=True)
    await desk.quiet()
    assert answers.turns == [], "it is not tried once more"
    assert states() == [("in", "failed"), ("out", "sent")]


async def test_a_commit_whose_success_was_not_heard_is_not_repeated(database: str) -> None:
    answers = Scripted()
    desk = FrontDesk(answers)
    with failing_commit(2, database_gone(), done=True):
        desk.reception.take(text("hello"))
        await desk.quiet()
    desk.clock.forward(61)
    desk.recovery.look()
    await desk.quiet()
    assert states() == ANSWERED
    assert desk.wire.texts == ["re hello"]


@contextlib.contextmanager
def taken_away(url: str) -> Iterator[None]:
    """The database of this process does not answer."""
    parsed = make_url(url)
    assert parsed.database is not None
    if parsed.get_backend_name() == "sqlite":
        db.engine().dispose()
        path = Path(parsed.database)
        shutil.move(path, path.with_suffix(".away"))
        path.mkdir()
        try:
            yield
        finally:
            path.rmdir()
            shutil.move(path.with_suffix(".away"), path)
        return
    name = sql.Identifier(parsed.database)
    with psycopg.connect(ADMIN_URL, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            (parsed.database,),
        )
        try:
            yield
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


async def test_a_database_that_goes_away_in_mid_turn_and_comes_back(database: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(turn: Turn) -> Outcome:
        begun.set()
        await go_on.wait()
        return Outcome((Draft("at last"),))

    answers = Scripted(slow)
    desk = FrontDesk(answers)
    desk.reception.take(text("hello"))
    await begun.wait()
    with taken_away(database):
        go_on.set()
        await asyncio.sleep(0.1)  # at least one attempt meets the closed door
        with pytest.raises(OperationalError):
            desk.reception.take(text("and now?", "update:2"))
    await desk.quiet()
    assert len(answers.turns) >= 2
    assert states() == ANSWERED
    assert len(desk.wire.sent) == 1


async def test_a_database_that_stays_away_leaves_the_turn_to_recovery(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "PATIENCE", (0.01, 0.01))
    desk = FrontDesk(Scripted(*[database_gone() for _ in range(4)]))
    desk.reception.take(text("hello"))
    await desk.quiet()
    assert states() == [("in", "received")]
    desk.clock.forward(61)
    desk.recovery.look()
    await desk.quiet()
    assert states() == [("in", "received")], "two more failures were still to come"
    desk.clock.forward(61)
    desk.recovery.look()
    await desk.quiet()
    assert states() == ANSWERED
    assert desk.wire.texts == ["re hello"]


@pytest.mark.parametrize("kind", ["edit", "goodbye", "overheard", "unreadable"])
async def test_what_wants_no_answer_is_only_noted(sqlite_database: str, kind: Kind) -> None:
    desk = FrontDesk()
    desk.reception.take(text("x", kind=kind, address="" if kind == "unreadable" else GUEST))
    await desk.quiet()
    assert states() == [("in", "noted")]
    assert desk.wire.tries == []


async def test_a_guests_messages_are_answered_in_order_while_others_go_on(sqlite_database: str) -> None:
    go_on = asyncio.Event()

    async def slow(turn: Turn) -> Outcome:
        await go_on.wait()
        return Outcome((Draft("slow"),))

    desk = FrontDesk(Scripted(slow))
    desk.reception.take(text("1", "update:1"))
    await asyncio.sleep(0)
    desk.reception.take(text("2", "update:2"))
    desk.reception.take(text("other", "update:3", address="42"))
    for _ in range(100):
        if desk.wire.sent:
            break
        await asyncio.sleep(0.005)
    assert desk.wire.texts == ["re other"]
    go_on.set()
    await desk.quiet()
    assert desk.wire.texts == ["re other", "slow", "re 2"]


async def test_two_replies_leave_in_their_order(database: str) -> None:
    async def two(turn: Turn) -> Outcome:
        return Outcome((Draft("first"), Draft("second", (("Yes", "/affirm"),))))

    desk = FrontDesk(Scripted(two), Wire())
    desk.reception.take(text("hello"))
    await desk.quiet()
    assert [(words.text, words.choices) for words in desk.wire.sent] == [
        ("first", ()),
        ("second", (("Yes", "/affirm"),)),
    ]
