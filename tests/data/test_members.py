"""Contacts: one row for each address, whoever meets the guest first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from data import db
from data.members import Contact, Member, contact_at
from tests.conftest import NOW
from tests.data import rivals as deeds
from tests.data.conftest import new_member
from tests.data.rivals import Rivals

LATER = NOW + timedelta(hours=1)


def test_newcomer_gets_a_contact_of_nobody(database: str) -> None:
    with db.transaction() as session:
        contact = contact_at(session, "wechat", "oStranger", now=NOW)
        assert (contact.member_id, contact.locale) == (None, "")
        assert (contact.first_heard_at, contact.last_heard_at) == (NOW, NOW)


def test_known_guest_keeps_their_row_and_is_heard_now(database: str, member_id: int) -> None:
    with db.transaction() as session:
        first = contact_at(session, "wechat", "oGuest", now=NOW)
        first.member_id = member_id
    with db.transaction() as session:
        again = contact_at(session, "wechat", "oGuest", now=LATER)
        assert (again.id, again.member_id) == (first.id, member_id)
    with db.reading() as session:
        kept = session.get_one(Contact, first.id)
        assert (kept.first_heard_at, kept.last_heard_at) == (NOW, LATER)


def test_a_late_delivery_does_not_turn_back_the_clock(database: str) -> None:
    with db.transaction() as session:
        contact_at(session, "wechat", "oGuest", now=LATER)
    with db.transaction() as session:
        assert contact_at(session, "wechat", "oGuest", now=NOW).last_heard_at == LATER


def test_same_address_on_two_channels_is_two_contacts(database: str) -> None:
    with db.transaction() as session:
        assert (
            contact_at(session, "wechat", "77", now=NOW).id
            != contact_at(session, "telegram", "77", now=NOW).id
        )


def test_two_processes_meet_the_same_newcomers(rivals: Rivals, database: str) -> None:
    addresses = [str(700000 + number) for number in range(20)]
    a, b = rivals.race(deeds.meet, database, addresses)
    assert a == b
    assert len(set(a)) == 20
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Contact)) == 20


def test_a_card_number_belongs_to_one_member(database: str) -> None:
    new_member(number="ZK900001")
    with pytest.raises(IntegrityError):
        new_member(number="ZK900001")


def test_member_knows_their_contacts(database: str, member_id: int) -> None:
    with db.transaction() as session:
        contact_at(session, "wechat", "oGuest", now=NOW).member_id = member_id
        contact_at(session, "telegram", "77", now=NOW).member_id = member_id
        contact_at(session, "telegram", "78", now=NOW)
    with db.reading() as session:
        member = session.get_one(Member, member_id)
        assert {(c.channel, c.address) for c in member.contacts} == {("wechat", "oGuest"), ("telegram", "77")}
        assert all(contact.member is member for contact in member.contacts)
