"""The outbox: each guest's messages in order and once, through every way a send can fail."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

from bot import outbox
from bot.channel import (
    GuestGone,
    NotAllowed,
    Outgoing,
    OutOfWindow,
    Rejected,
    SendError,
    TooFast,
    Uncertain,
    Unreachable,
)
from bot.outbox import wait_before
from tests.bot.faults import (
    GUEST,
    STAFF,
    Clock,
    FrontDesk,
    Wire,
    database_gone,
    failing_commit,
    owed,
    stored,
    text,
)


async def wake(desk: FrontDesk, contact_id: int, address: str = GUEST) -> None:
    desk.outbox.wake(contact_id, address)
    await desk.quiet()


def state_of(key: str) -> tuple[str, str]:
    return next((message.state, message.outcome) for message in stored() if message.key == key)


async def test_order_holds_while_the_first_is_retried(database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", Unreachable(), Unreachable()))
    contact = owed("first", "k:1")
    owed("second", "k:2")
    await wake(desk, contact)
    assert desk.wire.sent == []
    assert [words.text for words in desk.wire.tries] == ["first"], "the second waits behind the first"
    desk.clock.forward(1)
    await wake(desk, contact)
    desk.clock.forward(2)
    await wake(desk, contact)
    assert desk.wire.texts == ["first", "second"]
    await desk.close()


async def test_another_guest_does_not_wait_behind_a_failure(sqlite_database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", Unreachable()))
    stuck, free = owed("stuck", "k:1"), owed("free", "k:2", address="42")
    await wake(desk, stuck)
    await wake(desk, free, "42")
    assert desk.wire.texts == ["free"]
    await desk.close()


async def test_waits_grow_from_a_second_to_five_minutes(database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", *[Unreachable() for _ in range(11)]))
    contact = owed("words", "k:1")
    waits = []
    for _ in range(11):
        await wake(desk, contact)
        (message,) = stored()
        waits.append((message.due_at - desk.clock()).total_seconds())
        tries = len(desk.wire.tries)
        desk.clock.forward(waits[-1] - 0.001)
        await wake(desk, contact)
        assert len(desk.wire.tries) == tries, "not before it is due"
        desk.clock.forward(0.001)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    await wake(desk, contact)
    assert desk.wire.texts == ["words"]
    assert stored()[0].attempts == 12
    await desk.close()


def test_the_longest_wait_is_never_passed() -> None:
    assert wait_before(1) == timedelta(seconds=1)
    assert wait_before(10_000) == timedelta(minutes=5)


async def test_it_looks_again_by_itself_when_due(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FIRST_WAIT", timedelta(seconds=0.06))
    desk = FrontDesk(None, Wire("telegram", Unreachable()))
    contact = owed("words", "k:1")
    await wake(desk, contact)
    assert desk.wire.sent == []
    desk.clock.forward(0.06)
    for _ in range(200):
        if desk.wire.sent:
            break
        await asyncio.sleep(0.01)
    assert desk.wire.texts == ["words"]
    await desk.quiet()
    await desk.close()


@pytest.mark.parametrize("error", [TooFast(after=17), NotAllowed(after=60)])
async def test_the_platforms_own_wait_is_honoured(sqlite_database: str, error: SendError) -> None:
    desk = FrontDesk(None, Wire("telegram", error))
    contact = owed("words", "k:1")
    await wake(desk, contact)
    assert error.after is not None
    assert stored()[0].due_at == desk.clock() + timedelta(seconds=error.after)
    desk.clock.forward(error.after)
    await wake(desk, contact)
    assert desk.wire.texts == ["words"]
    await desk.close()


@pytest.mark.parametrize("error", [GuestGone(), OutOfWindow()])
async def test_what_cannot_be_sent_is_given_up_and_the_next_is_tried(database: str, error: SendError) -> None:
    desk = FrontDesk(None, Wire("telegram", error, error), staff=True)
    contact = owed("one", "k:1")
    owed("two", "k:2")
    await wake(desk, contact)
    assert [state_of("k:1"), state_of("k:2")] == [("failed", error.outcome)] * 2
    assert len(stored()) == 2, "staff need not hear of a guest who left"
    desk.clock.forward(3600)
    desk.recovery.look()
    await desk.quiet()
    assert len(desk.wire.tries) == 2


async def test_staff_hear_once_of_a_message_the_platform_rejects(database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", Rejected("bad")), staff=True)
    contact = owed("one", "k:1")
    await wake(desk, contact)
    assert state_of("k:1") == ("failed", "rejected")
    assert [(words.address, "one" in words.text) for words in desk.wire.sent] == [(STAFF, False)]
    desk.recovery.look()
    await desk.quiet()
    assert len(desk.wire.sent) == 1


async def test_staff_hear_once_of_a_secret_that_is_wrong_however_often_it_is_tried(database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", NotAllowed(after=60)), Wire("wechat"), staff=True)
    desk.wires[1].faults.extend([NotAllowed(after=60) for _ in range(3)])
    contact = owed("one", "k:1", channel="wechat", address="openid")
    for _ in range(4):
        await wake(desk, contact, "openid")
        desk.clock.forward(60)
    desk.recovery.look()
    await desk.quiet()
    flags = [message for message in stored() if message.key.startswith("staff:")]
    assert [flag.state for flag in flags] == ["sent"], (
        "telling staff failed once too, and told nobody of itself"
    )
    assert desk.wires[1].texts == ["one"]
    await desk.close()


async def test_staff_who_cannot_be_told_are_not_told_of_that(sqlite_database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", Rejected(), Rejected()), staff=True)
    contact = owed("one", "k:1")
    await wake(desk, contact)
    assert [message.state for message in stored()] == ["failed", "failed"]


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_send_in_doubt_is_asked_about_before_it_is_repeated(database: str, arrived: bool) -> None:
    desk = FrontDesk(None, Wire("telegram", Uncertain()))
    desk.reception.take(text("hello", reference="500"))
    await desk.quiet()
    assert desk.wire.asked == [], "a first attempt has nothing to ask"
    desk.wire.arrivals.append(arrived)
    desk.clock.forward(1)
    await wake(desk, 1)
    assert desk.wire.asked == [("re hello", "500")]
    assert len(desk.wire.tries) == (1 if arrived else 2)
    assert [message.state for message in stored()] == ["answered", "sent"]
    await desk.close()


async def test_a_question_that_fails_is_asked_again(database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", Uncertain()))
    contact = owed("words", "k:1")
    await wake(desk, contact)
    desk.wire.arrivals.extend([Unreachable(), TooFast(after=30), True])
    desk.clock.forward(1)
    await wake(desk, contact)
    assert state_of("k:1") == ("promised", "uncertain")
    desk.clock.forward(2)
    await wake(desk, contact)
    assert stored()[0].due_at == desk.clock() + timedelta(seconds=30)
    desk.clock.forward(30)
    await wake(desk, contact)
    assert len(desk.wire.tries) == 1
    assert state_of("k:1")[0] == "sent"
    await desk.close()


async def test_a_message_for_a_channel_that_is_not_open_waits(database: str) -> None:
    desk = FrontDesk(None, Wire("telegram"))
    contact = owed("words", "k:1", channel="wechat", address="openid")
    await wake(desk, contact, "openid")
    assert state_of("k:1") == ("promised", "unreachable")
    await desk.close()
    opened = FrontDesk(None, Wire("wechat"), clock=Clock(desk.clock() + timedelta(seconds=1)))
    opened.recovery.look()
    await opened.quiet()
    assert opened.wire.texts == ["words"]


async def test_after_two_days_an_answer_is_given_up(sqlite_database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", Unreachable(), Unreachable()))
    contact = owed("words", "k:1")
    await wake(desk, contact)
    desk.clock.forward(48 * 3600)
    await wake(desk, contact)
    assert state_of("k:1") == ("failed", "unreachable")
    await desk.close()


async def test_a_mark_that_fails_is_made_again(database: str) -> None:
    desk = FrontDesk()
    contact = owed("words", "k:1")
    with failing_commit(2, database_gone()):
        await wake(desk, contact)
    assert state_of("k:1")[0] == "sent"
    assert desk.wire.texts == ["words"]


async def test_a_mark_that_keeps_failing_is_not_a_second_message(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WeChat cannot be asked: that it was sent must be remembered here."""
    monkeypatch.setattr(outbox, "PATIENCE", ())
    desk = FrontDesk()
    contact = owed("words", "k:1")
    with failing_commit(2, database_gone()):
        await wake(desk, contact)
    assert state_of("k:1")[0] == "sending"
    desk.clock.forward(61)
    desk.recovery.look()
    await desk.quiet()
    assert desk.wire.texts == ["words"]
    assert desk.wire.asked == []
    assert state_of("k:1")[0] == "sent"


