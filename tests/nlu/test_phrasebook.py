"""What is said: variants, blanks, numbers, plurals, translations and what happens when one is broken."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timezone
from pathlib import Path

import pytest

from nlu import catalogs
from nlu.blanks import BadValue, MissingValue, blanks, fill
from nlu.phrasebook import BadPhrase, Phrasebook, Said, UnknownPhrase

DOMAIN = """
responses:
  utter_points:
    - text: You have {points:number} point.
      metadata: {plural: "You have {points:number} points.", count: points}
      buttons:
        - {title: More, payload: /help}
  utter_hello:
    - text: Hello {name}.
    - text: Good day {name}.
    - text: Welcome {name}.
"""

GOOD = """
msgid "You have {points:number} point."
msgid_plural "You have {points:number} points."
msgstr[0] "您有 {points:number} 积分。"

msgid "Hello {name}."
msgstr "{name}，您好。"

msgid "More"
msgstr "更多"
"""


def _book(folder: Path, catalog: str, domain: str = DOMAIN) -> Phrasebook:
    (folder / "domain").mkdir(exist_ok=True)
    (folder / "domain" / "test.yml").write_text(domain, encoding="utf-8")
    po = folder / "locale" / "zh_CN" / "LC_MESSAGES" / "zhike.po"
    po.parent.mkdir(parents=True, exist_ok=True)
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=1; plural=0;\\n"\n'
    po.write_text(head + catalog, encoding="utf-8")
    return Phrasebook.load(folder)


@pytest.mark.parametrize(
    ("locale", "points", "text"),
    [
        ("en", 0, "You have 0 points."),
        ("en", 1, "You have 1 point."),
        ("en", 1234567, "You have 1,234,567 points."),
        ("en", -1, "You have -1 points."),
        ("zh_CN", 1, "您有 1 积分。"),
        ("zh_CN", 1234567, "您有 1,234,567 积分。"),
        ("zh-Hans", 2, "您有 2 积分。"),
        ("xx", 2, "You have 2 points."),
    ],
)
def test_number_and_plural(tmp_path: Path, locale: str, points: int, text: str) -> None:
    assert _book(tmp_path, GOOD).say("utter_points", locale, {"points": points}).text == text


@pytest.mark.parametrize("locale", ["en", "zh_CN", "zh_TW", "zh_HK"])
def test_the_house_writes_a_million_with_commas(locale: str) -> None:
    assert "1,234,567" in Phrasebook.load().say("utter_points_balance", locale, {"points": 1234567}).text


def test_the_house_falls_back_between_locales() -> None:
    book = Phrasebook.load()
    said = {
        tag: book.say("utter_goodbye", tag, {}, turn="1")
        for tag in ("zh_HK", "zh_TW", "zh", "zh_CN", "fr", "en")
    }
    assert said["zh_HK"] == said["zh_TW"] != said["zh_CN"] == said["zh"]
    assert said["fr"] == said["en"] != said["zh_CN"]


def test_titles_are_translated_and_payloads_are_not(tmp_path: Path) -> None:
    book = _book(tmp_path, GOOD)
    assert book.say("utter_points", "zh_CN", {"points": 1}) == Said("您有 1 积分。", (("更多", "/help"),))
    assert book.names == {"utter_points", "utter_hello"}
    assert book.payloads == {"/help"}


def test_a_repeated_turn_says_the_same_and_other_turns_vary(tmp_path: Path) -> None:
    book = _book(tmp_path, GOOD)
    said = [
        [book.say("utter_hello", "en", {"name": "Li"}, turn=str(turn)).text for turn in range(60)]
        for _ in "ab"
    ]
    assert said[0] == said[1]
    assert set(said[0]) == {"Hello Li.", "Good day Li.", "Welcome Li."}


@pytest.mark.parametrize(
    "broken",
    [
        GOOD.replace("您有 {points:number} 积分。", "您有积分。"),
        GOOD.replace("您有 {points:number} 积分。", "您有 {points} 积分。"),
        GOOD.replace("您有 {points:number} 积分。", "您有 {score:number} 积分。"),
        GOOD.replace("您有 {points:number} 积分。", "您有 {points:nummer} 积分。"),
        GOOD.replace("您有 {points:number} 积分。", ""),
        GOOD.replace('msgid "You', '#, fuzzy\nmsgid "You'),
        "",
    ],
)
def test_a_broken_or_missing_translation_is_said_in_english(tmp_path: Path, broken: str) -> None:
    said = _book(tmp_path, broken).say("utter_points", "zh_CN", {"points": 5})
    assert said.text == "You have 5 points."


def test_an_unknown_phrase_and_a_missing_value_are_named(tmp_path: Path) -> None:
    book = _book(tmp_path, GOOD)
    with pytest.raises(UnknownPhrase, match="utter_nonsense"):
        book.say("utter_nonsense", "en", {})
    with pytest.raises(MissingValue, match="points"):
        book.say("utter_points", "zh_CN", {})
    with pytest.raises(MissingValue, match="name"):
        book.say("utter_hello", "en", {"name": None})
    with pytest.raises(BadValue, match="points"):
        book.say("utter_points", "en", {"points": "many"})


def test_a_guests_braces_are_only_text(tmp_path: Path) -> None:
    said = _book(tmp_path, GOOD).say("utter_hello", "en", {"name": "{points:number} %s \\1"}, turn="0")
    assert "{points:number} %s \\1" in said.text


@pytest.mark.parametrize(
    "domain",
    [
        "responses: {utter_a: [{text: 'Hello {name:nmae}.'}]}",
        "responses: {utter_a: [{text: 'Hello {}.'}]}",
        "responses: {utter_a: [{image: 'a.png'}]}",
        "responses: {utter_a: [{text: '{n:number} night', metadata: {plural: '{n:number} nights'}}]}",
        "responses: {utter_a: [{text: '{n:number} night', metadata: {plural: 'nights', count: n}}]}",
    ],
)
def test_a_phrase_that_cannot_be_said_stops_the_house_at_start(tmp_path: Path, domain: str) -> None:
    with pytest.raises(BadPhrase, match="utter_a"):
        _book(tmp_path, "", domain)


@pytest.mark.parametrize(
    ("blank", "value", "locale", "text"),
    [
        ("{x:number}", 1234.5, "en", "1,234.5"),
        ("{x:date}", "2026-08-01", "en", "August 1, 2026"),
        ("{x:date}", date(2026, 8, 1), "zh_CN", "2026年8月1日"),
        ("{x:date}", date(2026, 8, 1), "zh_TW", "2026年8月1日"),
        ("{x:datetime}", "2026-08-01T15:05:00+08:00", "zh_CN", "2026年8月1日 15:05"),
        ("{x:datetime}", datetime(2026, 8, 1, 15, 5, tzinfo=timezone.utc), "zh_TW", "2026年8月1日 下午3:05"),
        ("{x:money}", {"minor": 12050, "currency": "CNY"}, "zh_CN", "¥120.50"),
        ("{x:money}", {"minor": 12050, "currency": "CNY"}, "en", "CN¥120.50"),
        ("{x:money}", {"minor": 500, "currency": "JPY"}, "en", "¥500"),
        ("{x}", 7, "en", "7"),
    ],
)
def test_blanks_are_written_as_the_language_does(blank: str, value: object, locale: str, text: str) -> None:
    assert fill(blank, locale, {"x": value}) == text


@pytest.mark.parametrize(
    ("kind", "value"), [("date", "tomorrow"), ("datetime", 3), ("money", 12), ("number", None)]
)
def test_a_value_that_does_not_fit_is_refused(kind: str, value: object) -> None:
    with pytest.raises((BadValue, MissingValue), match="x"):
        fill(f"{{x:{kind}}}", "en", {"x": value})


def test_blanks_have_names_and_kinds() -> None:
    assert blanks("{a} {b:number} {a}") == {("a", "text"), ("b", "number")}


def test_catalogs_keep_translations_and_mark_what_is_gone(tmp_path: Path) -> None:
    _book(tmp_path, GOOD + '\nmsgid "Gone."\nmsgstr "没了。"\n')
    catalogs.update(tmp_path, "zh_CN")
    po = tmp_path / "locale" / "zh_CN" / "LC_MESSAGES" / "zhike.po"
    first = po.read_text(encoding="utf-8")
    assert 'msgstr "{name}，您好。"' in first
    assert 'msgid "Welcome {name}."\nmsgstr ""' in first
    assert '#~ msgid "Gone."' in first
    catalogs.update(tmp_path, "zh_CN")
    assert po.read_text(encoding="utf-8") == first


def test_the_phrasebook_needs_no_rasa() -> None:
    program = "import sys, nlu.phrasebook, nlu.language; print([m for m in ('rasa', 'tensorflow') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
