"""What a line of a table becomes, and that importing it twice is once."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select

from data import consents, db, identifiers, points, tier_moves
from data.consents import Purpose
from data.identifiers import IdentifierKind
from data.programme_versions import in_force
from data.stays import Stay
from tests.data import staying
from tests.data.staying import NOW, changing_nothing
from tests.data.tables import MEMBER, PAST, STAY, TODAY, Desk, bills, member, the_stays


@pytest.fixture(autouse=True)
def house(database: str) -> None:
    staying.open_hotels()
    staying.guest("ZK900001")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# What a line becomes


def test_a_member(desk: Desk) -> None:
    assert desk.members(MEMBER).counts == (1, 0, 0, True)
    got = member("ZK700001")
    assert (got.name, got.latin_name, got.locale, got.tier) == ("沈知微", "Shen Zhiwei", "zh_CN", "gold")
    assert (got.birthday, got.status) == ("1992-02-29", "active")
    assert got.joined_at == datetime(2019, 5, 31, 16, tzinfo=timezone.utc), "midnight in Shanghai"
    with db.reading() as session:
        for kind, value in (
            (IdentifierKind.phone, "+8613601876543"),
            (IdentifierKind.email, "zhiwei.shen@example.com"),
            (IdentifierKind.document, "E12345678"),
        ):
            found = identifiers.find(session, kind, value)
            assert found is not None
            assert found.id == got.id
        assert consents.allowed(session, got.id, Purpose.offers)
        assert points.balance(session, got.id, now=NOW) == 2680
    (entry,) = staying.entries(got.id)  # no welcome gift
    assert (entry.kind, entry.reason, entry.key, entry.actor) == (
        "adjust", "carried_over", "import:ZK700001", "import",
    )  # fmt: skip
    (lot,) = staying.lots(got.id)
    assert lot.expires_at == datetime(2027, 12, 31, 16, tzinfo=timezone.utc), (
        "good through that day in Shanghai"
    )


def test_a_member_of_few_words(desk: Desk) -> None:
    assert desk.members({"number": "zk 700002", "name": "Bo", "locale": "en-GB"}).counts == (1, 0, 0, True)
    got = member("ZK700002")
    assert (got.locale, got.tier, got.joined_at, got.home_hotel_id) == ("en", "classic", NOW, None)
    assert staying.entries(got.id) == []


@pytest.mark.parametrize(
    ("column", "text", "field", "value"),
    [
        ("locale", "繁體中文", "locale", "zh_TW"),
        ("locale", "English", "locale", "en"),
        ("tier", "白金卡", "tier", "platinum"),
        ("tier", "Silver", "tier", "silver"),
        ("birthday", "--02-29", "birthday", "--02-29"),
        ("birthday", "19920229", "birthday", "1992-02-29"),
    ],
)
def test_words_for_codes(desk: Desk, column: str, text: str, field: str, value: str) -> None:
    desk.members(MEMBER | {column: text})
    assert getattr(member("ZK700001"), field) == value


def test_points_without_an_end_and_no_points(desk: Desk) -> None:
    bare = {"name": "Bo", "locale": "en"}
    rows = [
        bare | {"number": "ZK700001", "points": "10", "points_expire": ""},
        bare | {"number": "ZK700002", "points": "0"},
        bare | {"number": "ZK700003"},
    ]
    assert desk.members(*rows).counts == (3, 0, 0, True)
    (lot,) = staying.lots(member("ZK700001").id)
    assert (lot.remaining, lot.expires_at) == (10, None)
    assert staying.lots(member("ZK700002").id) == staying.lots(member("ZK700003").id) == []
    assert desk.members(*rows).counts == (0, 3, 0, True)


def test_stays(desk: Desk) -> None:
    rows = [
        STAY,
        PAST | {"confirmation": "C-2"},
        PAST | {"confirmation": "C-3", "arrival": "2025/11/5", "departure": "2025/11/6", "total": "0"},
        STAY
        | {"confirmation": "C-4", "arrival": "2026-03-13", "departure": "2026-03-16", "status": "In-House"},
        STAY | {"confirmation": "C-5", "status": "已取消"},
        {name: STAY[name] for name in list(STAY)[:6]}
        | {"confirmation": "C-6", "hotel": "HLLN", "arrival": "2026/4/1", "departure": "2026/4/2"},
    ]
    assert desk.stays(*rows).counts == (6, 0, 0, True)
    got = the_stays()
    assert {name: stay.status for name, stay in got.items()} == {
        "C-1": "booked", "C-2": "checked_out", "C-3": "checked_out", "C-4": "in_house", "C-5": "cancelled",
        "C-6": "booked",
    }  # fmt: skip
    first = got["C-1"]
    assert (first.arrival, first.departure) == (date(2026, 3, 20), date(2026, 3, 22))
    assert (first.room_type, first.adults, first.children) == ("lake view", 2, 1)
    assert (got["C-6"].adults, got["C-6"].children) == (1, 0)
    assert bills() == [("import", "room", date(2025, 11, 5), 128_050, "CNY")]
    assert staying.entries(member("ZK900001").id) == [], "stays of the past earn nothing"


def test_bills_in_other_currencies(desk: Desk) -> None:
    london = PAST | {"hotel": "HLLN", "currency": ""}
    rows = [
        london,
        PAST | {"confirmation": "C-2", "arrival": "2025/12/1", "departure": "2025/12/2", "currency": "gbp"},
    ]
    assert desk.stays(*rows).counts == (2, 0, 0, True)
    assert [bill[3:] for bill in bills()] == [(128_050, "GBP")] * 2


def test_past_stays_count_towards_a_tier(desk: Desk) -> None:
    desk.stays(PAST)
    with db.reading() as session:
        programme = in_force(session, now=NOW).programme
        done = tier_moves.measures(
            session, member("ZK900001").id, (date(2025, 3, 15), TODAY), programme=programme
        )
    assert (done.nights, done.stays, done.spend) == (2, 1, 1280)


def test_past_stays_may_earn(desk: Desk) -> None:
    member_id = member("ZK900001").id
    assert desk.stays(PAST, STAY | {"confirmation": "C-2"}, earn=True).counts == (2, 0, 0, True)
    (entry,) = staying.entries(member_id)
    assert (entry.amount, entry.key, entry.actor) == (1280, "folio:C-1:import", "import")
    assert {name: stay.status for name, stay in the_stays().items()} == {
        "C-1": "checked_out",
        "C-2": "booked",
    }
    with db.reading() as session:
        assert points.balance(session, member_id, now=NOW) == 1280
    with changing_nothing():
        assert desk.stays(PAST, STAY | {"confirmation": "C-2"}, earn=True).counts == (0, 2, 0, True)
        assert desk.stays(PAST, STAY | {"confirmation": "C-2"}).counts == (0, 2, 0, True)


def test_what_was_imported_earns_nothing_later(desk: Desk) -> None:
    desk.stays(PAST)
    with changing_nothing():
        assert desk.stays(PAST, earn=True).counts == (0, 1, 0, True)


# Twice


def test_twice_is_once(desk: Desk) -> None:
    assert desk.members(MEMBER).counts == (1, 0, 0, True)
    rows = [STAY, PAST | {"confirmation": "C-2"}, STAY | {"confirmation": "C-3", "status": "cancelled"}]
    assert desk.stays(*rows, *rows).counts == (3, 3, 0, True)
    with changing_nothing():
        for skip_bad in (False, True):
            assert desk.members(MEMBER, skip_bad=skip_bad).counts == (0, 1, 0, True)
            assert desk.stays(*rows, skip_bad=skip_bad).counts == (0, 3, 0, True)


@pytest.mark.parametrize("status", ["booked", "in_house", "cancelled", "checked_out"])
def test_twice_whenever(desk: Desk, status: str) -> None:
    """What could be written once is there already ever after, though it could not be written any more."""
    row = STAY | {"status": status, "arrival": "2026-03-12", "departure": "2026-03-14"}
    assert desk.stays(row).counts == (1, 0, 0, True)
    with changing_nothing():
        assert desk.stays(row, now=NOW + timedelta(days=300)).counts == (0, 1, 0, True)


def test_twice_after_points_have_ended(desk: Desk) -> None:
    desk.members(MEMBER)
    with changing_nothing():
        assert desk.members(MEMBER, now=NOW + timedelta(days=1000)).counts == (0, 1, 0, True)


@pytest.mark.parametrize(
    ("column", "text"),
    [(name, text) for name, text in (MEMBER | {
        "name": "沈薇", "latin_name": "Shen Wei", "locale": "en", "tier": "silver", "phone": "13601876544",
        "email": "shen@example.com", "document": "E87654321", "birthday": "1992-02-28", "home_hotel": "HLTT",
        "joined": "2019-06-02", "points": "2681", "points_expire": "2028-01-01", "consent_offers": "no",
    }).items() if name != "number"],
)  # fmt: skip
def test_members_with_other_content(desk: Desk, column: str, text: str) -> None:
    desk.members(MEMBER)
    changed = MEMBER | {column: text}
    if column == "home_hotel":
        changed["phone"] = ""  # which is dialled otherwise there
    for rows in ([changed], [MEMBER, changed]):
        with changing_nothing():
            assert desk.members(*rows).said == [(len(rows) + 1, column)]


def test_points_for_who_was_enrolled_without(desk: Desk) -> None:
    bare = {"number": "ZK700001", "name": "Bo", "locale": "en"}
    desk.members(bare)
    with changing_nothing():
        assert desk.members(bare | {"points": "0"}).counts == (0, 1, 0, True)
        assert desk.members(bare | {"points": "5"}).said == [(2, "points")]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("member", "ZK900002"),
        ("hotel", "HLLN"),
        ("room_type", "street view"),
        ("arrival", "2025-11-02"),
        ("departure", "2025-11-06"),
        ("adults", "1"),
        ("children", "0"),
        ("status", "cancelled"),
        ("total", "1280.51"),
        ("total", "0"),
        ("currency", "GBP"),
    ],
)
def test_stays_with_other_content(desk: Desk, column: str, text: str) -> None:
    staying.guest("ZK900002")
    changed = PAST | {column: text}
    if column == "status":
        changed["total"] = ""
    shown = {"currency": "total"}.get(column, column)
    desk.stays(PAST)
    for rows in ([changed], [PAST, changed]):
        with changing_nothing():
            assert desk.stays(*rows).said == [(len(rows) + 1, shown)]


def test_other_content_within_one_file(desk: Desk) -> None:
    with changing_nothing():
        assert desk.stays(STAY, STAY | {"adults": "1"}).said == [(3, "adults")]
        assert desk.members(MEMBER, MEMBER | {"points": "1", "points_expire": ""}).said == [(3, "points")]


def test_an_empty_cell_says_nothing(desk: Desk) -> None:
    desk.members(MEMBER)
    desk.stays(PAST)
    with changing_nothing():
        bare = {name: MEMBER[name] for name in ("number", "name", "locale")}
        assert desk.members(bare).counts == (0, 1, 0, True)
        assert desk.stays(PAST | {"total": "", "currency": ""}).counts == (0, 1, 0, True)


@pytest.mark.parametrize(
    ("told", "recorded", "fits"),
    [
        ("booked", "in_house", True),
        ("booked", "checked_out", True),
        ("booked", "cancelled", True),
        ("in_house", "checked_out", True),
        ("in_house", "booked", False),
        ("in_house", "cancelled", False),
        ("checked_out", "booked", False),
        ("checked_out", "in_house", False),
        ("cancelled", "booked", False),
        ("cancelled", "checked_out", False),
    ],
)
def test_what_has_become_of_a_stay_since(desk: Desk, told: str, recorded: str, fits: bool) -> None:
    days = {"arrival": "2026-03-12", "departure": "2026-03-14"}
    desk.stays(STAY | days)
    with db.transaction() as session:
        session.scalars(select(Stay)).one().status = recorded
    with changing_nothing():
        again = desk.stays(STAY | days | {"status": told})
    assert again.said == ([] if fits else [(2, "status")])
