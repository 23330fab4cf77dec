"""How long it takes to prove a large ledger, and to bring in a large file; and how much memory."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from data import chain, db, demo, ledger, schema, sealed
from data.ledger import Terms
from data.ledger_rows import PointAccount, PointAllocation, PointEntry, PointLot
from data.members import Member
from tests.bench.house import KEYS, database
from tests.bench.ledger import NOW

MEMBERS = 5_000


def run_zhike(url: str, *words: str) -> tuple[float, float]:
    """Run a command on this database: seconds, and its largest resident memory in MB."""
    environment = os.environ | {"ZHIKE_DATABASE_URL": url, "ZHIKE_KEYS": KEYS}
    began = time.perf_counter()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("zhike"), *words], env=environment, stdout=subprocess.DEVNULL
    )
    most = [0.0]

    def watch() -> None:
        while process.poll() is None:
            try:
                most[0] = max(most[0], psutil.Process(process.pid).memory_info().rss / 2**20)
            except psutil.NoSuchProcess:
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.wait() == 0, words
    watcher.join()
    return time.perf_counter() - began, most[0]


def fill(entries: int) -> None:
    """So many entries, two stays and a redemption in turn, just as the ledger would write them, but in bulk."""
    each = entries // MEMBERS
    with db.transaction() as session:
        for number in range(1, MEMBERS + 1):
            session.add(Member(id=number, number=f"ZK{number}", name="Bench", locale="en", joined_at=NOW))
    for number in range(1, MEMBERS + 1):
        rows, lots, allocations, head = _history(number, each)
        with db.transaction() as session:
            session.execute(insert(PointEntry), rows)
            session.execute(insert(PointLot), lots)
            session.execute(insert(PointAllocation), allocations)
            account = {"member_id": number, "entries": each, "balance": rows[-1]["balance_after"], "owed": 0}
            session.execute(insert(PointAccount).values(**account, head=head))


def _history(member: int, entries: int) -> tuple[list[Any], list[Any], list[Any], str]:
    rows: list[dict[str, Any]] = []
    lots: dict[int, int] = {}
    allocations, head, balance = [], chain.START, 0
    for seq in range(1, entries + 1):
        changes = {seq: 10}
        if seq % 3 == 0:
            first, second = sorted(lot for lot, left in lots.items() if left)[:2]
            changes = {first: -lots[first], second: lots[first] - 15}
        amount = sum(changes.values())
        balance += amount
        values = {
            "member_id": member, "seq": seq, "kind": "earn" if amount > 0 else "redeem", "amount": amount,
            "balance_after": balance, "reason": "stay" if amount > 0 else "redemption",
            "text_key": "utter_entry_stay", "facts": {"rule": "room", "base_minor": 1000}, "key": f"{member}:{seq}",
            "actor": "bench", "channel": "", "at": NOW,
        }  # fmt: skip
        digest = chain.digest(head, ledger.content(values, Terms(NOW) if amount > 0 else None, changes))
        rows.append({**values, "previous": head, "digest": digest})
        head = digest
        for lot, change in changes.items():
            lots[lot] = lots.get(lot, 0) + change
            if change:
                allocations.append({"member_id": member, "seq": seq, "lot": lot, "amount": change})
    terms = {"member_id": member, "amount": 10, "available_at": NOW}
    return (
        rows,
        [{**terms, "number": lot, "remaining": left} for lot, left in lots.items()],
        allocations,
        head,
    )


def verify(kinds: Sequence[str], entries: int) -> None:
    """Print the table of `zhike ledger verify`."""
    table = Table(
        "database", "entries", "seconds", "entries a second", "memory, MB",
        title="zhike ledger verify", title_justify="left",
    )  # fmt: skip
    for kind in kinds:
        with database(kind) as url:
            sealed.use_keys(KEYS)
            schema.upgrade(db.connect(url))
            fill(entries)
            db.disconnect()
            took, memory = run_zhike(url, "ledger", "verify")
            table.add_row(kind, f"{entries:,}", f"{took:.0f}", f"{entries / took:,.0f}", f"{memory:.0f}")
    Console().print(table)


def write_members(path: Path, members: Sequence[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["number", "name", "locale"])
        lines.writerows([number, f"Guest {number}", "en"] for number in members)


def write_stays(path: Path, stays: int, members: Sequence[str], hotel: str) -> None:
    """A file of past stays, one after another for each member."""
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(
            [
                "confirmation",
                "member",
                "hotel",
                "room_type",
                "arrival",
                "departure",
                "adults",
                "children",
                "status",
            ]
        )
        for number in range(stays):
            turn, member = divmod(number, len(members))
            arrival = date(2015, 1, 1) + timedelta(days=2 * turn)
            lines.writerow(
                [f"BENCH-{number}", members[member], hotel, "creek_king", arrival, arrival + timedelta(days=2), 2, 0,
                 "cancelled" if number % 20 == 0 else "checked_out"]
            )  # fmt: skip


def imports(kinds: Sequence[str], stays: int) -> None:
    """Print the table of `zhike import stays`."""
    table = Table(
        "database", "stays", "seconds", "stays a second", "memory, MB", "again: seconds",
        title="zhike import stays, all or nothing", title_justify="left",
    )  # fmt: skip
    for kind in kinds:
        with database(kind) as url, tempfile.TemporaryDirectory() as folder:
            sealed.use_keys(KEYS)
            schema.upgrade(db.connect(url))
            with db.transaction() as session:
                demo.seed(session, now=NOW)  # for its hotels
            db.disconnect()
            members = [f"BENCH{number}" for number in range(max(stays // 100, 1))]
            path = Path(folder) / "members.csv"
            write_members(path, members)
            run_zhike(url, "import", "members", str(path))
            path = Path(folder) / "stays.csv"
            write_stays(path, stays, members, "HLSH")
            took, memory = run_zhike(url, "import", "stays", str(path))
            again, _ = run_zhike(url, "import", "stays", str(path))
            table.add_row(
                kind, f"{stays:,}", f"{took:.0f}", f"{stays / took:,.0f}", f"{memory:.0f}", f"{again:.0f}"
            )
    Console().print(table)
