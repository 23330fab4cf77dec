"""Runs the measurements asked for, all of them by default."""

from __future__ import annotations

import argparse
import asyncio

from tests.bench import files, ledger, turns

DATABASES = ("SQLite", "PostgreSQL")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", choices=("turns", "ledger", "verify", "import"), action="append")
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument("--turns", type=int, default=2_000, help="turns for each load")
    parser.add_argument("--longest", type=int, default=10_000, help="turns of the long conversation")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each measurement of the ledger")
    parser.add_argument("--entries", type=int, default=1_000_000, help="entries to verify")
    parser.add_argument("--stays", type=int, default=100_000, help="stays to import")
    given = parser.parse_args()
    kinds = given.database or DATABASES
    wanted = given.only or ("turns", "ledger", "verify", "import")
    if "turns" in wanted:
        asyncio.run(turns.run(kinds, given.turns, given.longest))
    if "ledger" in wanted:
        ledger.run(kinds, given.seconds)
    if "verify" in wanted:
        files.verify(kinds, given.entries)
    if "import" in wanted:
        files.imports(kinds, given.stays)


if __name__ == "__main__":
    main()
