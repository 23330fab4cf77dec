"""How a hotel describes a reward: the struct, its limits, and what makes no sense."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from babel.numbers import list_currencies
from msgspec import UNSET, UnsetType

from data.refusals import BadInput

LOCALES = ("en", "zh_CN", "zh_TW")
CODE = re.compile(r"[a-z][a-z0-9_]{0,31}")
LONGEST_NAME, LONGEST_DETAIL = 120, 400
MOST_IN_STOCK = 1_000_000

# What may be written into a column of numbers: least and most.
LIMITS = {
    "points": (1, 100_000_000),
    "cash_minor": (0, 100_000_000),
    "cost_minor": (0, 100_000_000),
    "stock": (0, MOST_IN_STOCK),
    "per_member": (1, 1000),
}


class RewardKind(str, enum.Enum):
    """What a reward is, for sorting and counting; what a guest gets is in its names and details."""

    room_night = "room_night"
    upgrade = "upgrade"
    late_checkout = "late_checkout"
    breakfast = "breakfast"
    dining = "dining"
    spa = "spa"
    gift = "gift"
    cashback = "cashback"  # money off the bill
    service = "service"  # anything else somebody does for the guest


@dataclass(frozen=True, kw_only=True)
class NewReward:
    """A reward as a hotel describes it; one that makes no sense raises `BadInput`.

    `stock` None: not counted, for good; a number: counted, and this many at first. The days are those of the
    hotel's calendar (of the programme's, for a reward of every hotel), both included; None: no first or last day.
    """

    code: str
    kind: str
    names: Mapping[str, str]
    details: Mapping[str, str]
    points: int
    currency: str
    cash_minor: int = 0
    cost_minor: int = 0
    stock: int | None = None
    per_member: int | None = None
    min_tier: str | None = None
    hotel: str | None = None
    first_day: date | None = None
    last_day: date | None = None

    def __post_init__(self) -> None:
        if not CODE.fullmatch(self.code):
            remedy = "Use small letters, digits and _, beginning with a letter, at most 32."
            raise BadInput("code", "is no code.", remedy)
        if self.kind not in {kind.value for kind in RewardKind}:
            known = ", ".join(kind.value for kind in RewardKind)
            raise BadInput("kind", "is not known.", f"Use one of {known}.")
        _check_words("names", self.names, LONGEST_NAME)
        _check_words("details", self.details, LONGEST_DETAIL)
        for field, (least, most) in LIMITS.items():
            value = getattr(self, field)
            optional = field in ("stock", "per_member")
            if not (optional and value is None) and (type(value) is not int or not least <= value <= most):
                raise BadInput(field, "does not fit here.", f"Write a whole number from {least} to {most:,}.")
        if self.currency not in list_currencies():
            raise BadInput("currency", "is no currency.", "Use its ISO 4217 letters: CNY, GBP.")
        for field in ("first_day", "last_day"):
            day = getattr(self, field)
            if day is not None and (type(day) is not date or not 2000 <= day.year <= 2199):
                raise BadInput(field, "is no day we can plan for.", "Write one as in 2026-05-01.")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise BadInput("last_day", "lies before the first.", f"Write {self.first_day} or a later day.")


@dataclass(frozen=True, kw_only=True)
class RewardChanges:
    """What is to be different about a reward; what is left out stays. Stock has a deed of its own: `restock`."""

    kind: str | UnsetType = UNSET
    names: Mapping[str, str] | UnsetType = UNSET
    details: Mapping[str, str] | UnsetType = UNSET
    points: int | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    cash_minor: int | UnsetType = UNSET
    cost_minor: int | UnsetType = UNSET
    per_member: int | UnsetType | None = UNSET
    min_tier: str | UnsetType | None = UNSET
    hotel: str | UnsetType | None = UNSET
    first_day: date | UnsetType | None = UNSET
    last_day: date | UnsetType | None = UNSET


def _check_words(field: str, words: Mapping[str, str], longest: int) -> None:
    for locale in words:
        if locale not in LOCALES:
            raise BadInput(f"{field}.{locale}", "is not a language we speak.", f"Use {', '.join(LOCALES)}.")
    for locale in LOCALES:
        said = words.get(locale)
        if not isinstance(said, str) or not 0 < len(said.strip()) <= longest:
            raise BadInput(
                f"{field}.{locale}", "is missing or too long.", f"Write 1 to {longest} characters."
            )
