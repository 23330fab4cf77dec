"""Changing what is recorded of a member: what is told, nothing else; leaving and coming back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import UNSET
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from data import audit, db, holds, identifiers, membership
from data.details import MemberChanges, change
from data.identifiers import BelongsToAnother, Identifier, IdentifierKind
from data.members import Member
from data.points import balance
from data.refusals import BadInput, Conflict, Unknown
from tests.conftest import NOW
from tests.data import people
from tests.data.people import MIN, PERSONAL, SHEN, enrol, everything, join, open_hotels
from tests.data.rivals import Rivals

LATER = NOW + timedelta(days=2)
WHO: dict[str, Any] = {"via": "desk", "actor": "staff:li", "now": LATER}


@pytest.fixture(autouse=True)
def hotels(database: str) -> None:
    open_hotels()


@pytest.fixture
def shen(hotels: None) -> Member:
    return join(SHEN)


def changed(session: Session, member: Member, **told: Any) -> Member:
    return change(session, member.id, MemberChanges(**told), **WHO)


def held(session: Session, member: Member, kind: str) -> list[str]:
    return list(identifiers.of(session, member.id, IdentifierKind(kind)))


def test_only_what_is_told_changes(shen: Member) -> None:
    with db.transaction() as session:
        changed(session, shen, latin_name="Shen Zhi Wei", email="shen@example.com", home_hotel="HLLN")
    with db.reading() as session:
        after = session.get_one(Member, shen.id)
        assert (after.name, after.latin_name, after.locale) == ("沈知微", "Shen Zhi Wei", "zh_CN")
        assert after.home_hotel_id != shen.home_hotel_id
        assert (after.birthday, after.birthday_index) == (shen.birthday, shen.birthday_index)
        assert held(session, shen, "email") == ["shen@example.com"]
        assert held(session, shen, "phone") == ["+8613601876543"]
        entry = session.scalars(select(audit.AuditEntry).order_by(audit.AuditEntry.id.desc()).limit(1)).one()
        assert (entry.deed, entry.actor, entry.subject) == ("member.changed", "staff:li", f"member:{shen.id}")
        assert entry.facts == {"via": "desk", "fields": ["email", "latin_name", "home_hotel"]}


def test_none_removes(shen: Member) -> None:
    nothing = dict.fromkeys(
        ["latin_name", "time_zone", "birthday", "home_hotel", "phone", "email", "document"]
    )
    with db.transaction() as session:
        changed(session, shen, **nothing)
    with db.reading() as session:
        after = session.get_one(Member, shen.id)
        left = (after.latin_name, after.time_zone, after.birthday, after.birthday_index, after.home_hotel_id)
        assert left == (None,) * 5
        assert session.scalar(select(func.count()).select_from(Identifier)) == 0
        assert after.name == "沈知微"


def test_what_is_so_already_changes_nothing(shen: Member) -> None:
    before = everything()
    with db.transaction() as session:
        changed(session, shen)
        changed(session, shen, name="沈知微 ", locale="zh", phone="+86 136 0187 6543", birthday="1992-02-29")
        changed(session, shen, home_hotel="HLSH", document="E12345678", time_zone="Asia/Tokyo")
    assert everything() == before
    assert MemberChanges().name is UNSET


def test_a_new_birthday_is_found_on_its_day(shen: Member) -> None:
    with db.transaction() as session:
        changed(session, shen, birthday="--07-01")
    with db.reading() as session:
        for day, found in {"07-01": [shen.id], "02-29": []}.items():
            born = select(Member.id).where(Member.birthday_index.in_(identifiers.born_on(day)))
            assert session.scalars(born).all() == found


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("name", {"name": None}),
        ("locale", {"locale": None}),
        ("name", {"name": "", "email": "shen@example.com"}),
        ("phone", {"phone": "12", "name": "Li"}),
        ("birthday", {"birthday": "2026-03-17"}),
        ("home_hotel", {"home_hotel": "HLXX", "email": None}),
        ("phone", {"phone": "13900139000", "email": None, "name": "Li"}),  # another member's
        ("document", {"phone": "13700137000", "email": None, "document": "E00000001"}),  # another member's
    ],
)
def test_a_refused_change_changes_nothing(shen: Member, field: str, told: dict[str, Any]) -> None:
    join(MIN, phone="13900139000", document="E00000001")
    before = everything()
    with db.transaction() as session:
        with pytest.raises(BadInput) as refused:
            changed(session, shen, **told)
        assert refused.value.field == field
        assert not any(word in str(refused.value) for word in [*PERSONAL, "13900139000"])
    assert everything() == before


def test_another_members_phone_names_the_membership_to_use(shen: Member) -> None:
    other = join(MIN, phone="13900139000")
    with db.transaction() as session, pytest.raises(BelongsToAnother) as refused:
        changed(session, shen, phone="13900139000")
    assert refused.value.number == other.number
    with db.transaction() as session:  # what one gives up, the other may have
        changed(session, other, phone=None)
        changed(session, shen, phone="13900139000")


def test_a_new_phone_is_not_verified_a_kept_one_stays_so(shen: Member) -> None:
    with db.transaction() as session:
        row = identifiers.verify(session, shen.id, IdentifierKind.phone, actor="guest", now=NOW)
        assert identifiers.verify(session, shen.id, IdentifierKind.phone, actor="guest", now=LATER) is row
        changed(session, shen, phone="+86 13601876543")
        assert row.verified_at == NOW
        changed(session, shen, phone="13900139000")
        (fresh,) = identifiers.of(session, shen.id, IdentifierKind.phone).values()
        assert (fresh.verified_at, fresh.recorded_at, fresh.source) == (None, LATER, "desk")


def test_of_several_phones_one_is_verified(shen: Member) -> None:
    phone = IdentifierKind.phone
    with db.transaction() as session:
        identifiers.add(session, shen.id, phone, "+8613900139000", source="merge", now=NOW)
        with pytest.raises(Conflict, match="Say which"):
            identifiers.verify(session, shen.id, phone, actor="guest", now=NOW)
        identifiers.verify(session, shen.id, phone, actor="guest", now=NOW, value="139 0013 9000")
        rows = identifiers.of(session, shen.id, phone)
        assert [row.verified_at for row in rows.values()] == [None, NOW]
        with pytest.raises(Unknown):
            identifiers.verify(session, shen.id, phone, actor="guest", now=NOW, value="13700137000")
        changed(session, shen, phone="13900139000")  # now their only one
        assert list(identifiers.of(session, shen.id, phone)) == ["+8613900139000"]


def test_a_member_is_found_by_what_they_have(shen: Member) -> None:
    asked = {
        IdentifierKind.phone: ["+8613601876543", "136-0187-6543"],
        IdentifierKind.email: ["ZHIWEI.SHEN@EXAMPLE.COM"],
        IdentifierKind.document: ["e12345678"],
    }
    with db.reading() as session:
        for kind, spellings in asked.items():
            for typed in spellings:
                found = identifiers.find(session, kind, typed)
                assert found is not None
                assert found.id == shen.id
        assert identifiers.find(session, IdentifierKind.phone, "13900139000") is None
        assert identifiers.find(session, IdentifierKind.document, "13601876543") is None
        with pytest.raises(BadInput):
            identifiers.find(session, IdentifierKind.email, "zhiwei")


@pytest.mark.parametrize("status", ["left", "merged", "erased"])
def test_who_is_not_active_is_not_changed(shen: Member, status: str) -> None:
    with db.transaction() as session:
        session.get_one(Member, shen.id).status = status
    with db.transaction() as session, pytest.raises(Conflict, match="ZK200001"):
        changed(session, shen, locale="en")


def test_nobody_is_not_changed(shen: Member) -> None:
    with db.transaction() as session, pytest.raises(Unknown):
        change(session, 4040, MemberChanges(locale="en"), **WHO)


def test_who_leaves_may_come_back(shen: Member) -> None:
    with db.transaction() as session:
        assert membership.leave(session, shen.id, **WHO).status == "left"
    before = everything()
    with db.transaction() as session:
        membership.leave(session, shen.id, **WHO)  # again: harmless
        with pytest.raises(Conflict, match="rejoin"):
            membership.active(session, shen.id)
    assert everything() == before
    with db.transaction() as session:
        assert membership.rejoin(session, shen.id, **WHO).status == "active"
    before = everything()
    with db.transaction() as session:
        membership.rejoin(session, shen.id, **WHO)
        assert membership.active(session, shen.id).number == "ZK200001"
        assert enrol(session, SHEN).again
        assert balance(session, shen.id, now=LATER) == 500  # one welcome gift
    assert everything() == before
    with db.reading() as session:
        deeds = session.scalars(select(audit.AuditEntry.deed).order_by(audit.AuditEntry.id)).all()
        assert deeds[-2:] == ["member.left", "member.rejoined"]


def test_nobody_leaves_with_points_on_hold(shen: Member) -> None:
    with db.transaction() as session:
        hold = holds.hold(
            session,
            shen.id,
            100,
            reason="redemption",
            key="h",
            actor="guest",
            lasts=timedelta(minutes=15),
            now=NOW,
        )
    with db.transaction() as session:
        with pytest.raises(Conflict, match="on hold"):
            membership.leave(session, shen.id, via="wechat", actor="guest", now=NOW)
        holds.release(session, hold.id, now=NOW)
        assert membership.leave(session, shen.id, via="wechat", actor="guest", now=NOW).status == "left"


@pytest.mark.parametrize("status", ["merged", "erased"])
@pytest.mark.parametrize("deed", [membership.leave, membership.rejoin])
def test_who_was_merged_or_erased_neither_leaves_nor_comes_back(shen: Member, deed: Any, status: str) -> None:
    with db.transaction() as session:
        session.get_one(Member, shen.id).status = status
    with db.transaction() as session, pytest.raises(Conflict):
        deed(session, shen.id, **WHO)


def test_two_processes_give_one_phone_to_two_members(rivals: Rivals, database: str) -> None:
    members = {who: join(replace(MIN, name=who.upper())).id for who in ("a", "b")}
    phones = [f"1380013{number:04}" for number in range(10)]
    a, b = rivals.race(people.change_phone, database, members, phones)
    # Each member lets go of the phone before; so of every new phone one of the two is the first.
    for ours, theirs in zip(a, b, strict=True):
        assert {ours, theirs} == {"got it", "BelongsToAnother"}
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Identifier)) <= 2
