"""Joining: everything that is told, once; the same again, other content, other people's identifiers, rivals."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import func, select

from data import (
    audit,
    consents,
    db,
    identifiers,
    points,
    programme,
    programme_versions,
    referrals,
    sealed,
)
from data.consents import Purpose
from data.details import MemberChanges, change
from data.enrolment import NewMember, member_by_number
from data.identifiers import BelongsToAnother, Identifier, IdentifierKind
from data.ledger_rows import PointAccount, PointEntry
from data.members import Member
from data.refusals import BadInput, Conflict, Unknown
from data.tiers import TierChange
from tests.conftest import KEYS, NOW
from tests.data import people
from tests.data.people import MIN, PERSONAL, SHEN, enrol, everything, join, open_hotels
from tests.data.rivals import Rivals

LATER = NOW + timedelta(days=40)


@pytest.fixture(autouse=True)
def hotels(request: pytest.FixtureRequest) -> None:
    if "database" in request.fixturenames:
        request.getfixturevalue("database")
        open_hotels()


@pytest.fixture
def renewed_keys(database: str) -> Iterator[str]:
    yield base64.b64encode(bytes(range(32, 64))).decode() + "," + KEYS
    sealed.use_keys(KEYS)


def count(table: type[Any]) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_all_that_is_told_is_recorded_in_our_spelling(database: str) -> None:
    friend = join(name="Friend")
    with db.transaction() as session:
        code = referrals.code_of(session, friend.id)
        done = enrol(session, replace(SHEN, referral_code=code.lower()))
    assert not done.again
    with db.reading() as session:
        member = session.get_one(Member, done.member.id)
        assert (member.number, member.name, member.latin_name) == ("ZK200001", "沈知微", "Shen Zhiwei")
        assert (member.locale, member.time_zone, member.birthday) == ("zh_CN", "Asia/Tokyo", "1992-02-29")
        assert (member.tier, member.tier_valid_until) == ("gold", date(2027, 3, 14))
        assert (member.status, member.joined_at) == ("active", NOW)
        for kind, value in {
            "phone": "+8613601876543",
            "email": "zhiwei.shen@example.com",
            "document": "E12345678",
        }.items():
            row = identifiers.of(session, member.id, IdentifierKind(kind))[value]
            assert (row.source, row.verified_at, row.recorded_at) == ("api:pms", None, NOW)
        assert consents.allowed(session, member.id, Purpose.offers)
        assert not consents.allowed(session, member.id, Purpose.surveys)
        assert [each.purpose for each in consents.history(session, member.id)] == ["offers", "surveys"]
        move = session.scalars(select(TierChange).where(TierChange.member_id == member.id)).one()
        assert (move.was, move.became, move.reason, move.valid_until) == (
            "gold",
            "gold",
            "joined",
            date(2027, 3, 14),
        )
        born = select(Member.id).where(Member.birthday_index.in_(identifiers.born_on("02-29")))
        assert session.scalars(born).all() == [member.id]
        referral = session.scalars(select(referrals.Referral)).one()
        assert (referral.referrer_id, referral.friend_id, referral.rewarded_at) == (
            friend.id,
            member.id,
            None,
        )
        deeds = session.scalars(
            select(audit.AuditEntry).where(audit.AuditEntry.subject == f"member:{member.id}")
        ).all()
        assert {each.deed for each in deeds} >= {"member.enrolled", "consent.given", "referral.made"}
        enrolled = next(each for each in deeds if each.deed == "member.enrolled")
        assert (enrolled.actor, enrolled.at) == ("api:pms", NOW)
        assert {"name", "phone", "birthday", "consents.offers"} <= set(enrolled.facts["fields"])


def test_the_least_that_can_be_told(database: str) -> None:
    member = join(MIN)
    assert (member.tier, member.tier_valid_until, member.joined_at) == ("classic", None, NOW)
    assert (member.latin_name, member.birthday, member.birthday_index, member.home_hotel_id) == (None,) * 4
    assert count(Identifier) == 0


def test_a_welcome_gift_that_explains_itself(database: str) -> None:
    member = join(MIN)
    with db.reading() as session:
        standing = points.standing(session, member.id, now=NOW)
        (lot,) = standing.usable
        assert (standing.spendable, lot.reason, lot.text_key) == (500, "welcome", "utter_entry_welcome")
        assert lot.facts == {"points": 500, "rule": "gifts.welcome", "programme_version": 0}
        # Good through 14 March 2028 in Shanghai.
        assert lot.expires_at == datetime(2028, 3, 14, 16, tzinfo=timezone.utc)
        entry = session.scalars(select(PointEntry)).one()
        assert (entry.key, entry.kind, entry.channel) == (f"welcome:{member.id}", "gift", "api")


def test_no_gift_for_who_joined_elsewhere_long_ago(database: str) -> None:
    long_ago = datetime(2019, 5, 1, tzinfo=timezone.utc)
    with db.transaction() as session:
        assert enrol(session, replace(MIN, joined_at=long_ago), welcome=False).member.joined_at == long_ago
    assert count(PointEntry) == 0


def test_no_gift_where_the_programme_gives_none(database: str) -> None:
    text = (
        programme.sample()
        .replace("welcome: 500", "welcome: 0")
        .replace("window: rolling_12_months", "window: calendar_year")
    )
    with db.transaction() as session:
        programme_versions.load(session, text, actor="staff:li", now=NOW)
        member = enrol(session, replace(MIN, tier="silver")).member
    assert count(PointEntry) == 0
    assert member.tier_valid_until == date(2027, 12, 31)
    with db.reading() as session:
        assert session.scalars(select(TierChange.programme_version)).one() == 1


def test_numbers_are_drawn_one_after_the_other(database: str) -> None:
    assert [join(MIN).number for _ in range(3)] == ["ZK100001", "ZK100002", "ZK100003"]


@pytest.mark.parametrize(
    ("taken", "drawn"),
    [
        (["ZK100002"], ["ZK100003", "ZK100004"]),
        (["ZK900001"], ["ZK100002", "ZK100003"]),  # a number far away is nobody's reason to jump
        (["ZK100003", "ZK100007"], ["ZK100008"]),
        (["ZK100003", "ZK999999"], ["ZK1000000"]),
        (["ZK1000000", "ZK100004", "ZK999999"], ["ZK1000001"]),
        (["ZK100003", "ZK1X0009"], ["ZK100004"]),
        (["XY100003", "ZK1000000000"], ["ZK100003"]),
    ],
)
def test_a_number_that_is_taken_is_passed_over(database: str, taken: list[str], drawn: list[str]) -> None:
    for number in taken:
        join(MIN, number=number)
    assert [join(MIN).number for _ in drawn] == drawn


def test_the_number_of_an_erased_member_is_not_drawn_again(database: str) -> None:
    with db.transaction() as session:
        gone = enrol(session, MIN).member
        gone.number = "ER000001"
    assert join(MIN).number == "ZK100002"


def test_the_same_again_changes_nothing(database: str) -> None:
    first = join(SHEN)
    before = everything()
    with db.transaction() as session:
        again = enrol(session, replace(SHEN, name=" 沈知微", phone="+86 136-0187-6543"), now=LATER)
    assert (again.again, again.member.id) == (True, first.id)
    # What is not told contradicts nothing.
    with db.transaction() as session:
        assert enrol(session, NewMember(number="zk 200001", name="沈知微", locale="zh-CN")).again
    assert everything() == before


def test_what_happened_since_joining_is_no_other_content(database: str) -> None:
    member = join(SHEN)
    with db.transaction() as session:
        consents.decide(session, member.id, Purpose.offers, False, via="wechat", actor="guest", now=LATER)
        session.get_one(Member, member.id).tier = "platinum"
    before = everything()
    with db.transaction() as session:
        assert enrol(session, SHEN).again
    assert everything() == before


OTHERWISE: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": "沈知薇"}),
    ("latin_name", {"latin_name": "Shen Zhi Wei"}),
    ("locale", {"locale": "zh-TW"}),
    ("tier", {"tier": "silver"}),
    ("phone", {"phone": "13900139000"}),
    ("email", {"email": "shen@example.com"}),
    ("document", {"document": "E12345679"}),
    ("birthday", {"birthday": "--02-29"}),
    ("home_hotel", {"home_hotel": "HLLN", "phone": "+8613601876543"}),
    ("time_zone", {"time_zone": "Asia/Shanghai"}),
    ("joined_at", {"joined_at": NOW - timedelta(seconds=1)}),
    ("referral_code", {"referral_code": "23456789"}),
    ("consents.offers", {"consents": {Purpose.offers: False}}),
    ("consents.birthday", {"consents": {Purpose.birthday: True}}),
    ("name", {"name": "Li", "email": "li@example.com", "tier": "silver"}),
]


@pytest.mark.parametrize(("field", "told"), OTHERWISE)
def test_the_same_number_with_other_content_is_refused(
    database: str, field: str, told: dict[str, Any]
) -> None:
    join(SHEN)
    before = everything()
    with db.transaction() as session:
        with pytest.raises(Conflict, match="ZK200001") as refused:
            enrol(session, replace(SHEN, **told))
        assert refused.value.field == field
        assert not any(word in str(refused.value) for word in PERSONAL)
    assert everything() == before


@pytest.mark.parametrize(
    ("status", "remedy"), [("left", "rejoin"), ("merged", "lives on"), ("erased", "anew")]
)
def test_the_number_of_a_membership_that_is_over_is_refused(database: str, status: str, remedy: str) -> None:
    with db.transaction() as session:
        enrol(session, SHEN).member.status = status
    with db.transaction() as session, pytest.raises(Conflict, match=remedy) as refused:
        enrol(session, SHEN)
    assert refused.value.field == "number"


@pytest.mark.parametrize("kind", ["phone", "email", "document"])
def test_what_belongs_to_another_member_is_refused(database: str, kind: str) -> None:
    join(SHEN)
    other = {name: None for name in ("phone", "email", "document")} | {kind: getattr(SHEN, kind)}
    before = everything()
    with db.transaction() as session:
        with pytest.raises(BelongsToAnother, match="ZK200001") as refused:
            enrol(session, replace(SHEN, number=None, name="Li", **other))
        assert (refused.value.field, refused.value.number) == (kind, "ZK200001")
        assert not any(word in str(refused.value) for word in PERSONAL)
    assert everything() == before  # though the caller went on and committed


def test_what_was_indexed_under_an_older_key_still_belongs_to_its_member(
    database: str, renewed_keys: str
) -> None:
    member = join(SHEN)
    sealed.use_keys(renewed_keys)
    with db.transaction() as session:
        found = identifiers.find(session, IdentifierKind.phone, "136 0187 6543")
        assert found is not None
        assert found.id == member.id
        with pytest.raises(BelongsToAnother):
            enrol(session, replace(MIN, phone=SHEN.phone))
        assert enrol(session, SHEN).again
    assert count(Identifier) == 3


BAD: list[tuple[str, dict[str, Any]]] = [
    ("number", {"number": "ZK"}),
    ("number", {"number": "ZK\x00000"}),
    ("name", {"name": "\t"}),
    ("latin_name", {"latin_name": ""}),
    ("locale", {"locale": "fr"}),
    ("tier", {"tier": "diamond"}),
    ("phone", {"phone": "12345"}),
    ("email", {"email": "shen"}),
    ("document", {"document": "110105194912310021"}),
    ("birthday", {"birthday": "2026-03-15"}),
    ("home_hotel", {"home_hotel": "HLXX"}),
    ("time_zone", {"time_zone": "Moon"}),
    ("joined_at", {"joined_at": NOW + timedelta(seconds=1)}),
    ("joined_at", {"joined_at": NOW.replace(tzinfo=None)}),
    ("joined_at", {"joined_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))}),
    ("referral_code", {"referral_code": "22222222"}),
    ("referral_code", {"referral_code": "nonsense, surely"}),
]


@pytest.mark.parametrize(("field", "told"), BAD)
def test_what_cannot_be_is_refused_and_nothing_is_changed(
    database: str, field: str, told: dict[str, Any]
) -> None:
    before = everything()
    with db.transaction() as session:
        with pytest.raises(BadInput) as refused:
            enrol(session, replace(SHEN, **told))
        assert refused.value.field == field
    assert everything() == before


def test_a_birthday_today_in_shanghai_is_not_in_the_future(database: str) -> None:
    late = datetime(2026, 3, 14, 20, tzinfo=timezone.utc)  # the 15th there
    with db.transaction() as session:
        assert enrol(session, replace(MIN, birthday="2026-03-15"), now=late).member.birthday == "2026-03-15"


def test_a_phone_is_dialled_where_the_home_hotel_stands(database: str) -> None:
    member = join(MIN, phone="020 7946 0018", home_hotel="HLLN")
    with db.reading() as session:
        assert list(identifiers.of(session, member.id, IdentifierKind.phone)) == ["+442079460018"]


def test_nothing_of_a_person_stands_in_clear(database: str) -> None:
    member = join(SHEN)
    with db.transaction() as session:
        changes = MemberChanges(name="沈知微 Zhiwei", phone="+86 139 1380 0138", email="x.zhiwei@example.com")
        change(session, member.id, changes, via="desk", actor="staff:li", now=NOW)
    dump = everything()
    assert len(dump["identifiers"]) == 3
    for word in [*PERSONAL, "13913800138"]:
        assert not [table for table, rows in dump.items() if any(word in row for row in rows)], word
    # The search would find them: what is not personal is there.
    assert any("ZK200001" in row for row in dump["members"])


def test_nothing_of_a_person_is_shown_by_repr(database: str) -> None:
    told = repr(SHEN) + repr(MemberChanges(name="沈知微", phone="13601876543", email="zhiwei@example.com"))
    told += repr(join(SHEN))
    assert not any(word in told for word in PERSONAL if word not in ("1992", "02-29"))


def test_a_member_is_found_by_number_however_typed(database: str) -> None:
    member = join(SHEN)
    with db.transaction() as session:
        heir = enrol(session, replace(MIN, number="ZK200002")).member
        last = enrol(session, replace(MIN, number="ZK200003")).member
        assert member_by_number(session, " zk200001").id == member.id
        member.status, member.merged_into_id = "merged", heir.id
        heir.status, heir.merged_into_id = "merged", last.id
        session.merge(member)
    with db.reading() as session:
        assert member_by_number(session, "ZK200001").id == last.id
        for number in ("ZK200004", "", "ZK\x00", "%"):
            with pytest.raises(Unknown) as refused:
                member_by_number(session, number, field="stay.member")
            assert refused.value.field == "stay.member"


def test_two_processes_enrol_the_same_people(rivals: Rivals, database: str) -> None:
    crowd = [
        replace(SHEN, number=f"ZK20{n:04}", phone=f"1380013{n:04}", email=None, document=None)
        for n in range(10)
    ]
    a, b = rivals.race(people.enrol_rival, database, crowd)
    assert [number for _, number in a] == [number for _, number in b] == [each.number for each in crowd]
    assert all({ours, theirs} == {"made", "again"} for (ours, _), (theirs, _) in zip(a, b, strict=True))
    assert (count(Member), count(Identifier), count(PointEntry), count(TierChange)) == (10, 10, 10, 10)


def test_two_processes_give_one_number_to_two_people(rivals: Rivals, database: str) -> None:
    mine = {
        "a": [replace(MIN, number=f"ZK20{n:04}", name="Ann") for n in range(10)],
        "b": [replace(MIN, number=f"ZK20{n:04}", name="Ben") for n in range(10)],
    }
    a, b = rivals.race(people.enrol_own, database, mine)
    for (ours, _), (theirs, _) in zip(a, b, strict=True):
        assert {ours, theirs} == {"made", "Conflict"}
    assert (count(Member), count(PointEntry)) == (10, 10)


def test_two_processes_enrol_one_phone_under_two_numbers(rivals: Rivals, database: str) -> None:
    mine = {
        "a": [replace(MIN, number=f"AA{n:04}", phone=f"1380013{n:04}") for n in range(10)],
        "b": [replace(MIN, number=f"BB{n:04}", phone=f"1380013{n:04}") for n in range(10)],
    }
    a, b = rivals.race(people.enrol_own, database, mine)
    for ours, theirs in zip(a, b, strict=True):
        assert {ours[0], theirs[0]} == {"made", "BelongsToAnother"}
        assert "phone" in (ours[1], theirs[1])
    assert (count(Member), count(Identifier), count(PointEntry)) == (10, 10, 10)


def test_two_processes_draw_numbers(rivals: Rivals, database: str) -> None:
    a, b = rivals.race(people.enrol_rival, database, [MIN] * 15)
    assert {outcome for outcome, _ in a + b} == {"made"}
    numbers = {number for _, number in a + b}
    assert len(numbers) == 30
    # With a phone in common, each time only one of the two becomes a member.
    a, b = rivals.race(
        people.enrol_rival, database, [replace(MIN, phone=f"1380013{n:04}") for n in range(10)]
    )
    for (ours, _), (theirs, _) in zip(a, b, strict=True):
        assert {ours, theirs} == {"made", "BelongsToAnother"}
    assert (count(Member), count(Identifier), count(PointAccount)) == (40, 10, 40)
