"""Earning: what a line brings and why, what a refund takes, and days that begin in UTC where the clock jumps."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from data import programme
from data.earning import (
    Earned,
    day_begins_at,
    earned,
    expires_at,
    months_after,
    recomputed,
    ripens_at,
    share,
)
from data.programme import Programme
from data.programme_sections import Gates, Names, Promotion
from data.refusals import BadInput, Unknown

CIRCLE = programme.read(programme.sample())
QUIET = replace(CIRCLE, promotions=())  # without promotions
WEDNESDAY = date(2026, 3, 11)
NAMES = Names(en="More", zh_CN="更多", zh_TW="更多")


def line(within: Programme = QUIET, **other: Any) -> Earned | None:
    """What CNY 100.00 of a classic member's room earn, but for `other`."""
    told: dict[str, Any] = {
        "tier": "classic",
        "hotel": "HLSH",
        "outlet": "room",
        "day": WEDNESDAY,
        "amount_minor": 10000,
        "currency": "CNY",
    }
    return earned(within, **(told | other))


def points(within: Programme = QUIET, **other: Any) -> int:
    found = line(within, **other)
    return found.points if found else 0


def promotion(code: str, multiplier: str, only: Gates | None = None, **days: date) -> Promotion:
    """A promotion of March 2026."""
    return Promotion(
        code=code,
        names=NAMES,
        first_day=days.get("first", date(2026, 3, 1)),
        last_day=days.get("last", date(2026, 3, 31)),
        multiplier=Decimal(multiplier),
        only=only or Gates(),
    )


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, 100),
        ({"tier": "silver"}, 125),
        ({"tier": "platinum"}, 200),
        ({"outlet": "spa"}, 150),
        ({"outlet": "spa", "tier": "gold"}, 225),
        ({"outlet": "tax"}, 0),
        ({"outlet": "kiosk"}, 100),
        ({"currency": "GBP"}, 900),
        ({"amount_minor": 9999}, 99),
        ({"amount_minor": 99}, 0),
        ({"amount_minor": 99, "tier": "platinum"}, 1),  # 1.98: the multiplier comes before the rounding
        ({"amount_minor": 0}, 0),
        ({"amount_minor": -10000}, 0),
        ({"amount_minor": 10**12}, 10**10),
    ],
)
def test_what_a_line_earns(other: dict[str, Any], expected: int) -> None:
    assert points(**other) == expected
    assert (line(**other) is None) == (expected == 0)


@pytest.mark.parametrize(
    ("currency", "rate", "amount_minor", "expected"),
    [
        ("JPY", "0.05", 1000, 50),
        ("KWD", "23.5", 1000, 23),
        ("KWD", "23.5", 10_000, 235),
        ("CNY", "1", 1000, 10),
    ],
)
def test_currencies_have_minor_units_of_their_own(
    currency: str, rate: str, amount_minor: int, expected: int
) -> None:
    within = replace(QUIET, earn=replace(QUIET.earn, rates={currency: Decimal(rate)}))
    assert points(within, currency=currency, amount_minor=amount_minor) == expected


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [("down", [0, 0, 0, 1, 1, 1]), ("half_up", [0, 0, 1, 1, 1, 2]), ("up", [1, 1, 1, 1, 2, 2])],
)
def test_rounding_of_a_line(rounding: Any, expected: list[int]) -> None:
    within = replace(QUIET, earn=replace(QUIET.earn, rounding=rounding))
    assert [points(within, amount_minor=amount) for amount in (1, 49, 50, 100, 101, 150)] == expected


def test_unknown_tier_or_currency_is_refused() -> None:
    with pytest.raises(Unknown) as caught:
        line(currency="USD")
    assert (caught.value.field, "CNY, GBP" in caught.value.remedy) == ("currency", True)
    with pytest.raises(Unknown) as caught:
        line(tier="bronze")
    assert caught.value.field == "tier"


@pytest.mark.parametrize(
    ("stacking", "multiplier", "codes", "expected"),
    [("best", "3", ["b"], 300), ("multiply", "6", ["a", "b"], 600), ("add", "4", ["a", "b"], 400)],
)
def test_promotions_stack_by_the_stated_rule(
    stacking: Any, multiplier: str, codes: list[str], expected: int
) -> None:
    both = (promotion("a", "2"), promotion("b", "3"))
    within = replace(QUIET, promotions=both, stacking=stacking)
    found = line(within)
    assert found is not None
    assert (found.points, found.base_points, found.multiplier) == (expected, 100, Decimal(multiplier))
    assert [code for code, _ in found.promotions] == codes
    assert points(within, tier="gold") == expected * 3 // 2, "what comes out is multiplied with the tier"


