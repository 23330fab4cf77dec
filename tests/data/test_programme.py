"""The programme file: the sample reads as it says, and what makes no sense is refused with its place."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import programme
from data.programme import Price, priced
from data.programme_sections import Alternative, Gates, Inactivity, Names
from data.refusals import BadInput, Unknown

SAMPLE = programme.sample()
CIRCLE = programme.read(SAMPLE)


def changed(old: str, new: str) -> str:
    """The sample with one passage changed."""
    assert SAMPLE.count(old) == 1, f"{old!r} is {SAMPLE.count(old)} times in the sample"
    return SAMPLE.replace(old, new)


def refusal(old: str, new: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        programme.read(changed(old, new))
    return caught.value


def test_the_sample_says_what_it_says() -> None:
    assert [tier.code for tier in CIRCLE.tiers] == ["classic", "silver", "gold", "platinum"]
    assert CIRCLE.tier("silver").reach == (Alternative(nights=10), Alternative(stays=5, spend=8000))
    assert CIRCLE.tier("platinum").names == Names(en="Platinum", zh_CN="白金卡", zh_TW="白金卡")
    assert CIRCLE.earn.rates == {"CNY": Decimal(1), "GBP": Decimal(9)}
    assert CIRCLE.earn.outlets["spa"] == Decimal("1.5")
    assert (CIRCLE.earn.expires_months, CIRCLE.earn.courtesy_days, CIRCLE.earn.claw_back) == (24, 30, "clamp")
    assert CIRCLE.earn.inactivity == Inactivity(months=18, counts=("stay", "redeem"))
    weekends = CIRCLE.promotion("lantern_weekends")
    assert (weekends.first_day, weekends.last_day) == (date(2026, 5, 1), date(2026, 6, 30))
    assert weekends.only == Gates(hotels=("HLSH",), weekdays=("friday", "saturday", "sunday"))
    assert (CIRCLE.demotion.grace_days, CIRCLE.demotion.steps) == (60, 1)
    assert (CIRCLE.gifts.welcome, CIRCLE.gifts.referral.friend) == (500, 500)
    assert (CIRCLE.redemption.hold_minutes, CIRCLE.redemption.code_valid_days) == (15, 90)


def test_the_sample_is_short_and_every_line_fits_a_screen() -> None:
    lines = SAMPLE.splitlines()
    assert len(lines) <= 110
    assert max(map(len, lines)) <= 120


def test_look_ups() -> None:
    assert CIRCLE.entry_tier.code == "classic"
    assert [CIRCLE.rank(tier.code) for tier in CIRCLE.tiers] == [0, 1, 2, 3]
    above = CIRCLE.next_tier("silver")
    assert above is not None
    assert above.code == "gold"
    assert CIRCLE.next_tier("platinum") is None
    assert list(CIRCLE.benefits_of("silver")) == ["member_rate", "welcome_tea"]
    assert CIRCLE.benefits_of("silver")["welcome_tea"].said_in("zh_TW") == "迎賓茶"
    assert CIRCLE.tier("gold").names.said_in("fr") == "Gold"
    assert CIRCLE.hotels_named == {"HLSH"}
    assert CIRCLE.rewards_named == {"late_checkout"}
    assert CIRCLE.today(datetime(2026, 3, 14, 16, tzinfo=timezone.utc)) == date(2026, 3, 15)
    assert [CIRCLE.earn.listed(outlet) for outlet in ("spa", "kiosk")] == ["spa", "other"]


def test_look_ups_of_what_is_not_there() -> None:
    for look in (CIRCLE.rank, CIRCLE.tier, CIRCLE.next_tier, CIRCLE.benefits_of):
        with pytest.raises(Unknown, match="classic, silver, gold, platinum"):
            look("bronze")
    with pytest.raises(Unknown, match="lantern_weekends, gold_spa"):
        CIRCLE.promotion("gold")


def test_the_programme_cannot_be_changed_by_the_way() -> None:
    with pytest.raises(AttributeError):
        CIRCLE.name = "Other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("expires_months: 24 ", "expires_months: never "),
        ("inactivity: {months: 18, counts: [stay, redeem]}", "inactivity: never"),
        ("window: rolling_12_months", "window: calendar_year"),
        ("rates: {CNY: 1, GBP: 9}", "rates: {CNY: 1, GBP: 9, JPY: 0.05, KWD: 23.5, IDR: 0.000455}"),
        ("until: 2026-06-30", "until: 2026-05-01"),
        ("    only: {tiers: [gold, platinum], outlets: [spa]}\n", ""),
        ("outlets: [spa]", "outlets: [other]"),
        ("stacking: best", "stacking: add"),
        ("percent_off: 10, extra", "percent_off: 5, extra"),
        ("welcome: 500", "welcome: 0"),
    ],
)
def test_what_a_hotel_may_change(old: str, new: str) -> None:
    assert programme.read(changed(old, new)) != CIRCLE


def test_a_hundred_promotions_are_enough() -> None:
    start, end = SAMPLE.index("promotions:\n"), SAMPLE.index("# Points as presents")
    only = "names: {en: a, zh_CN: b, zh_TW: c}, from: 2026-05-01, until: 2026-06-30, multiplier: 2"
    for number in (100, 101):
        lines = "".join(f"  - {{code: p{each}, {only}}}\n" for each in range(number))
        text = f"{SAMPLE[:start]}promotions:\n{lines}{SAMPLE[end:]}"
        if number == 100:
            assert len(programme.read(text).promotions) == 100
    with pytest.raises(BadInput, match="a list of at most 100") as caught:
        programme.read(text)
    assert caught.value.field == "promotions"


def test_a_programme_without_promotions_or_ladder() -> None:
    start, end = SAMPLE.index("promotions:\n"), SAMPLE.index("# Points as presents")
    text = SAMPLE[:start] + "promotions: []\n" + SAMPLE[end:]
    text = text[: text.index("  ladder:")]
    read = programme.read(text)
    assert (read.promotions, read.redemption.ladder) == ((), ())
    assert priced(read, 30000) == Price(30000, 30000, 0, None)


SILVER = "    reach: [{nights: 10}, {stays: 5, spend: 8000}]\n"
GOLD = "    reach: [{nights: 25}, {stays: 12, spend: 25000}]\n"

# A passage of the sample, what stands there instead, the field that is named, a piece of problem or remedy.
WRONG = [
    ("GBP: 9", "GBQ: 9", "earn.rates.GBQ", "no currency"),
    ("GBP: 9", "gbp: 9", "earn.rates.gbp", "three letters"),
    ("GBP: 9", "GBP: 0", "earn.rates.GBP", "more than 0"),
    ("GBP: 9", "GBP: -9", "earn.rates.GBP", "more than 0"),
    ("GBP: 9", "GBP: 10001", "earn.rates.GBP", "at most 10000"),
    ("GBP: 9", "GBP: 1e400", "earn.rates.GBP", "at most 10000"),
    ("GBP: 9", "GBP: nan", "earn.rates.GBP", "more than 0"),
    ("GBP: 9", "GBP: inf", "earn.rates.GBP", "more than 0"),
    ("GBP: 9", "GBP: 0.0000001", "earn.rates.GBP", "at most 6 digits"),
    ("GBP: 9", "CNY: 9", "earn.rates.CNY", "written twice"),
    ("{CNY: 1, GBP: 9}", "{}", "earn.rates", "three letters"),
    ("    spa: 1.5\n", "    spa: -1\n", "earn.outlets.spa", "at least 0"),
    ("    spa: 1.5\n", "    Spa: 1\n", "earn.outlets.Spa", "small letters"),
    ("    other: 1 ", "    others: 1 ", "earn.outlets.other", "is missing"),
    ("rounding: down", "rounding: nearest", "earn.rounding", "down, half_up, up"),
    ("ripens_days: 3", "ripens_days: -1", "earn.ripens_days", "at least 0"),
    ("expires_months: 24", "expires_months: 0", "earn.expires_months", "or never"),
    ("expires_months: 24 ", "expires_months: ", "earn.expires_months", "Nothing"),
    ("counts: [stay, redeem]", "counts: []", "earn.inactivity.counts", "a list"),
    ("claw_back: clamp", "claw_back: forget", "earn.claw_back", "clamp, owe"),
    ("time_zone: Asia/Shanghai", "time_zone: Asia/Suzhou", "time_zone", "Asia/Shanghai"),
    ("time_zone: Asia/Shanghai", "time_zone: Asia", "time_zone", "no time zone"),
    ("time_zone: Asia/Shanghai", "time_zone: ../Shanghai", "time_zone", "no time zone"),
    ("time_zone: Asia/Shanghai", "time_zone: ''", "time_zone", "no time zone"),
    ("name: Heron Lantern Circle", "name: '  '", "name", "at most 120"),
    ("tiers:\n", "tiers: []\nlevels:\n", "tiers", "at least 1"),
    ("stacking: best\n", "stack: best\n", "stack", "Did you mean stacking?"),
    ("  - code: gold\n", "  - code: silver\n", "tiers[2].code", "silver is there already"),
    ("  - code: gold\n", "  - code: Gold\n", "tiers[2].code", "small letters"),
    ("  - code: gold\n", "  - code: goldgoldgoldgoldg\n", "tiers[2].code", "at most 16"),
    ("multiplier: 1.25", "multiplier: 0.9", "tiers[1].multiplier", "at least 1"),
    ("multiplier: 1.25", "multiplier: 1.255", "tiers[1].multiplier", "at most 2 digits"),
    ("multiplier: 1.25", "multiplyer: 1.25", "tiers[1].multiplyer", "Did you mean multiplier?"),
    ("zh_CN: 金卡, ", "", "tiers[2].names.zh_CN", "is missing"),
    ("[member_rate, welcome_tea]\n", "[member_rate, tea]\n", "tiers[1].benefits[1]", "welcome_tea"),
    ("[member_rate, welcome_tea]\n", "[tea, tea]\n", "tiers[1].benefits[1]", "there already"),
    (SILVER, "", "tiers[1].reach", "reach: [{nights: 10}]"),
    ("[member_rate]\n", "[member_rate]\n    reach: [{nights: 1}]\n", "tiers[0].reach", "everybody's"),
    (GOLD, "    reach: [{nights: 9}]\n", "tiers[2].reach[0]", "more than silver"),
    (GOLD, "    reach: [{nights: 10}]\n", "tiers[2].reach[0]", "more than silver"),
    (GOLD, "    reach: [{nights: 25}, {stays: 90}]\n", "tiers[2].reach[1]", "same kind"),
    (GOLD, "    reach: [{nights: 25}, {}]\n", "tiers[2].reach[1].nights", "nothing is asked"),
    (GOLD, "    reach: [{nights: 0}]\n", "tiers[2].reach[0].nights", "at least 1"),
    (GOLD, "    reach: [{nights: 25.5}]\n", "tiers[2].reach[0].nights", "whole number"),
    (GOLD, "    reach: [{night: 25}]\n", "tiers[2].reach[0].night", "Did you mean nights?"),
    (GOLD, "    reach: {nights: 25}\n", "tiers[2].reach", "a list"),
    ("window: rolling_12_months", "window: 12 months", "window", "rolling_12_months, calendar_year"),
    ("grace_days: 60", "grace_days: 367", "demotion.grace_days", "at most 366"),
    ("steps: 1", "steps: 0", "demotion.steps", "at least 1"),
    ("stacking: best", "stacking: all", "stacking", "best, multiply, add"),
    ("until: 2026-06-30", "until: 2026-04-30", "promotions[0].until", "before it begins"),
    ("until: 2026-06-30", "until: 2026-06-31", "promotions[0].until", "a day of the calendar"),
    ("until: 2026-06-30", "until: 30.6.2026", "promotions[0].until", "as in 2026-05-01"),
    ("    from: 2026-06-01\n", "", "promotions[1].from", "is missing"),
    ("    multiplier: 3\n", "    multiplier: 1\n", "promotions[1].multiplier", "more than 1"),
    ("  - code: gold_spa\n", "  - code: lantern_weekends\n", "promotions[1].code", "there already"),
    ("tiers: [gold, platinum]", "tiers: [gold, bronze]", "promotions[1].only.tiers[1]", "bronze"),
    ("outlets: [spa]", "outlets: [pool]", "promotions[1].only.outlets[0]", "room, dining, spa"),
    ("hotels: [HLSH]", "hotels: [鹭灯]", "promotions[0].only.hotels[0]", "HLSH"),
    ("[friday, saturday, sunday]", "[fri]", "promotions[0].only.weekdays[0]", "monday, tuesday"),
    ("[friday, saturday, sunday]", "friday", "promotions[0].only.weekdays", "a list"),
    ("welcome: 500", "welcome: -1", "gifts.welcome", "at least 0"),
    ("welcome: 500", "welcome: 5,000", "gifts.welcome", "whole number"),
    ("friend: 500", "friend: 1000001", "gifts.referral.friend", "at most 1000000"),
    ("hold_minutes: 15", "hold_minutes: 0", "redemption.hold_minutes", "at least 1"),
    ("from: 30000", "from: 10000", "redemption.ladder[1].from", "does not rise"),
    (
        "from: 30000, percent_off: 10",
        "from: 30000, percent_off: 4",
        "redemption.ladder[1].percent_off",
        "falls",
    ),
    ("percent_off: 10, extra", "extra", "redemption.ladder[1].percent_off", "falls"),
    ("percent_off: 5}", "percent_off: 91}", "redemption.ladder[0].percent_off", "at most 90"),
    ("from: 10000, percent_off: 5", "from: 10000", "redemption.ladder[0].percent_off", "gives nothing"),
    ("from: 10000", "from: 99", "redemption.ladder[0].from", "at least 100"),
]


@pytest.mark.parametrize(("old", "new", "field", "words"), WRONG)
def test_what_makes_no_sense_is_refused(old: str, new: str, field: str, words: str) -> None:
    error = refusal(old, new)
    assert error.field == field
    assert words in f"{error.problem} {error.remedy}"


def test_the_line_is_named() -> None:
    line = next(n for n, text in enumerate(SAMPLE.splitlines(), start=1) if "multiplier: 3" in text)
    assert refusal("    multiplier: 3\n", "    multiplier: 0.5\n").problem.startswith(f"(line {line}) 0.5 ")


def test_sections_made_in_python_are_checked_too() -> None:
    with pytest.raises(BadInput, match="nothing is asked"):
        Alternative()
    with pytest.raises(BadInput) as caught:
        msgspec.structs.replace(CIRCLE, tiers=CIRCLE.tiers[1:])
    assert caught.value.field == "tiers[0].reach"


LINES = SAMPLE.splitlines(keepends=True)


@given(
    number=st.integers(0, len(LINES) - 1),
    instead=st.sampled_from(["", "  x\n", "x: 1\n", "- 1\n", "\t\n", "]\n"]),
)
def test_a_slip_of_the_keyboard_never_breaks_the_reading(number: int, instead: str) -> None:
    text = "".join([*LINES[:number], instead, *LINES[number + 1 :]])
    try:
        read = programme.read(text)
    except BadInput as error:
        named = error.field
    else:
        assert LINES[number].lstrip().startswith("#") or len(LINES[number]) == 1 or read != CIRCLE
        return
    assert named


@given(points=st.integers(1, 100_000_000))
def test_the_ladder_never_costs_more_and_never_less_than_it_says(points: int) -> None:
    price = priced(CIRCLE, points)
    assert price.percent_off == (0 if points < 10000 else 5 if points < 30000 else 10)
    assert price.extra == ("late_checkout" if points >= 30000 else None)
    assert type(price.points) is int
    assert 0 < price.points <= points
    exact = Decimal(points) * (100 - price.percent_off) / 100
    assert exact - 1 < price.points <= exact  # in the guest's favour, and by less than a point


def test_the_price_in_the_sample() -> None:
    assert "One of 12,345 points costs 11,727" in SAMPLE
    assert priced(CIRCLE, 12345) == Price(11727, 12345, 5, None)
    assert priced(CIRCLE, 9999).points == 9999
