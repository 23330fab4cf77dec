"""The catalogue: what a hotel may write into it, how it is loaded and changed, and what is offered to whom."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from data import db, offers, programme, programme_versions, redeeming, rewards
from data.catalogue import Kind, Loaded, load, read_catalogue, sample
from data.ledger import NotEnoughPoints
from data.offers import Offer
from data.refusals import BadInput, Conflict, Refusal, Unknown
from data.reward_descriptions import RewardChanges, RewardKind
from data.reward_refusals import RewardForTier, RewardLimit, RewardNotYet, Unavailable
from data.rewards import Reward
from tests.conftest import NOW
from tests.data.conftest import everything
from tests.data.reward_scenes import BY, LATER, bought, deeds, listed, new_guest, open_house, put, stock, wish

CODES = [new.code for new in read_catalogue(sample())]


@pytest.fixture
def house(database: str) -> None:
    """Both hotels and the sample catalogue."""
    open_house()


def the(code: str) -> Reward:
    with db.reading() as session:
        return session.scalars(select(Reward).where(Reward.code == code)).one()


def change(reward_id: int, **changes: Any) -> Reward:
    with db.transaction() as session:
        return rewards.change(session, reward_id, RewardChanges(**changes), **BY)


def restock(reward_id: int, by: Any) -> Reward:
    with db.transaction() as session:
        return rewards.restock(session, reward_id, by, **BY)


def loaded(text: str) -> Loaded:
    with db.transaction() as session:
        return load(session, read_catalogue(text), **BY)


def offered(member_id: int | None, *, now: datetime = NOW, **other: Any) -> dict[str, Offer]:
    with db.reading() as session:
        told = offers.catalogue(session, member_id, now=now, **({"locale": "en"} | other))
    assert [offer.points for offer in told] == sorted(offer.points for offer in told)
    return {offer.code: offer for offer in told}


# The file


def test_the_sample_shows_every_kind_and_what_the_ladder_brings() -> None:
    sampled = read_catalogue(sample())
    assert {new.kind for new in sampled} >= {kind.value for kind in RewardKind} - {"service"}
    assert programme.read(programme.sample()).rewards_named <= {new.code for new in sampled}
    assert any(new.cash_minor for new in sampled)
    assert {new.hotel for new in sampled} == {None, "HLSH", "HLLN"}


def test_a_file_knows_the_same_kinds_as_the_catalogue() -> None:
    assert set(get_args(Kind)) == {kind.value for kind in RewardKind}


def test_money_in_the_file_is_read_in_the_currencys_own_units() -> None:
    tea = next(new for new in read_catalogue(sample()) if new.code == "tea_caddy")
    assert (tea.cost_minor, tea.currency) == (620, "GBP")
    assert read_catalogue(one(currency="JPY", cash="500"))[0].cash_minor == 500
    assert read_catalogue(one(currency="KWD", cash="1.255"))[0].cash_minor == 1255


def one(**lines: str) -> str:
    """A file with one reward; a line given as "" is left out."""
    words = "{en: Thing, zh_CN: 东西, zh_TW: 東西}"
    plain = {
        "code": "thing",
        "kind": "gift",
        "names": words,
        "details": words,
        "points": "10",
        "currency": "CNY",
    }
    lines = {name: value for name, value in (plain | lines).items() if value != ""}
    return "rewards:\n  - " + "\n    ".join(f"{name}: {value}" for name, value in lines.items())


BAD_FILES = [
    (one(code="Thing"), "rewards[0].code"),
    (one(code=""), "rewards[0].code"),
    (one(kind="yacht"), "rewards[0].kind"),
    (one(names="{en: Thing, zh_CN: 东西}"), "rewards[0].names.zh_TW"),
    (one(names="{en: Thing, zh_CN: 东西, zh_TW: ' '}"), "rewards[0].names.zh_TW"),
    (one(names="{en: Thing, zh_CN: 东西, zh_TW: 東西, fr: Chose}"), "rewards[0].names.fr"),
    (one(details="Thing"), "rewards[0].details"),
    (one(points="0"), "rewards[0].points"),
    (one(points="-5"), "rewards[0].points"),
    (one(points="1.5"), "rewards[0].points"),
    (one(points="100000001"), "rewards[0].points"),
    (one(points="many"), "rewards[0].points"),
    (one(points=""), "rewards[0].points"),
    (one(currency="yuan"), "rewards[0].currency"),
    (one(currency="XQX"), "rewards[0].currency"),
    (one(cash="-1"), "rewards[0].cash"),
    (one(cash="0.001"), "rewards[0].cash"),
    (one(cash="100000000"), "rewards[0].cash"),
    (one(currency="JPY", cost="0.5"), "rewards[0].cost"),
    (one(stock="-1"), "rewards[0].stock"),
    (one(stock="1000001"), "rewards[0].stock"),
    (one(per_member="0"), "rewards[0].per_member"),
    (one(hotel="''"), "rewards[0].hotel"),
    (one(min_tier="GOLD"), "rewards[0].min_tier"),
    (one(**{"from": "2026-02-30"}), "rewards[0].from"),
    (one(**{"from": "1926-01-01"}), "rewards[0].from"),
    (one(**{"from": "2026-05-02", "until": "2026-05-01"}), "rewards[0].until"),
    (one(price="5"), "rewards[0].price"),
    (one() + "\n" + one().removeprefix("rewards:\n"), "rewards[1].code"),
    (one() + "\n    points: 11", "rewards[0].points"),
    ("rewards: []", "rewards"),
    ("", "file"),
    ("rewards: [", "line 1"),
]


@pytest.mark.parametrize(("text", "field"), BAD_FILES)
def test_a_bad_file_is_told_where(text: str, field: str) -> None:
    with pytest.raises(BadInput) as bad:
        read_catalogue(text)
    assert bad.value.field == field
    assert bad.value.remedy


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_catalogue(text)


# Loading


def test_loading_twice_changes_nothing(house: None) -> None:
    before = everything()
    assert loaded(sample()) == Loaded((), (), tuple(CODES), ())
    assert everything() == before


def test_loading_changes_what_differs_and_leaves_the_stock_alone(house: None) -> None:
    bought(new_guest("ZK900001", 9000), "paper_lantern")
    edited = sample().replace("points: 3000", "points: 3500").replace("stock: 30", "stock: 99")
    edited = (
        edited.replace("until: 2026-09-27", "until: 2026-09-28") + "\n" + one().removeprefix("rewards:\n")
    )
    done = loaded(edited)
    assert (done.added, done.changed) == (("thing",), ("paper_lantern", "moon_dinner"))
    assert (the("paper_lantern").points, stock("paper_lantern")) == (3500, 29)
    shanghai = ZoneInfo("Asia/Shanghai")
    assert the("moon_dinner").available_from == datetime(2026, 9, 18, tzinfo=shanghai)
    assert the("moon_dinner").available_until == datetime(2026, 9, 29, tzinfo=shanghai)
    assert deeds(f"reward:{the('paper_lantern').id}") == ["reward.added", "reward.changed"]


def test_what_the_file_leaves_out_stays_and_what_was_withdrawn_is_named(house: None) -> None:
    with db.transaction() as session:
        rewards.withdraw(session, the("tea_caddy").id, **BY)
    done = loaded(re.sub(r"  - code: paper_lantern.*?\n\n", "", sample(), flags=re.DOTALL))
    assert "paper_lantern" not in done.unchanged
    assert the("paper_lantern").withdrawn_at is None
    assert done.withdrawn == ("tea_caddy",)
    assert the("tea_caddy").withdrawn_at == NOW


@pytest.mark.parametrize(
    ("old", "new", "field", "kind"),
    [
        ("    stock: 6\n", "", "rewards[5].stock", Conflict),
        ("cost: 55\n", "cost: 55\n    stock: 5\n", "rewards[1].stock", Conflict),
        ("hotel: HLLN", "hotel: HLXX", "rewards[7].hotel", Unknown),
        ("min_tier: silver", "min_tier: jade", "rewards[6].min_tier", Unknown),
    ],
)
def test_a_file_that_does_not_fit_the_house_changes_nothing(
    house: None, old: str, new: str, field: str, kind: type[BadInput]
) -> None:
    edited = sample().replace("points: 1200", "points: 1300", 1).replace(old, new, 1)
    before = everything()
    with pytest.raises(kind) as bad:
        loaded(edited)
    assert bad.value.field == field
    assert everything() == before


# Single rewards


BAD_REWARDS: list[tuple[dict[str, Any], str]] = [
    ({"code": "No"}, "code"),
    ({"kind": "yacht"}, "kind"),
    ({"names": {"en": "A"}}, "names.zh_CN"),
    ({"details": {"en": "A", "zh_CN": "A", "zh_TW": "A" * 401}}, "details.zh_TW"),
    ({"points": 0}, "points"),
    ({"points": True}, "points"),
    ({"points": 9.5}, "points"),
    ({"points": 2**31}, "points"),
    ({"cash_minor": -1}, "cash_minor"),
    ({"cost_minor": 2**31}, "cost_minor"),
    ({"stock": -1}, "stock"),
    ({"per_member": 0}, "per_member"),
    ({"currency": "ABC"}, "currency"),
    ({"last_day": NOW}, "last_day"),
    ({"first_day": date(9999, 12, 31)}, "first_day"),
    ({"first_day": date(2026, 2, 2), "last_day": date(2026, 2, 1)}, "last_day"),
]


@pytest.mark.parametrize(("other", "field"), BAD_REWARDS)
def test_a_reward_that_makes_no_sense_names_the_field(other: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as bad:
        listed(**({"code": "thing"} | other))
    assert bad.value.field == field


def test_a_code_is_there_once_and_hotel_and_tier_are_known(house: None) -> None:
    before = everything()
    for other, kind, field in [
        ({"code": "breakfast"}, Conflict, "code"),
        ({"code": "new", "hotel": "HLXX"}, Unknown, "hotel"),
        ({"code": "new", "min_tier": "jade"}, Unknown, "min_tier"),
    ]:
        with pytest.raises(kind) as bad:
            put(**other)
        assert bad.value.field == field
        assert everything() == before


def test_a_reward_is_described_as_it_was_written(house: None) -> None:
    with db.transaction() as session:
        for new in read_catalogue(sample()):
            reward = rewards.reward_by_code(session, new.code)
            assert rewards.described(session, reward, now=NOW) == new


def test_days_follow_the_clock_of_the_hotel(house: None) -> None:
    days = {"first_day": date(2026, 3, 29), "last_day": date(2026, 3, 29)}
    for code, hotel, zone in (("a", "HLLN", "Europe/London"), ("b", None, "Asia/Shanghai")):
        put(code, hotel=hotel, **days)
        assert the(code).available_from == datetime(2026, 3, 29, tzinfo=ZoneInfo(zone))
        assert the(code).available_until == datetime(2026, 3, 30, tzinfo=ZoneInfo(zone))
    # Moved to another hotel, the days stay and the moments move.
    assert change(the("b").id, hotel="HLLN").available_from == the("a").available_from


def test_changing_and_changing_again(house: None) -> None:
    reward_id = the("paper_lantern").id
    changed = change(reward_id, points=3100, per_member=None, hotel=None)
    assert (changed.points, changed.per_member, changed.hotel_id, changed.stock) == (3100, None, None, 30)
    before = everything()
    change(reward_id, points=3100, per_member=None, hotel=None)
    change(reward_id)
    for bad in ({"points": 0}, {"points": 5000, "hotel": "HLXX"}, {"points": 5000, "min_tier": "jade"}):
        with pytest.raises(BadInput):
            change(reward_id, **bad)
    assert everything() == before
    with pytest.raises(Unknown):
        change(404, points=5)


def test_restocking_stays_within_what_there_can_be(house: None) -> None:
    reward_id = the("paper_lantern").id
    assert restock(reward_id, 5).stock == 35
    assert restock(reward_id, -35).stock == 0
    before = everything()
    for by in (-1, 1_000_000 + 1, 0, 1.5, True, "3", None):
        with pytest.raises(BadInput):
            restock(reward_id, by)
    with pytest.raises(Conflict):
        restock(the("breakfast").id, 5)
    with pytest.raises(Unknown):
        restock(404, 5)
    assert everything() == before


def test_withdrawing_and_offering_again(house: None) -> None:
    reward_id = the("breakfast").id
    for deed, there in ((rewards.withdraw, False), (rewards.offer_again, True)):
        with db.transaction() as session:
            deed(session, reward_id, **BY)
        assert ("breakfast" in offered(None)) is there
        before = everything()
        with db.transaction() as session:
            deed(session, reward_id, **BY)
        assert everything() == before
    assert deeds(f"reward:{reward_id}") == ["reward.added", "reward.withdrawn", "reward.offered_again"]


# What is offered


def test_everything_is_offered_to_nobody_in_particular(house: None) -> None:
    told = offered(None)
    assert set(told) == set(CODES)
    assert {offer.affordable for offer in told.values()} == {None}
    stopped = {code: type(offer.why_not) for code, offer in told.items() if offer.why_not is not None}
    assert stopped == {"moon_dinner": RewardNotYet}
    suite = told["suite_night_shanghai"]
    assert (suite.list_points, suite.points, suite.cash_minor, suite.currency) == (
        18_000,
        17_100,
        60_000,
        "CNY",
    )
    assert (suite.left, suite.hotel, told["breakfast"].left, told["breakfast"].hotel) == (
        6,
        "HLSH",
        None,
        None,
    )


def test_names_come_in_the_language_asked_for(house: None) -> None:
    member_id = new_guest("ZK900001", 50_000, tier="classic")
    for locale, name, tier in (
        ("en", "Late checkout", "Gold"),
        ("zh_CN", "延迟退房", "金卡"),
        ("xx", "Late checkout", "Gold"),
    ):
        told = offered(member_id, locale=locale)
        assert told["late_checkout"].name == name
        no = told["suite_night_shanghai"].why_not
        assert isinstance(no, RewardForTier)
        assert no.values == {"tier": tier}


def test_a_hotel_shows_its_own_and_what_is_given_everywhere(house: None) -> None:
    assert {offer.hotel for offer in offered(None, hotel="HLLN").values()} == {None, "HLLN"}
    with pytest.raises(Unknown):
        offered(None, hotel="HLXX")
    with pytest.raises(Unknown):
        offered(404)


def test_what_ran_out_of_time_is_left_again_before_a_row_says_so(house: None) -> None:
    member_id = new_guest("ZK900001", 9000)
    wish(member_id, "paper_lantern", quantity=2)
    now = offered(member_id)["paper_lantern"]
    assert (now.left, type(now.why_not), now.affordable) == (28, RewardLimit, True)
    then = offered(member_id, now=LATER)["paper_lantern"]
    assert (then.left, then.why_not, stock("paper_lantern")) == (30, None, 28)


def test_a_gate_that_a_later_programme_does_not_know_lets_nobody_through(house: None) -> None:
    put("thing", min_tier="gold")
    renamed = programme.sample().replace("code: gold\n", "code: jade\n").replace("[gold, platinum]", "[jade]")
    with db.transaction() as session:
        programme_versions.load(session, renamed, actor="test", now=NOW)
    for number, tier in enumerate(("gold", "jade", "platinum")):
        member_id = new_guest(f"ZK90000{number}", 9000, tier=tier)
        assert isinstance(offered(member_id)["thing"].why_not, RewardForTier)
        assert offered(member_id)["breakfast"].why_not is None


class Undone(Exception):
    """Only to roll back."""


def would_say(member_id: int, code: str) -> int | Refusal:
    """The points that asking for one would hold, or the refusal; nothing is kept."""
    price = 0
    try:
        with db.transaction() as session:
            held = redeeming.begin(session, member_id, code, key=f"try:{code}", channel="telegram", **BY)
            price = held.points
            raise Undone
    except Undone:
        return price
    except Refusal as no:
        return no


@pytest.mark.parametrize(("tier", "stopped_by"), [("classic", {"tier"}), ("gold", set())])
def test_the_catalogue_says_what_asking_would_say(house: None, tier: str, stopped_by: set[str]) -> None:
    put("sold_out", stock=0)
    put("had", per_member=1)
    put("dear", points=40_000)
    member_id = new_guest("ZK900001", 9000, tier=tier)
    wish(member_id, "had", key="had")
    outcomes = set()
    for code, offer in offered(member_id).items():
        said = would_say(member_id, code)
        if isinstance(said, Unavailable):
            assert offer.why_not is not None
            assert (type(said), said.values) == (type(offer.why_not), offer.why_not.values)
            outcomes.add(said.why)
        elif isinstance(said, Refusal):
            assert type(said) is NotEnoughPoints
            assert (said.values["needed"], False, None) == (offer.points, offer.affordable, offer.why_not)
            outcomes.add("points")
        else:
            assert (said, True, None) == (offer.points, offer.affordable, offer.why_not)
            outcomes.add("held")
    assert outcomes == {"held", "window", "limit", "stock", "points"} | stopped_by
