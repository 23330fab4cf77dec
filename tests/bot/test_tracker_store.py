"""The tracker store as Rasa uses one, with a form and a slot that must outlive many turns."""

from __future__ import annotations

from typing import cast

import pytest
from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import TrackerStore
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
from rasa.utils.endpoints import EndpointConfig
from sqlalchemy import select

from bot.tracker_store import TURNS_READ, DialogueStore, Tracker
from data import db
from data.dialogues import DialogueTurn

DOMAIN = Domain.from_yaml(
    """
version: "3.1"
intents: [greet, order]
entities: [room]
slots:
  room: {type: text, influence_conversation: false, mappings: [{type: custom}]}
  nights: {type: any, influence_conversation: false, mappings: [{type: custom}]}
forms:
  order_form: {required_slots: [room]}
responses:
  utter_greet: [{text: Hello}]
"""
)
LISTEN = "action_listen"


@pytest.fixture
def store(database: str) -> DialogueStore:
    return DialogueStore(DOMAIN)


def heard(intent: str, words: str = "secret words") -> UserUttered:
    return UserUttered(
        words, {"name": intent, "confidence": 0.9}, message_id="turn:1", input_channel="telegram"
    )


async def turn(store: DialogueStore, *events: Event, of: str = "member:1") -> Tracker:
    """One turn as Rasa would have it: read, add, save."""
    tracker = await store.retrieve(of) or store.init_tracker(of)
    tracker.update_with_events([*events, ActionExecuted(LISTEN)], DOMAIN)
    await store.save(tracker)
    return tracker


async def small_talk(store: DialogueStore, turns: int) -> None:
    for _ in range(turns):
        await turn(store, heard("greet"), ActionExecuted("utter_greet"), BotUttered("Hello, Anna"))


def rows() -> list[DialogueTurn]:
    with db.reading() as session:
        return list(session.scalars(select(DialogueTurn).order_by(DialogueTurn.id)))


async def test_what_was_saved_comes_back(store: DialogueStore) -> None:
    assert await store.retrieve("member:1") is None
    await turn(
        store, ActionExecuted("action_session_start"), SessionStarted(), heard("order"), SlotSet("room", "12")
    )
    found = await store.retrieve("member:1")
    assert found is not None
    assert found.get_slot("room") == "12"
    assert found.latest_message is not None
    assert found.latest_message.intent["name"] == "order"
    assert [type(event) for event in found.events] == [
        ActionExecuted, SessionStarted, UserUttered, SlotSet, ActionExecuted,
    ]  # fmt: skip
    assert found.events[2].message_id == "turn:1"


async def test_saving_appends_only_what_is_new(store: DialogueStore) -> None:
    tracker = await turn(store, heard("greet"))
    await store.save(tracker)
    assert len(rows()) == 1, "nothing new, nothing written"
    tracker.update_with_events([heard("greet"), ActionExecuted(LISTEN)], DOMAIN)
    await store.save(tracker)
    assert [len(row.events) for row in rows()] == [2, 2]
    full = await store.retrieve_full_tracker("member:1")
    assert full is not None
    assert len(full.events) == 4


@pytest.mark.parametrize("between", [0, 1, TURNS_READ - 1, TURNS_READ, TURNS_READ + 1, 20])
async def test_slots_and_the_open_form_outlive_any_number_of_turns(
    store: DialogueStore, between: int
) -> None:
    await turn(
        store,
        heard("order"),
        ActiveLoop("order_form"),
        SlotSet("room", "12"),
        SlotSet("nights", [1, {"a": 2}]),
    )
    await small_talk(store, between)
    found = await store.retrieve("member:1")
    assert found is not None
    assert found.current_slot_values()["room"] == "12"
    assert found.get_slot("nights") == [1, {"a": 2}]
    assert found.active_loop is not None
    assert found.active_loop.name == "order_form"
    await turn(store, heard("order"), ActiveLoop(None), SlotSet("room", None))
    await small_talk(store, between)
    after = await store.retrieve("member:1")
    assert after is not None
    assert after.get_slot("room") is None
    assert after.get_slot("nights") == [1, {"a": 2}]
    assert after.active_loop is None


async def test_reading_is_bounded_and_the_full_story_is_there(store: DialogueStore) -> None:
    await turn(store, heard("order"), SlotSet("room", "12"))
    await small_talk(store, 30)
    short, full = await store.retrieve("member:1"), await store.retrieve_full_tracker("member:1")
    assert short is not None
    assert full is not None
    assert sum(isinstance(event, UserUttered) for event in short.events) == TURNS_READ
    assert sum(isinstance(event, UserUttered) for event in full.events) == 31
    assert full.get_slot("room") == "12"


async def test_no_words_of_either_side_are_stored(store: DialogueStore) -> None:
    await turn(store, heard("greet", "I am Anna"), ActionExecuted("utter_greet"), BotUttered("Hello, Anna"))
    (row,) = rows()
    assert "Anna" not in str((row.before, row.events))
    assert [event["event"] for event in row.events] == ["user", "action", "action"]
    assert row.events[0]["parse_data"]["intent"]["name"] == "greet"


async def test_conversations_do_not_mix(store: DialogueStore) -> None:
    await turn(store, heard("order"), SlotSet("room", "12"))
    await turn(store, heard("order"), SlotSet("room", "99"), of="contact:7")
    mine, theirs = await store.retrieve("member:1"), await store.retrieve("contact:7")
    assert mine is not None
    assert theirs is not None
    assert (mine.get_slot("room"), theirs.get_slot("room")) == ("12", "99")
    assert sorted(await store.keys()) == ["contact:7", "member:1"]


async def test_endpoints_can_name_it(database: str) -> None:
    endpoint = EndpointConfig(type="bot.tracker_store.DialogueStore")
    made = TrackerStore.create(endpoint, DOMAIN, cast("EventBroker | None", None))
    inner = getattr(made, "_tracker_store", made)  # Rasa may wrap it to survive failures
    assert isinstance(inner, DialogueStore)
    await turn(inner, heard("greet"))
    assert list(await made.keys()) == ["member:1"]
