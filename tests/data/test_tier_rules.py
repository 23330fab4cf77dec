"""Tiers: reached at once, kept for a period, lost after grace and by steps; whatever a member did."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from data import programme
from data.programme import Programme
from data.programme_sections import Alternative, Demotion
from data.refusals import Unknown
from data.tier_rules import Measures, Progress, Verdict, judge, progress, reached, window

ROLLING = programme.read(programme.sample())
YEARLY = replace(ROLLING, window="calendar_year")
CODES = [tier.code for tier in ROLLING.tiers]
NOTHING = Measures()
END = date(2026, 3, 14)  # of the period, where one is needed


def judged(
    tier: str, today: date, *, nights: int = 0, until: date | None = END, within: Programme = ROLLING
) -> Verdict:
    return judge(within, tier=tier, valid_until=until, measures=Measures(nights=nights), today=today)


@pytest.mark.parametrize(
    ("measures", "tier"),
    [
        (NOTHING, "classic"),
        (Measures(nights=9, stays=9), "classic"),
        (Measures(nights=10), "silver"),
        (Measures(stays=5, spend=7999), "classic"),
        (Measures(stays=4, spend=9000), "classic"),
        (Measures(stays=5, spend=8000), "silver"),
        (Measures(nights=24, stays=11, spend=24999), "silver"),
        (Measures(nights=25), "gold"),
        (Measures(nights=3, stays=12, spend=25000), "gold"),
        (Measures(nights=50), "platinum"),
        (Measures(stays=25, spend=60000), "platinum"),
        (Measures(nights=10**6, stays=10**6, spend=10**9), "platinum"),
    ],
)
def test_the_tier_that_is_reached(measures: Measures, tier: str) -> None:
    assert reached(ROLLING, measures) == tier


@pytest.mark.parametrize(
    ("within", "today", "until", "expected"),
    [
        (ROLLING, date(2026, 3, 14), None, (date(2025, 3, 15), date(2026, 3, 14))),
        (ROLLING, date(2024, 2, 29), None, (date(2023, 3, 1), date(2024, 2, 29))),
        (ROLLING, date(2025, 2, 28), None, (date(2024, 2, 29), date(2025, 2, 28))),
        (ROLLING, date(2025, 12, 31), None, (date(2025, 1, 1), date(2025, 12, 31))),
        (ROLLING, date(2026, 3, 14), date(2026, 3, 14), (date(2025, 3, 15), date(2026, 3, 14))),
        (ROLLING, date(2026, 4, 1), date(2026, 3, 14), (date(2025, 3, 15), date(2026, 4, 1))),  # in grace
        (YEARLY, date(2026, 3, 14), None, (date(2026, 1, 1), date(2026, 3, 14))),
        (YEARLY, date(2026, 1, 1), date(2026, 12, 31), (date(2026, 1, 1), date(2026, 1, 1))),
        (YEARLY, date(2027, 1, 20), date(2026, 12, 31), (date(2026, 1, 1), date(2027, 1, 20))),  # in grace
    ],
)
def test_the_days_that_count(
    within: Programme, today: date, until: date | None, expected: tuple[date, date]
) -> None:
    assert window(within, today, until) == expected


# Tier, its end, nights, today; what becomes of it: tier, end, reason.
ROLLING_CASES = [
    ("classic", None, 9, date(2026, 3, 1), "classic", None, "holds"),
    ("classic", None, 10, date(2026, 3, 1), "silver", date(2027, 3, 1), "promoted"),
    ("classic", None, 50, date(2024, 2, 29), "platinum", date(2025, 2, 28), "promoted"),
    ("silver", END, 25, date(2026, 3, 1), "gold", date(2027, 3, 1), "promoted"),
    ("gold", END, 0, END, "gold", END, "holds"),
    ("gold", END, 25, END, "gold", END, "holds"),  # the end is judged when it has come
    ("gold", END, 25, date(2026, 3, 15), "gold", date(2027, 3, 14), "renewed"),
    ("gold", END, 24, date(2026, 3, 15), "gold", END, "grace"),
    ("gold", END, 24, date(2026, 5, 13), "gold", END, "grace"),
    ("gold", END, 25, date(2026, 5, 13), "gold", date(2027, 3, 14), "renewed"),  # grace lengthens no period
    ("gold", END, 24, date(2026, 5, 14), "silver", date(2027, 3, 14), "demoted"),
    ("gold", END, 0, date(2026, 5, 14), "silver", date(2027, 3, 14), "demoted"),  # one step only
    ("silver", END, 0, date(2026, 5, 14), "classic", None, "demoted"),
    ("gold", END, 50, date(2026, 5, 14), "platinum", date(2027, 5, 14), "promoted"),
    ("gold", END, 0, date(2028, 6, 1), "silver", date(2029, 3, 14), "demoted"),  # nobody judged for two years
    ("gold", None, 0, date(2026, 3, 1), "gold", None, "holds"),  # given without an end
    ("classic", END, 0, date(2026, 3, 1), "classic", None, "holds"),
]
YEARLY_CASES = [
    ("classic", None, 10, date(2026, 3, 1), "silver", date(2027, 12, 31), "promoted"),
    ("silver", date(2026, 12, 31), 10, date(2026, 12, 31), "silver", date(2026, 12, 31), "holds"),
    ("silver", date(2026, 12, 31), 10, date(2027, 1, 1), "silver", date(2027, 12, 31), "renewed"),
    ("silver", date(2026, 12, 31), 9, date(2027, 3, 1), "silver", date(2026, 12, 31), "grace"),
    ("silver", date(2026, 12, 31), 9, date(2027, 3, 2), "classic", None, "demoted"),
    ("platinum", date(2026, 12, 31), 9, date(2027, 3, 2), "gold", date(2027, 12, 31), "demoted"),
]


@pytest.mark.parametrize(
    ("within", "case"),
    [(ROLLING, case) for case in ROLLING_CASES] + [(YEARLY, case) for case in YEARLY_CASES],
)
def test_what_becomes_of_a_member(
    within: Programme, case: tuple[str, date | None, int, date, str, date | None, str]
) -> None:
    tier, until, nights, today, then, then_until, reason = case
    verdict = judged(tier, today, nights=nights, until=until, within=within)
    assert (verdict.tier, verdict.valid_until, verdict.reason) == (then, then_until, reason)
    assert verdict.was == tier


def test_steps_down_and_days_of_grace_are_the_programmes_own() -> None:
    hard = replace(ROLLING, demotion=Demotion(grace_days=0, steps=2))
    assert judged("platinum", END, within=hard).reason == "holds"
    assert judged("platinum", date(2026, 3, 15), within=hard).tier == "silver"
    assert judged("platinum", date(2026, 3, 15), nights=25, within=hard).tier == "gold"


def test_a_verdict_explains_itself() -> None:
    measures = Measures(nights=7, stays=6, spend=8200)
    verdict = judge(ROLLING, tier="classic", valid_until=None, measures=measures, today=END)
    assert verdict.met == Alternative(stays=5, spend=8000)
    assert json.loads(json.dumps(verdict.facts())) == {
        "tier": "silver",
        "was": "classic",
        "reason": "promoted",
        "valid_until": "2027-03-14",
        "grace_until": None,
        "measures": {"nights": 7, "stays": 6, "spend": 8200},
        "met": {"stays": 5, "spend": 8000},
    }
    waiting = judged("gold", date(2026, 3, 20), nights=11)
    assert (waiting.grace_until, waiting.met) == (date(2026, 5, 13), None)
    assert waiting.facts()["grace_until"] == "2026-05-13"


@pytest.mark.parametrize(
    ("tier", "measures", "expected"),
    [
        (
            "classic",
            Measures(nights=8, stays=1),
            Progress("silver", (Measures(nights=2), Measures(stays=4, spend=8000))),
        ),
        (
            "classic",
            Measures(stays=5, spend=7000),
            Progress("silver", (Measures(spend=1000), Measures(nights=10))),
        ),
        ("silver", NOTHING, Progress("gold", (Measures(nights=25), Measures(stays=12, spend=25000)))),
        ("classic", Measures(nights=12), Progress("silver", (NOTHING, Measures(stays=5, spend=8000)))),
        ("platinum", NOTHING, Progress(None)),
    ],
)
def test_progress_names_the_nearest_way_first(tier: str, measures: Measures, expected: Progress) -> None:
    assert progress(ROLLING, tier, measures) == expected


def test_a_tier_that_is_not_there_is_refused() -> None:
    with pytest.raises(Unknown):
        judged("bronze", END)
    with pytest.raises(Unknown):
        progress(ROLLING, "bronze", NOTHING)


PROGRAMMES = st.builds(
    lambda window, grace, steps: replace(
        ROLLING, window=window, demotion=Demotion(grace_days=grace, steps=steps)
    ),
    st.sampled_from(["rolling_12_months", "calendar_year"]),
    st.sampled_from([0, 1, 60, 366]),
    st.integers(1, 4),
)
MEASURES = st.builds(
    Measures,
    nights=st.integers(0, 60) | st.sampled_from([9, 10, 25, 50]),
    stays=st.integers(0, 30),
    spend=st.integers(0, 70_000) | st.sampled_from([7999, 8000, 25000, 60000]),
)
TIERS = st.sampled_from(CODES)
DAYS = st.dates(date(2020, 1, 1), date(2032, 12, 31)) | st.sampled_from(
    [date(2024, 2, 29), date(2025, 12, 31), date(2026, 1, 1), date(2028, 2, 29)]
)
ENDS = st.none() | DAYS


@given(within=PROGRAMMES, tier=TIERS, until=ENDS, measures=MEASURES, today=DAYS)
def test_whatever_a_member_did(
    within: Programme, tier: str, until: date | None, measures: Measures, today: date
) -> None:
    verdict = judge(within, tier=tier, valid_until=until, measures=measures, today=today)
    before, after = within.rank(tier), within.rank(verdict.tier)
    best = within.rank(reached(within, measures))
    assert after >= best, "nobody is below what they reached"
    assert (after > before) == (best > before) == (verdict.reason == "promoted")
    assert (after < before) == (verdict.reason == "demoted")
    assert before - after <= within.demotion.steps
    if verdict.reason in ("demoted", "grace"):
        assert until is not None
        grace_ends = until + timedelta(days=within.demotion.grace_days)
        assert (verdict.reason == "demoted") == (today > grace_ends)
        assert today > until
    if verdict.reason in ("promoted", "renewed", "demoted"):
        assert (verdict.valid_until is None) == (after == 0)
        assert verdict.valid_until is None or verdict.valid_until >= today
    if verdict.reason in ("holds", "grace"):
        assert verdict.valid_until == (until if after else None)
    assert (verdict.met is not None) == (0 < after <= best)


@given(within=PROGRAMMES, tier=TIERS, until=ENDS, measures=MEASURES, today=DAYS)
def test_judging_again_on_the_same_day_changes_nothing(
    within: Programme, tier: str, until: date | None, measures: Measures, today: date
) -> None:
    once = judge(within, tier=tier, valid_until=until, measures=measures, today=today)
    twice = judge(within, tier=once.tier, valid_until=once.valid_until, measures=measures, today=today)
    assert (twice.tier, twice.valid_until) == (once.tier, once.valid_until)
    assert twice.reason == ("grace" if once.reason == "grace" else "holds")


@given(within=PROGRAMMES, less=MEASURES, more=MEASURES, tier=TIERS, until=ENDS, today=DAYS)
def test_doing_more_never_harms(
    within: Programme, less: Measures, more: Measures, tier: str, until: date | None, today: date
) -> None:
    both = Measures(less.nights + more.nights, less.stays + more.stays, less.spend + more.spend)
    ranks = [
        within.rank(judge(within, tier=tier, valid_until=until, measures=each, today=today).tier)
        for each in (less, both)
    ]
    assert ranks[0] <= ranks[1]


@given(within=PROGRAMMES, tier=TIERS, start=DAYS, measures=MEASURES)
def test_a_member_judged_every_day_falls_step_by_step_with_a_period_between(
    within: Programme, tier: str, start: date, measures: Measures
) -> None:
    """Without new stays: each fall comes only after a whole period and its grace, down to what is reached."""
    assume(within.rank(tier) > within.rank(reached(within, measures)))
    until: date | None = start
    falls: list[date] = []
    today = start
    while until is not None and len(falls) < len(CODES) and (today - start).days < 5 * 800:
        verdict = judge(within, tier=tier, valid_until=until, measures=measures, today=today)
        if verdict.reason == "demoted":
            assert today == until + timedelta(days=within.demotion.grace_days + 1)
            falls.append(today)
        if verdict.reason == "renewed":
            break
        tier, until = verdict.tier, verdict.valid_until
        # Nothing happens before the end of the period; jump there, then go day by day.
        today = max(today + timedelta(days=1), until) if until else today
    assert falls
    assert tier == reached(within, measures)


@given(within=PROGRAMMES, today=DAYS, until=ENDS)
def test_the_days_that_count_end_today(within: Programme, today: date, until: date | None) -> None:
    first, last = window(within, today, until)
    assert first <= last == today
    # Never fewer days than without an end, and never a gap from one day to the next.
    assert first <= window(within, today)[0]
    assert window(within, today)[0] <= window(within, today + timedelta(days=1))[0]
    if within.window == "rolling_12_months":
        assert 365 <= (last - window(within, today)[0]).days + 1 <= 366


@given(tier=TIERS, measures=MEASURES)
def test_what_is_missing_is_what_is_missing(tier: str, measures: Measures) -> None:
    told = progress(ROLLING, tier, measures)
    if told.tier is None:
        assert tier == "platinum"
        return
    for missing in told.missing:
        full = Measures(
            measures.nights + missing.nights, measures.stays + missing.stays, measures.spend + missing.spend
        )
        assert ROLLING.rank(reached(ROLLING, full)) >= ROLLING.rank(told.tier)
        assert (missing == NOTHING) <= (ROLLING.rank(reached(ROLLING, measures)) >= ROLLING.rank(told.tier))
