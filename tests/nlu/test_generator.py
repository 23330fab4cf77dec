"""The phrasebook as Rasa meets it."""

from __future__ import annotations

from typing import Any

from rasa.core.nlg.generator import NaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from nlu.generator import PhrasebookGenerator
from nlu.phrasebook import Phrasebook

BOOK = Phrasebook.load()


def _tracker(text: str, **metadata: Any) -> DialogueStateTracker:
    return DialogueStateTracker.from_events("guest", [UserUttered(text, metadata=metadata)])


async def test_language_and_turn_come_with_the_message() -> None:
    tracker = _tracker("how many points", locale="zh_TW", turn="t7")
    said = await PhrasebookGenerator(phrasebook=BOOK).generate(
        "utter_points_balance", tracker, "any", points=1200
    )
    wanted = BOOK.say("utter_points_balance", "zh_TW", {"points": 1200}, turn="t7")
    assert said == {"text": wanted.text, "buttons": []}
    assert "1,200" in said["text"]


async def test_choices_become_buttons() -> None:
    tracker = _tracker("help", locale="zh_CN")
    said = await PhrasebookGenerator(phrasebook=BOOK).generate("utter_help", tracker, "any")
    assert said["buttons"] == [{"title": "我的积分", "payload": "/points_balance"}]


async def test_without_metadata_the_words_tell_the_language() -> None:
    generator = PhrasebookGenerator(phrasebook=BOOK)
    said = [
        (await generator.generate("utter_help", _tracker(text), "any"))["text"]
        for text in ("帮助", "使用說明", "?")
    ]
    assert said == [BOOK.say("utter_help", locale, {}).text for locale in ("zh_CN", "zh_TW", "en")]


async def test_what_rasa_adds_is_not_a_value() -> None:
    noise = {"text": None, "buttons": [], "domain_responses": {"utter_help": []}, "image": None, "custom": {}}
    said = await PhrasebookGenerator(phrasebook=BOOK).generate("utter_help", _tracker("help"), "any", **noise)
    assert said["text"] == BOOK.say("utter_help", "en", {}).text


async def test_a_conversation_without_a_message_is_greeted_in_english() -> None:
    tracker = DialogueStateTracker.from_events("guest", [])
    said = await PhrasebookGenerator(phrasebook=BOOK).generate("utter_goodbye", tracker, "any")
    assert said["text"] == BOOK.say("utter_goodbye", "en", {}).text


def test_rasa_builds_it_from_the_endpoints_file() -> None:
    endpoint = EndpointConfig.from_dict({"type": "nlu.generator.PhrasebookGenerator"})
    assert isinstance(NaturalLanguageGenerator.create(endpoint, Domain.empty()), PhrasebookGenerator)
