"""Real processes at the same moment: nothing is oversold, nothing is spent twice, nobody waits for ever."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from sqlalchemy import func, select

from data import db, ledger_check, programme, programme_versions
from data.coupon_descriptions import NewCoupon
from data.coupons import Coupon
from data.ledger_rows import PointAccount, PointEntry
from data.redemptions import Redemption
from data.rewards import Reward
from tests.conftest import NOW
from tests.data import reward_rivals as deeds
from tests.data.reward_scenes import LATER, balance, bought, new_guest, open_house, put, row, stock, wish
from tests.data.rivals import Rivals

ROUNDS = 12


def test_the_last_item_goes_to_one(database: str, rivals: Rivals) -> None:
    open_house()
    members = {who: new_guest(f"ZK90000{who}", 99_000) for who in "ab"}
    wishes = [(f"last_{number}", {who: f"{who}{number}" for who in "ab"}) for number in range(ROUNDS)]
    for code, _ in wishes:
        put(code, stock=1)
    outcomes = rivals.race(deeds.wish_for, database, members, wishes)
    for a, b in zip(*outcomes, strict=True):
        assert sorted([type(a), type(b)], key=str) == [int, str]
        assert "RewardGone" in (a, b)
    assert {stock(code) for code, _ in wishes} == {0}
    assert sum(balance(member_id) for member_id in members.values()) == 2 * 99_000 - 1000 * ROUNDS


def test_a_crowd_gets_as_much_as_there_is(database: str) -> None:
    open_house()
    members = [new_guest(f"ZK90000{number}", 99_000) for number in range(3)]
    shelf = {"few": 5, "more": 9}
    for code, number in shelf.items():
        put(code, stock=number)
    heard = deeds.crowd(database, members, list(shelf), 4)
    assert Counter(type(each) if isinstance(each, int) else each for each in heard) == {
        int: sum(shelf.values()),
        "RewardGone": 2 * 12 - sum(shelf.values()),
    }
    assert {stock(code) for code in shelf} == {0}
    assert sum(balance(member_id) for member_id in members) == 3 * 99_000 - 1000 * sum(shelf.values())


def test_a_members_last_points_are_held_once(database: str, rivals: Rivals) -> None:
    open_house()
    put("thing", points=1000, stock=100)
    for number in range(ROUNDS):
        member_id = new_guest(f"ZK9100{number:02}", 700, 1200)
        wishes = [("thing" if number % 2 else "late_checkout", {who: f"{who}{number}" for who in "ab"})]
        a, b = rivals.race(deeds.wish_for, database, {"a": member_id, "b": member_id}, wishes)
        assert [type(a[0]), type(b[0])].count(int) == 1
        assert "NotEnoughPoints" in (a[0], b[0])
        assert 0 <= balance(member_id) < 1000


def test_the_same_key_is_the_same_wish(database: str, rivals: Rivals) -> None:
    open_house()
    member_id = new_guest("ZK900001", 99_000)
    wishes = [("paper_lantern", {"a": f"same{number}", "b": f"same{number}"}) for number in range(2)]
    wishes += [("breakfast", {"a": f"b{number}", "b": f"b{number}"}) for number in range(ROUNDS)]
    a, b = rivals.race(deeds.wish_for, database, {"a": member_id, "b": member_id}, wishes)
    assert a == b
    assert len(set(a)) == len(wishes)
    assert (stock("paper_lantern"), balance(member_id)) == (28, 99_000 - 2 * 3000 - ROUNDS * 800)


def test_a_key_is_one_members_only(database: str, rivals: Rivals) -> None:
    open_house()
    put("thing", stock=50)
    members = {who: new_guest(f"ZK90000{who}", 99_000) for who in "ab"}
    wishes = [("thing", {"a": f"k{number}", "b": f"k{number}"}) for number in range(ROUNDS)]
    outcomes = rivals.race(deeds.wish_for, database, members, wishes)
    for a, b in zip(*outcomes, strict=True):
        assert [type(a), type(b)].count(int) == 1
        assert "KeyUsedOtherwise" in (a, b)
    assert stock("thing") == 50 - ROUNDS


def test_confirming_against_the_sweeper(database: str, rivals: Rivals) -> None:
    open_house()
    member_id = new_guest("ZK900001", 99_000)
    codes = [f"last_{number}" for number in range(ROUNDS)]
    for code in codes:
        put(code, stock=1)
    confirmed, swept = rivals.race(deeds.confirm_or_sweep, database, member_id, codes)
    for code, a, b in zip(codes, confirmed, swept, strict=True):
        assert (a, b, stock(code)) in {("confirmed", 0, 0), ("HoldOver", 1, 1)}
    assert set(confirmed) == {"confirmed", "HoldOver"}
    assert balance(member_id, now=LATER) == 99_000 - 1000 * confirmed.count("confirmed")


def test_confirming_against_the_next_wish(database: str, rivals: Rivals) -> None:
    open_house()
    member_id, other = new_guest("ZK900001", 99_000), new_guest("ZK900002", 99_000)
    codes = [f"last_{number}" for number in range(ROUNDS)]
    for code in codes:
        put(code, stock=1)
    held = [(wish(member_id, code, key=code).id, code) for code in codes]
    confirmed, wished = rivals.race(deeds.confirm_or_wish, database, other, held)
    assert set(zip(confirmed, wished, strict=True)) == {("confirmed", "RewardGone"), ("HoldOver", "held")}
    assert {stock(code) for code in codes} == {0}
    assert [row(each).state for each, _ in held] == [
        "confirmed" if each == "confirmed" else "lapsed" for each in confirmed
    ]


def test_confirming_twice_gives_one_code(database: str, rivals: Rivals) -> None:
    open_house()
    member_id = new_guest("ZK900001", 99_000, 99_000, 99_000)
    held = [wish(member_id, "free_night", key=str(number), quantity=2).id for number in range(4)]
    a, b = rivals.race(deeds.confirm_both, database, held)
    assert a == b
    assert len(set(a)) == 4
    with db.reading() as session:
        rows = session.scalars(select(Redemption)).all()
        assert Counter(each.points for each in rows) == {27_000: 4, 0: 4}
    assert balance(member_id) == 3 * 99_000 - 4 * 27_000


def test_two_desks_with_the_same_code(database: str, rivals: Rivals) -> None:
    open_house()
    member_id = new_guest("ZK900001", 99_000)
    codes = [bought(member_id, "breakfast", key=str(number)).code for number in range(ROUNDS)]
    outcomes = rivals.race(deeds.hand_over_both, database, codes)
    assert {frozenset(pair) for pair in zip(*outcomes, strict=True)} == {frozenset({"fulfilled", "CodeUsed"})}


def test_handing_over_against_cancelling(database: str, rivals: Rivals) -> None:
    open_house()
    member_id = new_guest("ZK900001", 99_000)
    put("thing", stock=ROUNDS)
    taken = [bought(member_id, "thing", key=str(number)) for number in range(ROUNDS)]
    outcomes = rivals.race(deeds.hand_over_or_cancel, database, [(each.id, each.code) for each in taken])
    pairs = list(zip(*outcomes, strict=True))
    assert set(pairs) == {("fulfilled", "AlreadyFulfilled"), ("CodeVoid", "cancelled")}
    had = pairs.count(("fulfilled", "AlreadyFulfilled"))
    assert (balance(member_id), stock("thing")) == (99_000 - 1000 * had, ROUNDS - had)


def test_two_sweepers_give_stock_back_once(database: str, rivals: Rivals) -> None:
    open_house()
    member_id = new_guest("ZK900001", 99_000)
    for code in ("one", "two", "three"):
        put(code, stock=10)
        for number in range(5):
            wish(member_id, code, key=f"{code}{number}")
    assert sum(rivals.race(deeds.sweep_both, database)) == 15
    assert [stock(code) for code in ("one", "two", "three")] == [10, 10, 10]


def test_sweeping_what_somebody_clears_away(database: str, rivals: Rivals) -> None:
    open_house()
    member_id, other = new_guest("ZK900001", 99_000), new_guest("ZK900002", 99_000)
    codes = [f"six_{number}" for number in range(ROUNDS)]
    for code in codes:
        put(code, stock=6)
    swept, wished = rivals.race(deeds.sweep_or_wish, database, member_id, other, codes)
    assert set(wished) == {"held"}
    assert set(swept) == {0, 6}
    assert {stock(code) for code in codes} == {5}


def test_coupons_are_given_and_used_once(database: str, rivals: Rivals) -> None:
    open_house()
    member_id = new_guest("ZK900001")
    new = NewCoupon(benefit="spa", reason="birthday", valid_until=NOW + timedelta(days=9))
    given = rivals.race(deeds.give_coupons, database, member_id, [str(n) for n in range(ROUNDS)], new)
    assert given[0] == given[1]
    with db.reading() as session:
        codes = list(session.scalars(select(Coupon.code).order_by(Coupon.id)))
    assert len(codes) == ROUNDS
    used = rivals.race(deeds.use_coupons, database, codes)
    for code, a, b in zip(codes, *used, strict=True):
        assert {a, b} == {code, "CodeUsedBefore"}


def test_a_busy_house_keeps_its_books(database: str, rivals: Rivals) -> None:
    open_house()
    named = programme.sample().replace("extra: late_checkout", "extra: tea_caddy")
    with db.transaction() as session:
        programme_versions.load(session, named, actor="test", now=NOW)
    put("palace", points=31_000, stock=6)  # brings the tea along
    members = [new_guest(f"ZK90000{number}", 60_000, 60_000, tier="platinum") for number in range(3)]
    shelf = {"palace": 6, "tea_caddy": 40, "paper_lantern": 30, "late_checkout": None}
    for now in (NOW, LATER):
        done = rivals.race(deeds.live, database, members, list(shelf), now, 80)
        assert min(done) > 20
    with db.reading() as session:
        out = select(Reward.code, func.sum(Redemption.quantity)).join(
            Reward, Reward.id == Redemption.reward_id
        )
        held = out.where(Redemption.state.in_(["held", "confirmed", "fulfilled"])).group_by(Reward.code)
        gone = dict(session.execute(held).tuples().all())
        assert session.scalar(
            select(func.count()).select_from(Redemption).where(Redemption.comes_with_id > 0)
        )
        spent = select(Redemption.member_id, func.sum(Redemption.points))
        paid = spent.where(Redemption.state.in_(["confirmed", "fulfilled"])).group_by(Redemption.member_id)
        prices = dict(session.execute(paid).tuples().all())
        for member_id, total in session.execute(
            select(PointEntry.member_id, func.sum(PointEntry.amount)).group_by(PointEntry.member_id)
        ):
            assert total == 120_000 - prices.get(member_id, 0)
            assert session.get_one(PointAccount, member_id).balance == total >= 0
    for code, first in shelf.items():
        assert stock(code) == (None if first is None else first - gone.get(code, 0))
    assert ledger_check.verify(db.engine(), now=LATER).faults == ()
