"""Fixtures for the doors: `house` is a running house with stand-ins for both platforms and a stub brain."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import pytest
import structlog

from bot.answering import Answering
from bot.app import House
from bot.sandbox import TelegramPlatform
from bot.telegram import TelegramDoor
from bot.turns import Outcome, Turn
from nlu.phrasebook import Phrasebook
from tests.bot.stubs import GUEST, OTHER, Running, StandingClock, StubBrain, open_house


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture(scope="session")
def phrasebook() -> Phrasebook:
    return Phrasebook.load()


@pytest.fixture
def brain(monkeypatch: pytest.MonkeyPatch, phrasebook: Phrasebook, tmp_path: Path) -> StubBrain:
    """A brain that answers without Rasa; all around it is the house's own, but what is slow is made once."""

    def think(_self: Answering, brain: StubBrain, turn: Turn, words: str) -> Awaitable[Outcome]:
        return brain.think(turn, words)

    async def load_nothing(_self: House) -> None:
        return

    monkeypatch.setattr(Answering, "_think", think)
    monkeypatch.setattr(House, "_load_brain", load_nothing)
    monkeypatch.setattr(Phrasebook, "load", lambda: phrasebook)
    monkeypatch.setenv(
        "SSL_CERT_DIR", str(tmp_path)
    )  # nothing here speaks TLS; the real store takes long to read
    return StubBrain()


@pytest.fixture
async def house(sqlite_database: str, brain: StubBrain, clock: StandingClock) -> AsyncIterator[Running]:
    """A house that hears Telegram by webhook and WeChat in safe mode."""
    async with open_house(brain, clock) as running:
        yield running


@pytest.fixture
def logging_kept() -> Iterator[None]:
    """Put the process's logging back as it was, after a test that configures it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    filters = logging.getLogger("asyncio").filters[:]
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("asyncio").filters[:] = filters
    structlog.reset_defaults()


@pytest.fixture
def door(house: Running) -> TelegramDoor:
    assert house.house.telegram is not None
    return house.house.telegram


@pytest.fixture
def platform(house: Running) -> TelegramPlatform:
    house.sandbox.telegram.meet(GUEST)
    house.sandbox.telegram.meet(OTHER)
    return house.sandbox.telegram
