"""Recovery: what a process that died had taken but not answered, or promised but not sent, is found and finished."""

from __future__ import annotations

from datetime import datetime

import structlog

from bot.channel import Uncertain
from bot.outbox import GIVE_UP_AFTER, Clock, Outbox, database_down
from bot.passive import BACK_WITHIN, WINDOW
from bot.reception import Reception
from bot.turns import Turn
from data import messages, promises
from data.db import reading, transaction
from data.members import Contact
from data.messages import Message, Open, State

log = structlog.get_logger(__name__)

# A turn that was begun this often and never ended takes its process down with it: it is given up, for staff to see.
ATTEMPTS = 5


class Recovery:
    """Looks through what is open in the database: once at start, then every few seconds."""

    def __init__(self, *, reception: Reception, outbox: Outbox, process: str, clock: Clock) -> None:
        self._reception = reception
        self._outbox = outbox
        self._process = process
        self._clock = clock
        self._listening_since = clock()

    def look(self, *, alone: bool = False) -> int:
        """Take up everything that is open and that nobody is busy with; returns how much that was.

        `alone`: no other process serves this database, so every hold is a dead one's. Messages of a channel that
        is not open here are another process's.
        """
        now = self._clock()
        with reading() as db:
            open_now = messages.open_messages(db)
        taken_up = 0
        for message in open_now:
            if message.channel in self._outbox.channels and self._orphaned(message, now, alone=alone):
                taken_up += self._take_up_safely(message, now)
        if taken_up:
            log.info("recovery.taken_up", messages=taken_up)
        return taken_up

    def _orphaned(self, message: Open, now: datetime, *, alone: bool) -> bool:
        if message.state == State.promised.value:
            return message.due_at <= now and not self._outbox.busy(message.contact_id)
        if message.held_by == self._process:
            incoming = message.state == State.received.value
            mine = self._reception.in_hand(message.id) if incoming else self._outbox.busy(message.contact_id)
            return not mine and (message.held_until is None or message.held_until <= now)
        return alone or message.held_until is None or message.held_until <= now

    def _take_up_safely(self, message: Open, now: datetime) -> bool:
        try:
            return self._take_up(message, now)
        except Exception as error:
            # One message: a row that cannot be read, say, must not keep the house from finding the others.
            if database_down(error):
                raise
            log.error(
                "recovery.cannot_take_up", message=message.id, error=type(error).__name__, exc_info=True
            )
            return False

    def _take_up(self, message: Open, now: datetime) -> bool:
        if message.state == State.promised.value:
            self._outbox.wake(message.contact_id, message.address)
            return True
        if message.via == "passive" and now - message.created_at < WINDOW:
            return False  # WeChat may yet bring the message again, and then hears the reply
        with transaction() as db:
            if not messages.take_over(db, message.id, was=message.held_by, by=self._process, now=now):
                return False  # another process was quicker
        if message.state == State.received.value:
            self._begin_again(message.id, message.contact_id, now)
        else:
            self._finish_send(message, now)
        return True

    def _begin_again(self, message_id: int, contact_id: int, now: datetime) -> None:
        with reading() as db:
            message, contact = db.get_one(Message, message_id), db.get_one(Contact, contact_id)
        turn = Turn.of(
            message.id,
            contact,
            kind=message.kind,
            text=message.text,
            pressed=str(message.payload.get("pressed", "")),
        )
        if message.attempts >= ATTEMPTS or now - message.created_at > GIVE_UP_AFTER:
            log.error("recovery.turn_given_up", message=message.id, attempts=message.attempts)
            self._reception.give_up(turn)
        else:
            self._reception.begin(turn)

    def _finish_send(self, message: Open, now: datetime) -> None:
        """A send whose sender died: the outbox asks the platform whether it arrived before sending again.

        For a passive reply WeChat's silence tells: had it not been heard, WeChat would have brought the message
        again; we were listening and it did not. If we were not listening in time, it is sent.
        """
        heard = message.via == "passive" and self._listening_since <= message.created_at + BACK_WITHIN
        with transaction() as db:
            if heard:
                promises.settle_outgoing(db, message.id, State.sent, outcome="not_asked_again", now=now)
            else:
                promises.put_off(db, message.id, due_at=now, outcome=Uncertain.outcome)
        self._outbox.wake(message.contact_id, message.address)
