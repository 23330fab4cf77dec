"""Whether a message whose sending was cut off did arrive, found out without showing the guest anything."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bot.channel import (
    Outgoing,
    TooFast,
)
from bot.sandbox import TelegramPlatform
from bot.telegram import PROBES, TelegramDoor
from tests.bot.stubs import (
    GUEST,
    HELLO,
    OTHER,
    Running,
)

# The library asks everybody to choose how it gives `retry_after`; the door takes both.
pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")


@pytest.fixture
def deaf(platform: TelegramPlatform) -> TelegramPlatform:
    """The platform without a webhook: what guests write is not answered."""
    platform.updates.set_webhook(None)
    return platform


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "delivered"])
@pytest.mark.parametrize("guest_wrote", [0, 2], ids=["", "guest wrote"])
@pytest.mark.parametrize("elsewhere", [0, 3], ids=["", "others spoke"])
async def test_arrived(
    door: TelegramDoor, deaf: TelegramPlatform, lost: bool, guest_wrote: int, elsewhere: int
) -> None:
    """The answer of a send is lost; meanwhile the guest and other chats go on, and take message ids."""
    before = await deaf.say(GUEST, "points?")
    for _ in range(elsewhere):
        await door.send(Outgoing(str(OTHER), HELLO.text, HELLO.choices))
    if not lost:
        await door.send(HELLO)
    for number in range(guest_wrote):
        await deaf.say(GUEST, f"hello? {number}")
    for _ in range(elsewhere):
        await deaf.say(OTHER, HELLO.text)
    shown = [(b.id, b.seq, b.text) for b in deaf.screens.bubbles(str(GUEST)) if b.who == "hotel"]
    assert (await door.arrived(HELLO, after=str(before), newest="") is None) is lost
    assert shown == [(b.id, b.seq, b.text) for b in deaf.screens.bubbles(str(GUEST)) if b.who == "hotel"]
    assert all(not b.edited for b in deaf.screens.bubbles(str(OTHER)))


async def test_arrived_asks_no_further_than_it_must(
    door: TelegramDoor, deaf: TelegramPlatform, house: Running
) -> None:
    before = await deaf.say(GUEST, "points?")
    await door.arrived(HELLO, after=str(before), newest=str(before))
    assert len(house.witness.named("editMessageText")) == PROBES


async def test_arrived_looks_as_far_as_the_house_has_come(door: TelegramDoor, deaf: TelegramPlatform) -> None:
    """In a busy house others' messages lie between the guest's and ours."""
    before = await deaf.say(GUEST, "points?")
    for _ in range(PROBES + 5):
        newest = await door.send(Outgoing(str(OTHER), "others"))
    ours = await door.send(HELLO)
    assert await door.arrived(HELLO, after=str(before), newest=newest) == ours


async def test_arrived_stops_when_an_edit_goes_through(
    door: TelegramDoor, deaf: TelegramPlatform, house: Running
) -> None:
    before = await deaf.say(GUEST, "points?")
    await door.send(Outgoing(str(GUEST), "another of ours, its id unknown"))
    await door.send(HELLO)
    assert await door.arrived(HELLO, after=str(before), newest="") is None
    assert len(house.witness.named("editMessageText")) == 1


async def test_arrived_knows_nothing_without_a_last_message(door: TelegramDoor, house: Running) -> None:
    assert await door.arrived(HELLO, after="", newest="9") is None
    assert house.witness.named("editMessageText") == []


async def test_arrived_that_cannot_ask_says_so(door: TelegramDoor, platform: TelegramPlatform) -> None:
    platform.fail_next("editMessageText", 429, "Too Many Requests: retry after 5", {"retry_after": 5})
    with pytest.raises(TooFast):
        await door.arrived(HELLO, after="1", newest="1")


async def test_send_cut_off_after_it_arrived_is_not_sent_again(
    house: Running, platform: TelegramPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: the platform accepts, we never hear so, and the guest sees one bubble."""
    door = house.house.telegram
    assert door is not None
    send = door._bot.send_message
    attempts = itertools.count(1)

    async def impatient(**given: Any) -> Any:
        return await send(**given, read_timeout=0.1 if next(attempts) == 1 else 5)

    monkeypatch.setattr(type(door._bot), "send_message", lambda _bot, **given: impatient(**given))
    platform.hang_next("sendMessage", 1, after_accepting=True)
    await platform.say(GUEST, "points?")
    await house.until(lambda: house.brain.asked)
    await house.idle()
    house.clock.advance(2)
    house.house.recovery.look()
    await house.idle()
    assert house.says(str(GUEST)) == [house.brain.reply.text]
    assert len(house.witness.named("sendMessage")) == 1
