"""Importing all or nothing, or the good lines; what is wrong is named; crashes, and others who write."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from data import db, identifiers, importing, sealed, stay_chunks
from data.audit import AuditEntry
from data.booking import NewStay
from data.csv_files import BadFile
from data.identifiers import IdentifierKind
from data.importing import Table
from data.importing_members import Members
from data.importing_stays import Stays
from data.members import Member, MemberStatus
from tests.conftest import KEYS
from tests.data import staying
from tests.data.rivals import Rivals, together
from tests.data.staying import NOW, changing_nothing, everything
from tests.data.tables import MEMBER, PAST, STAY, Desk, member, the_stays


@pytest.fixture(autouse=True)
def house(database: str) -> None:
    staying.open_hotels()
    staying.guest("ZK900001")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# What is refused

BAD_MEMBERS = [
    ({"number": ""}, "number", "empty"),
    ({"name": ""}, "name", "empty"),
    ({"locale": ""}, "locale", "empty"),
    ({"number": "1.38E+10"}, "number", "digits are lost"),
    ({"number": "ZK"}, "number", "no membership number"),
    ({"name": "a\x07b"}, "name", "no writing"),
    ({"name": "#N/A"}, "name", "error of the spreadsheet"),
    ({"name": "a" * 81}, "name", "too long"),
    ({"locale": "fr"}, "locale", "no language"),
    ({"tier": "diamond"}, "tier", "not in the programme"),
    ({"phone": "1.38E+10"}, "phone", "digits are lost"),
    ({"phone": "13800138000.0"}, "phone", "amount"),
    ({"phone": "138"}, "phone", "no phone number"),
    ({"email": "nobody"}, "email", "no e-mail"),
    ({"document": "3.10101E+17"}, "document", "digits are lost"),
    ({"document": "310101199003071000"}, "document", "last digits"),
    ({"document": "??"}, "document", "no number"),
    ({"birthday": "33662"}, "birthday", "spreadsheet's own number"),
    ({"birthday": "29/02/1992"}, "birthday", "which is the day"),
    ({"birthday": "2099-01-01"}, "birthday", "future"),
    ({"home_hotel": "HLXX"}, "home_hotel", "no hotel"),
    ({"joined": "43617"}, "joined", "spreadsheet's own number"),
    ({"joined": "2027-01-01"}, "joined", "future"),
    ({"points": "-5"}, "points", "no number of points"),
    ({"points": "2.5"}, "points", "no whole number"),
    ({"points": "2,680"}, "points", "no whole number"),
    ({"points": "999999999"}, "points", "no number of points"),
    ({"points_expire": "2026-03-13"}, "points_expire", "over"),
    ({"points": "0"}, "points_expire", "without points"),
    ({"points_expire": "9999-12-31"}, "points_expire", "too far ahead"),
    ({"consent_offers": "perhaps"}, "consent_offers", "neither"),
]
BAD_STAYS = [
    ({"confirmation": ""}, "confirmation", "empty"),
    ({"confirmation": "2.02E+11"}, "confirmation", "digits are lost"),
    ({"confirmation": "C 1"}, "confirmation", "no such number"),
    ({"member": "ZK999999"}, "member", "no member"),
    ({"member": "!"}, "member", "no membership number"),
    ({"hotel": "HLXX"}, "hotel", "no hotel"),
    ({"room_type": "x" * 33}, "room_type", "room type"),
    ({"arrival": "46101"}, "arrival", "spreadsheet's own number"),
    ({"arrival": "########"}, "arrival", "too narrow"),
    ({"departure": "2026-03-20"}, "departure", "not after"),
    ({"departure": "2027-03-21"}, "departure", "365 nights"),
    ({"arrival": "2036-03-20", "departure": "2036-03-22"}, "arrival", "too far ahead"),
    ({"adults": "0"}, "adults", "does not fit"),
    ({"children": "1.5"}, "children", "no whole number"),
    ({"status": "no show"}, "status", "none that a stay has"),
    ({"status": "checked_out"}, "departure", "still to come"),
    ({"status": "in_house"}, "arrival", "begins on"),
    ({"arrival": "2026-03-01", "departure": "2026-03-13"}, "departure", "in the past"),
    ({"arrival": "2026-03-01", "departure": "2026-03-13", "status": "in_house"}, "departure", "in the past"),
    ({"total": "680"}, "total", "booked"),
]
BAD_BILLS = [
    ({"total": "-680"}, "total", "below zero"),
    ({"total": "1,280.50"}, "total", "no amount"),
    ({"total": "1.005"}, "total", "more decimals"),
    ({"total": "1000000.01"}, "total", "too large"),
    ({"currency": "ZZZ"}, "currency", "no currency"),
    ({"currency": "TWD"}, "currency", "no rate"),
]


@pytest.mark.parametrize(
    ("table", "good", "changes", "column", "said"),
    [
        *((Members(), MEMBER, *each) for each in BAD_MEMBERS),
        *((Stays(), STAY, *each) for each in BAD_STAYS),
        *((Stays(), PAST, *each) for each in BAD_BILLS),
    ],
)
def test_a_bad_line_is_named(
    desk: Desk, table: Table[Any], good: dict[str, str], changes: dict[str, str], column: str, said: str
) -> None:
    path = desk.file(good | changes)
    with changing_nothing():
        refused = desk.bring(table, path)
    assert refused.counts[2:] == (1, False)
    (problem,) = refused.problems
    assert (problem.line, problem.column) == (2, column)
    assert said in problem.problem
    assert problem.remedy
    for name in ("name", "latin_name", "phone", "email", "document", "birthday"):
        told = (good | changes).get(name, "")
        assert len(told) < 5 or told not in f"{problem.problem} {problem.remedy}"
    with changing_nothing():
        assert desk.bring(table, path, skip_bad=True).counts == (0, 0, 1, True)


def test_every_bad_line_is_named_in_order_and_only_good_ones_written(desk: Desk) -> None:
    rows = [
        MEMBER,
        MEMBER | {"number": "ZK700002", "email": "", "document": ""},  # the phone is the first one's
        {"number": "ZK700003", "name": "Bo", "locale": "en"},
        {"number": "ZK700004", "name": "", "locale": "en"},
        {"number": "ZK700005", "name": "Cy", "locale": "en", "phone": "12"},
    ]
    with changing_nothing():
        checked = desk.members(*rows)
    assert checked.said == [(5, "name"), (6, "phone")], "what is wrong by itself is told first"
    with changing_nothing():
        refused = desk.members(*rows[:3])
    assert (refused.said, refused.done.kept) == ([(3, "phone")], False)
    assert "ZK700001" in refused.problems[0].problem
    assert desk.members(*rows, skip_bad=True).counts == (2, 0, 3, True)
    assert {"ZK700001", "ZK700003"} == {each.number for each in all_members() if each.number > "ZK7"} - {
        "ZK900001"
    }


def all_members() -> Sequence[Member]:
    with db.reading() as session:
        return session.scalars(select(Member)).all()


@pytest.mark.parametrize("lines_at_once", [1, 2, 1000])
def test_overlapping_stays_within_one_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, lines_at_once: int
) -> None:
    monkeypatch.setattr(importing, "LINES_AT_ONCE", lines_at_once)
    staying.guest("ZK900002")
    nights = [  # of March; the third and the fourth overlap the first
        ("C-1", "ZK900001", 20, 22, "booked"),
        ("C-2", "ZK900001", 22, 24, "booked"),
        ("C-3", "ZK900001", 21, 22, "booked"),
        ("C-4", "zk900001", 19, 30, "booked"),
        ("C-5", "ZK900002", 20, 22, "booked"),
        ("C-6", "ZK900001", 20, 22, "cancelled"),
        ("C-7", "ZK900001", 24, 25, "booked"),
    ]
    rows = [
        STAY
        | {"confirmation": number, "member": whose, "status": status}
        | {"arrival": f"2026-03-{arrival}", "departure": f"2026-03-{departure}"}
        for number, whose, arrival, departure, status in nights
    ]
    with changing_nothing():
        refused = desk.stays(*rows)
    assert refused.said == [(4, "arrival"), (5, "arrival")]
    assert "C-1" in refused.problems[0].problem
    assert desk.stays(*rows, skip_bad=True).counts == (5, 0, 2, True)
    assert set(the_stays()) == {"C-1", "C-2", "C-5", "C-6", "C-7"}


@pytest.mark.parametrize("status", [MemberStatus.left, MemberStatus.erased])
def test_stays_of_members_who_are_gone(desk: Desk, status: MemberStatus) -> None:
    staying.guest("ZK900002", status=status.value)
    assert desk.stays(STAY | {"member": "ZK900002"}).said == [(2, "member")]


def test_stays_of_a_merged_member_are_those_of_who_lives_on(desk: Desk) -> None:
    keep = member("ZK900001").id
    staying.guest("ZK900002", status="merged", merged_into_id=keep)
    rows = [STAY, PAST | {"confirmation": "C-2", "member": "ZK900002"}]
    assert desk.stays(*rows).counts == (2, 0, 0, True)
    assert {stay.member_id for stay in the_stays().values()} == {keep}
    assert desk.stays(*rows).counts == (0, 2, 0, True)
    assert desk.stays(STAY | {"confirmation": "C-3", "member": "ZK900002"}).said == [(2, "arrival")]


def test_a_number_whose_balance_went_elsewhere(desk: Desk) -> None:
    """As after an erasure: the number is nobody's, but what was carried over under it is kept."""
    desk.members(MEMBER)
    with db.transaction() as session:
        gone = session.scalars(select(Member).where(Member.number == "ZK700001")).one()
        gone.number = "ER1"
        for kind in IdentifierKind:
            identifiers.hold_alone(session, gone.id, kind, None, source="test", now=NOW)
    with changing_nothing():
        assert desk.members(MEMBER).said == [(2, "points")]


