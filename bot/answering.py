"""How a turn is answered: by the brain, or with a fixed phrase where there is nothing to understand."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from bot.outbox import Clock
from bot.turns import NotReady, Outcome, Turn
from data.promises import Draft
from nlu.phrasebook import Phrasebook

if (
    TYPE_CHECKING
):  # importing the brain imports TensorFlow: seconds, spent in a thread after the doors are open
    from bot.brain import Brain

# For an action that awaits without end, so that the guest still hears something; most turns take milliseconds.
LONGEST_TURN = 20.0


class Answering:
    """Answers turns once the brain is there; until then they wait."""

    def __init__(self, phrasebook: Phrasebook, *, clock: Clock) -> None:
        self._phrasebook = phrasebook
        self._clock = clock
        self._brain: Brain | None = None
        self._decided = asyncio.Event()
        self.trouble = ""  # why there will be no brain, for the readiness check

    @property
    def ready(self) -> bool:
        return self._brain is not None

    def use(self, brain: Brain) -> None:
        """Answer with this brain from now on."""
        self._brain, self.trouble = brain, ""
        self._decided.set()

    def give_up(self, trouble: str) -> None:
        """There is no brain, for this reason."""
        self.trouble = trouble
        self._decided.set()

    async def answer(self, turn: Turn) -> Outcome:
        """See `bot.turns.Answers`."""
        if turn.kind == "wordless":
            return Outcome((self.say("utter_please_type", turn),))
        words = self._words(turn)
        if not words:
            return Outcome((self.say("utter_empty", turn),))
        await self._decided.wait()
        if self._brain is None:
            raise NotReady(self.trouble)
        return await asyncio.wait_for(self._think(self._brain, turn, words), LONGEST_TURN)

    async def _think(self, brain: Brain, turn: Turn, words: str) -> Outcome:
        from bot.brain import Facts

        facts = Facts(
            conversation=turn.conversation,
            turn=turn.key,
            channel=turn.channel,
            locale=turn.locale,
            member_id=turn.member_id,
            contact_id=turn.contact_id,
            at=self._clock().isoformat(),
        )
        answer = await brain.answer(facts, words)
        return Outcome(answer.replies, write=answer.events.write)

    def _words(self, turn: Turn) -> str:
        """What the brain is given. Only choices we offered are commands; a typed slash is just a slash."""
        if turn.kind == "hello":
            return "/greet"
        if turn.kind == "tap":
            return turn.pressed if turn.pressed in self._phrasebook.payloads else "/help"
        return re.sub(r"^[\s/／]+", "", turn.text)

    def say(self, name: str, turn: Turn) -> Draft:
        """A phrase without values, in the guest's language."""
        said = self._phrasebook.say(name, turn.locale, {}, turn=turn.key)
        return Draft(said.text, said.choices)
