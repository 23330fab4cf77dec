"""What the phones of one platform show, and ways to watch them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

Who = Literal["guest", "hotel", "notice"]
# A guest's own bubble is on its way, arrived, or could not be delivered; "gone" was deleted by its sender.
Mark = Literal["", "sending", "delivered", "failed", "gone"]


@dataclass(frozen=True)
class Choice:
    """Something a guest may tap. `payload` is callback data, or the menu id of WeChat, where a tap `says`."""

    title: str
    payload: str = ""
    row: int = 0
    url: str = ""
    kind: Literal["button", "link", "menu", "reply"] = "button"
    says: str = ""


@dataclass(frozen=True)
class Piece:
    """A run of a bubble's text in one style; `choice` counts into the bubble's choices, -1 for none."""

    text: str
    style: str = ""
    url: str = ""
    choice: int = -1


@dataclass(frozen=True)
class Bubble:
    """One thing on a phone. An edit shows the same `id` again under a higher `seq`."""

    seq: int
    id: int
    address: str
    who: Who
    text: str  # as the guest reads it, without markup
    at: datetime
    message_id: str = ""
    kind: str = "text"
    pieces: tuple[Piece, ...] = ()
    choices: tuple[Choice, ...] = ()
    reply_to: str = ""
    mark: Mark = ""
    edited: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"type": "bubble", **asdict(self), "at": self.at.isoformat()}


@dataclass(frozen=True)
class Typing:
    """The hotel began or stopped typing."""

    seq: int
    address: str
    on: bool
    at: datetime

    def as_json(self) -> dict[str, Any]:
        return {"type": "typing", **asdict(self), "at": self.at.isoformat()}


Happening = Bubble | Typing


class NotShown(TimeoutError):
    """What a test waited for did not appear on the phone in time."""


class Screens:
    """Every phone of one platform by the guest's address. Use it from one event loop."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._shown: dict[str, dict[int, Bubble]] = {}
        self._typing: dict[str, bool] = {}
        self._off = False
        self._watchers: set[tuple[str, asyncio.Queue[Happening | None]]] = set()

    def show(self, address: str, who: Who, text: str, **more: Any) -> Bubble:
        """Add a bubble; `more` are other fields of `Bubble`. A hotel's bubble ends its typing."""
        number = next(self._numbers)
        pieces = more.pop("pieces", ()) or (Piece(text),)
        bubble = Bubble(number, number, address, who, text, self._clock(), pieces=pieces, **more)
        if who == "hotel":
            self.typing(address, False)
        self._publish(bubble)
        return bubble

    def change(self, address: str, bubble_id: int, **more: Any) -> Bubble:
        """Show bubble `bubble_id` anew with other fields."""
        bubble = replace(self._shown[address][bubble_id], seq=next(self._numbers), **more)
        self._publish(bubble)
        return bubble

    def typing(self, address: str, on: bool) -> None:
        """The dots come or go; the platforms let them fade by themselves, so "on" is told each time."""
        if on or self._typing.get(address, False):
            self._typing[address] = on
            self._publish(Typing(next(self._numbers), address, on, self._clock()))

    def bubbles(self, address: str = "", after: int = 0) -> list[Bubble]:
        """Bubbles shown or changed after `seq` number `after`, oldest change first; "" means every phone."""
        phones = list(self._shown.values()) if not address else [self._shown.get(address, {})]
        found = [bubble for phone in phones for bubble in _changed(phone, after)]
        return sorted(found, key=lambda bubble: bubble.seq)

    async def watch(self, address: str = "") -> AsyncIterator[Happening]:
        """Everything from now on, until `hang_up`; "" means every phone."""
        with self._watching(address) as queue:
            while (happening := await queue.get()) is not None:
                yield happening

    async def wait_for(
        self, address: str, predicate: Callable[[Bubble], bool], timeout: float = 5.0, *, after: int = 0
    ) -> Bubble:
        """The first bubble since `after` that satisfies; `timeout` in real seconds. Raises `NotShown`."""
        with self._watching(address) as queue:
            for bubble in self.bubbles(address, after):
                if predicate(bubble):
                    return bubble
            try:
                return await asyncio.wait_for(_first(queue, predicate), timeout)
            except asyncio.TimeoutError:
                shown = [(b.who, b.text) for b in self.bubbles(address, after)]
                raise NotShown(f"after {timeout} s the phone of {address} shows {shown}") from None

    def hang_up(self) -> None:
        """End every `watch`, those to come too, so that a server with open event streams can stop."""
        self._off = True
        for _, queue in self._watchers:
            queue.put_nowait(None)

    @contextlib.contextmanager
    def _watching(self, address: str) -> Iterator[asyncio.Queue[Happening | None]]:
        watcher: tuple[str, asyncio.Queue[Happening | None]] = (address, asyncio.Queue())
        self._watchers.add(watcher)
        if self._off:
            watcher[1].put_nowait(None)
        try:
            yield watcher[1]
        finally:
            self._watchers.discard(watcher)

    def _publish(self, happening: Happening) -> None:
        if isinstance(happening, Bubble):
            phone = self._shown.setdefault(happening.address, {})
            # The latest change stands last, so that asking for news does not read the whole history.
            phone.pop(happening.id, None)
            phone[happening.id] = happening
        for address, queue in self._watchers:
            if address in ("", happening.address):
                queue.put_nowait(happening)


def _changed(phone: dict[int, Bubble], after: int) -> Iterator[Bubble]:
    return itertools.takewhile(lambda bubble: bubble.seq > after, reversed(phone.values()))


async def _first(queue: asyncio.Queue[Happening | None], predicate: Callable[[Bubble], bool]) -> Bubble:
    while True:
        happening = await queue.get()
        if happening is None:
            raise NotShown("the phones were switched off")
        if isinstance(happening, Bubble) and predicate(happening):
            return happening
