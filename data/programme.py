"""The loyalty programme as a hotel writes it down, read whole: its look-ups, and what a reward costs by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta

from data.plain_yaml import read_as
from data.programme_sections import (
    Code,
    Demotion,
    Earn,
    Gifts,
    Name,
    Names,
    Promotion,
    Redemption,
    Section,
    Stacking,
    Tier,
    Window,
    check_different,
    check_listed,
)
from data.refusals import BadInput, Unknown

SAMPLE = Path(__file__).with_name("programme.yml")


class Programme(Section, frozen=True):
    """The whole programme. Tiers are in rising order. Its look-ups raise `Unknown`."""

    name: Name
    time_zone: str
    benefits: dict[Code, Names]
    tiers: Annotated[tuple[Tier, ...], Meta(min_length=1, max_length=12)]
    window: Window
    demotion: Demotion
    earn: Earn
    stacking: Stacking
    promotions: Annotated[tuple[Promotion, ...], Meta(max_length=100)]
    gifts: Gifts
    redemption: Redemption

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError):  # OSError: the name of a folder of zones, as "Asia"
            raise BadInput("time_zone", "is no time zone.", "Write one as Asia/Shanghai.") from None
        _check_tiers(self)
        _check_promotions(self)

    @property
    def zone(self) -> ZoneInfo:
        """The clock of members without a home hotel."""
        return ZoneInfo(self.time_zone)

    def today(self, now: datetime) -> date:
        """The programme's calendar day at an aware moment."""
        return now.astimezone(self.zone).date()

    @property
    def entry_tier(self) -> Tier:
        """The tier everybody begins with."""
        return self.tiers[0]

    def rank(self, tier: str) -> int:
        """0 for the entry tier, 1 for the next, and so on."""
        codes = [each.code for each in self.tiers]
        if tier not in codes:
            raise Unknown("tier", "is not in the programme.", f"Use one of {', '.join(codes)}.")
        return codes.index(tier)

    def tier(self, code: str) -> Tier:
        """The tier with this code."""
        return self.tiers[self.rank(code)]

    def next_tier(self, code: str) -> Tier | None:
        """The tier above; None for the highest."""
        above = self.rank(code) + 1
        return self.tiers[above] if above < len(self.tiers) else None

    def benefits_of(self, tier: str) -> dict[str, Names]:
        """What members of a tier enjoy, code and names, in the tier's own order."""
        return {code: self.benefits[code] for code in self.tier(tier).benefits}

    def promotion(self, code: str) -> Promotion:
        """The promotion with this code, running or not."""
        for promotion in self.promotions:
            if promotion.code == code:
                return promotion
        known = ", ".join(each.code for each in self.promotions) or "none"
        raise Unknown("promotion", "is not in the programme.", f"There are: {known}.")

    @property
    def hotels_named(self) -> frozenset[str]:
        """Codes of hotels in gates. Whether they exist only the database knows."""
        return frozenset(hotel for promotion in self.promotions for hotel in promotion.only.hotels)

    @property
    def rewards_named(self) -> frozenset[str]:
        """Codes of rewards on the ladder. Whether they exist only the database knows."""
        return frozenset(rung.extra for rung in self.redemption.ladder if rung.extra is not None)


def read(text: str) -> Programme:
    """The programme a file says. Raises `BadInput`; its field is a path such as `promotions[2].multiplier`."""
    return read_as(text, Programme)


def sample() -> str:
    """The text of a programme to begin with, commented for whoever will edit it."""
    return SAMPLE.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Price:
    """What a redemption costs in points, and the reward it brings along for nothing."""

    points: int
    list_points: int
    percent_off: int
    extra: str | None


def priced(programme: Programme, list_points: int) -> Price:
    """The price of one redemption by the highest rung it reaches; fractions of a point are let off."""
    rung = None
    for each in programme.redemption.ladder:
        if each.from_points <= list_points:
            rung = each
    if rung is None:
        return Price(list_points, list_points, 0, None)
    return Price(list_points * (100 - rung.percent_off) // 100, list_points, rung.percent_off, rung.extra)


def _check_tiers(programme: Programme) -> None:
    tiers = programme.tiers
    check_different("tiers", [tier.code for tier in tiers], ".code")
    if tiers[0].reach:
        remedy = "Leave out its reach line, or put a tier without one first."
        raise BadInput("tiers[0].reach", "the first tier is everybody's from the start.", remedy)
    for number, tier in enumerate(tiers):
        for place, benefit in enumerate(tier.benefits):
            check_listed(f"tiers[{number}].benefits[{place}]", benefit, list(programme.benefits))
        if number and not tier.reach:
            remedy = f"Say how {tier.code} is reached: reach: [{{nights: 10}}]."
            raise BadInput(f"tiers[{number}].reach", "is missing.", remedy)
        for place, way in enumerate(tier.reach):
            # Whoever reaches a tier must have reached the one below, or stepping down would lead nowhere.
            below = tiers[number - 1].reach
            if number > 1 and not any(way.implies(lower) and way != lower for lower in below):
                problem = f"does not ask for more than {tiers[number - 1].code} does."
                remedy = "Raise it, or give the tier below an easier way of the same kind."
                raise BadInput(f"tiers[{number}].reach[{place}]", problem, remedy)


def _check_promotions(programme: Programme) -> None:
    check_different("promotions", [promotion.code for promotion in programme.promotions], ".code")
    tiers, outlets = [tier.code for tier in programme.tiers], list(programme.earn.outlets)
    for number, promotion in enumerate(programme.promotions):
        for place, tier in enumerate(promotion.only.tiers):
            check_listed(f"promotions[{number}].only.tiers[{place}]", tier, tiers)
        for place, outlet in enumerate(promotion.only.outlets):
            check_listed(f"promotions[{number}].only.outlets[{place}]", outlet, outlets)