# Crashes and other processes


def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    with changing_nothing():
        assert desk.members(MEMBER, dry_run=True).counts == (1, 0, 0, False)
        assert desk.stays(STAY, STAY | {"member": "ZK999999"}, dry_run=True).counts[2:] == (1, False)
        mixed = desk.stays(STAY, STAY | {"confirmation": "C-2"}, PAST, dry_run=True, skip_bad=True)
        assert (mixed.counts, mixed.said) == ((1, 0, 2, False), [(3, "arrival"), (4, "arrival")])


def test_the_file_is_changed_meanwhile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.file(*[STAY] * 3_000)  # more than is read ahead
    write = stay_chunks.write

    def change(*given: Any, **more: Any) -> Any:
        path.write_bytes(path.read_bytes().replace(b"booked", b"BOOKED"))
        return write(*given, **more)

    monkeypatch.setattr(stay_chunks, "write", change)
    with changing_nothing(), pytest.raises(BadFile, match="changed"):
        desk.bring(Stays(), path)


ROWS = [
    STAY
    | {"confirmation": f"C-{each}"}
    | {
        "arrival": str(day := date(2026, 4, 1) + timedelta(days=2 * each)),
        "departure": str(day + timedelta(days=1)),
    }
    for each in range(10)
]
JOINING = [{"number": f"ZK71000{each}", "name": "Bo", "locale": "en", "points": "7"} for each in range(10)]
TABLES: dict[str, tuple[type[Members | Stays], list[dict[str, str]]]] = {
    "members": (Members, JOINING),
    "stays": (Stays, ROWS),
}


