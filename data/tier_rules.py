"""Who belongs in which tier: reached at once, kept for a period, lost gently after a time of grace."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Literal

from data.earning import months_after
from data.programme import Programme
from data.programme_sections import Alternative

Reason = Literal["promoted", "renewed", "holds", "grace", "demoted"]


@dataclass(frozen=True)
class Measures:
    """What a member did in a window: completed nights and stays; `spend` in base points (`Earned.base_points`)."""

    nights: int = 0
    stays: int = 0
    spend: int = 0


@dataclass(frozen=True)
class Verdict:
    """The tier a member has from now on, and why.

    `promoted`: reached, at once. `renewed`: its period ended and it was reached again. `holds`: nothing to decide.
    `grace`: its period ended, it stays until `grace_until`. `demoted`: not reached again in time.
    `valid_until` is the last day of its period, None without an end. `met` is the way to the tier that the measures
    meet, None if they meet none (or it is the entry tier).
    """

    tier: str
    valid_until: date | None
    reason: Reason
    was: str
    met: Alternative | None
    measures: Measures
    grace_until: date | None = None

    def facts(self) -> dict[str, Any]:
        """For the tier history, as JSON."""
        asked = zip(("nights", "stays", "spend"), self.met.asks if self.met else (), strict=False)
        return {
            "tier": self.tier,
            "was": self.was,
            "reason": self.reason,
            "valid_until": self.valid_until.isoformat() if self.valid_until else None,
            "grace_until": self.grace_until.isoformat() if self.grace_until else None,
            "measures": asdict(self.measures),
            "met": {name: least for name, least in asked if least} or None,
        }


@dataclass(frozen=True)
class Progress:
    """What is missing to the next tier, one entry for each way to it, the nearest first; None at the top."""

    tier: str | None
    missing: tuple[Measures, ...] = ()


def window(programme: Programme, today: date, valid_until: date | None = None) -> tuple[date, date]:
    """First and last day, both included, of the days that count when a member is judged today.

    `valid_until`: the end of the member's tier. Once it has passed, the period that ended still counts, with the
    days since: that is what grace is for. Without it, a stay of 30 December that is reported in January is lost.
    """
    end = today if valid_until is None or today <= valid_until else valid_until
    if programme.window == "calendar_year":
        return date(end.year, 1, 1), today
    return months_after(end, -12) + timedelta(days=1), today


def reached(programme: Programme, measures: Measures) -> str:
    """The highest tier that the measures reach by any of its ways."""
    tiers = (tier.code for tier in reversed(programme.tiers[1:]) if _met(programme, tier.code, measures))
    return next(tiers, programme.entry_tier.code)


def judge(
    programme: Programme, *, tier: str, valid_until: date | None, measures: Measures, today: date
) -> Verdict:
    """What becomes of a member in `tier` whose period ends on `valid_until` (None: it has no end).

    `measures` are those of `window(programme, today, valid_until)`, `today` is the programme's. Judging again on the
    same day changes nothing. Raises `Unknown` for a tier that is not in the programme.
    """
    rank, best = programme.rank(tier), programme.rank(reached(programme, measures))

    def verdict(at: int, reason: Reason, until: date | None, grace_until: date | None = None) -> Verdict:
        code = programme.tiers[at].code
        # The entry tier cannot be lost, so it has no end.
        return Verdict(
            tier=code,
            valid_until=until if at else None,
            reason=reason,
            was=tier,
            met=_met(programme, code, measures),
            measures=measures,
            grace_until=grace_until,
        )

    if best > rank:
        return verdict(best, "promoted", _period_end(programme, today))
    if rank == 0 or valid_until is None or today <= valid_until:
        return verdict(rank, "holds", valid_until)
    if best == rank:
        return verdict(rank, "renewed", _next_end(programme, valid_until, today))
    grace_until = valid_until + timedelta(days=programme.demotion.grace_days)
    if today <= grace_until:
        return verdict(rank, "grace", valid_until, grace_until)
    lower = max(best, rank - programme.demotion.steps)
    return verdict(lower, "demoted", _next_end(programme, valid_until, today))


def progress(programme: Programme, tier: str, measures: Measures) -> Progress:
    """What a member of `tier` still needs for the next, for example 2 more nights. Raises `Unknown`."""
    above = programme.next_tier(tier)
    if above is None:
        return Progress(None)
    ways = sorted(above.reach, key=lambda way: _farness(way, measures))
    return Progress(above.code, tuple(Measures(*_missing(way, measures)) for way in ways))


def _met(programme: Programme, tier: str, measures: Measures) -> Alternative | None:
    """The first way to a tier that the measures meet."""
    return next((way for way in programme.tier(tier).reach if not any(_missing(way, measures))), None)


def _missing(way: Alternative, measures: Measures) -> list[int]:
    has = (measures.nights, measures.stays, measures.spend)
    return [max(0, asked - done) for asked, done in zip(way.asks, has, strict=True)]


def _farness(way: Alternative, measures: Measures) -> Fraction:
    """The largest part that is missing of anything a way asks for: 0 is met, 1 is not begun."""
    parts = zip(_missing(way, measures), way.asks, strict=True)
    return max(Fraction(missing, asked) for missing, asked in parts if asked)


def _period_end(programme: Programme, day: date) -> date:
    """The last day of a period that begins on `day`, or that follows the one that ended on it."""
    return date(day.year + 1, 12, 31) if programme.window == "calendar_year" else months_after(day, 12)


def _next_end(programme: Programme, ended: date, today: date) -> date:
    """The end of the period after one that has ended; of a later one, if nobody judged for so long."""
    while ended < today:
        ended = _period_end(programme, ended)
    return ended
