"""How many deeds a second the ledger does, and how near that comes to what the database can do at all."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from rich.console import Console
from rich.table import Table
from sqlalchemy import insert, text

from data import confirming, db, ledger, points, redeeming, rewards, schema, sealed
from data.hotels import Hotel
from data.ledger import Cause
from data.ledger_rows import Kind
from data.members import Member
from data.rewards import NewReward
from tests.bench.figures import milliseconds
from tests.bench.house import KEYS, database

NOW = datetime(2026, 3, 14, 2, tzinfo=timezone.utc)
MEMBERS = range(1, 101)
LENGTHS = (100, 1_000, 10_000)
WRITERS = (1, 8)


def prepare(url: str) -> None:
    """A hundred members with a million points each, a reward without end, and an empty table for the floor."""
    sealed.use_keys(KEYS)
    engine = db.connect(url)
    schema.upgrade(engine)
    with db.transaction() as session:
        session.add(
            Hotel(
                code="HLSH", names={"en": "Bench"}, city="Shanghai", time_zone="Asia/Shanghai", currency="CNY",
                languages=["en"],
            )
        )  # fmt: skip
        session.execute(
            insert(Member),
            [
                {"id": n, "number": f"ZK{n}", "name": "Bench", "locale": "en", "joined_at": NOW}
                for n in MEMBERS
            ],
        )
        for member in MEMBERS:
            cause = Cause(Kind.adjust, "bench", f"start:{member}", "bench")
            ledger.credit(session, member, 1_000_000, cause=cause, now=NOW)
        rewards.add(
            session,
            NewReward(
                code="tea", kind="dining", names=NAMES, details=NAMES, points=1, currency="CNY", cost_minor=1
            ),
            actor="bench",
            now=NOW,
        )
        session.execute(text("CREATE TABLE bench_floor (a INTEGER)"))


NAMES = {"en": "Tea", "zh_CN": "茶", "zh_TW": "茶"}


def earn(member: int, key: str) -> None:
    with db.transaction() as session:
        ledger.credit(session, member, 10, cause=Cause(Kind.earn, "stay", key, "bench"), now=NOW)


def redeem(member: int, key: str) -> None:
    with db.transaction() as session:
        held = redeeming.begin(session, member, "tea", key=key, channel="bench", actor="bench", now=NOW)
    with db.transaction() as session:
        confirming.confirm(session, held.id, actor="bench", now=NOW)


def read_balance(member: int, _key: str) -> None:
    with db.reading() as session:
        points.balance(session, member, now=NOW)


def smallest_write(_member: int, _key: str) -> None:
    with db.transaction() as session:
        session.execute(text("INSERT INTO bench_floor VALUES (1)"))


def smallest_read(_member: int, _key: str) -> None:
    with db.reading() as session:
        session.execute(text("SELECT 1"))


DEEDS: dict[str, tuple[Callable[[int, str], None], Callable[[int, str], None]]] = {
    "earn": (earn, smallest_write),
    "redemption: hold, then confirm": (redeem, smallest_write),
    "balance": (read_balance, smallest_read),
}


def work(url: str, deed: Callable[[int, str], None], who: int, start: float, seconds: float) -> list[float]:
    """How long each deed took that one process did between `start` and `start + seconds`."""
    sealed.use_keys(KEYS)
    db.connect(url)
    luck = random.Random(who)
    smallest_read(0, "")
    time.sleep(max(start - time.time(), 0))
    took = []
    for number in itertools.count():
        began = time.perf_counter()
        if time.time() >= start + seconds:
            db.disconnect()
            return took
        deed(luck.choice(MEMBERS), f"{deed.__name__}:{start}:{who}:{number}")
        took.append(time.perf_counter() - began)
    raise AssertionError


def rate(
    url: str, deed: Callable[[int, str], None], writers: int, seconds: float
) -> tuple[float, list[float]]:
    """Deeds a second of so many processes at once, and how long each took."""
    start = time.time() + 2.5  # until then all of them are ready
    with multiprocessing.get_context("spawn").Pool(writers) as pool:
        each = pool.starmap(work, [(url, deed, who, start, seconds) for who in range(writers)])
    took = list(itertools.chain.from_iterable(each))
    return len(took) / seconds, took


def grow(member: int, entries: int) -> None:
    """Bring a member's ledger to so many entries: two stays, a redemption, again and again."""
    with db.transaction() as session:
        have = ledger.lock(session, member).entries
        for number in range(have, entries):
            if number % 3 == 2:
                cause = Cause(Kind.redeem, "bench", f"grow:{member}:{number}", "bench")
                ledger.debit(session, member, 15, cause=cause, now=NOW)
            else:
                cause = Cause(Kind.earn, "stay", f"grow:{member}:{number}", "bench")
                ledger.credit(session, member, 10, cause=cause, now=NOW)


def timed(deed: Callable[[], object], times: int = 200) -> list[float]:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        deed()
        took.append(time.perf_counter() - began)
    return took


def lengths(member: int) -> list[tuple[str, ...]]:
    """Rows: entries, then median and p99 of balance, of the last 20 entries, of the balance told as lots."""
    rows = []
    for length in LENGTHS:
        grow(member, length)

        def told(what: Callable[..., object]) -> tuple[str, str]:
            def deed() -> None:
                with db.reading() as session:
                    what(session)

            return milliseconds(timed(deed))

        rows.append(
            (
                f"{length:,}",
                *told(lambda session: points.balance(session, member, now=NOW)),
                *told(lambda session: points.statement(session, member)),
                *told(lambda session: points.standing(session, member, now=NOW)),
            )
        )
    return rows


def run(kinds: Sequence[str], seconds: float) -> None:
    """Print both tables."""
    console = Console()
    deeds = Table(
        "database", "deed", "processes", "a second", "median, ms", "p99, ms", "smallest possible", "times",
        title="The ledger; beside it the smallest transaction (one row) or query the database does as often",
        title_justify="left",
    )  # fmt: skip
    growing = Table(
        "database", "entries", "balance, ms", "p99", "last 20 entries, ms", "p99", "told as lots, ms", "p99",
        title="One member's ledger grows", title_justify="left",
    )  # fmt: skip
    for kind in kinds:
        with database(kind) as url:
            prepare(url)
            for name, (deed, floor) in DEEDS.items():
                for writers in WRITERS:
                    fast, _ = rate(url, floor, writers, seconds / 2)
                    done, took = rate(url, deed, writers, seconds)
                    deeds.add_row(
                        kind, name, str(writers), f"{done:,.0f}", *milliseconds(took), f"{fast:,.0f}",
                        f"{fast / done:.1f}",
                    )  # fmt: skip
            for row in lengths(MEMBERS[0]):
                growing.add_row(kind, *row)
            db.disconnect()
    console.print(deeds)
    console.print(growing)
