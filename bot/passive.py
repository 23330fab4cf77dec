"""Passive replies: the words that leave in answer to WeChat's push itself, and never a second time another way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from bot import metrics
from bot.outbox import Clock
from data import messages, promises
from data.db import transaction
from data.messages import Message, State

# WeChat drops the connection after 5 s and brings the message again, three deliveries in all. A delivery that
# comes sooner after the first is a duplicate, not a sign that our answer was lost.
PUSH_DEADLINE = timedelta(seconds=5)
LOST_AFTER = timedelta(seconds=4.5)
DELIVERIES = 3
# After a crash WeChat's first repetition finds us only if we are back this soon; some senders repeat at once.
BACK_WITHIN = timedelta(seconds=2)
# By when a repetition must have come.
WINDOW = PUSH_DEADLINE * DELIVERIES + timedelta(seconds=5)


class PassiveReplies:
    """Who is waiting at the door for which message's reply."""

    def __init__(self, *, process: str, clock: Clock, wake: Callable[[int, str], None]) -> None:
        self._process = process
        self._clock = clock
        self._wake = wake
        self._waiting: dict[int, asyncio.Future[Message]] = {}

    def awaited(self, message_id: int) -> bool:
        """Whether a door stands open for this reply right now. Nothing may be awaited between asking and giving."""
        waiting = self._waiting.get(message_id)
        return waiting is not None and not waiting.done()

    def give(self, message_id: int, reply: Message) -> None:
        """Hand a claimed reply to the door that awaits it."""
        self._waiting[message_id].set_result(reply)

    async def wait(self, message_id: int, *, seconds: float) -> Message | None:
        """The first reply to a message taken just now, if it comes in time. None: it leaves by the outbox."""
        if message_id in self._waiting:
            return None  # another delivery of the same message is already waiting
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = waiting
        try:
            return await asyncio.wait_for(asyncio.shield(waiting), seconds)
        except asyncio.TimeoutError:
            # No await between the time-out and this check: a reply that came in this very moment is not lost.
            return waiting.result() if waiting.done() and not waiting.cancelled() else None
        finally:
            waiting.cancel()
            del self._waiting[message_id]

    def again(self, message_id: int) -> Message | None:
        """What to say to a repeated delivery: the same reply, if WeChat cannot have heard it; else None."""
        now = self._clock()
        with transaction() as db:
            asked, replies = db.get(Message, message_id), promises.replies_to(db, message_id)
            if asked is None or not replies:
                return None
            first = replies[0]
            if first.state == State.promised.value:
                return promises.claim(db, first.id, by=self._process, via="passive", now=now)
            if first.via != "passive":
                return None
            if first.state == State.sending.value and first.held_by != self._process:
                messages.take_over(db, first.id, was=first.held_by, by=self._process, now=now)
                return first
            # WeChat brings a message again, after its five seconds, only when it heard no answer.
            return first if now - asked.created_at >= LOST_AFTER else None

    def handed_over(self, reply: Message, address: str) -> None:
        """The door has written the reply to WeChat's connection; what else waits for the guest may follow."""
        with transaction() as db:
            promises.settle_outgoing(db, reply.id, State.sent, outcome="", now=self._clock())
        metrics.PASSIVE.inc()
        assert reply.contact_id is not None
        self._wake(reply.contact_id, address)

    def unheard(self, reply: Message, address: str) -> None:
        """WeChat had hung up before we could write: the reply leaves by the outbox."""
        with transaction() as db:
            promises.put_off(db, reply.id, due_at=self._clock(), outcome="hung_up")
        assert reply.contact_id is not None
        self._wake(reply.contact_id, address)
