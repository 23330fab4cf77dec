"""Parts that fail on demand, and a small house of reception, outbox and recovery around them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from bot.channel import Incoming, Kind, Outgoing, SendError
from bot.lanes import Lanes
from bot.outbox import Outbox
from bot.reception import Reception, StaffChat
from bot.recovery import Recovery
from bot.turns import Answers, Outcome, Turn
from data import db
from data.members import contact_at
from data.messages import Message
from data.promises import Draft, promise
from nlu.phrasebook import Phrasebook
from tests.conftest import NOW

GUEST = "700900001"
STAFF = "-100555"


class Clock:
    """A clock that moves only when told to."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


Step = Exception | Callable[[Turn], Awaitable[Outcome]] | None


class Scripted:
    """Answers `re <text>`, unless the next step of its script says otherwise."""

    def __init__(self, *script: Step) -> None:
        self.script: deque[Step] = deque(script)
        self.turns: list[Turn] = []

    async def answer(self, turn: Turn) -> Outcome:
        self.turns.append(turn)
        step = self.script.popleft() if self.script else None
        if isinstance(step, Exception):
            raise step
        if step is not None:
            return await step(turn)
        await asyncio.sleep(0)
        return Outcome((Draft(f"re {turn.text}"),))


class Wire:
    """A channel that keeps what it sent; `faults` are what the next sends meet, None for none."""

    def __init__(self, name: str = "telegram", *faults: SendError | None) -> None:
        self.name = name
        self.faults: deque[SendError | None] = deque(faults)
        self.tries: list[Outgoing] = []
        self.sent: list[Outgoing] = []
        self.asked: list[tuple[str, str]] = []  # text, after
        self.arrivals: deque[bool | SendError] = deque()
        self._ids = itertools.count(1001)

    async def send(self, words: Outgoing) -> str:
        self.tries.append(words)
        await asyncio.sleep(0)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            raise fault
        self.sent.append(words)
        return str(next(self._ids))

    async def arrived(self, words: Outgoing, *, after: str, newest: str) -> str | None:
        self.asked.append((words.text, after))
        found = self.arrivals.popleft() if self.arrivals else False
        if isinstance(found, SendError):
            raise found
        return str(next(self._ids)) if found else None

    @property
    def texts(self) -> list[str]:
        return [words.text for words in self.sent]


class FrontDesk:
    """Reception, outbox and recovery of one process, joined as `bot.app` joins them."""

    def __init__(
        self,
        answers: Answers | None = None,
        *channels: Wire,
        clock: Clock | None = None,
        process: str = "one:1:1",
        staff: bool = False,
    ) -> None:
        self.clock = clock or Clock()
        self.process = process
        self.wires = channels or (Wire(),)
        self.lanes = Lanes()
        self.outbox = Outbox(process=process, clock=self.clock, lanes=self.lanes)
        for wire in self.wires:
            self.outbox.open(wire)
        self.reception = Reception(
            answers=answers or Scripted(),
            phrasebook=Phrasebook.load(),
            outbox=self.outbox,
            lanes=self.lanes,
            process=process,
            clock=self.clock,
            staff=StaffChat("telegram", STAFF) if staff else None,
        )
        self.recovery = Recovery(
            reception=self.reception,
            outbox=self.outbox,
            process=process,
            clock=self.clock,
        )

    @property
    def wire(self) -> Wire:
        return self.wires[0]

    async def quiet(self, within: float = 10.0) -> None:
        """Wait until no lane drives."""

        async def idle() -> None:
            await asyncio.sleep(0)  # what was called soon comes first
            while self.lanes._tasks:
                await asyncio.wait(set(self.lanes._tasks))
                await asyncio.sleep(0)

        await asyncio.wait_for(idle(), within)

    async def close(self) -> None:
        await self.lanes.close(1.0)
        self.outbox.close()


def text(
    words: str,
    key: str = "update:1",
    *,
    kind: Kind = "text",
    channel: str = "telegram",
    address: str = GUEST,
    pressed: str = "",
    language: str = "en",
    reference: str = "",
) -> Incoming:
    """A delivery; by default a text from a guest on Telegram."""
    return Incoming(
        channel,
        key,
        kind,
        address=address,
        text=words,
        pressed=pressed,
        language=language,
        reference=reference,
    )


def owed(words: str, key: str, *, channel: str = "telegram", address: str = GUEST) -> int:
    """Promise words, in a transaction of its own; gives the contact's id."""
    with db.transaction() as session:
        contact = contact_at(session, channel, address, now=NOW)
        promise(session, Draft(words), contact_id=contact.id, channel=channel, key=key, now=NOW)
        return contact.id


def stored() -> Sequence[Message]:
    """All messages in the database, oldest first."""
    with db.reading() as session:
        return session.scalars(select(Message).order_by(Message.id)).all()


def states() -> list[tuple[str, str]]:
    """Direction and state of every message, oldest first."""
    return [(message.direction, message.state) for message in stored()]


def database_gone() -> OperationalError:
    """What the driver raises when the database does not answer."""
    return OperationalError("COMMIT", {}, Exception("the connection is gone"))


@contextlib.contextmanager
def failing_commit(number: int, error: Exception, *, done: bool = False) -> Iterator[list[int]]:
    """The `number`-th commit from now on raises: before it happened, or (`done`) when it had. Yields the count."""
    count = [0]

    def strike(_session: Session) -> None:
        count[0] += 1
        if count[0] == number:
            raise error

    name = "after_commit" if done else "before_commit"
    event.listen(Session, name, strike)
    try:
        yield count
    finally:
        event.remove(Session, name, strike)
