"""Wishes: what a guest asks for is held, or refused with nothing changed."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from data import (
    db,
    programme,
    programme_versions,
    rewards,
)
from data.ledger import KeyUsedOtherwise, NotEnoughPoints
from data.members import Member
from data.refusals import BadInput, Refusal
from data.reward_descriptions import RewardChanges
from data.reward_refusals import (
    MembershipNotActive,
    RewardForTier,
    RewardGone,
    RewardLimit,
    RewardNotNow,
    RewardNotYet,
    RewardTooFew,
)
from tests.conftest import NOW
from tests.data.conftest import everything
from tests.data.reward_scenes import (
    BY,
    LATER,
    agree,
    balance,
    bought,
    cancel,
    deeds,
    entry,
    extra,
    hand_over,
    new_guest,
    open_house,
    put,
    row,
    stock,
    wish,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def guest(database: str) -> int:
    """A gold member with 50,000 points in two lots, in an open house."""
    open_house()
    return new_guest("ZK900001", 20_000, 30_000)


def test_a_wish_holds_points_and_stock(guest: int) -> None:
    held = wish(guest, "paper_lantern", quantity=2)
    assert (held.state, held.points, held.quantity, held.decide_by) == ("held", 6000, 2, LATER)
    assert (stock("paper_lantern"), balance(guest)) == (28, 44_000)
    assert held.code is None
    assert deeds(f"redemption:{held.id}") == ["redemption.held"]


def test_the_same_wish_again_is_the_first(guest: int) -> None:
    first = wish(guest, "paper_lantern")
    before = everything()
    assert wish(guest, "paper_lantern", now=NOW + MINUTE).id == first.id
    assert everything() == before
    agree(first.id)
    before = everything()
    assert wish(guest, "paper_lantern", now=NOW + 60 * MINUTE).id == first.id
    assert everything() == before


@pytest.mark.parametrize("other", [{"code": "tea_caddy"}, {"quantity": 2}, {"member": "another"}])
def test_other_content_under_a_key_is_refused(guest: int, other: dict[str, Any]) -> None:
    wish(guest, "paper_lantern")
    member_id = new_guest("ZK900002", 9000) if "member" in other else guest
    before = everything()
    with pytest.raises(KeyUsedOtherwise):
        wish(member_id, other.get("code", "paper_lantern"), quantity=other.get("quantity", 1))
    assert everything() == before


@pytest.mark.parametrize(
    ("listed_points", "quantity", "pays", "off", "comes_along"),
    [
        (9_999, 1, 9_999, 0, None),
        (10_000, 1, 9_500, 5, None),
        (2_469, 5, 11_727, 5, None),  # 12,345 less 5 %: 11,727.75
        (29_999, 1, 28_499, 5, None),
        (30_000, 1, 27_000, 10, "late_checkout"),
        (15_000, 2, 27_000, 10, "late_checkout"),
    ],
)
def test_price_by_the_ladder(
    guest: int, listed_points: int, quantity: int, pays: int, off: int, comes_along: str | None
) -> None:
    put("thing", points=listed_points)
    taken = bought(guest, "thing", quantity=quantity)
    assert (taken.points, balance(guest)) == (pays, 50_000 - pays)
    assert entry(taken.entry_id).facts == {
        "reward": "thing",
        "quantity": quantity,
        "list_points": listed_points * quantity,
        "percent_off": off,
        "extra": comes_along,
        "programme": 0,
    }
    along = extra(taken.id)
    assert (along is None) == (comes_along is None)


# What is special about the reward, what is asked for, the refusal and its values.
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], type[Refusal], dict[str, Any]]] = {
    "sold_out": ({"stock": 0}, {}, RewardGone, {}),
    "too_few": ({"stock": 2}, {"quantity": 3}, RewardTooFew, {"left": 2}),
    "for_platinum": ({"min_tier": "platinum"}, {}, RewardForTier, {"tier": "Platinum"}),
    "in_chinese": ({"min_tier": "platinum"}, {"locale": "zh_CN"}, RewardForTier, {"tier": "白金卡"}),
    "too_many": ({"per_member": 2}, {"quantity": 3}, RewardLimit, {"most": 2}),
    "over": ({"last_day": date(2026, 3, 13)}, {}, RewardNotNow, {}),
    "from_tomorrow": ({"first_day": date(2026, 3, 15)}, {}, RewardNotYet, {"day": date(2026, 3, 15)}),
    "too_dear": ({"points": 60_000}, {}, NotEnoughPoints, {"needed": 54_000, "points": 50_000}),
}


def test_what_cannot_be_had_is_refused_and_nothing_changes(guest: int) -> None:
    for code, (special, *_) in REFUSED.items():
        put(code, **special)
    before = everything()
    for code, (_, asked, refusal, values) in REFUSED.items():
        with pytest.raises(refusal) as no:
            wish(guest, code, **asked)
        assert (type(no.value), no.value.values) == (refusal, values)
        assert everything() == before


def test_the_first_and_the_last_moment_of_a_window(guest: int) -> None:
    day = date(2026, 3, 29)  # in London the clock jumps forward that night, and the day has 23 hours
    put("once", hotel="HLLN", first_day=day, last_day=day)
    opens, closes = (datetime(2026, 3, number, 0, tzinfo=ZoneInfo("Europe/London")) for number in (29, 30))
    assert closes.timestamp() - opens.timestamp() == 23 * 3600
    blink = timedelta(microseconds=1)
    with pytest.raises(RewardNotYet) as no:
        wish(guest, "once", now=opens.astimezone(timezone.utc) - blink)
    assert no.value.values == {"day": day}
    with pytest.raises(RewardNotNow):
        wish(guest, "once", now=closes)
    assert wish(guest, "once", key="first", now=opens).state == "held"
    assert wish(guest, "once", key="last", now=closes.astimezone(timezone.utc) - blink).state == "held"


BAD_WISHES: list[tuple[dict[str, Any], str]] = [
    *(({"quantity": bad}, "quantity") for bad in (0, -1, 1.0, "1", True, None, 100)),
    *(({"key": bad}, "key") for bad in ("", "k" * 101, "extra:1")),
    ({"code": "no_such"}, "reward"),
    ({"member": 404}, "member"),
]


def test_bad_wishes_name_the_field(guest: int) -> None:
    before = everything()
    for asked, field in BAD_WISHES:
        other = {name: value for name, value in asked.items() if name in ("quantity", "key")}
        with pytest.raises(BadInput) as bad:
            wish(asked.get("member", guest), asked.get("code", "paper_lantern"), **other)
        assert bad.value.field == field
        assert everything() == before


def test_no_more_points_than_the_ledger_can_move(guest: int) -> None:
    put("palace", points=100_000_000)
    before = everything()
    with pytest.raises(BadInput):
        wish(guest, "palace", quantity=99)
    assert everything() == before


def test_only_an_active_member_redeems(guest: int) -> None:
    for status in ("left", "merged", "erased"):
        with db.transaction() as session:
            session.execute(update(Member).where(Member.id == guest).values(status=status))
        before = everything()
        with pytest.raises(MembershipNotActive):
            wish(guest, "paper_lantern")
        assert everything() == before


def test_a_withdrawn_reward_is_refused_but_who_holds_it_may_have_it(guest: int) -> None:
    held = wish(guest, "paper_lantern")
    with db.transaction() as session:
        rewards.withdraw(session, held.reward_id, **BY)
    with pytest.raises(RewardNotNow):
        wish(guest, "paper_lantern", key="another")
    assert agree(held.id).state == "confirmed"


def test_limit_counts_all_but_what_came_to_nothing(guest: int) -> None:
    put("thing", per_member=2)
    lapsed = wish(guest, "thing", key="lapses", quantity=2)
    cancelled = wish(guest, "thing", key="cancelled", quantity=2, now=LATER)
    cancel(cancelled.id, now=LATER)
    fulfilled = agree(wish(guest, "thing", key="had", now=LATER).id, now=LATER)
    hand_over(fulfilled.code, now=LATER)
    wish(guest, "thing", key="held", now=LATER)
    with pytest.raises(RewardLimit):
        wish(guest, "thing", key="one too many", now=LATER)
    assert lapsed.quantity == 2


def test_a_hold_that_ran_out_gives_its_stock_to_the_next(guest: int) -> None:
    put("last", stock=1)
    first = wish(guest, "last")
    other = new_guest("ZK900002", 5000)
    with pytest.raises(RewardGone):
        wish(other, "last", key="other", now=LATER - timedelta(microseconds=1))
    wish(other, "last", key="other", now=LATER)
    assert (row(first.id).state, row(first.id).settled_by, stock("last")) == ("lapsed", "clock", 0)
    assert deeds(f"redemption:{first.id}") == ["redemption.held", "redemption.lapsed"]
    assert balance(guest, now=LATER) == 50_000


def test_the_price_is_that_of_the_moment_the_wish_began(guest: int) -> None:
    put("thing", points=12_000)
    held = wish(guest, "thing")
    dearer = programme.sample().replace("percent_off: 5", "percent_off: 0, extra: breakfast")
    with db.transaction() as session:
        rewards.change(session, held.reward_id, RewardChanges(points=20_000), **BY)
        programme_versions.load(session, dearer, actor="test", now=NOW + MINUTE)
    taken = agree(held.id, now=NOW + 2 * MINUTE)
    facts = entry(taken.entry_id).facts
    assert (taken.points, facts["list_points"], facts["percent_off"]) == (11_400, 12_000, 5)
    assert extra(taken.id) is None


def test_a_reward_that_is_not_counted_keeps_nobody_waiting(postgres_database: str) -> None:
    open_house()
    guest = new_guest("ZK900001", 5000)
    with db.transaction() as session:
        rewards.locked(session, rewards.reward_by_code(session, "breakfast").id)
        # On another connection, which would give up after ten seconds.
        assert wish(guest, "breakfast").state == "held"
