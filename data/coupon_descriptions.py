"""How somebody who gives a coupon describes it: the struct, its limits, and what makes no sense."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from babel.numbers import list_currencies

from data.refusals import BadInput
from data.reward_descriptions import CODE

LARGEST_MINOR = 100_000_000


@dataclass(frozen=True, kw_only=True)
class NewCoupon:
    """A coupon as somebody wants to give it; one that makes no sense raises `BadInput`.

    Either `percent`, or `amount_minor` in `currency`, or neither: then it is for the benefit itself. `benefit` and
    `reason` are codes. `valid_from` None: from the moment it is given; `valid_until`: the first moment it is no use.
    """

    benefit: str
    reason: str
    valid_until: datetime
    valid_from: datetime | None = None
    percent: int | None = None
    amount_minor: int | None = None
    currency: str | None = None

    def __post_init__(self) -> None:
        for field in ("benefit", "reason"):
            if not CODE.fullmatch(getattr(self, field)):
                remedy = "Use small letters, digits and _, beginning with a letter, at most 32."
                raise BadInput(field, "is no code.", remedy)
        for field, most in (("percent", 100), ("amount_minor", LARGEST_MINOR)):
            value = getattr(self, field)
            if value is not None and (type(value) is not int or not 1 <= value <= most):
                raise BadInput(field, "does not fit here.", f"Write a whole number from 1 to {most:,}.")
        if self.percent is not None and self.amount_minor is not None:
            raise BadInput("percent", "stands beside an amount.", "Give one of the two.")
        if (self.amount_minor is None) != (self.currency is None):
            raise BadInput("currency", "goes with an amount.", "Give both, or neither.")
        if self.currency is not None and self.currency not in list_currencies():
            raise BadInput("currency", "is no currency.", "Use its ISO 4217 letters: CNY, GBP.")
        for field in ("valid_from", "valid_until"):
            moment = getattr(self, field)
            if moment is not None and moment.utcoffset() is None:
                raise BadInput(field, "has no time zone.", "Write one, as in 2026-05-01T00:00:00+08:00.")
        if self.valid_from is not None and self.valid_until <= self.valid_from:
            raise BadInput("valid_until", "is not after the beginning.", "Give a later moment.")
