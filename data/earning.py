"""What a folio line earns and why, what a refund takes back, and when points ripen and end."""

from __future__ import annotations

import calendar
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from typing import Any, get_args
from zoneinfo import ZoneInfo

from babel.numbers import get_currency_precision

from data.programme import Programme
from data.programme_sections import Promotion, Rounding, Stacking, Weekday
from data.refusals import BadInput, Unknown

# Products of factors are exact, however many promotions meet.
_EXACT = Context(prec=1000, traps=[Inexact])


@dataclass(frozen=True)
class Earned:
    """Points of one folio line, with everything they were reckoned from.

    points = base_minor / 10^minor_digits x rate x outlet_factor x multiplier, rounded. `base_points` are the same
    without the multiplier: they count as spend towards a tier. `rule` is the line of the programme that applied.
    """

    points: int
    base_points: int
    rule: str
    outlet: str
    base_minor: int
    minor_digits: int
    currency: str
    rate: Decimal
    outlet_factor: Decimal
    tier: str
    tier_multiplier: Decimal
    promotions: tuple[tuple[str, Decimal], ...]
    stacking: Stacking
    multiplier: Decimal
    rounding: Rounding

    def facts(self) -> dict[str, Any]:
        """For the ledger row, as JSON; factors are decimal strings."""
        return {
            "points": self.points,
            "base_points": self.base_points,
            "rule": self.rule,
            "outlet": self.outlet,
            "base_minor": self.base_minor,
            "minor_digits": self.minor_digits,
            "currency": self.currency,
            "rate": _plain(self.rate),
            "outlet_factor": _plain(self.outlet_factor),
            "tier": self.tier,
            "tier_multiplier": _plain(self.tier_multiplier),
            "promotions": [{"code": code, "multiplier": _plain(factor)} for code, factor in self.promotions],
            "stacking": self.stacking,
            "multiplier": _plain(self.multiplier),
            "rounding": self.rounding,
        }


def earned(
    programme: Programme, *, tier: str, hotel: str, outlet: str, day: date, amount_minor: int, currency: str
) -> Earned | None:
    """What a folio line of that day at the hotel earns; None if nothing. Raises `Unknown` for tier and currency.

    A refund (an amount below zero) earns nothing here: see `share`.
    """
    earn, level = programme.earn, programme.tier(tier)
    if currency not in earn.rates:
        remedy = f"Use one of {', '.join(earn.rates)}, or give it a rate in the programme."
        raise Unknown("currency", "has no rate in the programme.", remedy)
    if amount_minor <= 0:
        return None
    listed = earn.listed(outlet)
    running = [
        (promotion.code, promotion.multiplier)
        for promotion in programme.promotions
        if _applies(promotion, tier=tier, hotel=hotel, outlet=listed, day=day)
    ]
    if programme.stacking == "best":
        running = sorted(running, key=lambda each: -each[1])[:1]
    rate, factor = earn.rates[currency], earn.outlets[listed]
    digits = get_currency_precision(currency)
    multiplier = _multiplier(level.multiplier, [each for _, each in running], programme.stacking)
    points = _points(amount_minor, digits, (rate, factor, multiplier), earn.rounding)
    if points == 0:
        return None
    return Earned(
        points=points,
        base_points=_points(amount_minor, digits, (rate, factor), earn.rounding),
        rule=f"earn.outlets.{listed}",
        outlet=outlet,
        base_minor=amount_minor,
        minor_digits=digits,
        currency=currency,
        rate=rate,
        outlet_factor=factor,
        tier=tier,
        tier_multiplier=level.multiplier,
        promotions=tuple(running),
        stacking=programme.stacking,
        multiplier=multiplier,
        rounding=earn.rounding,
    )


def recomputed(facts: Mapping[str, Any]) -> int:
    """The points that follow from the facts of a ledger row, whatever the programme says by now."""
    promotions = [Decimal(each["multiplier"]) for each in facts["promotions"]]
    multiplier = _multiplier(Decimal(facts["tier_multiplier"]), promotions, facts["stacking"])
    factors = (Decimal(facts["rate"]), Decimal(facts["outlet_factor"]), multiplier)
    return _points(facts["base_minor"], facts["minor_digits"], factors, facts["rounding"])


def share(points_earned: int, original_minor: int, refunded_minor: int) -> int:
    """Of the points a line earned, those to be gone once `refunded_minor` of it, in all, was refunded.

    Take back the difference to the share of the refunds before: then the parts never come to more than was earned,
    and a full refund takes all. In between, what is left of a point stays with the guest.
    """
    if original_minor <= 0 or points_earned < 0:
        raise BadInput("original_minor", "a line of nothing earned nothing.", "Send the line that earned.")
    if refunded_minor < 0:
        raise BadInput("refunded_minor", "is below zero.", "Send all refunds of the line so far, as a sum.")
    return points_earned * min(refunded_minor, original_minor) // original_minor


def ripens_at(checked_out: date, zone: ZoneInfo, days: int) -> datetime:
    """When points can be used: the midnight at the hotel after so many full days since checkout, in UTC."""
    return day_begins_at(checked_out + timedelta(days=days + 1), zone)


def expires_at(earned: date, zone: ZoneInfo, months: int | None) -> datetime | None:
    """When points end: the midnight at the hotel after the last day they are good, in UTC. None: never.

    They are good through the same day so many months later, or the last of that month: 31 August + 6 is 28 February.
    """
    if months is None:
        return None
    return day_begins_at(months_after(earned, months) + timedelta(days=1), zone)


def months_after(day: date, months: int) -> date:
    """The same day so many months later (earlier, if below zero), or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def day_begins_at(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day at a place, in UTC.

    Where the clock jumps over midnight, or a whole day was left out of the calendar, that is the jump itself: so
    zoneinfo reads a time that does not exist. Where midnight comes twice, it is the first.
    """
    return datetime.combine(day, time(), zone).astimezone(timezone.utc)


def _applies(promotion: Promotion, *, tier: str, hotel: str, outlet: str, day: date) -> bool:
    only = promotion.only
    weekday = get_args(Weekday)[day.weekday()]
    gates = ((only.tiers, tier), (only.hotels, hotel), (only.outlets, outlet), (only.weekdays, weekday))
    in_time = promotion.first_day <= day <= promotion.last_day
    return in_time and all(not allowed or each in allowed for allowed, each in gates)


def _multiplier(tier: Decimal, promotions: Iterable[Decimal], stacking: Stacking) -> Decimal:
    """The promotions together, by the stacking rule, times the tier's own."""
    together = Decimal(1)
    for each in promotions:
        if stacking == "multiply":
            together = _EXACT.multiply(together, each)
        elif stacking == "add":
            together = _EXACT.add(together, each - 1)
        else:
            together = max(together, each)
    return _EXACT.multiply(tier, together)


def _points(amount_minor: int, minor_digits: int, factors: Iterable[Decimal], rounding: Rounding) -> int:
    exact = Fraction(amount_minor, 10**minor_digits)
    for factor in factors:
        exact *= Fraction(factor)
    if rounding == "half_up":
        return math.floor(exact + Fraction(1, 2))
    return math.ceil(exact) if rounding == "up" else math.floor(exact)


def _plain(factor: Decimal) -> str:
    """1.50 as "1.5", 20 as "20"."""
    return f"{factor.normalize(_EXACT):f}"
