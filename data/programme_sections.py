"""The sections of a loyalty programme, each with the checks it can make on its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from babel.numbers import list_currencies
from msgspec import Meta

from data.refusals import BadInput

Window = Literal["rolling_12_months", "calendar_year"]
Rounding = Literal["down", "half_up", "up"]
Stacking = Literal["best", "multiply", "add"]
ClawBack = Literal["clamp", "owe"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

_A_CODE = "a code of small letters, digits and _, beginning with a letter"
Code = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z", description=f"{_A_CODE} (at most 32)")]
TierCode = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,15}\Z", description=f"{_A_CODE} (at most 16)")]
HotelCode = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,16}\Z", description="the hotel's code, for example HLSH")
]
Currency = Annotated[
    str, Meta(pattern=r"^[A-Z]{3}\Z", description="a currency by its three letters, for example CNY")
]
Name = Annotated[
    str, Meta(min_length=1, max_length=120, pattern=r"\S", description="a name of at most 120 letters")
]
Gift = Annotated[int, Meta(ge=0, le=1_000_000)]
Threshold = Annotated[int, Meta(ge=1, le=100_000_000)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the programme; whoever makes one that makes no sense hears `BadInput`."""


class Names(Section, frozen=True):
    """A name in the three languages guests are answered in."""

    en: Name
    zh_CN: Name
    zh_TW: Name

    def said_in(self, locale: str) -> str:
        """The name in a locale; English where we do not speak it."""
        return {"zh_CN": self.zh_CN, "zh_TW": self.zh_TW}.get(locale, self.en)


class Alternative(Section, frozen=True):
    """One way to reach a tier: all that it names. What it leaves out is 0 here, and asks for nothing."""

    nights: Threshold = 0
    stays: Threshold = 0
    spend: Threshold = 0  # in base points: what folio lines earn before any multiplier

    def __post_init__(self) -> None:
        if not any(self.asks):
            raise BadInput("nights", "nothing is asked for.", "Ask for nights, stays or spend.")

    @property
    def asks(self) -> tuple[int, int, int]:
        """Nights, stays and spend, in this order."""
        return self.nights, self.stays, self.spend

    def implies(self, other: Alternative) -> bool:
        """Whether everybody who meets this one meets the other."""
        return all(ours >= theirs for ours, theirs in zip(self.asks, other.asks, strict=True))


class Tier(Section, frozen=True):
    """A level of membership. The first of the programme asks for nothing: everybody has it."""

    code: TierCode
    names: Names
    multiplier: Decimal
    benefits: tuple[Code, ...] = ()
    reach: tuple[Alternative, ...] = ()

    def __post_init__(self) -> None:
        check_factor("multiplier", self.multiplier, least=1, most=100, places=2)
        check_different("benefits", self.benefits)


class Demotion(Section, frozen=True):
    """How gently a tier is lost: days after its end in which it can still be kept, steps down at most."""

    grace_days: Annotated[int, Meta(ge=0, le=366)]
    steps: Annotated[int, Meta(ge=1, le=10)]


class Inactivity(Section, frozen=True):
    """All points end when none of the `counts` reasons was seen in so many months."""

    months: Annotated[int, Meta(ge=1, le=120)]
    counts: Annotated[tuple[Code, ...], Meta(min_length=1)]


class Earn(Section, frozen=True):
    """How a folio line becomes points. `rates`: points for one whole unit; `outlets`: their factors."""

    rates: Annotated[dict[Currency, Decimal], Meta(min_length=1)]
    outlets: dict[Code, Decimal]
    rounding: Rounding
    ripens_days: Annotated[int, Meta(ge=0, le=366)]
    expires_months: Annotated[int, Meta(ge=1, le=120)] | None
    inactivity: Inactivity | None
    claw_back: ClawBack
    courtesy_days: Annotated[int, Meta(ge=0, le=366)]

    def __post_init__(self) -> None:
        for currency, rate in self.rates.items():
            if currency not in list_currencies():
                raise BadInput(f"rates.{currency}", "is no currency.", "Use its ISO 4217 letters: CNY, GBP.")
            check_factor(f"rates.{currency}", rate, least=0, most=10_000, places=6, above=True)
        if "other" not in self.outlets:
            raise BadInput(
                "outlets.other", "is missing.", "Say what an outlet without a line earns: other: 1."
            )
        for outlet, factor in self.outlets.items():
            check_factor(f"outlets.{outlet}", factor, least=0, most=100, places=4)

    def listed(self, outlet: str) -> str:
        """The line of `outlets` an outlet earns by: its own, or `other`."""
        return outlet if outlet in self.outlets else "other"


