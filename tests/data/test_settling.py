"""The end of a redemption: handed over once, or cancelled as if it had never been."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import codes, db, enrolment, ledger, merging, programme, programme_versions
from data.desk_codes import CodeElsewhere, CodeOver, CodeUnknown, CodeUsed, CodeVoid
from data.enrolment import NewMember
from data.holds import HoldOver
from data.ledger import Cause, Terms
from data.ledger_rows import HoldState, Kind, PointHold
from data.merging import DocumentSeen
from data.refusals import BadInput, Refusal, Unknown
from data.reward_refusals import AlreadyFulfilled, ExtraFulfilled
from tests.conftest import NOW
from tests.data.conftest import everything
from tests.data.reward_scenes import (
    BY,
    LATER,
    agree,
    balance,
    bought,
    cancel,
    extra,
    hand_over,
    new_guest,
    open_house,
    row,
    standing,
    stock,
    wish,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def guest(database: str) -> int:
    """A gold member with 50,000 points in two lots, in an open house."""
    open_house()
    return new_guest("ZK900001", 20_000, 30_000)


def test_a_code_is_handed_over_once(guest: int) -> None:
    taken = bought(guest, "paper_lantern")
    done = hand_over(taken.code)
    assert (done.id, done.state, done.settled_by) == (taken.id, "fulfilled", "desk:an")
    before = everything()
    with pytest.raises(CodeUsed) as no:
        hand_over(taken.code, hotel="HLLN", now=NOW + MINUTE)
    assert no.value.values == {"at": NOW, "hotel": "HLSH"}
    assert no.value.values["at"].tzinfo == ZoneInfo("Asia/Shanghai")
    assert everything() == before
    assert agree(taken.id).state == "fulfilled"


SPELLINGS: list[Callable[[str], str]] = [
    str.lower,
    lambda code: f"  {code[:4]} {code[4:]}\n",
    lambda code: "-".join(code),
    lambda code: "".join(chr(ord(char) + 0xFEE0) for char in code),  # a Chinese keyboard's full width
    lambda code: f"{code[:4]}\u3000－{code[4:]}",
    lambda code: code.translate(str.maketrans("258", "ZsB")),
]


def test_codes_are_read_forgivingly(guest: int) -> None:
    for number, spelling in enumerate(SPELLINGS):
        taken = bought(guest, "breakfast", key=str(number))
        assert taken.code is not None
        assert hand_over(spelling(taken.code)).id == taken.id


def test_what_is_no_code_is_unknown(guest: int) -> None:
    for typed in ("", "x", "22222223", "2" * 200, "早餐", "'; DROP TABLE redemptions", "\x00", "🏮"):
        with pytest.raises(CodeUnknown):
            hand_over(typed)


def test_why_a_code_is_not_good(guest: int) -> None:
    shanghai = bought(guest, "paper_lantern", key="1")
    void = bought(guest, "breakfast", key="2")
    cancel(void.id)
    assert shanghai.valid_until is not None
    before = everything()
    with pytest.raises(CodeElsewhere) as elsewhere:
        hand_over(shanghai.code, hotel="HLLN")
    assert elsewhere.value.values == {"hotel": "HLSH"}
    with pytest.raises(CodeOver) as over:
        hand_over(shanghai.code, now=shanghai.valid_until)
    assert over.value.values == {"at": shanghai.valid_until - timedelta(microseconds=1)}
    with pytest.raises(CodeVoid):
        hand_over(void.code)
    with pytest.raises(CodeUnknown):
        hand_over(codes.new_code())
    with pytest.raises(Unknown):
        hand_over(shanghai.code, hotel="HLXX")
    assert everything() == before
    assert hand_over(shanghai.code, now=shanghai.valid_until - timedelta(microseconds=1)).state == "fulfilled"


def test_cancelling_before_confirming_sets_everything_free(guest: int) -> None:
    before = standing(guest)
    held = wish(guest, "paper_lantern", quantity=2)
    gone = cancel(held.id)
    assert (gone.state, gone.settled_by, stock("paper_lantern")) == ("cancelled", "guest", 30)
    assert standing(guest) == before
    with db.reading() as session:
        assert session.get_one(PointHold, held.hold_id).state == HoldState.released.value
    with pytest.raises(HoldOver):
        agree(held.id)


def test_cancelling_after_confirming_restores_the_lots(guest: int) -> None:
    before = standing(guest)
    taken = bought(guest, "free_night", quantity=2)  # 27,000: out of both lots
    along = extra(taken.id)
    assert along is not None
    assert cancel(taken.id).state == "cancelled"
    assert standing(guest) == before
    again = everything()
    assert cancel(taken.id).state == "cancelled"
    assert everything() == again
    for code in (taken.code, along.code):
        with pytest.raises(CodeVoid):
            hand_over(code)


def test_what_was_handed_over_is_not_cancelled(guest: int) -> None:
    taken = bought(guest, "free_night", quantity=2)
    along = extra(taken.id)
    assert along is not None
    hand_over(along.code)
    before = everything()
    with pytest.raises(ExtraFulfilled):
        cancel(taken.id)
    hand_over(taken.code)
    with pytest.raises(AlreadyFulfilled):
        cancel(taken.id)
    with pytest.raises(AlreadyFulfilled):
        cancel(along.id)
    assert everything()["point_entries"] == before["point_entries"]


def test_an_extra_can_be_cancelled_alone(guest: int) -> None:
    taken = bought(guest, "free_night", quantity=2)
    along = extra(taken.id)
    assert along is not None
    spent = balance(guest)
    cancel(along.id)
    assert (row(along.id).state, row(taken.id).state, balance(guest)) == ("cancelled", "confirmed", spent)
    cancel(taken.id)
    assert balance(guest) == 50_000


def test_cancelling_too_late_is_a_lapse(guest: int) -> None:
    held = wish(guest, "paper_lantern")
    assert cancel(held.id, now=LATER).state == "lapsed"
    assert stock("paper_lantern") == 30
    before = everything()
    assert cancel(held.id, now=LATER).state == "lapsed"
    assert everything() == before


@pytest.mark.parametrize(("courtesy", "points_then"), [(30, 3000), (0, 0)])
def test_points_whose_lot_has_ended_come_back_as_a_courtesy(
    database: str, courtesy: int, points_then: int
) -> None:
    open_house()
    member_id = new_guest("ZK900005", 3000)  # good for 40 days
    terms = programme.sample().replace("courtesy_days: 30", f"courtesy_days: {courtesy}")
    with db.transaction() as session:
        programme_versions.load(session, terms, actor="test", now=NOW)
    taken = bought(member_id, "paper_lantern")
    then = NOW + timedelta(days=50)
    cancel(taken.id, now=then)
    assert balance(member_id, now=then) == points_then
    assert balance(member_id, now=then + timedelta(days=30)) == 0


def test_a_reason_is_a_code_and_no_story(guest: int) -> None:
    held = wish(guest, "breakfast")
    before = everything()
    for why in ("", "Guest", "a b", "沈知微改主意了", "x" * 33):
        with pytest.raises(BadInput) as bad:
            cancel(held.id, why=why)
        assert bad.value.field == "why"
        assert why == "" or why not in str(bad.value)
    assert everything() == before


def test_after_a_merge_the_points_come_to_who_lives_on(guest: int) -> None:
    person = {"name": "沈知微", "locale": "zh_CN", "birthday": "1992-02-29", "tier": "gold"}
    with db.transaction() as session:
        joined = {"via": "desk", "welcome": False, **BY}
        keep = enrolment.enrol(session, NewMember(**person), **joined).member.id
        gone = enrolment.enrol(session, NewMember(**person, document="E12345678"), **joined).member.id
        terms = Terms(NOW, NOW + timedelta(days=40))
        cause = Cause(Kind.adjust, "goodwill", "goodwill", actor="desk:an")
        ledger.credit(session, gone, 5000, cause=cause, now=NOW, terms=terms)
    taken, other = bought(gone, "paper_lantern"), bought(gone, "breakfast", key="other")
    proof = DocumentSeen(numbers=("E12345678",), birthday="1992-02-29")
    with db.transaction() as session:
        merging.merge(session, keep_id=keep, gone_id=gone, proof=proof, **BY)
    assert balance(keep) == 1200
    for redemption, points_then in ((taken, 4200), (other, 5000)):
        cancel(redemption.id)
        before = everything()
        assert cancel(redemption.id).state == "cancelled"
        assert everything() == before
        assert (balance(gone), balance(keep)) == (0, points_then)
    assert {lot.expires_at for lot in standing(keep).usable} == {terms.expires_at}


WISHES = st.lists(
    st.tuples(
        st.sampled_from(["paper_lantern", "breakfast", "free_night", "upgrade_shanghai"]),
        st.integers(1, 3),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lots=st.lists(st.integers(500, 40_000), min_size=1, max_size=4), wishes=WISHES, order=st.randoms())
def test_cancelling_is_as_if_it_had_never_been(
    house_kept_open: list[int], lots: list[int], wishes: list[tuple[str, int, bool]], order: Any
) -> None:
    house_kept_open.append(len(house_kept_open))
    number = f"ZK{910000 + len(house_kept_open)}"
    member_id = new_guest(number, *lots)
    before, shelf = standing(member_id), {code: stock(code) for code, *_ in wishes}
    begun = []
    for place, (code, quantity, confirmed) in enumerate(wishes):
        try:
            held = wish(member_id, code, key=f"{number}:{place}", quantity=quantity)
        except Refusal:
            continue
        begun.append(agree(held.id).id if confirmed else held.id)
    order.shuffle(begun)
    for redemption_id in begun:
        cancel(redemption_id)
    assert standing(member_id) == before
    assert {code: stock(code) for code, *_ in wishes} == shelf


@pytest.fixture
def house_kept_open(database: str) -> list[int]:
    """An open house for many examples, each with a member of its own; holds one item for each example."""
    open_house()
    return []
