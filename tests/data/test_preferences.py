"""Likings: what the guest said stands above what was guessed, and only what the house knows is remembered."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from data import audit, consents, db, preferences
from data.consents import Purpose
from data.members import Member
from data.preferences import Preference
from data.programme_sections import Names
from data.refusals import Conflict, Unknown
from tests.conftest import NOW
from tests.data.people import everything

WHO: dict[str, Any] = {"actor": "guest", "now": NOW}


@pytest.fixture
def guest(member_id: int) -> int:
    """A member who agreed to our remembering."""
    with db.transaction() as session:
        consents.decide(session, member_id, Purpose.preferences, True, via="wechat", actor="guest", now=NOW)
    return member_id


def remember(member_id: int, kind: str, value: str, *, confirmed: bool, source: str = "chat") -> Preference:
    with db.transaction() as session:
        return preferences.remember(
            session, member_id, kind, value, source=source, confirmed=confirmed, **WHO
        )


def likings(member_id: int) -> list[tuple[str, str, bool]]:
    with db.reading() as session:
        return [(each.kind, each.value, each.confirmed) for each in preferences.of(session, member_id)]


def test_what_is_told_and_what_is_guessed_are_kept_apart(guest: int) -> None:
    remember(guest, "pillow", "soft", confirmed=True)
    remember(guest, "floor", "high", confirmed=False, source="stays")
    remember(guest, "pillow", "latex", confirmed=False)
    assert likings(guest) == [("floor", "high", False), ("pillow", "latex", False), ("pillow", "soft", True)]


def test_what_was_confirmed_stays_confirmed(guest: int) -> None:
    first = remember(guest, "diet", "vegan", confirmed=True, source="desk")
    before = everything()
    again = remember(guest, "diet", "vegan", confirmed=False, source="stays")
    assert (again.id, again.confirmed, again.source) == (first.id, True, "desk")
    remember(guest, "diet", "vegan", confirmed=True)
    assert everything() == before


def test_a_guess_becomes_known(guest: int) -> None:
    remember(guest, "floor", "high", confirmed=False)
    with db.transaction() as session:
        assert preferences.confirm(session, guest, "floor", "high", **WHO).confirmed
    before = everything()
    with db.transaction() as session:
        preferences.confirm(session, guest, "floor", "high", **WHO)
    assert everything() == before
    remember(guest, "diet", "halal", confirmed=False)
    remember(guest, "diet", "halal", confirmed=True)
    assert likings(guest) == [("diet", "halal", True), ("floor", "high", True)]
    with db.transaction() as session, pytest.raises(Unknown):
        preferences.confirm(session, guest, "floor", "low", **WHO)


def test_of_one_kind_the_new_takes_the_old_ones_place_but_no_guess_that_of_a_word(guest: int) -> None:
    remember(guest, "floor", "high", confirmed=False)
    remember(guest, "floor", "low", confirmed=False)
    assert likings(guest) == [("floor", "low", False)]
    remember(guest, "floor", "high", confirmed=True)
    before = everything()
    assert remember(guest, "floor", "low", confirmed=False).value == "high"
    assert everything() == before
    remember(guest, "floor", "low", confirmed=True)
    assert likings(guest) == [("floor", "low", True)]


def test_guesses_are_for_who_agreed(member_id: int) -> None:
    before = everything()
    with pytest.raises(Conflict, match="not agreed"):
        remember(member_id, "floor", "high", confirmed=False)
    assert everything() == before
    remember(member_id, "floor", "high", confirmed=True)  # they said so themselves
    assert likings(member_id) == [("floor", "high", True)]


@pytest.mark.parametrize(
    ("kind", "value", "field", "known"),
    [
        ("mattress", "soft", "kind", "floor, bed, pillow"),
        ("", "", "kind", "floor"),
        ("floor", "middle", "value", "high, low"),
        ("pillow", "high", "value", "buckwheat"),
    ],
)
def test_what_the_house_does_not_know_is_refused(
    guest: int, kind: str, value: str, field: str, known: str
) -> None:
    with pytest.raises(Unknown) as refused:
        remember(guest, kind, value, confirmed=True)
    assert refused.value.field == field
    assert known in refused.value.remedy
    assert likings(guest) == []


def test_forgetting(guest: int) -> None:
    told = [("pillow", "soft"), ("pillow", "extra"), ("diet", "vegan"), ("floor", "low")]
    for kind, value in told:
        remember(guest, kind, value, confirmed=True)
    with db.transaction() as session:
        assert preferences.forget(session, guest, "pillow", "soft", **WHO) == 1
        assert preferences.forget(session, guest, "pillow", "soft", **WHO) == 0
        assert preferences.forget(session, guest, "pillow", **WHO) == 1
    assert [kind for kind, _, _ in likings(guest)] == ["diet", "floor"]
    with db.transaction() as session:
        assert preferences.forget(session, guest, **WHO) == 2
    assert likings(guest) == []
    with db.reading() as session:
        deeds = session.scalars(select(audit.AuditEntry.deed)).all()
        assert (deeds.count("preference.remembered"), deeds.count("preference.forgotten")) == (4, 3)


@pytest.mark.parametrize("status", ["left", "merged", "erased"])
def test_nothing_new_of_who_is_not_active_but_all_can_be_forgotten(guest: int, status: str) -> None:
    remember(guest, "floor", "low", confirmed=True)
    with db.transaction() as session:
        session.get_one(Member, guest).status = status
    with pytest.raises(Conflict):
        remember(guest, "floor", "low", confirmed=True)
    with db.transaction() as session:
        assert preferences.forget(session, guest, **WHO) == 1


def test_every_name_is_there_in_every_language() -> None:
    for code, kind in preferences.known().items():
        for names in (kind.names, *kind.values.values()):
            assert isinstance(names, Names), code
            assert names.zh_CN != names.en
            assert all(not name.isascii() for name in (names.zh_CN, names.zh_TW))
        assert len(code) <= 32
        assert all(len(value) <= 64 for value in kind.values)
