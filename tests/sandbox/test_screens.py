"""What phones show, and how tests wait for it."""

from __future__ import annotations

import asyncio

import pytest

from bot.sandbox.screens import Bubble, NotShown, Screens, Typing
from tests.sandbox.conftest import FakeClock


@pytest.fixture
def screens(clock: FakeClock) -> Screens:
    return Screens(clock)


def hotels(bubble: Bubble) -> bool:
    return bubble.who == "hotel"


async def test_waiting_finds_what_is_there_and_what_comes(screens: Screens) -> None:
    screens.show("1", "hotel", "there")
    there = await screens.wait_for("1", hotels)
    waiting = asyncio.ensure_future(screens.wait_for("1", hotels, after=there.seq))
    await asyncio.sleep(0)
    screens.show("2", "hotel", "another phone")
    screens.show("1", "guest", "not the hotel")
    screens.show("1", "hotel", "comes")
    assert (there.text, (await waiting).text) == ("there", "comes")


async def test_waiting_in_vain_says_what_is_shown_instead(screens: Screens) -> None:
    screens.show("1", "guest", "hello?")
    with pytest.raises(NotShown, match=r"'guest', 'hello\?'"):
        await screens.wait_for("1", hotels, 0.01)


async def test_a_change_is_news_of_the_same_bubble(screens: Screens) -> None:
    first = screens.show("1", "hotel", "a")
    second = screens.show("1", "hotel", "b")
    changed = screens.change("1", first.id, text="c")
    assert [b.text for b in screens.bubbles("1")] == ["b", "c"]
    assert screens.bubbles("1", second.seq) == [changed]
    assert (first.text, changed.id) == ("a", first.id)


async def test_a_watch_ends_when_the_phones_are_switched_off(screens: Screens) -> None:
    async def watch() -> list[object]:
        return [happening async for happening in screens.watch("1")]

    watching = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    screens.typing("1", True)
    screens.show("1", "hotel", "a")
    screens.hang_up()
    seen = await asyncio.wait_for(watching, 2)
    assert [h.on if isinstance(h, Typing) else h.text for h in seen if isinstance(h, Typing | Bubble)] == [
        True,
        False,
        "a",
    ]
    # A page that comes too late is not kept either.
    assert await asyncio.wait_for(watch(), 2) == []
    with pytest.raises(NotShown, match="switched off"):
        await screens.wait_for("1", lambda b: False)
