"""The trained model, loaded once for all tests that read sentences with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bot import training

HOUSE = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def model() -> Path:
    """Today's model; trained if it is not there yet."""
    return training.train(HOUSE / "var" / "models")


@pytest.fixture(scope="session")
def meaning(model: Path) -> Callable[[str], tuple[str, float]]:
    """What the whole pipeline makes of a text: intent and confidence."""
    from rasa.core.agent import Agent

    agent = Agent.load(str(model))

    def read(text: str) -> tuple[str, float]:
        intent = asyncio.run(agent.parse_message(text))["intent"]
        return intent["name"], intent["confidence"]

    return read
