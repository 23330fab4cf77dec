"""What the tests of importing share: lines of members and of stays, a desk that imports them, what is there then."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select

from data import db, importing
from data.folios import FolioLine
from data.importing import Done, Problem, Table
from data.importing_members import Members
from data.importing_stays import Stays
from data.members import Member
from data.stays import Stay
from tests.data.staying import NOW

_numbers = count(1)

TODAY = date(2026, 3, 14)  # in Shanghai and in London
_numbers = count(1)

MEMBER = {
    "number": "ZK700001",
    "name": "沈知微",
    "latin_name": "Shen Zhiwei",
    "locale": "zh_CN",
    "tier": "gold",
    "phone": "13601876543",
    "email": "Zhiwei.Shen@example.com",
    "document": "E12345678",
    "birthday": "1992/2/29",
    "home_hotel": "HLSH",
    "joined": "2019/6/1",
    "points": "2680",
    "points_expire": "2027-12-31",
    "consent_offers": "是",
}
STAY = {
    "confirmation": "C-1",
    "member": "ZK900001",
    "hotel": "HLSH",
    "room_type": "lake view",
    "arrival": "2026-03-20",
    "departure": "2026-03-22",
    "adults": "2",
    "children": "1",
    "status": "booked",
    "total": "",
    "currency": "",
}
PAST = STAY | {
    "arrival": "2025/11/3",
    "departure": "2025/11/5",
    "status": "checked_out",
    "total": "1280.50",
    "currency": "CNY",
}


@dataclass(frozen=True)
class Import:
    """How an import ended, and what it said."""

    done: Done
    problems: list[Problem]

    @property
    def counts(self) -> tuple[int, int, int, bool]:
        """Written, there already, refused, and whether it was kept."""
        return (self.done.written, self.done.again, self.done.refused, self.done.kept)

    @property
    def said(self) -> list[tuple[int, str]]:
        """Line and column of each problem."""
        return [(problem.line, problem.column) for problem in self.problems]


class Desk:
    """Writes tables into a folder and imports them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, *rows: Mapping[str, str], encoding: str = "utf-8") -> Path:
        path = self.folder / f"table{next(_numbers)}.csv"
        columns = list({name: None for row in rows for name in row})
        with path.open("w", encoding=encoding, newline="") as text:
            table = csv.DictWriter(text, columns, restval="")
            table.writeheader()
            table.writerows(rows)
        return path

    def bring(self, table: Table[Any], path: Path, *, now: datetime = NOW, **modes: bool) -> Import:
        problems: list[Problem] = []
        done = importing.bring_in(table, path, now=now, refuse=problems.append, **modes)
        assert len(problems) == done.refused
        assert [each.line for each in problems] == sorted(each.line for each in problems)
        return Import(done, problems)

    def members(self, *rows: Mapping[str, str], now: datetime = NOW, **modes: bool) -> Import:
        return self.bring(Members(), self.file(*rows), now=now, **modes)

    def stays(
        self, *rows: Mapping[str, str], now: datetime = NOW, earn: bool = False, **modes: bool
    ) -> Import:
        return self.bring(Stays(earn=earn), self.file(*rows), now=now, **modes)


def member(number: str) -> Member:
    with db.reading() as session:
        return session.scalars(select(Member).where(Member.number == number)).one()


def the_stays() -> dict[str, Stay]:
    with db.reading() as session:
        return {stay.confirmation: stay for stay in session.scalars(select(Stay))}


def bills() -> list[tuple[str, str, date, int, str]]:
    with db.reading() as session:
        lines = session.scalars(select(FolioLine).order_by(FolioLine.id))
        return [(each.line, each.outlet, each.day, each.amount_minor, each.currency) for each in lines]