class Gates(Section, frozen=True):
    """Whom and what a promotion is for. What is left out, or empty, shuts nobody out."""

    tiers: tuple[TierCode, ...] = ()
    hotels: tuple[HotelCode, ...] = ()
    weekdays: tuple[Weekday, ...] = ()
    outlets: tuple[Code, ...] = ()


class Promotion(Section, frozen=True):
    """More points between two days of the hotel's calendar, both included."""

    code: Code
    names: Names
    first_day: date = msgspec.field(name="from")
    last_day: date = msgspec.field(name="until")
    multiplier: Decimal
    only: Gates = Gates()

    def __post_init__(self) -> None:
        if self.last_day < self.first_day:
            raise BadInput("until", "ends before it begins.", f"Write {self.first_day} or a later day.")
        check_factor("multiplier", self.multiplier, least=1, most=100, places=2, above=True)


class Referral(Section, frozen=True):
    """Points for both on the friend's first completed stay; 0 is no gift."""

    referrer: Gift
    friend: Gift


class Gifts(Section, frozen=True):
    """Points given for nothing in return; 0 is no gift."""

    welcome: Gift
    birthday: Gift
    referral: Referral


class Rung(Section, frozen=True):
    """From a list price of so many points on, a redemption costs less or brings another reward along."""

    from_points: Annotated[int, Meta(ge=100, le=100_000_000)] = msgspec.field(name="from")
    percent_off: Annotated[int, Meta(ge=0, le=90)] = 0
    extra: Code | None = None

    def __post_init__(self) -> None:
        if not self.percent_off and self.extra is None:
            raise BadInput("percent_off", "the rung gives nothing.", "Write percent_off, extra or both.")


class Redemption(Section, frozen=True):
    """How points become rewards."""

    hold_minutes: Annotated[int, Meta(ge=1, le=1440)]
    code_valid_days: Annotated[int, Meta(ge=1, le=731)]
    ladder: tuple[Rung, ...] = ()

    def __post_init__(self) -> None:
        for number, (lower, higher) in enumerate(zip(self.ladder, self.ladder[1:], strict=False), start=1):
            if higher.from_points <= lower.from_points:
                remedy = f"Write more than {lower.from_points}, the rung before."
                raise BadInput(f"ladder[{number}].from", "does not rise.", remedy)
            if higher.percent_off < lower.percent_off:
                remedy = f"Write at least {lower.percent_off}, as the rung before."
                raise BadInput(f"ladder[{number}].percent_off", "falls.", remedy)


def check_listed(field: str, code: str, known: Sequence[str]) -> None:
    if code not in known:
        raise BadInput(
            field, f"{code} is nowhere described.", f"Use one of {', '.join(known) or '(none yet)'}."
        )


def check_different(field: str, codes: Sequence[str], part: str = "") -> None:
    for number, code in enumerate(codes):
        if code in codes[:number]:
            raise BadInput(f"{field}[{number}]{part}", f"{code} is there already.", "Give each its own.")


def check_factor(
    field: str, factor: Decimal, *, least: int, most: int, places: int, above: bool = False
) -> None:
    """`above`: more than `least`. The limits keep every product exact and every line's points in the ledger's reach."""
    exponent = factor.as_tuple().exponent
    if not isinstance(exponent, int) or not least <= factor <= most or (above and factor == least):
        start = "more than" if above else "at least"
        raise BadInput(
            field, f"{factor} does not fit here.", f"Write a number of {start} {least}, at most {most}."
        )
    if exponent < -places:
        raise BadInput(field, f"{factor:f} is too fine.", f"Write at most {places} digits after the point.")
