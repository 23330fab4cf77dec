"""The one door to Rasa: text and facts in, replies out. Agent and actions run inside this process."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rasa.core.actions.action import Action, ActionExecutionRejection, RemoteAction
from rasa.core.channels.channel import OutputChannel, UserMessage
from rasa.core.lock_store import InMemoryLockStore
from rasa.core.policies.policy import PolicyPrediction
from rasa.core.processor import MessageProcessor
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import Event, deserialise_events
from rasa.shared.core.trackers import DialogueStateTracker
from rasa_sdk import Tracker as ActionTracker
from rasa_sdk.executor import ActionExecutor, CollectingDispatcher

from bot.tracker_store import DialogueStore, NewEvents, new_events
from data.messages import Draft
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


class Spoken(OutputChannel):
    """Collects what one turn says, and what went wrong in it."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.said: list[Draft] = []
        self.failures: list[Exception] = []

    def name(self) -> str:
        return self.channel

    async def send_response(self, recipient_id: str, message: dict[str, Any]) -> None:
        choices = tuple((b["title"], b["payload"]) for b in message.get("buttons") or ())
        if message.get("text"):
            self.said.append(Draft(message["text"], choices))


class InHouse(Action):
    """A `rasa_sdk` action run here: no HTTP, no schema check, no copy of the conversation on every call."""

    def __init__(self, name: str, executor: ActionExecutor) -> None:
        self._name = name
        self._executor = executor

    def name(self) -> str:
        return self._name

    async def run(
        self, output_channel: OutputChannel, nlg: Any, tracker: DialogueStateTracker, domain: Domain
    ) -> list[Event]:
        dispatcher = CollectingDispatcher()
        seen = ActionTracker(
            tracker.sender_id,
            tracker.current_slot_values(),
            tracker.latest_message.as_dict() if tracker.latest_message else {},
            [],
            tracker.is_paused(),
            tracker.followup_action,
            {"name": tracker.active_loop.name} if tracker.active_loop else {},
            tracker.latest_action_name,
        )
        events = await self._executor.actions[self._name](dispatcher, seen, {})
        uttered = await RemoteAction._utter_responses(dispatcher.messages, output_channel, nlg, tracker)
        return [*uttered, *deserialise_events(events)]


class Watched(Action):
    """Rasa swallows an action's exception and goes on in silence; this keeps it for the turn to see."""

    def __init__(self, action: Action) -> None:
        self._action = action

    def name(self) -> str:
        return str(self._action.name())

    def event_for_successful_execution(self, prediction: PolicyPrediction) -> Event:
        return self._action.event_for_successful_execution(prediction)

    async def run(
        self, output_channel: OutputChannel, nlg: Any, tracker: DialogueStateTracker, domain: Domain
    ) -> list[Event]:
        try:
            events: list[Event] = await self._action.run(output_channel, nlg, tracker, domain)
        except ActionExecutionRejection:  # a form stepping aside: part of a normal dialogue
            raise
        except Exception as error:
            if isinstance(output_channel, Spoken):
                output_channel.failures.append(error)
            raise
        return events


class TurnProcessor(MessageProcessor):
    """Rasa's processor with our actions in place, which leaves saving to the owner of the turn."""

    executor: ActionExecutor

    def predict_next_with_tracker_if_should(
        self, tracker: DialogueStateTracker
    ) -> tuple[Action, PolicyPrediction]:
        action, prediction = super().predict_next_with_tracker_if_should(tracker)
        if isinstance(action, RemoteAction):
            action = InHouse(action.name(), self.executor)
        return Watched(action), prediction

    async def save_tracker(self, tracker: DialogueStateTracker) -> None:
        """Nothing yet: replies and dialogue are written in one transaction, by the turn."""

    async def run_turn(self, message: UserMessage) -> DialogueStateTracker:
        """One message through understanding, rules and actions; the tracker it led to."""
        tracker = await self.log_message(message, should_save_tracker=False)
        tracker = await self.run_action_extract_slots(message.output_channel, tracker)
        await self._run_prediction_loop(message.output_channel, tracker)
        return tracker


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
