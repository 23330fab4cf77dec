"""Whatever a table holds: the good lines are written, once, and as the rules write them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from data import booking, db, importing, stay_lines
from data.audit import AuditEntry
from data.booking import NewStay
from data.folios import FolioLine
from data.importing import Table
from data.importing_members import Members
from data.importing_stays import Stays
from data.stays import Stay
from tests.data import staying
from tests.data.staying import changing_nothing
from tests.data.tables import PAST, STAY, TODAY, Desk

_numbers = count(1)


@pytest.fixture(autouse=True)
def house(database: str) -> None:
    staying.open_hotels()
    staying.guest("ZK900001")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@dataclass(frozen=True)
class Told:
    """A line that was made up, and what should become of it: `good`, `again` or `bad`."""

    row: dict[str, str]
    fate: str


@st.composite
def stays_of(draw: st.DrawFn, prefix: str) -> list[Told]:
    """Lines for three members: some wrong by themselves, some that meet earlier ones."""
    lines: list[Told] = []
    slept: dict[str, list[tuple[int, int]]] = {}
    written: list[dict[str, str]] = []
    for number in range(draw(st.integers(0, 12))):
        whose = draw(st.sampled_from("123"))
        status = draw(st.sampled_from(["booked", "booked", "cancelled", "checked_out"]))
        first = draw(st.integers(0, 12)) - (400 if status == "checked_out" else -30)
        last = first + draw(st.integers(1, 3))
        nights = slept.setdefault(whose, [])
        row = STAY | {
            "confirmation": f"{prefix}-{number}",
            "member": f"{prefix}-M{whose}",
            "arrival": str(TODAY + timedelta(days=first)),
            "departure": str(TODAY + timedelta(days=last)),
            "status": status,
            "total": draw(st.sampled_from(["", "680.50"])) if status == "checked_out" else "",
        }
        flaw = draw(st.sampled_from([None] * 6 + ["wrong", "twice", "other", "stranger"]))
        if flaw in ("twice", "other") and written:
            row = draw(st.sampled_from(written))
            lines.append(Told(row, "again") if flaw == "twice" else Told(row | {"adults": "7"}, "bad"))
        elif flaw == "wrong":
            wrong = st.sampled_from([{"adults": "x"}, {"hotel": ""}, {"status": "?"}])
            lines.append(Told(row | draw(wrong), "bad"))
        elif flaw == "stranger":
            lines.append(Told(row | {"member": "ZK999999"}, "bad"))
        elif status != "cancelled" and any(first < end and last > begin for begin, end in nights):
            lines.append(Told(row, "bad"))
        else:
            if status != "cancelled":
                nights.append((first, last))
            written.append(row)
            lines.append(Told(row, "good"))
    return lines


@st.composite
def members_of(draw: st.DrawFn, prefix: str) -> list[Told]:
    """Lines of members: some wrong by themselves, some with a number or a phone that an earlier one has."""
    lines: list[Told] = []
    phones: set[str] = set()
    written: list[dict[str, str]] = []
    for number in range(draw(st.integers(0, 5))):
        row = {
            "number": f"{prefix}-{number:03}",
            "name": draw(st.sampled_from(["沈知微", "Bo", 'O\'Neill, "Jo"'])),
            "locale": draw(st.sampled_from(["en", "zh_CN", "zh-Hant-TW"])),
            "phone": draw(st.sampled_from(["", *(f"138{prefix[1:]:>05}{each:03}" for each in range(4))])),
            "points": draw(st.sampled_from(["", "0", "120"])),
        }
        flaw = draw(st.sampled_from([None] * 4 + ["wrong", "twice", "other"]))
        if flaw in ("twice", "other") and written:
            row = draw(st.sampled_from(written))
            lines.append(Told(row, "again") if flaw == "twice" else Told(row | {"name": "Else"}, "bad"))
        elif flaw == "wrong":
            wrong = st.sampled_from([{"phone": "1.38E+10"}, {"name": ""}, {"points": "-1"}])
            lines.append(Told(row | draw(wrong), "bad"))
        elif row["phone"] and row["phone"] in phones:
            lines.append(Told(row, "bad"))
        else:
            phones.add(row["phone"])
            written.append(row)
            lines.append(Told(row, "good"))
    return lines


def check_any_table(desk: Desk, table: Table[Any], lines: list[Told], lines_at_once: int) -> None:
    """All or nothing writes none if one is bad; skipping writes exactly the good ones; once more adds nothing."""
    header = {name.name: "" for name in table.columns}
    path = desk.file(*(header | told.row for told in lines)) if lines else desk.file(header)
    fates = [told.fate for told in lines]
    good, again, bad = (fates.count(fate) for fate in ("good", "again", "bad"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "LINES_AT_ONCE", lines_at_once)
        if bad:
            with changing_nothing():
                assert not desk.bring(table, path).done.kept
        else:
            with changing_nothing():
                assert desk.bring(table, path, dry_run=True).counts == (good, again, 0, False)
        skipped = desk.bring(table, path, skip_bad=True)
        assert skipped.counts == (good, again, bad, True)
        assert [each.line for each in skipped.problems] == [
            number for number, fate in enumerate(fates, start=2) if fate == "bad"
        ]
        with changing_nothing():
            assert desk.bring(table, path, skip_bad=True).counts == (0, good + again, bad, True)


any_table = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@any_table
@given(data=st.data(), lines_at_once=st.integers(1, 5))
def test_any_table_of_stays(desk: Desk, data: st.DataObject, lines_at_once: int) -> None:
    prefix = f"P{next(_numbers)}"
    for each in "123":
        staying.guest(f"{prefix}-M{each}")
    check_any_table(desk, Stays(), data.draw(stays_of(prefix)), lines_at_once)


@settings(any_table, max_examples=8)
@given(data=st.data(), lines_at_once=st.integers(1, 5))
def test_any_table_of_members(desk: Desk, data: st.DataObject, lines_at_once: int) -> None:
    check_any_table(desk, Members(), data.draw(members_of(f"P{next(_numbers)}")), lines_at_once)


def test_together_or_one_by_one_is_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written for many at once is what the rules of booking write for each."""

    def told(prefix: str) -> list[Any]:
        with db.reading() as session:
            mine = select(Stay).where(Stay.confirmation.startswith(prefix)).order_by(Stay.confirmation)
            return [
                (
                    [getattr(stay, name) for name in (*stay_lines.FIXED[1:], "status", "checked_out_at")],
                    [
                        (each.line, each.outlet, each.day, each.amount_minor, each.currency, each.refunds_id)
                        for each in session.scalars(select(FolioLine).where(FolioLine.stay_id == stay.id))
                    ],
                    [
                        (each.at, each.actor, each.deed, each.facts)
                        for each in session.scalars(
                            select(AuditEntry).where(AuditEntry.subject == f"stay:{stay.id}")
                        )
                    ],
                )
                for stay in session.scalars(mine)
            ]

    rows = [STAY, PAST, PAST | {"arrival": "2025-10-01", "departure": "2025-10-04", "total": ""}]
    rows += [STAY | {"arrival": "2026-03-13", "departure": "2026-03-15", "status": "in_house"}]
    rows += [STAY | {"arrival": "2026-06-01", "departure": "2026-06-15", "status": "cancelled"}]
    booked: list[str] = []
    book = booking.book

    def note(session: Session, new: NewStay, **given: Any) -> booking.Booked:
        booked.append(new.confirmation)
        return book(session, new, **given)

    monkeypatch.setattr(booking, "book", note)
    for prefix, number in (("A", "ZK900001"), ("B", "ZK900002")):
        if prefix == "B":
            staying.guest(number)
            monkeypatch.setattr(stay_lines.Known, "sleeps", lambda *_given: True)
        table = [
            row | {"confirmation": f"{prefix}-{each}", "member": number} for each, row in enumerate(rows)
        ]
        assert desk.stays(*table).counts == (5, 0, 0, True)
    assert told("A") == told("B")
    assert len(told("A")) == 5
    assert booked == ["B-0", "B-1", "B-2", "B-3", "B-4"], "the second table went through the rules of booking"
