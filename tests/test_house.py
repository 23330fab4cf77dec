"""The house itself: light to enter, every module says what lives in it, no room for odds and ends."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
ROOMS = ("bot", "nlu", "actions", "data")
ODDS_AND_ENDS = {"util", "utils", "helper", "helpers", "manager", "managers"}

# Importing Alembic's own folder would run migrations; everything else is imported.
IMPORT_ALL = """
import importlib, pkgutil, sys
room = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    if not module.name.startswith("data.migrations."):
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def files() -> Iterator[Path]:
    """Every file of the tree that is ours."""
    for folder, folders, names in os.walk(HOUSE):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in ("__pycache__", "var", "build", "results")
        ]
        yield from (Path(folder, name) for name in names)


def modules() -> list[Path]:
    """The Python files of the four rooms."""
    return sorted(
        path for path in files() if path.suffix == ".py" and path.relative_to(HOUSE).parts[0] in ROOMS
    )


def test_the_house_is_found() -> None:
    found = {str(path.relative_to(HOUSE)) for path in files()}
    assert {"pyproject.toml", "tests/test_house.py"} <= found
    assert {path.relative_to(HOUSE).parts[0] for path in modules()} == set(ROOMS)


@pytest.mark.parametrize("room", ["data", "actions"])
def test_rules_do_not_bring_in_rasa(room: str) -> None:
    imported = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, room],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr
    names = set(imported.stdout.split())
    assert {"data", "sqlalchemy"} <= names, "the check must see what was imported"
    assert not names & {"rasa", "tensorflow", "keras", "sklearn", "telegram", "wechatpy"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(HOUSE)))
def test_module_says_what_lives_in_it(path: Path) -> None:
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert words, f"{path} must open with a sentence that says what lives in it"
    sentence = words.split("\n\n")[0].strip()
    assert sentence[-1] in ".?!", f"{path} opens with: {sentence!r}"


def test_there_is_no_room_for_odds_and_ends() -> None:
    found = [
        str(path.relative_to(HOUSE))
        for path in files()
        if ODDS_AND_ENDS & {part.partition(".")[0].lower() for part in path.relative_to(HOUSE).parts}
    ]
    assert found == [], "name it after what it does"
