"""The gate: nothing a guest may meet is missing in a language, and no room names what another does not have."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from babel.messages.catalog import Catalog, Message
from rasa_sdk import Action

import actions
from nlu.blanks import blanks
from nlu.catalogs import extract, read_catalog
from nlu.language import LOCALES, SOURCE
from nlu.phrasebook import CATALOG, FOLDER, Phrasebook, read_phrases
from nlu.words import normalise

HOUSE = FOLDER.parent
LANGUAGES = ("en", "zh")
FEWEST = defaultdict(lambda: 40, points_balance=60, out_of_scope=240)
LONGEST_TITLE = {"en": 12, "zh_CN": 6, "zh_TW": 6}
TRANSLATED = [locale for locale in LOCALES if locale != SOURCE]
# Said by Rasa's own action_default_fallback.
SAID_BY_RASA = {"utter_default"}


def _yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _domain(key: str) -> set[str]:
    return {name for path in (FOLDER / "domain").glob("*.yml") for name in _yaml(path).get(key) or ()}


def _examples(language: str) -> Iterator[tuple[str, str]]:
    for path in sorted((FOLDER / "examples" / language).glob("*.yml")):
        for block in _yaml(path)["nlu"]:
            for line in block["examples"].splitlines():
                assert line.startswith("- "), f"{path.name}: {line!r} is no example"
                yield block["intent"], line[2:]


def _bare(text: str) -> str:
    """The sentence without what makes no difference to its sense: script, width, case, punctuation."""
    return re.sub(r"[\W_]+", "", normalise(text)) or text


def _steps() -> list[dict[str, str]]:
    return [
        step
        for path in (FOLDER / "rules").glob("*.yml")
        for rule in _yaml(path)["rules"]
        for step in rule["steps"]
    ]


def _spoken_in_code() -> Iterator[tuple[str, str]]:
    for path in [path for room in ("actions", "bot", "data") for path in (HOUSE / room).glob("**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            value = node.value if isinstance(node, ast.Constant) else None
            if isinstance(value, str) and re.fullmatch(r"utter_[a-z_]*[a-z]", value):
                yield str(path.relative_to(HOUSE)), value


def _catalog(locale: str) -> Catalog:
    return read_catalog(FOLDER / "locale" / locale / "LC_MESSAGES" / f"{CATALOG}.po", locale)


def _forms(message: Message) -> tuple[tuple[str, ...], tuple[str, ...]]:
    source = message.id if isinstance(message.id, tuple) else (message.id,)
    target = message.string if isinstance(message.string, tuple) else (message.string,)
    return source, target


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_intent_has_enough_examples(language: str) -> None:
    counted = defaultdict(int)
    for intent, _ in _examples(language):
        counted[intent] += 1
    assert set(counted) == _domain("intents")
    assert {intent: n for intent, n in counted.items() if n < FEWEST[intent]} == {}


def test_every_topic_speaks_both_languages() -> None:
    english, chinese = ({path.name for path in (FOLDER / "examples" / one).iterdir()} for one in LANGUAGES)
    assert english == chinese


def test_no_sentence_is_an_example_of_two_intents() -> None:
    heard: dict[str, list[str]] = defaultdict(list)
    for language in LANGUAGES:
        for intent, text in _examples(language):
            heard[_bare(text)].append(intent)
    across = {text: intents for text, intents in heard.items() if len(set(intents)) > 1}
    assert across == {}


def test_no_test_sentence_is_an_example() -> None:
    examples = {_bare(text) for language in LANGUAGES for _, text in _examples(language)}
    sentences = yaml.safe_load((Path(__file__).with_name("sentences.yml")).read_text(encoding="utf-8"))
    assert [text for texts in sentences.values() for text in texts if _bare(text) in examples] == []


def test_every_intent_has_a_rule_and_every_rule_an_intent() -> None:
    assert {step["intent"] for step in _steps() if "intent" in step} == _domain("intents") | {"nlu_fallback"}


def test_rules_name_known_actions() -> None:
    named = {step["action"] for step in _steps() if "action" in step}
    assert named - _domain("actions") - Phrasebook.load().names == set()


def test_every_action_of_the_domain_is_written() -> None:
    for module in pkgutil.walk_packages(actions.__path__, "actions."):
        importlib.import_module(module.name)
    waiting, written = [Action], set()
    while waiting:
        for subclass in waiting.pop().__subclasses__():
            waiting.append(subclass)
            if subclass.__module__.startswith("actions.") and not inspect.isabstract(subclass):
                written.add(subclass().name())
    assert written == _domain("actions")


def test_code_says_only_known_phrases() -> None:
    names = Phrasebook.load().names
    said = list(_spoken_in_code())
    assert said, "the search finds nothing any more"
    assert [(where, name) for where, name in said if name not in names] == []


def test_every_phrase_is_said_somewhere() -> None:
    said = (
        {name for _, name in _spoken_in_code()} | {step.get("action", "") for step in _steps()} | SAID_BY_RASA
    )
    assert Phrasebook.load().names <= said


def test_choices_lead_to_intents() -> None:
    assert {payload.split("{")[0] for payload in Phrasebook.load().payloads} <= {
        f"/{intent}" for intent in _domain("intents")
    }


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_phrase_is_translated(locale: str) -> None:
    catalog, template = _catalog(locale), extract(FOLDER)
    wanted = {message.id for message in template if message.id}
    present = {message.id for message in catalog if message.id and all(_forms(message)[1])}
    assert present == wanted, "run `make phrases` and fill in what is empty"
    assert list(catalog.obsolete) == []
    assert [message.id for message in catalog if message.id and message.fuzzy] == []


@pytest.mark.parametrize("locale", TRANSLATED)
def test_translations_keep_the_blanks(locale: str) -> None:
    for message in _catalog(locale):
        if message.id:
            source, target = _forms(message)
            # Chinese has one form, and it stands for the plural.
            assert [blanks(form) for form in target] == [blanks(source[-1])], message.id


@pytest.mark.parametrize("locale", LOCALES)
def test_titles_fit_a_button(locale: str) -> None:
    book = Phrasebook.load()
    values = {"name": "Li", "points": 2, "message": "1", "channel": "wechat", "reason": "48001"}
    values |= {"needed": 3, "most": 2, "left": 1, "tier": "Gold", "hotel": "HLSH", "currency": "CNY"}
    values |= {"owed": 2, "ending": 1, "pending": 3, "last_day": "2026-03-14", "ready_day": "2026-03-14"}
    values |= {"day": "2026-03-14", "at": "2026-03-14T09:59:00+08:00"}
    titles = {title for name in book.names for title, _ in book.say(name, locale, values).choices}
    assert {title for title in titles if len(title) > LONGEST_TITLE[locale]} == set()


def test_buttons_of_all_variants_are_the_same_choices() -> None:
    for name, variants in read_phrases().items():
        assert len({variant.choices for variant in variants}) == 1, name
