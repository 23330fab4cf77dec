"""How long a guest waits for an answer: start-up, turns under load, and a conversation that grows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from rich.console import Console
from rich.table import Table

from data import db, demo, sealed
from tests.bench.figures import milliseconds
from tests.bench.house import KEYS, Running, database, serving
from tests.bench.platform import Guests, Sink

# What guests ask: repeated questions, and others that have not been read before.
QUESTIONS = (
    "how many points do I have?",
    "hi",
    "我还有多少积分？",
    "thanks",
    "我的积分还剩多少呀",
    "what's my balance",
)
CHECKPOINTS = (10, 100, 1_000, 10_000)


def chats(database_url: str, count: int) -> list[int]:
    """Telegram chats of demo members."""
    sealed.use_keys(KEYS)
    db.connect(database_url)
    with db.reading() as session:
        found = [
            int(person.telegram)
            for person in demo.people(session, now=datetime.now(timezone.utc))
            if person.telegram
        ]
    return found[:count]


async def measure_load(
    house: Running, sink: Sink, chat_ids: Sequence[int], turns: int
) -> list[tuple[str, ...]]:
    """Rows: guests at once, turns a second, median, p99."""
    guests = Guests(house.url, sink, chat_ids)
    await guests.load(1, 50, QUESTIONS)  # warm
    rows = []
    for at_once in (1, 8):
        took, seconds = await guests.load(at_once, turns, QUESTIONS)
        rows.append((str(at_once), f"{len(took) / seconds:.0f}", *milliseconds(took)))
    await guests.close()
    return rows


async def measure_length(house: Running, sink: Sink, chat: int, longest: int) -> list[tuple[str, ...]]:
    """Rows: turn number, median and p99 of the fifty turns that end there."""
    guests = Guests(house.url, sink, [chat])
    took: list[float] = []
    rows = []
    while len(took) < longest:
        took.append(await guests.ask(chat, QUESTIONS[len(took) % len(QUESTIONS)]))
        if len(took) in CHECKPOINTS:
            rows.append((f"{len(took):,}", *milliseconds(took[-min(50, len(took)) :])))
    await guests.close()
    return rows


async def run(kinds: Sequence[str], turns: int, longest: int) -> None:
    console = Console()
    start = Table(
        "database", "doors open, s", "ready, s", "memory, MB", title="Start-up", title_justify="left"
    )
    load = Table(
        "database", "guests at once", "turns a second", "median, ms", "p99, ms",
        title="A points question through the Telegram webhook, until the answer reaches the Bot API",
        title_justify="left",
    )  # fmt: skip
    length = Table(
        "database", "turn", "median, ms", "p99, ms", title="One conversation grows", title_justify="left"
    )
    for kind in kinds:
        sink = Sink()
        async with sink.open() as api:
            with database(kind) as url, serving(url, api) as house:
                chat_ids = chats(url, 9)
                for row in await measure_load(house, sink, chat_ids[:8], turns):
                    load.add_row(kind, *row)
                for row in await measure_length(house, sink, chat_ids[8], longest):
                    length.add_row(kind, *row)
                start.add_row(
                    kind, f"{house.doors_after:.1f}", f"{house.ready_after:.1f}", f"{house.megabytes:.0f}"
                )
    for table in (start, load, length):
        console.print(table)
