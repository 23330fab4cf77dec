"""Passive replies: one way out for each reply, whichever is quicker, and WeChat's repeated deliveries."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest

from bot.passive import LOST_AFTER, PassiveReplies
from bot.turns import Outcome, Turn
from data import promises
from data.db import transaction
from data.messages import Message
from data.promises import Draft
from tests.bot.faults import FrontDesk, Scripted, Wire, stored, text

OPENID = "oGuest_1"
LOST = LOST_AFTER.total_seconds()


def wechat(words: str, key: str = "msg:1") -> object:
    return text(words, key, channel="wechat", address=OPENID)


def desk_for(*script: object, process: str = "one:1:1") -> FrontDesk:
    return FrontDesk(Scripted(*script), Wire("wechat"), process=process)  # type: ignore[arg-type]


def take(desk: FrontDesk, words: str = "hello", key: str = "msg:1") -> int:
    return desk.reception.take(wechat(words, key)).message_id  # type: ignore[arg-type]


def reply() -> Message:
    return next(message for message in stored() if message.direction == "out")


async def test_a_reply_in_time_is_passive_and_never_sent(database: str) -> None:
    desk = desk_for()
    said = await desk.reception.passive.wait(take(desk), seconds=5)
    assert said is not None
    assert (said.text, said.via, said.state) == ("re hello", "passive", "sending")
    desk.reception.passive.handed_over(said, OPENID)
    await desk.quiet()
    assert reply().state == "sent"
    desk.recovery.look()
    await desk.quiet()
    assert desk.wire.tries == []


async def test_what_follows_the_first_reply_goes_by_the_api_after_it(database: str) -> None:
    async def two(turn: Turn) -> Outcome:
        return Outcome((Draft("first"), Draft("second")))

    desk = desk_for(two)
    said = await desk.reception.passive.wait(take(desk), seconds=5)
    assert said is not None
    assert said.text == "first"
    await desk.quiet()
    assert desk.wire.tries == [], "the second waits until the first is spoken"
    desk.reception.passive.handed_over(said, OPENID)
    await desk.quiet()
    assert desk.wire.texts == ["second"]


async def test_a_late_reply_goes_by_the_api_and_never_passive(database: str) -> None:
    go_on = asyncio.Event()

    async def slow(turn: Turn) -> Outcome:
        await go_on.wait()
        return Outcome((Draft("late"),))

    desk = desk_for(slow)
    message_id = take(desk)
    assert await desk.reception.passive.wait(message_id, seconds=0.02) is None
    assert not desk.reception.passive.awaited(message_id)
    go_on.set()
    await desk.quiet()
    assert desk.wire.texts == ["late"]
    assert (reply().via, reply().state) == ("api", "sent")
    desk.clock.forward(LOST + 1)
    assert desk.reception.passive.again(message_id) is None


@pytest.mark.parametrize("first", ["reply", "time-out"])
async def test_reply_and_time_out_in_one_tick_of_the_loop(first: str) -> None:
    passive = PassiveReplies(process="one", clock=lambda: None, wake=lambda *_: None)  # type: ignore[arg-type, return-value]
    loop = asyncio.get_running_loop()
    words = cast("Message", object())
    given: list[bool] = []

    def give() -> None:
        given.append(passive.awaited(7))
        if given[-1]:
            passive.give(7, words)

    waiting = asyncio.create_task(passive.wait(7, seconds=0.02))
    await asyncio.sleep(0)
    deadline = loop.time() + 0.02
    loop.call_at(deadline + (-0.01 if first == "reply" else 0.01), give)
    time.sleep(0.06)  # noqa: ASYNC251 - both timers fall due while the loop is busy, so one tick runs both
    said = await waiting
    assert given == [True], "both happened in the same tick"
    assert said is words, "a reply that was claimed as passive must be spoken"
    assert not passive.awaited(7)
    assert not passive._waiting


async def test_two_deliveries_at_once_get_one_reply(sqlite_database: str) -> None:
    desk = desk_for()
    message_id = take(desk)
    said = await asyncio.gather(*(desk.reception.passive.wait(message_id, seconds=5) for _ in range(2)))
    assert [words is not None for words in said] == [True, False]


async def test_a_wait_that_is_cut_off_leaves_nothing_behind(sqlite_database: str) -> None:
    desk = desk_for()
    waiting = asyncio.create_task(desk.reception.passive.wait(99, seconds=5))
    await asyncio.sleep(0)
    assert desk.reception.passive.awaited(99)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not desk.reception.passive.awaited(99)


async def test_a_hang_up_before_we_wrote_sends_the_reply_by_the_api(database: str) -> None:
    desk = desk_for()
    said = await desk.reception.passive.wait(take(desk), seconds=5)
    assert said is not None
    desk.reception.passive.unheard(said, OPENID)
    await desk.quiet()
    assert desk.wire.texts == ["re hello"]
    assert (reply().via, reply().state) == ("api", "sent")


@pytest.mark.parametrize(("seconds", "repeated"), [(LOST - 0.1, False), (LOST, True), (LOST + 5, True)])
@pytest.mark.parametrize("marked", [True, False])
async def test_a_delivery_again_after_we_spoke(
    sqlite_database: str, seconds: float, repeated: bool, marked: bool
) -> None:
    """WeChat comes again only without an answer: soon after is a duplicate, after its deadline ours was lost."""
    desk = desk_for()
    message_id = take(desk)
    said = await desk.reception.passive.wait(message_id, seconds=5)
    assert said is not None
    if marked:
        desk.reception.passive.handed_over(said, OPENID)
        await desk.quiet()
    desk.clock.forward(seconds)
    again = desk.reception.passive.again(message_id)
    assert (again is not None) is repeated
    if again is not None:
        assert again.id == said.id
    assert desk.wire.tries == []


async def test_a_delivery_again_before_there_is_a_reply(sqlite_database: str) -> None:
    never = asyncio.Event()

    async def slow(turn: Turn) -> Outcome:
        await never.wait()
        return Outcome(())

    desk = desk_for(slow)
    message_id = take(desk)
    await asyncio.sleep(0)
    assert desk.reception.passive.again(message_id) is None
    assert desk.reception.in_hand(message_id)
    await desk.lanes.close(0)


async def test_a_delivery_again_takes_a_promise_that_waits(sqlite_database: str) -> None:
    desk = FrontDesk(Scripted())  # WeChat is not open here: its replies wait
    message_id = take(desk)
    await desk.quiet()
    assert reply().state == "promised"
    said = desk.reception.passive.again(message_id)
    assert said is not None
    assert (said.text, said.via, said.state) == ("re hello", "passive", "sending")
    assert desk.reception.passive.again(message_id) is None, "claimed by the delivery before"
    await desk.close()


async def test_a_delivery_again_takes_over_from_a_dead_speaker(database: str) -> None:
    dead = desk_for()
    message_id = take(dead)
    said = await dead.reception.passive.wait(message_id, seconds=5)
    assert said is not None
    alive = desk_for(process="two:2:2")
    found = alive.reception.passive.again(message_id)
    assert found is not None
    assert found.id == said.id
    assert reply().held_by == "two:2:2"
    alive.reception.passive.handed_over(found, OPENID)
    await alive.quiet()
    assert reply().state == "sent"


async def test_a_reply_that_left_by_the_api_is_never_passive_too(sqlite_database: str) -> None:
    desk = desk_for()
    message_id = take(desk)  # nobody waits at the door
    await desk.quiet()
    assert desk.wire.texts == ["re hello"]
    desk.clock.forward(LOST + 1)
    assert desk.reception.passive.again(message_id) is None


async def test_the_answer_to_this_question_goes_before_what_a_failure_put_off(sqlite_database: str) -> None:
    """Else, where the API refuses us, every passive reply would answer the question before."""
    desk = desk_for()
    message_id = take(desk)
    first = await desk.reception.passive.wait(message_id, seconds=5)
    assert first is not None
    with transaction() as db:
        promises.put_off(db, first.id, due_at=desk.clock().replace(year=2027), outcome="not_allowed")
    said = await desk.reception.passive.wait(take(desk, "more", "msg:2"), seconds=5)
    assert said is not None
    assert said.text == "re more"
    desk.reception.passive.handed_over(said, OPENID)
    await desk.quiet()
    assert desk.wire.texts == []
    assert sorted(message.state for message in stored() if message.direction == "out") == ["promised", "sent"]
