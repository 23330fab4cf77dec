"""Recovery: what a dead process left is found and finished, and nobody else's work is touched."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

from bot.channel import Unreachable
from bot.passive import BACK_WITHIN, WINDOW
from bot.turns import Outcome, Turn
from data import db, messages, promises
from data.promises import Draft
from tests.bot.faults import Clock, FrontDesk, Scripted, Wire, owed, states, stored, text

ANSWERED = [("in", "answered"), ("out", "sent")]


def taken_by_a_dead_process() -> None:
    """A message recorded by a process that died at once."""

    desk = FrontDesk(process="dead:1:1")
    desk.lanes.closed = True
    desk.reception.take(text("hello"))


def claimed_by_a_dead_process(via: str = "api", channel: str = "telegram") -> None:
    contact = owed("words", "k:1", channel=channel)
    with db.transaction() as session:
        claimed = promises.claim_next(session, contact, by="dead:1:1", via=via, now=Clock()())
    assert claimed is not None


@pytest.mark.parametrize(("alone", "after", "found"), [(True, 0, 1), (False, 59, 0), (False, 60, 1)])
async def test_a_message_of_a_dead_process_is_answered(
    database: str, alone: bool, after: float, found: int
) -> None:
    taken_by_a_dead_process()
    desk = FrontDesk(process="two:2:2")
    desk.clock.forward(after)
    assert desk.recovery.look(alone=alone) == found
    await desk.quiet()
    assert states() == (ANSWERED if found else [("in", "received")])
    assert desk.wire.texts == ["re hello"] * found


async def test_what_was_handed_back_is_taken_up_at_once(database: str) -> None:
    taken_by_a_dead_process()
    with db.transaction() as session:
        messages.release(session, "dead:1:1", now=Clock()())
    desk = FrontDesk(process="two:2:2")
    desk.recovery.look()
    await desk.quiet()
    assert states() == ANSWERED


async def test_a_turn_in_hand_is_left_alone_however_long_it_takes(sqlite_database: str) -> None:
    go_on = asyncio.Event()

    async def slow(turn: Turn) -> Outcome:
        await go_on.wait()
        return Outcome((Draft("slow"),))

    answers = Scripted(slow)
    desk = FrontDesk(answers)
    desk.reception.take(text("hello"))
    await asyncio.sleep(0)
    desk.clock.forward(3600)
    assert desk.recovery.look() == 0
    go_on.set()
    await desk.quiet()
    assert len(answers.turns) == 1
    assert desk.wire.texts == ["slow"]


async def test_a_turn_that_broke_less_often_is_answered(database: str) -> None:
    taken_by_a_dead_process()
    for life in range(2):
        doomed = FrontDesk(process=f"life:{life}:1")
        doomed.reception.begin = lambda turn: None  # type: ignore[method-assign]
        doomed.recovery.look(alone=True)
    desk = FrontDesk(process="last:1:1")
    desk.recovery.look(alone=True)
    await desk.quiet()
    assert states() == ANSWERED


async def test_a_turn_that_was_answered_elsewhere_meanwhile_adds_nothing(database: str) -> None:
    """A process that stood still for longer than its hold wakes up and finishes a turn another has answered."""
    go_on, written = asyncio.Event(), []

    async def slow(turn: Turn) -> Outcome:
        await go_on.wait()
        return Outcome((Draft("too late"), Draft("more")), write=lambda session, now: written.append(now))

    frozen = FrontDesk(Scripted(slow))
    frozen.reception.take(text("hello"))
    await asyncio.sleep(0)
    other = FrontDesk(process="two:2:2")
    other.clock.forward(61)
    assert other.recovery.look() == 1
    await other.quiet()
    go_on.set()
    await frozen.quiet()
    assert written == []
    assert states() == ANSWERED
    assert (other.wire.texts, frozen.wire.tries) == (["re hello"], [])


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_send_that_was_cut_off_is_asked_about_first(database: str, arrived: bool) -> None:
    claimed_by_a_dead_process()
    desk = FrontDesk(process="two:2:2")
    desk.wire.arrivals.append(arrived)
    assert desk.recovery.look(alone=True) == 1
    await desk.quiet()
    assert desk.wire.asked == [("words", "")]
    assert desk.wire.texts == ([] if arrived else ["words"])
    assert states() == [("out", "sent")]


async def test_a_send_of_a_living_process_is_not_disturbed(database: str) -> None:
    claimed_by_a_dead_process()
    desk = FrontDesk(process="two:2:2")
    assert desk.recovery.look() == 0
    await desk.quiet()
    assert desk.wire.tries == []
    assert states() == [("out", "sending")]


async def test_a_promise_is_sent_when_due_and_not_before(database: str) -> None:
    owed("words", "k:1")
    failing = FrontDesk(None, Wire("telegram", Unreachable()))
    failing.recovery.look()
    await failing.quiet()
    await failing.close()
    desk = FrontDesk(process="two:2:2")
    assert desk.recovery.look() == 0
    desk.clock.forward(1)
    assert desk.recovery.look() == 1
    await desk.quiet()
    assert desk.wire.texts == ["words"]


async def test_a_passive_reply_waits_for_wechat_to_come_again(database: str) -> None:
    claimed_by_a_dead_process(via="passive", channel="wechat")
    desk = FrontDesk(None, Wire("wechat"), process="two:2:2")
    assert desk.recovery.look(alone=True) == 0
    desk.clock.forward(WINDOW.total_seconds() - 0.1)
    assert desk.recovery.look(alone=True) == 0
    assert states() == [("out", "sending")]


async def test_a_passive_reply_wechat_did_not_ask_for_again_was_heard(database: str) -> None:
    """We listened from before its last delivery could come, and it did not come."""
    claimed_by_a_dead_process(via="passive", channel="wechat")
    desk = FrontDesk(None, Wire("wechat"), clock=Clock(Clock()() + BACK_WITHIN), process="two:2:2")
    desk.clock.forward((WINDOW - BACK_WITHIN).total_seconds())
    desk.recovery.look(alone=True)
    await desk.quiet()
    assert desk.wire.tries == []
    assert [(message.state, message.outcome) for message in stored()] == [("sent", "not_asked_again")]


async def test_a_passive_reply_is_sent_if_we_were_not_there_to_be_asked(database: str) -> None:
    claimed_by_a_dead_process(via="passive", channel="wechat")
    late = Clock(Clock()() + BACK_WITHIN + timedelta(seconds=0.1))
    desk = FrontDesk(None, Wire("wechat"), clock=late, process="two:2:2")
    late.now = Clock()() + WINDOW
    desk.recovery.look(alone=True)
    await desk.quiet()
    assert desk.wire.texts == ["words"]
    assert [(message.state, message.via) for message in stored()] == [("sent", "api")]


def test_two_processes_that_find_the_same_share_it_out(database: str) -> None:
    for number in range(10):
        owed(f"out {number}", f"k:{number}", address=str(number + 1))
    desk = FrontDesk(process="dead:1:1")
    desk.lanes.closed = True
    for number in range(10):
        desk.reception.take(text(f"in {number}", f"update:{number}", address=str(number + 101)))
    together = threading.Barrier(2)
    sent: list[str] = []

    def process(name: str) -> None:
        async def run() -> None:
            mine = FrontDesk(process=name)
            mine.clock.forward(61)
            together.wait(10)
            mine.recovery.look()
            await mine.quiet()
            mine.recovery.look()
            await mine.quiet()
            sent.extend(mine.wire.texts)

        asyncio.run(run())

    threads = [threading.Thread(target=process, args=(name,)) for name in ("two:2:2", "three:3:3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(sent) == sorted([f"out {n}" for n in range(10)] + [f"re in {n}" for n in range(10)])
    assert {message.state for message in stored()} == {"answered", "sent"}


async def test_what_is_settled_is_not_looked_at_again(sqlite_database: str) -> None:
    desk = FrontDesk()
    for number in range(50):
        desk.reception.take(text("hello", f"update:{number}", address=str(number + 1)))
    await desk.quiet()
    assert desk.recovery.look() == 0
    with db.reading() as session:
        assert messages.open_messages(session) == []
