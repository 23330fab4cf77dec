"""Brings the translators' catalogs up to date with the English phrases: `python -m nlu.catalogs`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from nlu.language import LOCALES, SOURCE
from nlu.phrasebook import CATALOG, FOLDER, read_phrases

_HEADER = """\
# What Zhike says to guests, in this language. The English source is in nlu/domain.
# After a change of the English, run `make phrases` and fill in what is empty.
#"""


def main() -> None:
    """Update every catalog: translations are kept, new phrases come in empty, lost ones are marked obsolete.

    With `--check` nothing is written; a phrase without a translation ends with code 1 and is named.
    """
    parser = argparse.ArgumentParser(prog="python -m nlu.catalogs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is missing")
    check = parser.parse_args().check
    lacking = []
    for locale in LOCALES:
        if locale == SOURCE:
            continue
        if check:
            lacking += [f"{locale}: {phrase}" for phrase in untranslated(FOLDER, locale)]
        else:
            update(FOLDER, locale)
    if lacking:
        sys.exit("Without a translation; run `make phrases` and fill them in:\n" + "\n".join(lacking))


def untranslated(folder: Path, locale: str) -> list[str]:
    """The English phrases that a catalog does not say, or only guesses."""
    known = read_catalog(folder / "locale" / locale / "LC_MESSAGES" / f"{CATALOG}.po", locale)
    missing = []
    for phrase in extract(folder):
        entry = known.get(phrase.id) if phrase.id else None
        if phrase.id and (entry is None or entry.fuzzy or not entry.string or not all(entry.string)):
            missing.append(phrase.id if isinstance(phrase.id, str) else phrase.id[0])
    return missing


def update(folder: Path, locale: str) -> None:
    """Bring one catalog up to date; a run without changes leaves the file as it was."""
    path = folder / "locale" / locale / "LC_MESSAGES" / f"{CATALOG}.po"
    template = extract(folder)
    catalog = read_catalog(path, locale) if path.exists() else _empty(locale)
    # Guessed translations are worse than none: a guest would read them.
    catalog.update(template, no_fuzzy_matching=True, update_header_comment=False, update_creation_date=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=110, omit_header=False, no_location=True)


def extract(folder: Path) -> Catalog:
    """A catalog of every phrase and title in the domain files; each remembers the phrases that use it."""
    catalog = Catalog(domain=CATALOG, fuzzy=False)
    for name, variants in read_phrases(folder).items():
        for variant in variants:
            catalog.add(
                (variant.text, variant.plural) if variant.plural else variant.text, auto_comments=[name]
            )
            for title, _payload in variant.choices:
                catalog.add(title, auto_comments=["title of a choice"])
    return catalog


def read_catalog(path: Path, locale: str) -> Catalog:
    """The catalog at `path`."""
    with path.open("rb") as file:
        return read_po(file, locale=locale, domain=CATALOG)


def _empty(locale: str) -> Catalog:
    return Catalog(
        locale=locale,
        domain=CATALOG,
        project="Zhike",
        version="1",
        header_comment=_HEADER,
        last_translator="",
        language_team="",
        msgid_bugs_address="",
        fuzzy=False,
    )


if __name__ == "__main__":
    main()
