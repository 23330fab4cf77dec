"""The phrasebook: a phrase's name and its values become words and choices in the listener's language."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from nlu.blanks import blanks, fill
from nlu.language import LOCALES, SOURCE, closest

FOLDER = Path(__file__).parent
CATALOG = "zhike"

logger = logging.getLogger(__name__)


class UnknownPhrase(KeyError):
    """No domain file defines a phrase of this name."""


class BadPhrase(ValueError):
    """A phrase in a domain file is not written as the phrasebook needs it."""


@dataclass(frozen=True)
class Said:
    """Words for a guest; `choices` are pairs of title and payload, in the order to show them."""

    text: str
    choices: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Variant:
    """One English wording of a phrase. `plural` and `count` (the value that decides) are "" when it has one form."""

    text: str
    choices: tuple[tuple[str, str], ...]
    plural: str = ""
    count: str = ""


class Phrasebook:
    """All phrases of the domain files, and their translations."""

    def __init__(
        self, phrases: Mapping[str, tuple[Variant, ...]], translations: Mapping[str, NullTranslations]
    ) -> None:
        self._phrases = phrases
        self._translations = translations
        self.names = frozenset(phrases)
        self.payloads = frozenset(
            payload for variants in phrases.values() for variant in variants for _, payload in variant.choices
        )

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Phrasebook:
        """Read `domain/*.yml` and `locale/*/LC_MESSAGES/zhike.po` under `folder`. Raises `BadPhrase`."""
        translations = {name: _translations(folder, name) for name in LOCALES if name != SOURCE}
        return cls(read_phrases(folder), translations)

    def say(self, name: str, locale: str, values: Mapping[str, Any], *, turn: str = "") -> Said:
        """The phrase in the language closest to `locale`. The same `turn` always says it the same way.

        Raises `UnknownPhrase`, `MissingValue` and `BadValue`.
        """
        variants = self._phrases.get(name)
        if variants is None:
            raise UnknownPhrase(f"No phrase is called {name}.")
        locale = closest(locale)
        variant = variants[_pick(f"{turn}\0{name}", len(variants))]
        text = fill(self._translated(variant, locale, values), locale, values)
        return Said(text, tuple((self._title(title, locale), payload) for title, payload in variant.choices))

    def _translated(self, variant: Variant, locale: str, values: Mapping[str, Any]) -> str:
        translations = self._translations.get(locale, NullTranslations())
        if not variant.plural:
            return _whole(translations.gettext(variant.text), variant.text)
        count = values.get(variant.count, 0)
        source = variant.text if count == 1 else variant.plural
        return _whole(translations.ngettext(variant.text, variant.plural, count), source)

    def _title(self, title: str, locale: str) -> str:
        return self._translations.get(locale, NullTranslations()).gettext(title)


def read_phrases(folder: Path = FOLDER) -> dict[str, tuple[Variant, ...]]:
    """Every phrase with its English variants, in the order of the domain files. Raises `BadPhrase`."""
    phrases: dict[str, tuple[Variant, ...]] = {}
    for path in sorted((folder / "domain").glob("*.yml")):
        for name, items in (yaml.safe_load(path.read_text(encoding="utf-8")).get("responses") or {}).items():
            if name in phrases:
                raise BadPhrase(f"{path.name}: {name} is defined twice.")
            phrases[name] = tuple(_variant(f"{path.name}: {name}", item) for item in items)
    return phrases


def _variant(where: str, item: Mapping[str, Any]) -> Variant:
    metadata = item.get("metadata") or {}
    text, plural, count = item.get("text", ""), metadata.get("plural", ""), metadata.get("count", "")
    choices = tuple((button["title"], button["payload"]) for button in item.get("buttons", ()))
    if not text:
        raise BadPhrase(f"{where} has a variant without text.")
    if bool(plural) != bool(count) or (plural and (count, "number") not in blanks(plural)):
        raise BadPhrase(
            f"{where} needs both `plural` and `count`, and {{{count or '…'}:number}} in the plural."
        )
    try:
        blanks(text), blanks(plural)
    except ValueError as error:
        raise BadPhrase(f"{where}: {error}") from None
    return Variant(text, choices, plural, count)


def _whole(translated: str, source: str) -> str:
    """The translation if it has the blanks of its source, else the source: English is better than a lost number."""
    try:
        return translated if blanks(translated) == blanks(source) else source
    except ValueError:
        return source


def _translations(folder: Path, locale: str) -> NullTranslations:
    path = folder / "locale" / locale / "LC_MESSAGES" / f"{CATALOG}.po"
    if not path.exists():
        logger.warning("No translations into %s; phrases will be said in English.", locale)
        return NullTranslations()
    with path.open("rb") as file:
        catalog = read_po(file, locale=locale, domain=CATALOG)
    for message in [message for message in catalog if message.id and not all(_forms(message.string))]:
        # Left in, an empty plural would be said as the English singular.
        catalog.delete(message.id)
    compiled = io.BytesIO()
    write_mo(compiled, catalog, use_fuzzy=False)
    compiled.seek(0)
    return Translations(compiled, domain=CATALOG)


def _forms(string: str | Sequence[str] | None) -> Sequence[str | None]:
    return (string,) if string is None or isinstance(string, str) else string


def _pick(seed: str, among: int) -> int:
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big") % among
