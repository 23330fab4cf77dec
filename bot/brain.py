"""The one door to Rasa: text and facts in, replies out. Agent and actions run inside this process."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rasa.core.channels.channel import UserMessage
from rasa.core.lock_store import InMemoryLockStore
from rasa_sdk.executor import ActionExecutor

from bot.processor import Spoken, TurnProcessor
from bot.tracker_store import DialogueStore, NewEvents, new_events
from data.promises import Draft
from nlu.generator import PhrasebookGenerator
from nlu.phrasebook import Phrasebook

# A guest's complaint may be long; what it is about is said early, and inference time grows with length.
CHARACTERS_READ = 1000
PARSES_KEPT = 4096


class TurnFailed(Exception):
    """The turn broke or produced nothing to say. The guest is owed an apology, staff a flag."""


@dataclass(frozen=True)
class Facts:
    """What reception knows of a turn. Travels as message metadata, and is stored with it: nothing personal."""

    conversation: str
    turn: str  # the same again when a turn is run again after a crash
    channel: str
    locale: str
    member_id: int | None
    contact_id: int
    at: str  # ISO 8601


@dataclass(frozen=True)
class Answer:
    """Replies, and the dialogue events to write in the same transaction that promises them."""

    replies: tuple[Draft, ...]
    events: NewEvents


@dataclass(frozen=True)
class Understanding:
    """How a text was read: intent, how sure (0 to 1), entities as Rasa gives them."""

    intent: str
    confidence: float
    entities: tuple[Mapping[str, Any], ...]


class Brain:
    """Understands and answers. Loading takes seconds; make it in a thread."""

    def __init__(self, model: Path, phrasebook: Phrasebook) -> None:
        self.phrasebook = phrasebook
        self._processor = TurnProcessor(
            model_path=str(model),
            tracker_store=DialogueStore(None),
            lock_store=InMemoryLockStore(),
            generator=PhrasebookGenerator(phrasebook=phrasebook),
        )
        self._processor.tracker_store.domain = self._processor.domain
        self._processor.executor = _house_actions()
        self._parsed: OrderedDict[str, dict[str, Any]] = OrderedDict()

    async def warm_up(self) -> None:
        """Read one text of each script, so that dictionaries are loaded before the first guest waits for them."""
        for text in ("您好，積分", "good evening"):
            await self.understand(text)

    async def answer(self, facts: Facts, text: str) -> Answer:
        """One turn. Raises `TurnFailed`, never returns without something to say."""
        spoken = Spoken(facts.channel)
        message = UserMessage(
            text=text,
            output_channel=spoken,
            sender_id=facts.conversation,
            parse_data=await self._parse(text),
            input_channel=facts.channel,
            message_id=facts.turn,
            metadata=asdict(facts),
        )
        tracker = await self._processor.run_turn(message)
        if spoken.failures:
            raise TurnFailed("an action failed") from spoken.failures[0]
        if not spoken.said:
            raise TurnFailed("the rules led to no reply")
        return Answer(tuple(spoken.said), new_events(tracker))

    async def understand(self, text: str) -> Understanding:
        """How a text is read, without a conversation around it."""
        parsed = await self._parse(text)
        intent = parsed["intent"]
        return Understanding(
            intent["name"] or "nlu_fallback", float(intent["confidence"]), tuple(parsed["entities"])
        )

    async def _parse(self, text: str) -> dict[str, Any]:
        """Menu taps and greetings repeat: the same text is read once."""
        text = text[:CHARACTERS_READ]
        found = self._parsed.get(text)
        if found is None:
            parsed = await self._processor.parse_message(UserMessage(text))
            found = {key: parsed[key] for key in ("text", "intent", "entities")}
            self._parsed[text] = found
            if len(self._parsed) > PARSES_KEPT:
                self._parsed.popitem(last=False)
        else:
            self._parsed.move_to_end(text)
        return copy.deepcopy(found)


def _house_actions() -> ActionExecutor:
    """Every action under `actions/`. An import error rises here instead of ending the process, as Rasa would."""
    executor = ActionExecutor()
    executor._import_submodules("actions")
    executor._register_all_actions()
    return executor
