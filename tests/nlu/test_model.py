"""The trained model, on sentences it has never seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nlu.language import LOCALES
from nlu.phrasebook import Phrasebook

pytestmark = pytest.mark.model

Meaning = Callable[[str], tuple[str, float]]
SENTENCES: dict[str, list[str]] = yaml.safe_load(
    Path(__file__).with_name("sentences.yml").read_text(encoding="utf-8")
)
UNANSWERED = ("out_of_scope", "nlu_fallback")


def _right(wanted: str, got: str) -> bool:
    return got in UNANSWERED if wanted in ("out_of_scope", "dangerous") else got == wanted


@pytest.mark.parametrize("intent", [name for name in SENTENCES if name != "dangerous"])
def test_nine_in_ten_are_understood(meaning: Meaning, intent: str) -> None:
    wrong = {text: meaning(text) for text in SENTENCES[intent] if not _right(intent, meaning(text)[0])}
    assert len(wrong) <= 0.1 * len(SENTENCES[intent]), wrong


@pytest.mark.parametrize("intent", ["dangerous", *(name for name in SENTENCES if name != "points_balance")])
def test_no_other_question_is_answered_with_a_balance(meaning: Meaning, intent: str) -> None:
    answered = [text for text in SENTENCES[intent] if meaning(text)[0] == "points_balance"]
    assert answered == []


@pytest.mark.parametrize("text", ["", "   ", "👍", "😀🎉😀", "!!!", "……", "\u200b", "。"])
def test_wordless_text_is_not_guessed_at(meaning: Meaning, text: str) -> None:
    name, confidence = meaning(text)
    assert name == "nlu_fallback"
    assert confidence < 0.5


def test_a_very_long_text_is_read_without_fuss(meaning: Meaning) -> None:
    assert meaning("多少积分 how many points " * 400)[0]


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("好的", "affirm"),
        ("好的谢谢", "thanks"),
        ("不用了谢谢", "deny"),
        ("谢谢", "thanks"),
        ("no thanks", "deny"),
        ("ok thanks", "thanks"),
        ("ok", "affirm"),
        ("谢谢，再见", "goodbye"),
    ],
)
def test_short_answers_keep_their_sense(meaning: Meaning, text: str, intent: str) -> None:
    assert meaning(text)[0] == intent


@pytest.mark.parametrize("locale", LOCALES)
def test_a_choice_typed_means_the_choice_tapped(meaning: Meaning, locale: str) -> None:
    book = Phrasebook.load()
    values = {"name": "Li", "points": 2, "message": "1", "channel": "wechat", "reason": "48001"}
    values |= {"needed": 3, "most": 2, "left": 1, "tier": "Gold", "hotel": "HLSH", "currency": "CNY"}
    values |= {"owed": 2, "ending": 1, "pending": 3, "last_day": "2026-03-14", "ready_day": "2026-03-14"}
    values |= {"day": "2026-03-14", "at": "2026-03-14T09:59:00+08:00"}
    choices = {choice for name in book.names for choice in book.say(name, locale, values).choices}
    assert choices
    assert {title: f"/{meaning(title)[0]}" for title, _ in choices} == dict(choices)


def test_width_case_and_script_make_no_difference(meaning: Meaning) -> None:
    for one, other in (("我還有多少積分", "我还有多少积分"), ("ＭＹ　ＰＯＩＮＴＳ！！", "my points!")):
        assert (
            meaning(one) == pytest.approx(meaning(other))
            if one == other
            else meaning(one)[0] == meaning(other)[0]
        )
        assert meaning(one)[1] == pytest.approx(meaning(other)[1])
