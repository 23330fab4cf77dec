"""Consent: the last word counts, none is a no, and every word is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from data import audit, consents, db
from data.consents import Purpose
from data.members import Member
from data.refusals import Conflict, Unknown
from tests.conftest import NOW
from tests.data import people
from tests.data.conftest import new_member
from tests.data.people import everything
from tests.data.rivals import Rivals

WHO: dict[str, Any] = {"via": "wechat", "actor": "guest"}


def decide(member_id: int, purpose: Purpose, given: bool, minutes: int = 0) -> bool:
    with db.transaction() as session:
        at = NOW + timedelta(minutes=minutes)
        return consents.decide(session, member_id, purpose, given, now=at, **WHO)


def allowed(member_id: int, purpose: Purpose) -> bool:
    with db.reading() as session:
        return consents.allowed(session, member_id, purpose)


def test_who_said_nothing_did_not_agree(member_id: int) -> None:
    assert not any(allowed(member_id, purpose) for purpose in Purpose)
    assert not allowed(4040, Purpose.offers)


def test_the_last_word_counts_and_all_are_kept(member_id: int) -> None:
    other = new_member("ZK900002")
    assert decide(member_id, Purpose.offers, True)
    assert allowed(member_id, Purpose.offers)
    assert not allowed(member_id, Purpose.surveys)
    assert not allowed(other, Purpose.offers)
    assert decide(member_id, Purpose.offers, False, minutes=1)
    assert not allowed(member_id, Purpose.offers)
    assert decide(member_id, Purpose.surveys, False, minutes=2)  # a no of their own is a word too
    with db.reading() as session:
        told = [
            (each.purpose, each.given, each.via, each.actor) for each in consents.history(session, member_id)
        ]
        assert told == [
            (p, g, "wechat", "guest") for p, g in (("offers", True), ("offers", False), ("surveys", False))
        ]
        assert [each.at for each in consents.history(session, member_id, Purpose.surveys)] == [
            NOW + timedelta(minutes=2)
        ]
        deeds = session.execute(select(audit.AuditEntry.deed, audit.AuditEntry.facts)).all()
        assert deeds[1] == ("consent.withdrawn", {"purpose": "offers", "via": "wechat"})


def test_the_same_word_again_adds_nothing(member_id: int) -> None:
    decide(member_id, Purpose.offers, True)
    before = everything()
    assert not decide(member_id, Purpose.offers, True, minutes=1)
    assert everything() == before


WORDS = st.lists(st.tuples(st.sampled_from(Purpose), st.booleans()), max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS)
def test_whatever_is_said_the_last_word_counts(database: str, words: list[tuple[Purpose, bool]]) -> None:
    with db.reading() as session:
        number = len(session.scalars(select(Member.id)).all())
    member_id = new_member(f"ZK8{number}")
    last: dict[Purpose, bool] = {}
    for purpose, said in words:
        assert decide(member_id, purpose, said) == (last.get(purpose) is not said)
        last[purpose] = said
        assert {each for each in Purpose if allowed(member_id, each)} == {each for each in last if last[each]}


def test_who_left_may_still_withdraw(member_id: int) -> None:
    decide(member_id, Purpose.offers, True)
    with db.transaction() as session:
        session.get_one(Member, member_id).status = "left"
    assert decide(member_id, Purpose.offers, False)


@pytest.mark.parametrize("status", ["merged", "erased"])
def test_of_who_is_no_more_nothing_is_recorded(member_id: int, status: str) -> None:
    with db.transaction() as session:
        session.get_one(Member, member_id).status = status
    with pytest.raises(Conflict):
        decide(member_id, Purpose.offers, True)
    with pytest.raises(Unknown):
        decide(4040, Purpose.offers, True)


def test_two_processes_record_the_same_word_once(rivals: Rivals, database: str) -> None:
    members = [new_member(f"ZK8{number:04}") for number in range(10)]
    a, b = rivals.race(people.decide, database, members)
    assert all({ours, theirs} == {True, False} for ours, theirs in zip(a, b, strict=True))
    with db.reading() as session:
        assert all(len(consents.history(session, member_id)) == 1 for member_id in members)