def test_two_doubles_added_are_a_triple() -> None:
    doubles = (promotion("a", "2"), promotion("b", "2"))
    assert points(replace(QUIET, promotions=doubles, stacking="add")) == 300
    best = line(replace(QUIET, promotions=doubles, stacking="best"))
    assert best is not None
    assert best.promotions == (("a", Decimal(2)),), "of equals the first of the file is told"


@pytest.mark.parametrize(("stacking", "told"), [("best", 4503), ("multiply", 9007), ("add", 6004)])
def test_the_worked_example_of_the_sample(stacking: Any, told: int) -> None:
    assert f"{told:,}" in programme.sample()
    both = (promotion("a", "2"), promotion("b", "3"))
    within = replace(QUIET, promotions=both, stacking=stacking)
    assert points(within, tier="gold", amount_minor=100080) == told


@pytest.mark.parametrize(
    ("only", "other", "applies"),
    [
        ({}, {}, True),
        ({}, {"day": date(2026, 2, 28)}, False),
        ({}, {"day": date(2026, 3, 1)}, True),
        ({}, {"day": date(2026, 3, 31)}, True),
        ({}, {"day": date(2026, 4, 1)}, False),
        ({"tiers": ("gold", "platinum")}, {}, False),
        ({"tiers": ("gold", "platinum")}, {"tier": "gold"}, True),
        ({"hotels": ("HLLN",)}, {}, False),
        ({"hotels": ("HLLN",)}, {"hotel": "HLLN"}, True),
        ({"weekdays": ("wednesday",)}, {}, True),
        ({"weekdays": ("monday", "tuesday")}, {}, False),
        ({"weekdays": ("sunday",)}, {"day": date(2026, 3, 15)}, True),
        ({"outlets": ("spa",)}, {}, False),
        ({"outlets": ("spa",)}, {"outlet": "spa"}, True),
        ({"outlets": ("other",)}, {"outlet": "kiosk"}, True),
        ({"tiers": ("classic",), "weekdays": ("monday",)}, {}, False),
    ],
)
def test_gates(only: dict[str, Any], other: dict[str, Any], applies: bool) -> None:
    found = line(replace(QUIET, promotions=(promotion("a", "2", Gates(**only)),)), **other)
    assert found is not None
    assert bool(found.promotions) == applies
    assert found.points == found.multiplier * found.base_points


def test_every_weekday_has_its_name() -> None:
    for offset in range(7):
        day = WEDNESDAY + timedelta(days=offset)
        name: Any = day.strftime("%A").lower()
        within = replace(QUIET, promotions=(promotion("a", "2", Gates(weekdays=(name,))),))
        assert points(within, day=day) == 200
        assert points(within, day=day + timedelta(days=1)) == 100


def test_a_line_explains_itself() -> None:
    found = line(CIRCLE, tier="gold", outlet="spa", day=date(2026, 6, 6), amount_minor=123456)
    assert found is not None
    assert found.facts() == {
        "points": 8333,  # 1234.56 x 1 x 1.5 x 1.5 x 3
        "base_points": 1851,
        "rule": "earn.outlets.spa",
        "outlet": "spa",
        "base_minor": 123456,
        "minor_digits": 2,
        "currency": "CNY",
        "rate": "1",
        "outlet_factor": "1.5",
        "tier": "gold",
        "tier_multiplier": "1.5",
        "promotions": [{"code": "gold_spa", "multiplier": "3"}],
        "stacking": "best",
        "multiplier": "4.5",
        "rounding": "down",
    }
    kiosk = line(outlet="kiosk")
    assert kiosk is not None
    assert (kiosk.rule, kiosk.outlet) == ("earn.outlets.other", "kiosk")


FACTORS = st.decimals("1.01", 100, places=2)
PROMOTIONS = st.lists(FACTORS, max_size=40).map(
    lambda factors: tuple(promotion(f"p{number}", str(factor)) for number, factor in enumerate(factors))
)
PROGRAMMES = st.builds(
    lambda rate, factor, tier, promotions, stacking, rounding, currency: replace(
        QUIET,
        tiers=(replace(QUIET.tiers[0], multiplier=tier), *QUIET.tiers[1:]),
        earn=replace(
            QUIET.earn, rates={currency: rate}, outlets={"other": factor, "room": factor}, rounding=rounding
        ),
        promotions=promotions,
        stacking=stacking,
    ),
    rate=st.decimals("0.000001", 10_000, places=6),
    factor=st.decimals(0, 100, places=4),
    tier=st.decimals(1, 100, places=2),
    promotions=PROMOTIONS,
    stacking=st.sampled_from(["best", "multiply", "add"]),
    rounding=st.sampled_from(["down", "half_up", "up"]),
    currency=st.sampled_from(["CNY", "JPY", "KWD", "CLF"]),
)


