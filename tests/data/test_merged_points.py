"""Points across a merge: lots with their terms, debts, gifts that one person gets once, and refunds that come later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from data import (
    confirming,
    corrections,
    db,
    expiry,
    ledger,
    ledger_check,
    merging,
    programme,
    programme_versions,
    redeeming,
    referrals,
    rewards,
    settling,
)
from data.audit import AuditEntry
from data.ledger import Cause, Posted, Terms
from data.ledger_rows import Kind, PointEntry
from data.members import Member
from data.merging import DocumentSeen
from data.redemptions import Redemption
from data.referrals import Referral
from data.refusals import Unknown
from data.rewards import NewReward
from tests.conftest import NOW
from tests.data.people import enrol, stayed
from tests.data.two_memberships import (
    DAY,
    SEEN,
    TWIN,
    credit,
    indebted,
    is_sound,
    join,
    join_both,
    lots,
    merge,
    owed,
    spend,
    spendable,
    take_back,
)


@pytest.fixture
def pair(database: str) -> tuple[int, int]:
    return join_both()


def test_every_lot_moves_with_its_own_terms(pair: tuple[int, int]) -> None:
    keep, gone = pair
    credit(keep, 100, key="kept")
    credit(gone, 10, key="for good")
    credit(gone, 20, key="ends", terms=Terms(NOW, NOW + 30 * DAY))
    credit(gone, 40, key="pending", terms=Terms(NOW + 5 * DAY, NOW + 90 * DAY))
    spend(gone, 5)
    done = merge(keep, gone)
    assert (done.carried.lots, done.carried.points, done.carried.owed) == (3, 65, 0)
    assert [(lot.points, lot.available_at, lot.expires_at) for lot in lots(keep)] == [
        (15, NOW, NOW + 30 * DAY),
        (100, NOW, None),
        (10, NOW, None),
        (40, NOW + 5 * DAY, NOW + 90 * DAY),
    ]
    assert lots(gone) == []
    assert (spendable(keep), spendable(gone)) == (125, 0)
    assert spendable(keep, NOW + 6 * DAY) == 165
    is_sound()


def test_a_lot_that_came_over_says_why_it_was_given(pair: tuple[int, int]) -> None:
    keep, gone = pair
    credit(gone, 10, key="folio:1")
    merge(keep, gone)
    third = join(number="ZK200003", phone="13700000003")
    with db.transaction() as session:
        move = DocumentSeen(numbers=SEEN.numbers, birthday=SEEN.birthday)
        merging.merge(session, keep_id=third, gone_id=keep, proof=move, actor="staff:wu", now=NOW)
    (lot,) = lots(third)
    assert (lot.reason, lot.facts["reason"], lot.facts["from"]) == ("merge", "stay", keep)


def test_each_lot_is_a_pair_of_entries(pair: tuple[int, int]) -> None:
    keep, gone = pair
    credit(gone, 10, key="a")
    credit(gone, 20, key="b")
    merge(keep, gone)
    with db.reading() as session:
        moved = session.scalars(select(PointEntry).where(PointEntry.kind == "merge").order_by(PointEntry.id))
        assert [(each.member_id, each.amount) for each in moved] == [
            (gone, -10),
            (keep, 10),
            (gone, -20),
            (keep, 20),
        ]
    report = ledger_check.verify(db.engine(), now=NOW)
    assert (report.totals.issued, report.totals.used, report.totals.outstanding) == (30, 0, 30)


def test_a_lot_that_has_ended_unswept_ends_where_it_went(pair: tuple[int, int]) -> None:
    keep, gone = pair
    credit(gone, 10, key="ended", terms=Terms(NOW, NOW + DAY))
    merge(keep, gone, now=NOW + 2 * DAY)
    assert (spendable(keep, NOW + 2 * DAY), spendable(gone, NOW + 2 * DAY)) == (0, 0)
    with db.transaction() as session:
        assert expiry.due(session, now=NOW + 2 * DAY) == [keep]
        assert [each.amount for each in expiry.expire(session, keep, now=NOW + 2 * DAY)] == [-10]
    is_sound(NOW + 2 * DAY)


def test_what_gone_owed_is_paid_from_what_both_had(pair: tuple[int, int]) -> None:
    keep, gone = pair
    indebted(gone, 60)
    credit(gone, 40, key="pending", terms=Terms(NOW + DAY))  # not ripe: it does not pay yet
    credit(keep, 50, key="kept")
    done = merge(keep, gone)
    assert done.carried.owed == 60
    assert (owed(gone), spendable(gone)) == (0, 0)
    assert spendable(keep) == 50 - 60
    assert spendable(keep, NOW + DAY) == 50 - 60 + 40
    is_sound()


def test_what_keep_owed_is_paid_from_what_gone_had(pair: tuple[int, int]) -> None:
    keep, gone = pair
    indebted(keep, 60)
    credit(gone, 100, key="had")
    merge(keep, gone)
    assert (spendable(keep), owed(keep)) == (40, 0)
    is_sound()


DEEDS = st.lists(
    st.tuples(
        st.booleans(),  # whose
        st.sampled_from(["credit", "pending", "ending", "spend", "refund"]),
        st.integers(1, 500),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=DEEDS)
def test_together_they_have_what_both_had(pair: tuple[int, int], deeds: list[Any]) -> None:
    """At every later moment: nothing is won and nothing lost, except by what is owed and cannot be paid yet."""
    with db.reading() as session:
        number = session.scalar(select(func.max(Member.id))) or 0
    a = join(number=f"ZK{300000 + number}", phone=None, document=f"D{300000 + number}")
    b = join(number=f"ZK{400000 + number}", phone=None)
    for step, (first, deed, amount) in enumerate(deeds):
        member, key = (a if first else b), f"{number}:{step}"
        _do(member, deed, amount, key)
    moments = [NOW, NOW + 6 * DAY, NOW + 40 * DAY]
    before = [spendable(a, now) + spendable(b, now) for now in moments]
    merge(a, b, proof=DocumentSeen(numbers=(f"D{300000 + number}",), birthday="1992-02-29"))
    # What gone owed may by then have been paid from a lot of keep's that ends: hence only at once.
    assert spendable(a, NOW) == before[0]
    assert all(spendable(b, now) == 0 for now in moments)
    if owed(a) == 0 and not any(deed == "refund" for _, deed, _ in deeds):
        assert [spendable(a, now) for now in moments] == before
    is_sound()


def _do(member: int, deed: str, amount: int, key: str) -> None:
    terms = {"pending": Terms(NOW + 5 * DAY), "ending": Terms(NOW, NOW + 30 * DAY), "credit": Terms(NOW)}
    if deed in terms:
        credit(member, amount, key=key, terms=terms[deed])
    elif deed == "spend":
        if spendable(member) > 0:
            spend(member, min(amount, spendable(member)), key=key)
    else:
        earned = credit(member, amount, key=f"{key}:earned")
        if spendable(member) > 0:
            spend(member, min(amount, spendable(member)), key=f"{key}:spent")
        take_back(earned, amount, owe=True, key=key)


def test_a_refund_takes_back_from_who_lives_on(pair: tuple[int, int]) -> None:
    keep, gone = pair
    credit(keep, 7, key="kept")
    earned = credit(gone, 100, key="folio:1")
    merge(keep, gone)
    back = take_back(earned, 30)
    assert back is not None
    assert (back.member_id, back.amount) == (keep, -30)
    assert [lot.points for lot in lots(keep)] == [7, 70], "from the very lot"
    assert take_back(earned, 30) == replace(back, again=True)
    assert take_back(earned, 500, key="rest", owe=True) is not None
    assert (spendable(keep), owed(keep)) == (7, 0), "never more than it gave"
    is_sound()


def test_a_refund_before_it_is_ripe_costs_nothing(pair: tuple[int, int]) -> None:
    keep, gone = pair
    credit(keep, 7, key="kept")
    earned = credit(gone, 100, key="folio:1", terms=Terms(NOW + 5 * DAY))
    merge(keep, gone)
    take_back(earned, 100, owe=True)
    assert (spendable(keep), spendable(keep, NOW + 6 * DAY), owed(keep)) == (7, 7, 0)


@pytest.mark.parametrize(("owe", "left"), [(False, 0), (True, -35)])
def test_a_refund_of_what_was_used_before_the_merge(pair: tuple[int, int], owe: bool, left: int) -> None:
    keep, gone = pair
    credit(keep, 5, key="kept")
    earned = credit(gone, 100, key="folio:1")
    spend(gone, 40)
    merge(keep, gone)
    back = take_back(earned, 100, owe=owe)
    assert back is not None
    assert back.amount == (-100 if owe else -65)
    assert spendable(keep) == left
    is_sound()


def test_a_refund_before_and_after(pair: tuple[int, int]) -> None:
    keep, gone = pair
    earned = credit(gone, 100, key="folio:1")
    first = take_back(earned, 30, key="r1")
    merge(keep, gone)
    assert first is not None
    assert take_back(earned, 30, key="r1") == replace(first, again=True), "what was done before stays done"
    second = take_back(earned, 100, key="r2")
    assert second is not None
    assert (second.member_id, second.amount) == (keep, -70)
    is_sound()


def test_a_refund_after_two_merges(pair: tuple[int, int]) -> None:
    keep, gone = pair
    earned = credit(gone, 100, key="folio:1")
    last = join(number="ZK200003", phone="13700000003")
    merge(keep, gone)
    merge(last, keep)
    back = take_back(earned, 60)
    assert back is not None
    assert (back.member_id, spendable(last)) == (last, 40)
    with db.reading() as session:
        assert merging.survivor(session, gone).id == last
        entry = session.get_one(PointEntry, earned.entry_id)
        now = merging.lot_now(session, entry)
        assert now is not None
        assert (now.member_id, now.amount) == (last, 100)
    is_sound()


def test_where_a_lot_is_now(pair: tuple[int, int]) -> None:
    keep, gone = pair
    here, spent = credit(keep, 5, key="kept"), credit(gone, 10, key="spent")
    moved = credit(gone, 20, key="moved")
    spend(gone, 10)
    merge(keep, gone)

    def now(posted: Posted) -> tuple[int, int] | None:
        with db.reading() as session:
            entry = merging.lot_now(session, session.get_one(PointEntry, posted.entry_id))
            return None if entry is None else (entry.member_id, entry.amount)

    assert (now(here), now(spent), now(moved)) == ((keep, 5), None, (keep, 20))


def test_survivor_of_nobody(database: str) -> None:
    with pytest.raises(Unknown), db.reading() as session:
        merging.survivor(session, 404)


def test_a_reward_cancelled_after_the_merge_gives_its_points_to_who_lives_on(pair: tuple[int, int]) -> None:
    keep, gone = pair
    names = {"en": "Tea", "zh_CN": "茶", "zh_TW": "茶"}
    credit(gone, 500, key="had")
    with db.transaction() as session:
        tea = NewReward(code="tea", kind="dining", names=names, details=names, points=300, currency="CNY")
        rewards.add(session, tea, actor="staff:wu", now=NOW)
        begun = redeeming.begin(session, gone, "tea", key="w", channel="telegram", actor="guest", now=NOW)
        confirming.confirm(session, begun.id, actor="guest", now=NOW)
        redemption = begun.id
    merge(keep, gone)
    with db.transaction() as session:
        assert session.get_one(Redemption, redemption).member_id == keep
        settling.cancel(session, redemption, why="guest", actor="staff:wu", now=NOW)
    assert (spendable(keep), spendable(gone)) == (500, 0)
    is_sound()


def test_a_welcome_is_given_once_a_person(pair: tuple[int, int]) -> None:
    first = join(number="ZK200011", phone=None, document="P1111111", welcome=True)
    with db.transaction() as session:
        second = enrol(session, replace(TWIN, number="ZK200012", phone=None), now=NOW + DAY).member.id
    proof = DocumentSeen(numbers=("P1111111",), birthday=SEEN.birthday)
    spend(second, 200, now=NOW + DAY)
    done = merge(first, second, proof=proof, now=NOW + 2 * DAY)
    assert done.clawed_back == 500
    assert spendable(first, NOW + 2 * DAY) == 300
    third = join(number="ZK200013", phone=None, welcome=True)
    spend(third, 400, key="third", now=NOW + 2 * DAY)
    assert merge(first, third, proof=proof, now=NOW + 3 * DAY).clawed_back == 400, "clamp: what there is"
    assert spendable(first, NOW + 3 * DAY) == 0
    is_sound(NOW + 3 * DAY)


def test_a_welcome_that_was_let_off_stays_let_off(pair: tuple[int, int]) -> None:
    first = join(number="ZK200011", phone=None, document="P1111111", welcome=True)
    second, third = (join(number=number, phone=None, welcome=True) for number in ("ZK200012", "ZK200013"))
    spend(first, 500, key="a")
    spend(second, 500, key="b")
    credit(third, 700, key="c")
    proof = DocumentSeen(numbers=("P1111111",), birthday=SEEN.birthday)
    assert merge(first, second, proof=proof).clawed_back == 0
    assert merge(first, third, proof=proof).clawed_back == 500
    assert spendable(first) == 700


def test_the_later_welcome_goes_whichever_lives_on(pair: tuple[int, int]) -> None:
    older = join(number="ZK200011", phone=None, document="P1111111", welcome=True)
    with db.transaction() as session:
        younger = enrol(session, replace(TWIN, number="ZK200012", phone=None), now=NOW + DAY).member.id
    proof = DocumentSeen(numbers=("P1111111",), birthday=SEEN.birthday)
    assert merge(younger, older, proof=proof, now=NOW + 2 * DAY).clawed_back == 500
    with db.reading() as session:
        gift = session.scalars(select(PointEntry).where(PointEntry.key == f"welcome:{younger}")).one()
        assert session.scalars(select(PointEntry.amount).where(PointEntry.reverses_id == gift.id)).all() == [
            -500
        ]
    is_sound(NOW + 2 * DAY)


def test_a_birthday_is_given_once_a_year(pair: tuple[int, int]) -> None:
    keep, gone = pair
    for member, at in ((keep, NOW), (gone, NOW + DAY), (gone, NOW - 400 * DAY)):
        with db.transaction() as session:
            gift = Cause(Kind.gift, "birthday", f"birthday:{member}:{at.year}", "job:birthday")
            ledger.credit(session, member, 300, cause=gift, now=at)
    assert merge(keep, gone, now=NOW + 2 * DAY).clawed_back == 300
    assert spendable(keep, NOW + 2 * DAY) == 600


def test_who_brought_themselves_is_not_thanked(pair: tuple[int, int]) -> None:
    keep, gone = pair
    with db.transaction() as session:
        referrals.refer(session, gone, referrals.code_of(session, keep), actor="guest", now=NOW)
        stayed(session, gone)
        assert len(referrals.reward(session, gone, now=NOW)) == 2
    assert merge(keep, gone).clawed_back == 1500
    with db.reading() as session:
        assert session.query(Referral).count() == 0
        deeds = session.scalars(select(AuditEntry).where(AuditEntry.deed == "member.merged")).all()
        assert {deed.subject for deed in deeds} == {f"member:{keep}", f"member:{gone}"}
        assert deeds[0].facts == {"keep": keep, "gone": gone, "proof": "document", "own_referrals": [1]}
    is_sound()


def test_a_claw_back_under_the_programme_that_lets_members_owe(pair: tuple[int, int]) -> None:
    source = programme.sample().replace("claw_back: clamp", "claw_back: owe")
    with db.transaction() as session:
        programme_versions.load(session, source, actor="staff:wu", now=NOW)
    first = join(number="ZK200011", phone=None, document="P1111111", welcome=True)
    second = join(number="ZK200012", phone=None, welcome=True)
    spend(first, 500, key="a")
    spend(second, 500, key="b")
    proof = DocumentSeen(numbers=("P1111111",), birthday=SEEN.birthday)
    assert merge(first, second, proof=proof).clawed_back == 500
    assert (spendable(first), owed(first)) == (-500, 500)
    is_sound()


def test_corrections_alone_would_miss_who_lives_on(pair: tuple[int, int]) -> None:
    """Why `merging.claw_back` is there: the account it was given to is empty."""
    keep, gone = pair
    earned = credit(gone, 100, key="folio:1")
    merge(keep, gone)
    with db.transaction() as session:
        cause = Cause(Kind.reverse, "refund", "r", "pms")
        assert corrections.claw_back(session, earned.entry_id, 100, cause=cause, now=NOW, owe=False) is None
