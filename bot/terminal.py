"""A conversation in the terminal, through reception, brain and outbox like any other."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from rich.console import Console
from sqlalchemy import select

from bot import training
from bot.answering import Answering
from bot.app import utc_now
from bot.channel import Incoming, Outgoing
from bot.lanes import Lanes
from bot.outbox import Outbox
from bot.reception import Reception
from bot.settings import Settings
from data.db import transaction
from data.members import Member, contact_at
from nlu.phrasebook import Phrasebook


class UnknownMember(Exception):
    """No member has that number."""


class Terminal:
    """A channel whose phone is this terminal. No door sends to it, and it sends to no guest."""

    def __init__(self, name: str, console: Console) -> None:
        self.name = name
        self._console = console
        self.spoke = asyncio.Event()

    async def send(self, words: Outgoing) -> str:
        self._console.print(f"[green]知客[/green] {words.text}", highlight=False)
        for number, (title, _payload) in enumerate(words.choices, 1):
            self._console.print(f"     [dim]{number}. {title}[/dim]", highlight=False)
        self.spoke.set()
        return ""

    async def arrived(self, words: Outgoing, *, after: str, newest: str) -> str | None:
        return None


async def converse(settings: Settings, *, number: str, channel: str, console: Console) -> None:
    """Read lines until an empty one; each goes through the whole house. Raises `UnknownMember`."""
    from bot.brain import Brain

    channel = f"chat:{channel}"
    address = _address(number, channel)
    phrasebook = Phrasebook.load()
    lanes, process = Lanes(), f"chat:{uuid.uuid4().hex[:12]}"
    outbox = Outbox(process=process, clock=utc_now, lanes=lanes)
    terminal = Terminal(channel, console)
    outbox.open(terminal)
    answering = Answering(phrasebook, clock=utc_now)
    reception = Reception(
        answers=answering, phrasebook=phrasebook, outbox=outbox, lanes=lanes, process=process, clock=utc_now
    )
    with console.status("waking up …"):
        answering.use(await asyncio.to_thread(Brain, training.train(Path(settings.model_dir)), phrasebook))
    while line := (await asyncio.to_thread(_ask, console)).strip():
        terminal.spoke.clear()
        reception.take(Incoming(channel, f"terminal:{uuid.uuid4().hex}", "text", address=address, text=line))
        await asyncio.wait_for(terminal.spoke.wait(), 30)
    await lanes.close(5)


def _ask(console: Console) -> str:
    try:
        return console.input("[bold]you[/bold]  ")
    except EOFError:
        return ""


def _address(number: str, channel: str) -> str:
    """This terminal's own address, linked to the member: a guest's phone gets none of it."""
    if not number:
        return f"stranger-{uuid.uuid4().hex[:12]}"
    with transaction() as db:
        member = db.scalar(select(Member).where(Member.number == number))
        if member is None:
            raise UnknownMember(f"No member has the number {number}; `zhike db seed --demo` makes some.")
        contact_at(db, channel, number, now=utc_now()).member_id = member.id
        return number