@given(within=PROGRAMMES, amount=st.integers(1, 10**12))
def test_the_facts_lead_to_the_same_points(within: Programme, amount: int) -> None:
    (currency,) = within.earn.rates
    found = line(within, amount_minor=amount, currency=currency)
    if found is None:
        assert within.earn.rounding != "up" or within.earn.outlets["room"] == 0
        return
    facts = json.loads(json.dumps(found.facts(), allow_nan=False))
    assert recomputed(facts) == found.points == facts["points"]
    # The words of `Earned`, word for word, without a rounding on the way.
    exact = Fraction(facts["base_minor"], 10 ** facts["minor_digits"])
    for factor in ("rate", "outlet_factor", "multiplier"):
        exact *= Fraction(facts[factor])
    together = Fraction(1)
    for each in facts["promotions"]:
        factor = Fraction(each["multiplier"])
        together = together + factor - 1 if facts["stacking"] == "add" else together * factor
    assert Fraction(facts["multiplier"]) == Fraction(facts["tier_multiplier"]) * together
    off = found.points - exact
    low, high = {"down": (-1, 0), "half_up": (Fraction(-1, 2), Fraction(1, 2)), "up": (0, 1)}[
        facts["rounding"]
    ]
    assert low <= off <= high
    assert abs(off) < 1
    assert type(found.points) is int
    assert 0 <= found.base_points <= found.points


@given(within=PROGRAMMES, amount=st.integers(1, 10**9), more=st.integers(0, 10**9))
def test_who_spends_more_earns_no_less(within: Programme, amount: int, more: int) -> None:
    (currency,) = within.earn.rates
    less = points(within, amount_minor=amount, currency=currency)
    assert less <= points(within, amount_minor=amount + more, currency=currency)


@given(within=PROGRAMMES)
def test_stacking_rules_in_order(within: Programme) -> None:
    (currency,) = within.earn.rates
    best, add, multiply = (
        points(replace(within, stacking=rule), currency=currency) for rule in ("best", "add", "multiply")
    )
    assert best <= add <= multiply


@given(
    earned_points=st.integers(0, 10**8),
    original=st.integers(1, 10**10),
    parts=st.lists(st.integers(0, 10**10), max_size=8),
)
def test_refunds_in_parts_never_take_more_than_was_earned(
    earned_points: int, original: int, parts: list[int]
) -> None:
    refunded = taken = 0
    for part in parts:
        back = share(earned_points, original, refunded + part) - share(earned_points, original, refunded)
        assert back >= 0
        refunded, taken = refunded + part, taken + back
        assert taken == share(earned_points, original, refunded), "as if refunded at once"
        assert taken <= earned_points
        assert taken * original <= earned_points * refunded, "what is left of a point stays with the guest"
    rest = share(earned_points, original, max(original, refunded)) - taken
    assert taken + rest == earned_points


def test_shares() -> None:
    assert [share(100, 300, refunded) for refunded in (0, 1, 3, 100, 299, 300, 400)] == [
        0,
        0,
        1,
        33,
        99,
        100,
        100,
    ]


@pytest.mark.parametrize("wrong", [(100, 0, 0), (100, -5, 0), (-1, 300, 0), (100, 300, -1)])
def test_shares_of_nonsense_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(BadInput):
        share(*wrong)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("zone", "checked_out", "days", "expected"),
    [
        ("Asia/Shanghai", date(2026, 3, 10), 3, "2026-03-13 16:00"),
        ("Asia/Shanghai", date(2026, 3, 10), 0, "2026-03-10 16:00"),
        ("Asia/Kathmandu", date(2026, 12, 30), 1, "2026-12-31 18:15"),
        ("Europe/London", date(2026, 3, 28), 0, "2026-03-29 00:00"),  # the clock goes forward that night
        ("Europe/London", date(2026, 3, 28), 1, "2026-03-29 23:00"),
        ("Europe/London", date(2026, 10, 24), 0, "2026-10-24 23:00"),
        ("Europe/London", date(2026, 10, 24), 1, "2026-10-26 00:00"),
        ("America/New_York", date(2026, 3, 7), 0, "2026-03-08 05:00"),
        ("America/New_York", date(2026, 3, 7), 1, "2026-03-09 04:00"),
        ("America/Sao_Paulo", date(2018, 11, 3), 0, "2018-11-04 03:00"),  # no midnight: 00:00 became 01:00
        (
            "America/Sao_Paulo",
            date(2018, 2, 17),
            0,
            "2018-02-18 03:00",
        ),  # the hour before midnight came twice
        ("Africa/Cairo", date(2026, 4, 23), 0, "2026-04-23 22:00"),  # no midnight
        ("America/Havana", date(2026, 10, 31), 0, "2026-11-01 04:00"),  # midnight twice: the first
        ("Pacific/Apia", date(2011, 12, 28), 0, "2011-12-29 10:00"),
        ("Pacific/Apia", date(2011, 12, 29), 0, "2011-12-30 10:00"),  # the 30th was left out:
        ("Pacific/Apia", date(2011, 12, 29), 1, "2011-12-30 10:00"),  # both mean the beginning of the 31st
        ("Pacific/Apia", date(2011, 12, 29), 2, "2011-12-31 10:00"),
    ],
)
def test_points_ripen_at_a_midnight_of_the_hotel(
    zone: str, checked_out: date, days: int, expected: str
) -> None:
    found = ripens_at(checked_out, ZoneInfo(zone), days)
    assert found == utc(expected)
    assert found.tzinfo is timezone.utc


