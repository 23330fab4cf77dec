"""Reception: a message is recorded once, answered in its guest's order, its replies promised with the deed."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from bot import metrics
from bot.channel import Incoming, SendError
from bot.lanes import Lanes
from bot.outbox import PATIENCE, Clock, Outbox, database_down
from bot.passive import PassiveReplies
from bot.turns import Answers, NotReady, Outcome, Turn
from data import messages, promises
from data.db import transaction
from data.members import Contact, Member, contact_at
from data.messages import Message, State
from data.promises import Draft
from nlu import language
from nlu.phrasebook import Phrasebook

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Taken:
    """A delivery that is safely recorded; not `fresh` if an earlier delivery had brought it."""

    message_id: int
    fresh: bool


@dataclass(frozen=True)
class StaffChat:
    """Where staff hear of trouble: a channel and an address on it."""

    channel: str
    address: str


class Reception:
    """Takes messages in, and sees to it that each is answered exactly once."""

    def __init__(
        self,
        *,
        answers: Answers,
        phrasebook: Phrasebook,
        outbox: Outbox,
        lanes: Lanes,
        process: str,
        clock: Clock,
        staff: StaffChat | None = None,
    ) -> None:
        self._answers = answers
        self._phrasebook = phrasebook
        self._outbox = outbox
        self._lanes = lanes
        self._process = process
        self._clock = clock
        self._staff = staff
        self._in_hand: set[int] = set()
        self.passive = PassiveReplies(process=process, clock=clock, wake=outbox.wake)
        outbox.on_trouble = self._tell_staff_of_send

    def take(self, incoming: Incoming) -> Taken:
        """Record a delivery in one transaction; the same delivery again finds the first.

        Raises SQLAlchemy's error while the database is down: nothing was taken, so the platform must bring it again.
        """
        try:
            return self._record(incoming)
        except DBAPIError as error:
            if database_down(error):
                raise
            # Something in it the database will never hold. Refused, it would come again for ever, before all others.
            log.error("reception.cannot_record", channel=incoming.channel, error=type(error).__name__)
            return self._record(Incoming(incoming.channel, f"odd:{_digest(incoming.key)}", "unreadable"))

    def _record(self, incoming: Incoming) -> Taken:
        now = self._clock()
        with transaction() as db:
            contact = (
                contact_at(db, incoming.channel, incoming.address, now=now) if incoming.address else None
            )
            message_id = messages.receive(
                db,
                channel=incoming.channel,
                key=incoming.key,
                contact_id=contact.id if contact else None,
                kind=incoming.kind,
                text=incoming.text or incoming.raw,
                payload={"pressed": incoming.pressed} if incoming.pressed else {},
                by=self._process,
                now=now,
                platform_id=incoming.reference,
                wants_answer=incoming.wants_answer,
            )
            if message_id is None:
                first = messages.by_key(db, f"{incoming.channel}:{incoming.key}")
                assert first is not None
                metrics.REPEATED.labels(incoming.channel).inc()
                return Taken(first.id, fresh=False)
            turn = None
            if contact is not None and incoming.wants_answer:
                contact.locale = _locale(db, contact, incoming)
                turn = Turn.of(
                    message_id,
                    contact,
                    kind=incoming.kind,
                    text=incoming.text,
                    pressed=incoming.pressed,
                )
        metrics.TAKEN.labels(incoming.channel, incoming.kind).inc()
        if turn is not None:
            self.begin(turn)
        return Taken(message_id, fresh=True)

    def begin(self, turn: Turn) -> None:
        """Put a recorded message on its guest's lane."""
        if turn.message_id in self._in_hand:
            return
        if self._lanes.add(turn.conversation, partial(self._run, turn)):
            self._in_hand.add(turn.message_id)

    def give_up(self, turn: Turn) -> None:
        """Apologise for a recorded message without trying to answer it again."""
        self._apologise(turn)

    def in_hand(self, message_id: int) -> bool:
        """Whether this process is answering the message right now."""
        return message_id in self._in_hand

    async def _run(self, turn: Turn) -> None:
        try:
            for pause in PATIENCE:
                if await self._attempt(turn):
                    return
                log.warning("turn.database_down", message=turn.message_id, pause=pause)
                await asyncio.sleep(pause)
            log.error("turn.left_for_recovery", message=turn.message_id)
        finally:
            self._in_hand.discard(turn.message_id)

    async def _attempt(self, turn: Turn) -> bool:
        """One turn, whatever happens in it. False if the database is away and it must be tried again."""
        try:
            await self._answer(turn)
        except Exception as error:
            # One turn: the guest hears an apology and staff a flag, and the next turn begins as if nothing was.
            if database_down(error):
                return False
            log.error("turn.failed", message=turn.message_id, error=type(error).__name__, exc_info=True)
            return self._apologise(turn)
        return True

    async def _answer(self, turn: Turn) -> None:
        try:
            outcome = await self._answers.answer(turn)
        except NotReady as error:
            log.error("turn.not_ready", message=turn.message_id, reason=str(error))
            metrics.TURNS.labels(turn.channel, "not_ready").inc()
            self._say_not_ready(turn)
            return
        self._finish(turn, outcome)

    def _apologise(self, turn: Turn) -> bool:
        # What the guest is told must be true: a colleague knows only where there is a staff chat.
        sorry = "utter_apology" if self._staff is not None else "utter_apology_unattended"
        said = self._phrasebook.say(sorry, turn.locale, {}, turn=turn.key)
        flag = self._phrasebook.say(
            "utter_staff_unanswered", "en", {"message": turn.message_id, "channel": turn.channel}
        )
        apology = Draft(said.text, said.choices)
        try:
            self._finish(turn, Outcome((apology,), State.failed, "turn_failed", for_staff=Draft(flag.text)))
        except SQLAlchemyError as error:
            if database_down(error):
                return False
            raise
        return True

    def _finish(self, turn: Turn, outcome: Outcome) -> None:
        claimed = self._settle(turn, outcome)
        metrics.TURNS.labels(turn.channel, outcome.state.value).inc()
        metrics.TURN_SECONDS.labels(turn.channel).observe(time.perf_counter() - turn.began)
        self._hand_on(turn, claimed)

    def _settle(self, turn: Turn, outcome: Outcome) -> Message | None:
        """Dialogue, replies and the turn's end in one transaction; the first reply claimed for its way out."""
        now = self._clock()
        with transaction() as db:
            if not messages.settle_incoming(
                db, turn.message_id, outcome.state, outcome=outcome.reason, now=now
            ):
                log.info("turn.answered_elsewhere", message=turn.message_id)
                return None
            outcome.write(db, now)
            promised = [
                self._promise(db, turn, draft, key=f"re:{turn.message_id}:{number}")
                for number, draft in enumerate(outcome.replies)
            ]
            if outcome.for_staff is not None:
                self._promise_staff(db, outcome.for_staff, key=f"staff:{turn.key}")
            return self._claim(db, turn, promised[0])

    def _claim(self, db: Session, turn: Turn, reply: int | None) -> Message | None:
        """Claim what is to leave now: the reply itself if WeChat waits for it at the door, else the next in order.

        A passive reply may overtake what an earlier failure put off: the guest hears the answer to this question.
        """
        now = self._clock()
        if reply is not None and self.passive.awaited(turn.message_id):
            return promises.claim(db, reply, by=self._process, via="passive", now=now)
        # The guest is there and the channel works: what waits out a failure of ours may go at once.
        return promises.claim_next(db, turn.contact_id, by=self._process, via="api", now=now, hurry=True)

    def _promise(self, db: Session, turn: Turn, draft: Draft, *, key: str) -> int | None:
        return promises.promise(
            db,
            draft,
            contact_id=turn.contact_id,
            channel=turn.channel,
            key=key,
            now=self._clock(),
            answers_id=turn.message_id,
        )

    def _say_not_ready(self, turn: Turn) -> None:
        """The message stays owed and is answered once there is a model; the guest is told so, once."""
        said = self._phrasebook.say("utter_not_ready", turn.locale, {}, turn=turn.key)
        with transaction() as db:
            messages.still_owed(db, turn.message_id)
            notice = self._promise(db, turn, Draft(said.text), key=f"not_ready:{turn.message_id}")
            claimed = self._claim(db, turn, notice)
        self._hand_on(turn, claimed)

    def _hand_on(self, turn: Turn, claimed: Message | None) -> None:
        if claimed is not None and claimed.via == "passive":
            self.passive.give(turn.message_id, claimed)
        else:
            self._outbox.wake(turn.contact_id, turn.address, claimed)

    def _promise_staff(self, db: Session, draft: Draft, *, key: str) -> None:
        if self._staff is None:
            log.error("staff.nobody_to_tell", key=key)
            return
        now = self._clock()
        contact = contact_at(db, self._staff.channel, self._staff.address, now=now)
        promises.promise(db, draft, contact_id=contact.id, channel=self._staff.channel, key=key, now=now)
        # After this transaction: the message exists only then.
        asyncio.get_running_loop().call_soon(self._outbox.wake, contact.id, self._staff.address)

    def _tell_staff_of_send(self, message: Message, error: SendError) -> None:
        if self._staff is not None and message.key.startswith("staff:"):
            return  # telling staff that staff cannot be told helps nobody
        said = self._phrasebook.say(
            "utter_staff_unsent",
            "en",
            {"message": message.id, "channel": message.channel, "reason": str(error)},
        )
        with transaction() as db:
            self._promise_staff(db, Draft(said.text), key=f"staff:send:{message.id}:{error.outcome}")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def _locale(db: Session, contact: Contact, incoming: Incoming) -> str:
    """The language to answer in: that of the words, else the one last used here, the member's, the platform's."""
    preferred = contact.locale
    if not preferred and contact.member_id is not None:
        member = db.get(Member, contact.member_id)
        preferred = member.locale if member else ""
    if not preferred:
        default = "zh_CN" if contact.channel.endswith("wechat") else "en"
        preferred = language.closest(incoming.language, default=default)
    return language.spoken(incoming.text, preferred)
