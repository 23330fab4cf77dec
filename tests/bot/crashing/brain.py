"""What stands for `bot.brain` here: it does one deed a turn and says so, without Rasa."""

from __future__ import annotations

import asyncio
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bot.app import utc_now
from data import ledger
from data.db import insert_once, transaction
from data.dialogues import DialogueTurn
from data.ledger import Cause
from data.ledger_rows import Kind
from data.promises import Draft

MEMBER = 1  # whose ledger the deeds are written in
LATE = "slow"  # a turn that takes longer than WeChat waits
SOON = "soon"  # one that takes half a second


class Brain:
    """Writes a ledger entry under the turn's key, as an action does, then says `done: <words>`."""

    late_by = 0.0  # seconds

    def __init__(self, model: Path, phrasebook: Any) -> None:
        pass

    async def warm_up(self) -> None:
        pass

    async def answer(self, facts: Any, words: str) -> Any:
        await asyncio.sleep(self.late_by if LATE in words else 0.5 if SOON in words else 0)
        with transaction() as db:
            cause = Cause(Kind.earn, f"contact {facts.contact_id}", f"deed:{facts.turn}", "test")
            ledger.credit(db, MEMBER, 1, cause=cause, now=utc_now())

        def write(db: Any, now: Any) -> None:
            insert_once(db, DialogueTurn, conversation=facts.conversation, before={}, events=[], at=now)

        return SimpleNamespace(replies=(Draft(f"done: {words}"),), events=SimpleNamespace(write=write))


def module() -> types.ModuleType:
    """A module to stand under the name `bot.brain`."""
    made = types.ModuleType("bot.brain")
    made.Brain = Brain  # type: ignore[attr-defined]
    made.Facts = SimpleNamespace  # type: ignore[attr-defined]
    return made
