"""Rasa's memory of a conversation over our own database: append-only, and flat however long the conversation."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.constants import (
    ACTION_LISTEN_NAME,
    ACTION_SESSION_START_NAME,
    SESSION_START_METADATA_SLOT,
)
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActiveLoop,
    BotUttered,
    Event,
    SessionStarted,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker
from sqlalchemy.orm import Session

from data import dialogues
from data.db import insert_once, reading, transaction

# A rule looks at this turn and the one before; what else counts is in the state each turn began from.
TURNS_READ = 2


class Tracker(DialogueStateTracker):
    """A tracker that knows which of its events are already stored, and the state it began from."""

    stored = 0
    before: dict[str, Any] | None = None


@dataclass(frozen=True)
class NewEvents:
    """What a turn added to a conversation; written by whoever owns the transaction."""

    conversation: str
    before: dict[str, Any]
    events: list[dict[str, Any]]

    def write(self, db: Session, now: datetime) -> None:
        if self.events:
            insert_once(
                db,
                dialogues.DialogueTurn,
                conversation=self.conversation,
                before=self.before,
                events=self.events,
                at=now,
            )


class DialogueStore(TrackerStore):
    """The tracker store. `endpoints.yml` can name it, and the brain uses it without its `save`."""

    async def retrieve(self, sender_id: str) -> Tracker | None:
        with reading() as db:
            turns = dialogues.last_turns(db, sender_id, limit=TURNS_READ)
            if not turns:
                return None
            return self._rebuilt(sender_id, turns)

    async def retrieve_full_tracker(self, conversation_id: str) -> Tracker | None:
        with reading() as db:
            turns = dialogues.all_turns(db, conversation_id)
            return self._rebuilt(conversation_id, turns) if turns else None

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Append what is new, in a transaction of its own; for Rasa's own commands."""
        with transaction() as db:
            new_events(tracker).write(db, datetime.now(timezone.utc))
        if isinstance(tracker, Tracker):
            _mark_stored(tracker)

    async def keys(self) -> Iterable[str]:
        with reading() as db:
            return dialogues.conversations(db)

    def init_tracker(self, sender_id: str) -> Tracker:
        return Tracker(sender_id, self.domain.slots, max_event_history=self.max_event_history)

    def _rebuilt(self, sender_id: str, turns: Iterable[dialogues.Remembered]) -> Tracker:
        tracker = self.init_tracker(sender_id)
        first = True
        for turn in turns:
            if first and turn.before:
                _add(tracker, list(_began_from(turn.before)), self.domain)
            first = False
            _add(tracker, [_event(stored) for stored in turn.events], self.domain)
        _mark_stored(tracker)
        return tracker


def _add(tracker: Tracker, events: list[Event], domain: Domain) -> None:
    # Rasa would give them the time of now, and no session would ever end.
    tracker.update_with_events(events, domain, override_timestamp=False)


def new_events(tracker: DialogueStateTracker) -> NewEvents:
    """The events since the tracker was read, without the words of either side: those are in `messages`, sealed."""
    stored = tracker.stored if isinstance(tracker, Tracker) else 0
    before = (tracker.before if isinstance(tracker, Tracker) else None) or {}
    fresh = list(tracker.events)[stored:]
    return NewEvents(
        conversation=tracker.sender_id,
        before=before,
        events=[_wordless(event) for event in fresh if not isinstance(event, BotUttered)],
    )


def _mark_stored(tracker: Tracker) -> None:
    tracker.stored = len(tracker.events)
    tracker.before = _state(tracker)


def _state(tracker: DialogueStateTracker) -> dict[str, Any]:
    """The dialogue state: slots that are filled, the form that is open."""
    return {
        "slots": {
            name: slot.value
            for name, slot in tracker.slots.items()
            if slot.value != slot.initial_value and name != SESSION_START_METADATA_SLOT
        },
        "loop": tracker.active_loop.name if tracker.active_loop else None,
    }


def _began_from(state: dict[str, Any]) -> Iterator[Event]:
    """Events that bring an empty tracker to `state`, in Rasa's own vocabulary for a session that carries on."""
    yield ActionExecuted(ACTION_SESSION_START_NAME, timestamp=0)
    yield SessionStarted(timestamp=0)
    for name, value in state["slots"].items():
        yield SlotSet(name, value, timestamp=0)
    if state["loop"]:
        yield ActiveLoop(state["loop"], timestamp=0)
    yield ActionExecuted(ACTION_LISTEN_NAME, timestamp=0)


@functools.cache
def _event_class(name: str) -> type[Event]:
    """Rasa's own look-up walks all subclasses for every event; the answer never changes."""
    found: type[Event] = Event.resolve_by_type(name)
    return found


def _event(stored: dict[str, Any]) -> Event:
    return _event_class(stored["event"])._from_parameters(stored)


def _wordless(event: Event) -> dict[str, Any]:
    if not isinstance(event, UserUttered):
        stored: dict[str, Any] = event.as_dict()
        return stored
    return {
        "event": UserUttered.type_name,
        "timestamp": event.timestamp,
        "text": "",
        "input_channel": event.input_channel,
        "message_id": event.message_id,
        "metadata": event.metadata,
        "parse_data": {"intent": event.intent, "entities": event.entities, "text": ""},
    }
