"""The dossier: it tells all there is, and nothing of anybody else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table

from data import (
    Base,
    checkout,
    confirming,
    coupons,
    db,
    dossier,
    holds,
    ledger,
    messages,
    preferences,
    promises,
    redeeming,
    referrals,
    rewards,
)
from data.checkout import NewLine
from data.coupon_descriptions import NewCoupon
from data.dialogues import DialogueTurn
from data.ledger import Cause, Terms
from data.ledger_rows import Kind
from data.members import contact_at
from data.promises import Draft
from data.refusals import Unknown
from data.rewards import NewReward
from data.sealed import SealedText
from data.stays import Stay
from tests.conftest import NOW
from tests.data.people import SHEN, everything, join, open_hotels, stayed
from tests.data.two_memberships import TWIN, merge

DAY = timedelta(days=1)
NAMES = {"en": "Tea", "zh_CN": "茶", "zh_TW": "茶"}

# Tables that say nothing of any one guest.
OF_NOBODY = {"hotels", "rewards", "programme_versions", "api_keys"}
# Tables that lead to a member otherwise than by a foreign key: by a name such as member:17, or by what they hold.
BY_WORDS = {"audit_entries", "dialogue_turns", "api_requests"}


@pytest.fixture
def shen(database: str) -> int:
    """Shen with a row in every table that can lead to a member."""
    open_hotels()
    shen, friend = join(SHEN).id, join(name="Friend Of Hers", phone="13700000009").id
    with db.transaction() as session:
        stayed(session, shen)
        stay = session.query(Stay).one()
        line = NewLine(line="L1", outlet="dining", day=stay.arrival, amount_minor=12_345, currency="CNY")
        checkout.charge(session, stay.id, line, actor="api:pms", now=NOW)
        unripe = Terms(NOW + 5 * DAY)
        ledger.credit(
            session, shen, 40, cause=Cause(Kind.earn, "stay", "p", "api:pms"), now=NOW, terms=unripe
        )
        holds.hold(session, shen, 11, reason="redemption", key="h", actor="guest", now=NOW, lasts=DAY)
        preferences.remember(
            session, shen, "pillow", "no_feather", source="chat", confirmed=True, actor="staff:wu", now=NOW
        )
        referrals.refer(session, friend, referrals.code_of(session, shen), actor="guest", now=NOW)
        coupon = NewCoupon(benefit="dining", percent=10, reason="birthday", valid_until=NOW + 30 * DAY)
        coupons.give(session, shen, coupon, key="c1", actor="job:birthday", now=NOW)
        tea = NewReward(code="tea", kind="dining", names=NAMES, details=NAMES, points=300, currency="CNY")
        rewards.add(session, tea, actor="staff:wu", now=NOW)
        begun = redeeming.begin(session, shen, "tea", key="w", channel="telegram", actor="guest", now=NOW)
        confirming.confirm(session, begun.id, actor="guest", now=NOW)
    talk(shen, "700200001", "两条毛巾，谢谢", "已安排：2。")
    talk(friend, "700200009", "Her words", "Our words to her")
    return shen


def talk(member: int, address: str, asked: str, answered: str) -> None:
    with db.transaction() as session:
        contact = contact_at(session, "telegram", address, now=NOW)
        contact.member_id = member
        session.flush()
        messages.receive(
            session, channel="telegram", key=address, contact_id=contact.id, kind="text", text=asked, payload={},
            by="p", now=NOW,
        )  # fmt: skip
        draft = Draft(answered, (("Thanks", "/thank"),))
        promises.promise(
            session, draft, contact_id=contact.id, channel="telegram", key=f"re:{address}", now=NOW
        )
        session.add(
            DialogueTurn(
                conversation=f"member:{member}",
                before={"slots": {"wish": f"of {address}"}, "loop": None},
                events=[{"event": "user"}],
                at=NOW,
            )
        )


def tell(member: int) -> dict[str, Any]:
    with db.reading() as session:
        told = dossier.of(session, member, now=NOW)
    again: dict[str, Any] = json.loads(json.dumps(told, ensure_ascii=False, allow_nan=False))
    assert again == told, "it is JSON as it stands"
    return told


def leads_to_a_member(table: Table, seen: frozenset[str] = frozenset()) -> bool:
    if table.name in seen:
        return False
    return any(
        key.column.table.name == "members" or leads_to_a_member(key.column.table, seen | {table.name})
        for key in table.foreign_keys
    )


def not_accounted_for(metadata: MetaData) -> set[str]:
    """Tables that lead to a member and are neither told nor on the list with a reason."""
    leading = (
        {table.name for table in metadata.sorted_tables if leads_to_a_member(table)} | BY_WORDS | {"members"}
    )
    told = {table for section in dossier.SECTIONS for table in section.tables}
    return leading - told - set(dossier.NOT_TOLD)


def test_every_table_that_leads_to_a_member_is_told_or_has_a_reason() -> None:
    assert not_accounted_for(Base.metadata) == set()
    assert all(dossier.NOT_TOLD.values())
    told = {table for section in dossier.SECTIONS for table in section.tables}
    assert told & set(dossier.NOT_TOLD) == set()
    assert told | set(dossier.NOT_TOLD) | OF_NOBODY == set(Base.metadata.tables)
    assert not any(leads_to_a_member(Base.metadata.tables[name]) for name in OF_NOBODY - {"rewards"})


def test_a_new_table_would_be_noticed() -> None:
    wanted = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(wanted)
    Table("complaints", wanted, Column("id", Integer), Column("stay_id", ForeignKey("stays.id")))
    assert not_accounted_for(wanted) == {"complaints"}


def test_every_section_tells_something(shen: int) -> None:
    told = tell(shen)
    for section in dossier.SECTIONS:
        assert told[section.name], section.name
    filled = {table for table, rows in everything().items() if rows}
    assert filled >= {table for section in dossier.SECTIONS for table in section.tables}


def test_what_is_sealed_is_told_open(shen: int) -> None:
    text = json.dumps(tell(shen), ensure_ascii=False)
    for value in (
        "沈知微", "Shen Zhiwei", "1992-02-29", "+8613601876543", "zhiwei.shen@example.com", "E12345678",
        "两条毛巾，谢谢", "已安排：2。",
    ):  # fmt: skip
        assert value in text
    sealed = {
        f"{t.name}.{c.name}"
        for t in Base.metadata.sorted_tables
        for c in t.c
        if isinstance(c.type, SealedText)
    }
    assert sealed == {
        "members.name", "members.latin_name", "members.birthday", "identifiers.value", "messages.text",
        "api_requests.body",
    }, "whatever else is sealed must be looked for here"  # fmt: skip
    assert "v1." not in text


def test_the_parts(shen: int) -> None:
    told = tell(shen)
    assert (told["number"], told["as_of"]) == ("ZK200001", "2026-03-14T01:59:26.535897Z")
    (membership,) = told["memberships"]
    assert (membership["tier"], membership["home_hotel"], membership["status"]) == ("gold", "HLSH", "active")
    assert told["contacts"][0]["address"] == "700200001"
    assert {(each["purpose"], each["given"], each["by"]) for each in told["consents"]} == {
        ("offers", True, "api"),
        ("surveys", False, "api"),
    }
    (stay,) = told["stays"]
    assert (stay["hotel"], stay["arrival"], stay["status"]) == ("HLSH", "2026-03-10", "checked_out")
    assert [(line["outlet"], line["amount_minor"], line["currency"]) for line in stay["folio"]] == [
        ("dining", 12_345, "CNY")
    ]
    points = told["points"]
    reasons = [(each["reason"], each["amount"]) for each in points["entries"]]
    # The line that came after checkout earned at once: 123.45 yuan of a gold member.
    assert reasons == [("welcome", 500), ("stay", 185), ("stay", 40), ("redemption", -300)]
    assert points["spendable"] == 500 - 300 - 11
    assert (points["held"], points["owed"]) == (11, 0)
    assert [lot["points"] for lot in points["pending"]] == [185, 40]
    assert {each["state"] for each in points["holds"]} == {"active", "captured"}
    assert [(each["reward"], each["name"], each["points"]) for each in told["redemptions"]] == [
        ("tea", "茶", 300)
    ]
    assert told["redemptions"][0]["code"]
    assert told["coupons"][0]["reason"] == "birthday"
    assert len(told["referrals"]["codes"]) == len(told["referrals"]["brought"]) == 1
    assert told["referrals"]["was_brought"] == []
    assert told["tiers"][0]["reason"] == "joined"
    assert [(each["direction"], each["text"]) for each in told["messages"]] == [
        ("in", "两条毛巾，谢谢"),
        ("out", "已安排：2。"),
    ]
    assert told["dialogue"][0]["before"]["slots"] == {"wish": "of 700200001"}
    deeds = {each["deed"] for each in told["deeds"]}
    assert deeds >= {
        "member.enrolled",
        "consent.given",
        "folio.charged",
        "coupon.given",
        "redemption.confirmed",
    }


def test_nothing_is_told_of_anybody_else(shen: int) -> None:
    text = json.dumps(tell(shen), ensure_ascii=False)
    for value in ("Friend", "13700000009", "700200009", "Her words", "Our words to her"):
        assert value not in text
    assert "wu" not in {each["by"] for each in tell(shen)["deeds"]}, "our own people's names are theirs"
    assert "staff:wu" not in text


def test_who_had_two_memberships_is_told_of_both(shen: int) -> None:
    twin = join(replace(TWIN, joined_at=None)).id
    with db.transaction() as session:
        ledger.credit(session, twin, 70, cause=Cause(Kind.earn, "stay", "twin", "pms"), now=NOW)
        holds.release(session, 1, now=NOW)
    talk(twin, "700200002", "Words of old", "Ours")
    merge(shen, twin)
    told = tell(twin)
    assert told == tell(shen)
    assert told["number"] == "ZK200001"
    assert [(each["number"], each["status"]) for each in told["memberships"]] == [
        ("ZK200001", "active"),
        ("ZK200002", "merged"),
    ]
    assert ("stay", 70) in {(each["reason"], each["amount"]) for each in told["points"]["entries"]}
    assert "Words of old" in [each["text"] for each in told["messages"]]
    assert {f"member:{shen}", f"member:{twin}"} <= {each["subject"] for each in told["deeds"]}
    assert len(told["dialogue"]) == 2


def test_it_changes_nothing(shen: int) -> None:
    before = everything()
    tell(shen)
    assert everything() == before


def test_of_who_was_never_here_there_is_none(database: str) -> None:
    with pytest.raises(Unknown), db.reading() as session:
        dossier.of(session, 404, now=NOW)
