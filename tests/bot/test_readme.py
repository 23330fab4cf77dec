"""The README tells of every setting and every command, and begins with how to run and test the house."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from bot import cli
from bot.settings import Settings, variable

HOUSE = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def readme() -> str:
    return (HOUSE / "README.md").read_text(encoding="utf-8")


def commands(command: Any, words: tuple[str, ...] = ("zhike",)) -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it."""
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from commands(below, (*words, name))
    else:
        yield " ".join(words), command


COMMANDS = dict(commands(typer.main.get_command(cli.app)))


def test_the_commands_are_found() -> None:
    assert {"zhike serve", "zhike db seed", "zhike parse"} <= COMMANDS.keys()


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: str(field.name))
def test_every_setting_is_told(readme: str, field: dataclasses.Field[str]) -> None:
    assert re.search(rf"\b{variable(field.name)}\b", readme)


def test_no_setting_is_told_that_is_none(readme: str) -> None:
    known = {variable(field.name) for field in dataclasses.fields(Settings)}
    told = set(re.findall(r"\bZHIKE_[A-Z_]*[A-Z]\b", readme))
    assert told - {name for name in told if name.startswith("ZHIKE_TEST_")} <= known


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_told_with_its_options(readme: str, words: str) -> None:
    assert re.search(rf"\b{words}\b", readme)
    for parameter in COMMANDS[words].params:
        for option in parameter.opts:
            if option.startswith("--"):
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", readme), option


def test_run_and_test_come_first(readme: str) -> None:
    told = re.findall(r"\bmake (\w+)|\b(zhike \w+)", readme)
    assert [make for make, _zhike in told[:2]] == ["run", "test"]
    assert readme.index("make run") < 2000, "on the first screens"


def test_every_target_of_the_makefile_that_is_told_is_there(readme: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = set(re.findall(r"`make (\w+)|^ *make (\w+)", readme, re.MULTILINE))
    names = {first or second for first, second in told}
    assert {"run", "test"} <= names <= targets
