"""Rasa's processor with our own parts in place: actions in this process, failures seen, no detours."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from rasa.core.actions.action import Action, ActionExecutionRejection, RemoteAction
from rasa.core.channels.channel import OutputChannel, UserMessage
from rasa.core.policies.policy import PolicyPrediction
from rasa.core.processor import MessageProcessor
from rasa.engine import loader
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.engine.runner.interface import GraphRunner
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import Event, deserialise_events
from rasa.shared.core.trackers import DialogueStateTracker
from rasa_sdk import Tracker as ActionTracker
from rasa_sdk.executor import ActionExecutor, CollectingDispatcher

from data.promises import Draft


class OneByOne(DaskGraphRunner):
    """Runs a model's graph node by node in a fixed order.

    Dask plans every run anew, and its runner formats the whole tracker for a debug line nobody reads: together
    half the time of a prediction.
    """

    def run(
        self, inputs: Mapping[str, Any] | None = None, targets: Iterable[str] | None = None
    ) -> dict[str, Any]:
        wanted = tuple(targets or self._graph_schema.target_names)
        done: dict[str, tuple[str, Any]] = {name: (name, value) for name, value in (inputs or {}).items()}
        for name, needs in self._plan(wanted):
            done[name] = self._instantiated_nodes[name](*(done[need] for need in needs))
        return dict(done[name] for name in wanted)

    def _plan(self, wanted: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
        plans: dict[tuple[str, ...], list[tuple[str, tuple[str, ...]]]] = self.__dict__.setdefault(
            "_plans", {}
        )
        if wanted not in plans:
            nodes = self._graph_schema.minimal_graph_schema(list(wanted)).nodes
            needs = {name: tuple(node.needs.values()) for name, node in nodes.items()}
            plans[wanted] = [(n, needs[n]) for n in TopologicalSorter(needs).static_order() if n in needs]
        return plans[wanted]


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

    @staticmethod
    def _load_model(model_path: str | Path) -> tuple[str, Any, GraphRunner]:
        with tempfile.TemporaryDirectory() as unpacked:
            metadata, runner = loader.load_predict_graph_runner(
                Path(unpacked), Path(model_path), LocalModelStorage, OneByOne
            )
        return Path(model_path).name, metadata, runner

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
