"""Erasure: nothing says who it was, and the books still hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from data import (
    Base,
    codes,
    confirming,
    consents,
    corrections,
    coupons,
    db,
    enrolment,
    erasure,
    holds,
    ledger,
    ledger_check,
    merging,
    messages,
    points,
    preferences,
    promises,
    redeeming,
    referrals,
    rewards,
    sealed,
    settling,
)
from data.api_keys import ApiKey, ApiRequest
from data.audit import AuditEntry
from data.consents import Purpose
from data.coupon_descriptions import NewCoupon
from data.coupons import Coupon
from data.dialogues import DialogueTurn
from data.erasure import Erased
from data.identifiers import Identifier
from data.ledger import Cause, Terms
from data.ledger_rows import Kind, PointAccount, PointEntry
from data.members import Contact, Member, MemberStatus, contact_at
from data.merging import DocumentSeen
from data.messages import Message
from data.promises import Draft
from data.refusals import Conflict, Unknown
from data.rewards import NewReward
from data.sealed import SealedText
from tests.conftest import NOW
from tests.data.people import PERSONAL, SHEN, enrol, everything, join, open_hotels, stayed

DAY = timedelta(days=1)
OPENID = "oHrn6tShenZhiweiShenZhiwei12"
CHAT = "700200001"
WORDS = "我是沈知微，房间 1208，电话 13601876543"
NAMES = {"en": "Tea", "zh_CN": "茶", "zh_TW": "茶"}
TRACES = [*PERSONAL, "ZK200001", OPENID, CHAT, "1208", "no_feather"]


@pytest.fixture
def shen(database: str) -> int:
    """Shen with everything we can hold about a person."""
    open_hotels()
    member = join(SHEN).id
    friend = join(name="Friend").id
    with db.transaction() as session:
        stayed(session, member)
        ledger.credit(session, member, 900, cause=Cause(Kind.earn, "stay", "s", "pms", stay_id=1), now=NOW)
        ripens = Terms(NOW + 5 * DAY)
        ledger.credit(session, member, 40, cause=Cause(Kind.earn, "stay", "p", "pms"), now=NOW, terms=ripens)
        preferences.remember(
            session, member, "pillow", "no_feather", source="chat", confirmed=True, actor="guest", now=NOW
        )
        referrals.refer(session, friend, referrals.code_of(session, member), actor="guest", now=NOW)
        coupon = NewCoupon(benefit="dining", percent=10, reason="birthday", valid_until=NOW + 30 * DAY)
        coupons.give(session, member, coupon, key="c1", actor="job:birthday", now=NOW)
        used = coupons.give(session, member, coupon, key="c2", actor="job:birthday", now=NOW)
        coupons.use(session, used.code, actor="desk", now=NOW)
        _talk(session, member, "telegram", CHAT)
        _talk(session, member, "wechat", OPENID)
        _keep_answers(session)
        for number, raw in enumerate((f'{{"chat": {{"id": {CHAT}, "text": 1}}}}', f"<xml>{OPENID}", "<xml>")):
            _receive_unreadable(session, f"bad:{number}", raw)
    return member


def _receive_unreadable(session: db.Session, key: str, raw: str) -> None:
    messages.receive(
        session, channel="telegram", key=key, contact_id=None, kind="unreadable", text=raw, payload={}, by="process",
        now=NOW, wants_answer=False,
    )  # fmt: skip


def _talk(session: db.Session, member: int, channel: str, address: str) -> None:
    contact = contact_at(session, channel, address, now=NOW)
    contact.member_id = member
    session.flush()
    asked = messages.receive(
        session,
        channel=channel,
        key=f"event:{address}:1",
        contact_id=contact.id,
        kind="text",
        text=WORDS,
        payload={"pressed": f"/call {SHEN.phone}"},
        by="process",
        now=NOW,
        platform_id="4711",
    )
    for number in (1, 2):
        promises.promise(
            session,
            Draft("沈知微您好", (("Shen Zhiwei", "/me"),)),
            contact_id=contact.id,
            channel=channel,
            key=f"re:{asked}:{number}",
            now=NOW,
            answers_id=asked,
        )
    claimed = promises.claim_next(session, contact.id, by="process", via="api", now=NOW)
    assert claimed is not None
    for conversation in (f"member:{member}", f"contact:{contact.id}"):
        slots = {"slots": {"name": SHEN.name}, "loop": None}
        session.add(DialogueTurn(conversation=conversation, before=slots, events=[{"text": WORDS}], at=NOW))


def _keep_answers(session: db.Session) -> None:
    session.add(key := ApiKey(name="pms", prefix="zk", digest="d", scopes=[], made_at=NOW))
    session.flush()
    bodies = {
        "escaped": json.dumps({"member": {"names": [SHEN.name]}}),
        "in a sentence": '{"problem": "phone: belongs to member ZK200001."}',
        "no json": f"member ZK200001 {OPENID}",
        "another": '{"member": {"number": "ZK200002", "name": "Min"}}',
    }
    for name, body in bodies.items():
        session.add(ApiRequest(api_key_id=key.id, key=name, fingerprint="x", status=200, body=body, at=NOW))


def erase(member: int, **other: Any) -> Erased:
    with db.transaction() as session:
        return erasure.erase(session, member, **{"actor": "staff:wu", "now": NOW} | other)


def opened() -> Iterator[str]:
    """Every value of every row, with whatever is sealed opened."""
    with db.engine().connect() as connection:
        for table in Base.metadata.sorted_tables:
            for row in connection.execute(select(table)):
                for column, value in zip(table.c, row, strict=True):
                    plain = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
                    yield f"{table.name}.{column.name}: {plain}"


def traces(said: Iterator[str]) -> list[str]:
    return [each for each in said if any(trace in each for trace in TRACES)]


def test_no_trace_is_left_in_any_table(shen: int) -> None:
    found = traces(opened())
    told = {each.partition(":")[0] for each in found}
    assert told >= {
        "members.name", "members.number", "members.latin_name", "members.birthday", "identifiers.value",
        "contacts.address", "messages.text", "messages.key", "messages.payload", "preferences.value",
        "dialogue_turns.before", "dialogue_turns.events", "api_requests.body",
    }, "what is looked for was there before"  # fmt: skip
    done = erase(shen)
    assert traces(opened()) == []
    assert traces(row for rows in everything().values() for row in rows) == []
    assert not done.again
    assert done.number.startswith("ER")
    assert codes.read_code(done.number.removeprefix("ER"))


def test_the_books_still_hold_under_the_pseudonym(shen: int) -> None:
    before = everything()
    done = erase(shen)
    assert done.points_ended == 500 + 900 + 40
    after = everything()
    for table in ("stays", "folio_lines", "referrals", "tier_changes", "redemptions"):
        assert after[table] == before[table]
    assert [row for row in before["point_entries"] if row not in after["point_entries"]] == []
    with db.reading() as session:
        member = session.get_one(Member, shen)
        assert (member.status, member.number, member.name) == (MemberStatus.erased, done.number, "")
        assert (member.birthday, member.birthday_index, member.home_hotel_id) == (None, None, None)
        account = session.get_one(PointAccount, shen)
        assert (account.balance, account.owed) == (0, 0)
        assert points.balance(session, shen, now=NOW + 10 * DAY) == 0
        last = points.statement(session, shen, limit=1)[0]
        assert (last.kind, last.reason, last.amount) == ("adjust", "erasure", -1440)
    assert ledger_check.verify(db.engine(), now=NOW).faults == ()


def test_what_was_agreed_to_is_withdrawn_and_stays_as_proof(shen: int) -> None:
    erase(shen)
    with db.reading() as session:
        decisions = [(each.purpose, each.given, each.via) for each in consents.history(session, shen)]
    assert decisions == [
        ("offers", True, "api:pms"),
        ("surveys", False, "api:pms"),
        ("offers", False, "erasure"),
    ]


def test_open_coupons_are_withdrawn_and_used_ones_stay_used(shen: int) -> None:
    erase(shen)
    with db.reading() as session:
        rows = session.execute(select(Coupon.key, Coupon.used_at, Coupon.withdrawn_at).order_by(Coupon.key))
        assert [tuple(row) for row in rows] == [("c1", None, NOW), ("c2", NOW, None)]


def test_nothing_more_is_answered_or_sent(shen: int) -> None:
    erase(shen)
    with db.transaction() as session:
        assert messages.open_messages(session) == []
        wanted = select(Message.direction, Message.state, Message.outcome).where(Message.kind == "text")
        states = session.execute(wanted.distinct())
        assert set(states.tuples()) == {("in", "noted", "erasure"), ("out", "failed", "erasure")}
        # The process that was sending when it happened finds its claim gone.
        sending = session.scalars(select(Message.id).where(Message.direction == "out").limit(1)).one()
        assert not promises.settle_outgoing(session, sending, messages.State.sent, now=NOW)


def test_who_writes_again_is_a_stranger(shen: int) -> None:
    erase(shen)
    with db.transaction() as session:
        contact = contact_at(session, "telegram", CHAT, now=NOW + DAY)
        assert contact.member_id is None
        assert session.query(Message).where(Message.contact_id == contact.id).count() == 0


def test_kept_answers_of_others_stay(shen: int) -> None:
    erase(shen)
    with db.reading() as session:
        assert list(session.scalars(select(ApiRequest.key))) == ["another"]


def test_deliveries_that_could_not_be_read_are_searched_too(shen: int) -> None:
    erase(shen)
    with db.reading() as session:
        raw = session.scalars(select(Message.text).where(Message.kind == "unreadable").order_by(Message.id))
        assert list(raw) == ["", "", "<xml>"]


def test_others_are_left_as_they_are(shen: int) -> None:
    other = join(replace(SHEN, number="ZK200002", name="Min", phone=None, email=None, document=None)).id
    with db.transaction() as session:
        _talk(session, other, "telegram", "700200002")
        preferences.remember(
            session, other, "pillow", "soft", source="chat", confirmed=True, actor="guest", now=NOW
        )
    erase(shen)
    with db.reading() as session:
        member = session.get_one(Member, other)
        assert (member.name, member.status, member.birthday) == ("Min", "active", "1992-02-29")
        words = session.scalars(
            select(Message.text)
            .join(Contact, Contact.id == Message.contact_id)
            .where(Contact.member_id == other)
        )
        assert list(words) == [WORDS, "沈知微您好", "沈知微您好"]
        assert [each.value for each in preferences.of(session, other)] == ["soft"]
        assert points.balance(session, other, now=NOW) == 500
        assert session.query(DialogueTurn).count() == 2


def test_again_is_harmless(shen: int) -> None:
    first = erase(shen)
    before = everything()
    again = erase(shen, now=NOW + DAY)
    assert again == replace(first, again=True, points_ended=0)
    # Sealing an empty text twice gives two texts.
    mask = {column.table.name for column in _sealed()}
    after = everything()
    assert {t: rows for t, rows in after.items() if t not in mask} == {
        t: rows for t, rows in before.items() if t not in mask
    }


def _sealed() -> Iterator[Any]:
    for table in Base.metadata.sorted_tables:
        yield from (column for column in table.c if isinstance(column.type, SealedText))


def test_the_deed_is_on_record_without_a_name(shen: int) -> None:
    erase(shen)
    with db.reading() as session:
        deed = session.scalars(select(AuditEntry).where(AuditEntry.deed == "member.erased")).one()
        assert (deed.subject, deed.actor, deed.facts) == (f"member:{shen}", "staff:wu", {"members": [shen]})


def refuses(member: int, match: str) -> None:
    before = everything()
    with pytest.raises(Conflict, match=match), db.transaction() as session:
        erasure.erase(session, member, actor="staff:wu", now=NOW)
    assert everything() == before


def test_refused_while_points_are_on_hold(shen: int) -> None:
    with db.transaction() as session:
        holds.hold(session, shen, 10, reason="r", key="h", actor="guest", now=NOW, lasts=DAY)
    refuses(shen, "on hold")
    assert erase(shen, now=NOW + DAY).points_ended == 1440


@pytest.mark.parametrize("status", ["booked", "in_house"])
def test_refused_while_a_stay_is_not_over(shen: int, status: str) -> None:
    with db.transaction() as session:
        stayed(session, shen, "S2", status)
    refuses(shen, "stay S2")


def test_nobody_cannot_be_erased(database: str) -> None:
    with pytest.raises(Unknown), db.transaction() as session:
        erasure.erase(session, 404, actor="staff:wu", now=NOW)


def test_what_is_owed_is_let_go(shen: int) -> None:
    with db.transaction() as session:
        earned = session.scalars(select(PointEntry).where(PointEntry.key == "s")).one()
        ledger.debit(session, shen, 1400, cause=Cause(Kind.redeem, "r", "d", "guest"), now=NOW)
        refund = Cause(Kind.reverse, "refund", "r", "pms")
        corrections.claw_back(session, earned.id, 900, cause=refund, now=NOW, owe=True)
        assert ledger.lock(session, shen).owed == 900
    assert erase(shen).points_ended == 40
    with db.reading() as session:
        account = session.get_one(PointAccount, shen)
        assert (account.balance, account.owed) == (0, 0)
    assert ledger_check.verify(db.engine(), now=NOW).faults == ()


def test_points_that_come_back_later_end_when_it_is_done_again(shen: int) -> None:
    """A code that was handed out stays good; cancelling it gives points back to nobody."""
    with db.transaction() as session:
        tea = NewReward(code="tea", kind="dining", names=NAMES, details=NAMES, points=300, currency="CNY")
        rewards.add(session, tea, actor="staff:wu", now=NOW)
        begun = redeeming.begin(session, shen, "tea", key="w", channel="telegram", actor="guest", now=NOW)
        confirmed = confirming.confirm(session, begun.id, actor="guest", now=NOW)
        redemption_id, code = confirmed.id, confirmed.code
    erase(shen)
    with db.reading() as session:
        assert session.scalars(select(Coupon.code)).first() != code
    with db.transaction() as session:
        settling.cancel(session, redemption_id, why="closed", actor="staff:wu", now=NOW)
    again = erase(shen)
    assert (again.again, again.points_ended) == (True, 300)
    assert ledger_check.verify(db.engine(), now=NOW).faults == ()


def test_merged_memberships_go_with_the_one_they_live_on_in(shen: int) -> None:
    """Over two merges: asked for by the oldest, all three go."""
    bare = {"phone": None, "email": None, "document": None}
    other, last = (join(replace(SHEN, number=number, **bare)).id for number in ("ZK200009", "ZK200011"))
    proof = DocumentSeen(numbers=("E12345678",), birthday="1992-02-29")
    with db.transaction() as session:
        _talk(session, other, "telegram", "700200009")
        merging.merge(session, keep_id=shen, gone_id=other, proof=proof, actor="staff:wu", now=NOW)
        merging.merge(session, keep_id=last, gone_id=shen, proof=proof, actor="staff:wu", now=NOW)
    done = erase(other)
    assert (done.member_id, done.members) == (last, (shen, other, last))
    assert traces(opened()) == []
    assert not any(number in each for each in opened() for number in ("ZK200009", "ZK200011", "700200009"))
    with db.reading() as session:
        gone = session.get_one(Member, other)
        assert (gone.status, gone.merged_into_id, gone.name) == ("merged", shen, "")
        assert gone.number.startswith("ER")
        assert gone.number != done.number
    assert ledger_check.verify(db.engine(), now=NOW).faults == ()


def test_the_same_person_may_join_anew(shen: int) -> None:
    erase(shen)
    with db.transaction() as session:
        anew = enrol(session, replace(SHEN, number="ZK200010"))
        assert not anew.again
        assert session.query(Identifier).where(Identifier.member_id == anew.member.id).count() == 3
    with pytest.raises(Unknown), db.reading() as session:
        enrolment.member_by_number(session, "ZK200001")


def test_an_erased_member_agrees_to_nothing(shen: int) -> None:
    erase(shen)
    with pytest.raises(Conflict, match="erased"), db.transaction() as session:
        consents.decide(session, shen, Purpose.offers, True, via="desk", actor="desk", now=NOW)


def test_sealed_values_are_sealed_still(shen: int) -> None:
    erase(shen)
    key = sealed.ring().newest
    assert all(f"v1.{key}." in row for row in everything()["messages"])
