"""The outbox: what was promised is claimed, sent and marked, each guest's messages in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from bot import metrics
from bot.channel import Channel, Outgoing, Rejected, SendError, Uncertain, Unreachable
from bot.lanes import Lanes
from data import promises
from data.db import reading, transaction
from data.messages import Message, State

log = structlog.get_logger(__name__)

# 1, 2, 4 … seconds, then every five minutes: a platform that is down for an hour is found back within five minutes.
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)
# An answer older than this would puzzle the guest; WeChat's own window closes then too.
GIVE_UP_AFTER = timedelta(hours=48)
# Well within the time a claim is held: what takes longer is given back as uncertain.
SEND_WITHIN = 40.0
# Pauses while the database is away.
PATIENCE = (0.2, 0.5, 1.0, 2.0, 4.0)

Clock = Callable[[], datetime]


def wait_before(attempt: int) -> timedelta:
    """How long to wait after the `attempt`-th failure (from 1), when the platform names no time of its own."""
    doublings: int = min(attempt - 1, 20)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


class Outbox:
    """Sends through whichever channels are open."""

    def __init__(self, *, process: str, clock: Clock, lanes: Lanes) -> None:
        self._process = process
        self._clock = clock
        self._lanes = lanes
        self._channels: dict[str, Channel] = {}
        self._alarms: dict[int, asyncio.TimerHandle] = {}
        self._delivered: dict[int, str] = {}  # sent, but not yet marked: message id to the platform's id
        self.on_trouble: Callable[[Message, SendError], None] = lambda message, error: None

    def open(self, channel: Channel) -> None:
        """Let messages leave through this channel."""
        self._channels[channel.name] = channel

    def busy(self, contact_id: int) -> bool:
        """Whether something is being sent to this contact right now."""
        return self._lanes.busy(f"send:{contact_id}")

    @property
    def channels(self) -> Mapping[str, Channel]:
        return self._channels

    def wake(self, contact_id: int, address: str, claimed: Message | None = None) -> None:
        """Send what waits for a contact, beginning with `claimed` if the caller has claimed a message for us."""
        if self._lanes.closed:
            return  # what is promised waits for the next start
        if claimed is None and self.busy(contact_id):
            return  # whoever is sending looks for the next one when done
        self._lanes.add(f"send:{contact_id}", partial(self._send_waiting, contact_id, address, claimed))

    async def _send_waiting(self, contact_id: int, address: str, claimed: Message | None) -> None:
        if claimed is None:
            with transaction() as db:
                claimed = self._next(db, contact_id, address)
        while claimed is not None:
            claimed = await self._send(claimed, address)
            if self._lanes.closed:
                return

    def _next(self, db: Session, contact_id: int, address: str) -> Message | None:
        """Claim a contact's next message; if it is not due yet, set the alarm for it."""
        due = promises.next_due_at(db, contact_id)
        if due is None:
            return None
        claimed = promises.claim_next(db, contact_id, by=self._process, via="api", now=self._clock())
        if claimed is None:
            self._look_again(contact_id, address, due)
        return claimed

    async def _send(self, message: Message, address: str) -> Message | None:
        """Send one claimed message, record how it went, and claim the contact's next one."""
        try:
            platform_id = await asyncio.wait_for(self._deliver(message, address), SEND_WITHIN)
        except asyncio.TimeoutError:
            return await self._failed(message, Uncertain("no end within our own limit"), address)
        except SendError as error:
            return await self._failed(message, error, address)
        except Exception as error:
            if database_down(error):  # met while looking whether it had arrived: that question stays open
                return await self._failed(message, Uncertain("the database was away"), address)
            # One send: a message that cannot even be handed to its library must not hold up the others for ever.
            log.error("outbox.send_broke", message=message.id, error=type(error).__name__, exc_info=True)
            return await self._failed(message, Rejected(type(error).__name__), address)
        metrics.SENDS.labels(message.channel, "sent").inc()
        self._delivered[message.id] = platform_id
        following = await self._record(
            message, address,
            lambda db: promises.settle_outgoing(
                db, message.id, State.sent, platform_id=platform_id, now=self._clock()
            ),
        )  # fmt: skip
        del self._delivered[message.id]
        return following

    async def _deliver(self, message: Message, address: str) -> str:
        """The platform's id of the message, sent now or found to have been sent before."""
        if message.id in self._delivered:  # it was sent, only the database did not hear of it
            return self._delivered[message.id]
        channel = self._channels.get(message.channel)
        if channel is None:
            raise Unreachable("this channel is not open here")
        found = await self._found_delivered(channel, message, address)
        return found if found is not None else await channel.send(outgoing(message, address))

    async def _record(
        self, message: Message, address: str, write: Callable[[Session], object]
    ) -> Message | None:
        """Write how a send went and claim the next, with patience for a database that is away."""
        assert message.contact_id is not None
        for pause in (*PATIENCE, None):
            try:
                with transaction() as db:
                    write(db)
                    return self._next(db, message.contact_id, address)
            except SQLAlchemyError as error:
                if pause is None or not database_down(error):
                    raise
            await asyncio.sleep(pause)
        return None

    async def _found_delivered(self, channel: Channel, message: Message, address: str) -> str | None:
        """For a message whose last attempt was cut off: its id if it did arrive after all, None if it must be sent."""
        if message.outcome != Uncertain.outcome:
            return None
        assert message.contact_id is not None
        with reading() as db:
            after = promises.last_platform_id(db, message.contact_id)
            newest = promises.newest_platform_id(db, message.channel) if after else ""
        try:
            found = await channel.arrived(outgoing(message, address), after=after, newest=newest)
        except SendError as error:
            if not error.retry:  # the guest is gone, say: whether it arrived no longer matters
                raise
            raise Uncertain(str(error), after=error.after) from None
        log.info("outbox.asked_whether_arrived", message=message.id, arrived=found is not None)
        return found

    async def _failed(self, message: Message, error: SendError, address: str) -> Message | None:
        metrics.SENDS.labels(message.channel, error.outcome).inc()
        now = self._clock()
        again = error.retry and now - message.created_at < GIVE_UP_AFTER
        wait = timedelta(seconds=error.after) if error.after else wait_before(message.attempts)
        log.warning(
            "outbox.send_failed",
            message=message.id, channel=message.channel, outcome=error.outcome, reason=str(error), again=again,
        )  # fmt: skip
        following = await self._record(
            message, address,
            lambda db: promises.put_off(db, message.id, due_at=now + wait, outcome=error.outcome)
            if again
            else promises.settle_outgoing(db, message.id, State.failed, outcome=error.outcome, now=now),
        )  # fmt: skip
        if error.tell_staff:
            self.on_trouble(message, error)
        return following

    def _look_again(self, contact_id: int, address: str, due: datetime) -> None:
        if contact_id in self._alarms:
            return
        wait = max((due - self._clock()).total_seconds(), 0.05)
        self._alarms[contact_id] = asyncio.get_running_loop().call_later(
            wait, self._alarm, contact_id, address
        )

    def _alarm(self, contact_id: int, address: str) -> None:
        self._alarms.pop(contact_id, None)
        self.wake(contact_id, address)

    def close(self) -> None:
        """Cancel the alarms; what they would have sent waits in the database."""
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()


def outgoing(message: Message, address: str) -> Outgoing:
    """A stored promise in the shape channels take."""
    choices = tuple((title, payload) for title, payload in message.payload.get("choices", ()))
    return Outgoing(address, message.text, choices)


def database_down(error: BaseException | None) -> bool:
    """Whether this comes of the database not answering, rather than of our mistake in speaking to it."""
    while error is not None:
        if isinstance(error, PoolTimeout) or (
            isinstance(error, DBAPIError)
            and (error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError)))
        ):
            return True
        error = error.__cause__
    return False