@pytest.mark.parametrize(
    ("zone", "day", "months", "expected"),
    [
        ("Asia/Shanghai", date(2026, 3, 14), 24, "2028-03-14 16:00"),
        ("Asia/Shanghai", date(2025, 8, 31), 6, "2026-02-28 16:00"),
        ("Asia/Shanghai", date(2027, 8, 31), 6, "2028-02-29 16:00"),
        ("Asia/Shanghai", date(2028, 2, 29), 12, "2029-02-28 16:00"),
        ("Asia/Shanghai", date(2028, 2, 29), 48, "2032-02-29 16:00"),
        ("Europe/London", date(2026, 12, 31), 12, "2028-01-01 00:00"),
        ("Europe/London", date(2026, 12, 31), 6, "2027-06-30 23:00"),
        ("Europe/London", date(2025, 9, 28), 6, "2026-03-29 00:00"),
        ("Europe/London", date(2025, 9, 29), 6, "2026-03-29 23:00"),
    ],
)
def test_points_end_after_a_whole_last_day(zone: str, day: date, months: int, expected: str) -> None:
    assert expires_at(day, ZoneInfo(zone), months) == utc(expected)


def test_points_that_never_end() -> None:
    assert expires_at(WEDNESDAY, ZoneInfo("Asia/Shanghai"), None) is None


ZONES = st.sampled_from(
    [
        "Asia/Shanghai",
        "Europe/London",
        "America/New_York",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "America/Sao_Paulo",
        "Africa/Cairo",
        "America/Havana",
        "Asia/Beirut",
        "Asia/Tehran",
        "Australia/Lord_Howe",
        "Atlantic/Azores",
        "Pacific/Kiritimati",
        "America/Santiago",
    ]
).map(ZoneInfo)
JUMPS = [
    date(2011, 12, 30),
    date(2018, 11, 4),
    date(2018, 2, 18),
    date(2026, 3, 29),
    date(2026, 10, 25),
    date(2026, 4, 24),
    date(2026, 10, 30),
    date(2026, 11, 1),
    date(2024, 2, 29),
    date(2026, 12, 31),
]
DAYS = st.dates(date(1990, 1, 1), date(2037, 12, 31)) | st.builds(
    lambda day, days: day + timedelta(days=days), st.sampled_from(JUMPS), st.integers(-3, 3)
)


@given(zone=ZONES, day=DAYS)
def test_a_day_begins_when_its_date_first_shows(zone: ZoneInfo, day: date) -> None:
    begins = day_begins_at(day, zone)
    assert begins.tzinfo is timezone.utc
    assert begins.astimezone(zone).date() >= day
    assert (begins - timedelta(microseconds=1)).astimezone(zone).date() < day


@given(zone=ZONES, day=DAYS, days=st.integers(0, 60))
def test_ripening_waits_for_whole_days(zone: ZoneInfo, day: date, days: int) -> None:
    ripens = ripens_at(day, zone, days)
    assert (ripens - timedelta(seconds=1)).astimezone(zone).date() <= day + timedelta(days=days)
    assert ripens <= ripens_at(day, zone, days + 1)
    assert ripens <= ripens_at(day + timedelta(days=1), zone, days)


@given(zone=ZONES, day=DAYS, months=st.integers(1, 120))
def test_points_are_good_through_their_last_day(zone: ZoneInfo, day: date, months: int) -> None:
    ends = expires_at(day, zone, months)
    assert ends is not None
    last = months_after(day, months)
    assert (ends - timedelta(microseconds=1)).astimezone(zone).date() <= last < ends.astimezone(zone).date()
    assert ends > day_begins_at(day, zone)


@given(day=DAYS, months=st.integers(-240, 240))
def test_months_keep_the_day_or_take_the_last(day: date, months: int) -> None:
    found = months_after(day, months)
    assert (found.year - day.year) * 12 + found.month - day.month == months
    assert found.day == day.day or (found.day < day.day and (found + timedelta(days=1)).day == 1)
