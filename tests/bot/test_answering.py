"""Answering: what the brain is given, and what a guest hears when it fails, is missing, or is not needed."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from bot.answering import Answering
from bot.channel import Kind
from bot.turns import NotReady, Turn
from data.promises import Draft
from nlu.phrasebook import Phrasebook
from tests.bot.faults import (
    GUEST,
    STAFF,
    FrontDesk,
    states,
    stored,
    text,
)
from tests.conftest import NOW

ANSWERED = [("in", "answered"), ("out", "sent")]


class FewWords:
    """A brain that says what it was given; `fails` is what the next turns raise."""

    def __init__(self, *fails: Exception) -> None:
        self.fails = list(fails)
        self.heard: list[str] = []

    async def answer(self, facts: Any, words: str) -> Any:
        self.heard.append(words)
        if self.fails:
            raise self.fails.pop(0)
        return SimpleNamespace(
            replies=(Draft(f"heard {len(words)}"),), events=SimpleNamespace(write=lambda db, now: None)
        )


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """The real one, without Rasa behind it."""
    brainless = ModuleType("bot.brain")
    brainless.Facts = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bot.brain", brainless)
    return Answering(Phrasebook.load(), clock=lambda: NOW)


def with_brain(answering: Answering, brain: FewWords) -> FewWords:
    answering.use(cast("Any", brain))
    return brain


@pytest.mark.parametrize(
    ("said", "language", "apology"),
    [
        ("how many points", "en", "sorry"),
        ("我有多少积分", "zh-hans", "抱歉"),
        ("我有多少積分", "zh-hant", "抱歉"),
    ],
)
async def test_a_brain_that_fails_is_an_apology_and_a_flag(
    database: str, answering: Answering, said: str, language: str, apology: str
) -> None:
    with_brain(answering, FewWords(RuntimeError("broken")))
    desk = FrontDesk(answering, staff=True)
    desk.reception.take(text(said, language=language))
    await desk.quiet()
    asked, to_guest, to_staff = stored()
    assert (asked.state, asked.outcome) == ("failed", "turn_failed")
    locale = {"en": "en", "zh-hans": "zh_CN", "zh-hant": "zh_TW"}[language]
    assert to_guest.text == Phrasebook.load().say("utter_apology", locale, {}).text
    assert apology in to_guest.text
    assert to_staff.key == f"staff:turn:{asked.id}"
    flag = Phrasebook.load().say("utter_staff_unanswered", "en", {"message": asked.id, "channel": "telegram"})
    assert to_staff.text == flag.text
    assert str(asked.id) in to_staff.text
    assert said not in to_staff.text
    assert sorted(words.address for words in desk.wire.sent) == sorted([STAFF, GUEST])


async def test_a_guest_whose_turn_failed_is_answered_the_next_time(
    database: str, answering: Answering
) -> None:
    with_brain(answering, FewWords(RuntimeError("broken")))
    desk = FrontDesk(answering)
    desk.reception.take(text("one", "update:1"))
    desk.reception.take(text("two!", "update:2"))
    await desk.quiet()
    assert desk.wire.texts[1:] == ["heard 4"]


async def test_a_model_that_is_missing_is_said_once_and_the_message_stays_owed(
    database: str, answering: Answering
) -> None:
    answering.give_up("the model is missing")
    desk = FrontDesk(answering)
    desk.reception.take(text("how many points do I have"))
    await desk.quiet()
    for _ in range(30):  # half an hour
        desk.clock.forward(61)
        desk.recovery.look()
        await desk.quiet()
    not_ready = Phrasebook.load().say("utter_not_ready", "en", {}).text
    assert desk.wire.texts == [not_ready]
    assert states() == [("in", "received"), ("out", "sent")]
    await desk.close()

    restarted = Answering(Phrasebook.load(), clock=lambda: NOW)
    with_brain(restarted, FewWords())
    second = FrontDesk(restarted, clock=desk.clock, process="two:2:2")
    second.recovery.look(alone=True)
    await second.quiet()
    assert second.wire.texts == ["heard 25"]
    assert states() == [("in", "answered"), ("out", "sent"), ("out", "sent")]


async def test_not_ready_is_raised_to_reception(answering: Answering) -> None:
    answering.give_up("no model")
    turn = Turn(1, 1, None, "telegram", GUEST, "en", "text", "hello")
    with pytest.raises(NotReady, match="no model"):
        await answering.answer(turn)


@pytest.mark.parametrize(
    ("kind", "said", "pressed", "heard"),
    [
        ("text", "/restart", "", "restart"),
        ("text", '/points_balance{"x":1}', "", 'points_balance{"x":1}'),
        ("text", " / / /greet", "", "greet"),
        ("text", "／greet", "", "greet"),
        ("tap", "", "/points_balance", "/points_balance"),
        ("tap", "", "/restart", "/help"),
        ("tap", "", '/points_balance{"x":1}', "/help"),
        ("hello", "/start abc", "", "/greet"),
        ("text", "🎉🎉🎉", "", "🎉🎉🎉"),
        ("text", "好" * 10_000, "", "好" * 10_000),
    ],
)
async def test_only_choices_we_offered_are_commands(
    sqlite_database: str, answering: Answering, kind: Kind, said: str, pressed: str, heard: str
) -> None:
    brain = with_brain(answering, FewWords())
    desk = FrontDesk(answering)
    desk.reception.take(text(said, kind=kind, pressed=pressed))
    await desk.quiet()
    assert brain.heard == [heard]
    assert states() == ANSWERED


@pytest.mark.parametrize(
    ("kind", "said", "phrase"),
    [
        ("text", "", "utter_empty"),
        ("text", "   ", "utter_empty"),
        ("text", "/", "utter_empty"),
        ("text", "\n／ /", "utter_empty"),
        ("wordless", "", "utter_please_type"),
    ],
)
async def test_what_has_no_words_is_answered_without_the_brain(
    sqlite_database: str, answering: Answering, kind: Kind, said: str, phrase: str
) -> None:
    desk = FrontDesk(answering)  # no brain has come yet: nothing waits for one
    desk.reception.take(text(said, kind=kind))
    await desk.quiet()
    assert desk.wire.texts == [Phrasebook.load().say(phrase, "en", {}).text]