async def test_a_send_that_breaks_in_its_library_is_given_up_and_told(database: str) -> None:
    desk = FrontDesk(None, Wire("telegram"), staff=True)
    send = desk.wire.send

    async def broken(words: Outgoing) -> str:
        if words.text == "odd":
            raise ValueError("the library's mistake")
        return await send(words)

    desk.wire.send = broken  # type: ignore[method-assign]
    contact = owed("odd", "k:1")
    owed("words", "k:2")
    await wake(desk, contact)
    await desk.quiet()
    assert state_of("k:1")[:1] == ("failed",)
    assert state_of("k:2")[0] == "sent", "it does not hold up the others"
    assert len(desk.wire.texts) == 2, "one to the guest, one to staff"


async def test_a_database_that_goes_away_while_asking_costs_no_message(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = FrontDesk(None, Wire("telegram", Uncertain()))
    contact = owed("words", "k:1")
    await wake(desk, contact)

    def gone(*_given: object) -> str:
        monkeypatch.undo()
        raise database_gone()

    monkeypatch.setattr(outbox.promises, "last_platform_id", gone)
    desk.clock.forward(1)
    await wake(desk, contact)
    assert state_of("k:1")[0] == "promised", "put off, not given up"
    desk.wire.arrivals.append(False)
    desk.clock.forward(10)
    await wake(desk, contact)
    assert state_of("k:1")[0] == "sent"
    assert len(desk.wire.asked) == 1, "it is still asked about before it is sent again"
    await desk.close()


async def test_a_pause_the_platform_asked_for_is_kept_even_when_the_guest_writes(database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", TooFast(after=30)))
    desk.reception.take(text("hello"))
    await desk.quiet()
    desk.reception.take(text("more", "update:2"))
    await desk.quiet()
    assert len(desk.wire.tries) == 1
    desk.clock.forward(31)
    await wake(desk, 1)
    assert desk.wire.texts == ["re hello", "re more"]
    await desk.close()


async def test_a_closed_outbox_sends_nothing_and_loses_nothing(sqlite_database: str) -> None:
    desk = FrontDesk(None, Wire("telegram", Unreachable()))
    contact = owed("words", "k:1")
    await wake(desk, contact)
    assert desk.outbox._alarms
    await desk.close()
    assert not desk.outbox._alarms
    await wake(desk, contact)
    assert state_of("k:1")[0] == "promised"
    assert desk.wire.sent == []


def test_two_processes_send_each_message_once_and_in_order(postgres_database: str) -> None:
    contact = 0
    for number in range(30):
        contact = owed(f"{number:02d}", f"k:{number}")
    together = threading.Barrier(2)
    sent: list[str] = []  # in the order the platform got them, whoever sent

    class Shared(Wire):
        async def send(self, words: object) -> str:
            sent.append(words.text)  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)
            return str(len(sent))

    def process(name: str) -> None:
        async def run() -> None:
            desk = FrontDesk(None, Shared(), process=name)
            together.wait(10)
            while any(message.state != "sent" for message in stored()):
                await wake(desk, contact)

        asyncio.run(run())

    threads = [threading.Thread(target=process, args=(name,)) for name in ("one:1:1", "two:2:2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sent == [f"{number:02d}" for number in range(30)]