def die_midway(url: str, what: str, path: Path, skip_bad: bool) -> None:
    """What a process does that is killed once half of the lines are written."""
    db.connect(url)
    sealed.use_keys(KEYS)
    importing.LINES_AT_ONCE = 2

    def die(progress: importing.Progress) -> None:
        if (progress.stage, progress.lines) == ("writing", 6):
            os.kill(os.getpid(), signal.SIGKILL)

    importing.bring_in(
        TABLES[what][0](), path, now=NOW, skip_bad=skip_bad, refuse=lambda _problem: None, watch=die
    )


@pytest.mark.parametrize("what", TABLES)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_killed_in_the_middle(desk: Desk, database: str, what: str, skip_bad: bool) -> None:
    table, rows = TABLES[what]
    path = desk.file(*rows)
    before = everything()
    victim = multiprocessing.get_context("spawn").Process(
        target=die_midway, args=(database, what, path, skip_bad)
    )
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    if not skip_bad:
        assert everything() == before
    written = 6 if skip_bad else 0
    assert desk.bring(table(), path, skip_bad=skip_bad).counts == (10 - written, written, 0, True)
    with changing_nothing():
        assert desk.bring(table(), path).counts == (0, 10, 0, True)


def race_to_import(who: str, what: str, path: Path, skip_bad: bool) -> tuple[int, int, int, bool]:
    together()
    done = importing.bring_in(
        TABLES[what][0](), path, now=NOW, skip_bad=skip_bad, refuse=lambda _problem: None
    )
    return (done.written, done.again, done.refused, done.kept)


@pytest.mark.parametrize("what", TABLES)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_imported_by_two_at_once(
    desk: Desk, rivals: Rivals, database: str, what: str, skip_bad: bool
) -> None:
    table, rows = TABLES[what]
    path = desk.file(*rows)
    ended = rivals.race(race_to_import, database, what, path, skip_bad)
    assert sum(each[0] for each in ended) == sum(each[1] for each in ended) == 10
    assert [each[2:] for each in ended] == [(0, True)] * 2
    assert desk.bring(table(), path).counts == (0, 10, 0, True)


def race_to_sleep(who: str, path: Path, new: NewStay) -> str:
    """Process a imports a stay, b books another one over its nights."""
    if who == "b":
        return staying.race_to_book(who, {who: new})
    return "booked" if race_to_import(who, "stays", path, False)[0] else "Conflict arrival"


def test_importing_against_booking(desk: Desk, rivals: Rivals, database: str) -> None:
    for each in range(5):
        night = date(2026, 5, 1) + timedelta(days=3 * each)
        days = {"arrival": str(night), "departure": str(night + timedelta(days=1))}
        path = desk.file(STAY | days | {"confirmation": f"A-{each}"})
        other = staying.new_stay(confirmation=f"B-{each}", arrival=night, departure=night + timedelta(days=2))
        ended = rivals.race(race_to_sleep, database, path, other)
        assert sorted(ended) == ["Conflict arrival", "booked"]


def audited(deed: str) -> list[AuditEntry]:
    with db.reading() as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.deed == deed)))


# The trace of a run


def test_a_run_that_writes_leaves_one_entry(desk: Desk) -> None:
    path = desk.file(MEMBER, {"number": "ZK700002", "name": "", "locale": "en"})
    desk.bring(Members(), path, skip_bad=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (entry,) = audited("members.imported")
    assert (entry.actor, entry.subject, entry.at) == ("import", f"import:{digest[:16]}", NOW)
    assert entry.facts == {
        "file": path.name, "sha256": digest, "lines": 2, "written": 1, "again": 0, "refused": 1,
    }  # fmt: skip
    desk.stays(STAY)
    assert [entry.facts["written"] for entry in audited("stays.imported")] == [1]


def test_nothing_of_a_member_stands_in_clear(desk: Desk) -> None:
    desk.members(MEMBER)
    rows = str(everything())
    for name in ("name", "latin_name", "phone", "email", "document"):
        assert MEMBER[name] not in rows
    assert "1992-02-29" not in rows
