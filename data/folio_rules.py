"""What a folio line must be like, by itself and as a part of its stay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from babel.numbers import list_currencies

from data.folios import FolioLine
from data.programme import Programme
from data.refusals import BadInput
from data.stay_rules import check_day, check_number, check_whole, today_at
from data.stays import Stay

LARGEST_LINE = 100_000_000  # in minor units; more is a slip of the keyboard

_AN_OUTLET = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, kw_only=True)
class NewLine:
    """A charge to a stay, or with a negative amount the refund of one, whose line number is in `refunds`.

    `day`: the day of the stay a charge is for, and the day of a refund, by the hotel's calendar. `amount_minor` is
    in the currency's smallest unit: 680.00 yuan are 68000, 680 yen are 680.
    """

    line: str
    outlet: str
    day: date
    amount_minor: int
    currency: str
    refunds: str | None = None


def check_line(line: NewLine) -> None:
    """Raises `BadInput` unless the line makes sense by itself."""
    check_number("line", line.line)
    if line.refunds is not None:
        check_number("refunds", line.refunds)
    if not _AN_OUTLET.fullmatch(line.outlet):
        raise BadInput("outlet", "is no outlet.", "Write small letters, digits and _: room, dining, spa.")
    check_day("day", line.day)
    check_whole("amount_minor", line.amount_minor, -LARGEST_LINE, LARGEST_LINE)
    if line.amount_minor == 0:
        raise BadInput("amount_minor", "is 0.", "Leave out a line that charges nothing.")
    if line.amount_minor < 0 and line.refunds is None:
        raise BadInput("refunds", "is missing.", "A refund names the line it refunds.")
    if line.amount_minor > 0 and line.refunds is not None:
        raise BadInput("amount_minor", "is above zero.", "A refund has a negative amount.")
    if line.currency not in list_currencies():
        raise BadInput("currency", "is no currency.", "Send its ISO 4217 letters: CNY, GBP.")


def check_charge(stay: Stay, line: NewLine, programme: Programme) -> None:
    """Raises `BadInput` unless the charge can belong to the stay: by its day, and by its currency."""
    last = stay.departure + timedelta(days=1)
    if not stay.arrival <= line.day <= last:
        raise BadInput(
            "day",
            "is no day of the stay.",
            f"Send one from {stay.arrival} to {last}, the day after departure.",
        )
    rates = programme.earn.rates
    if line.currency != stay.hotel.currency and line.currency not in rates:
        known = ", ".join(sorted({stay.hotel.currency, *rates}))
        raise BadInput(
            "currency", "has no rate in the programme and is not the hotel's.", f"Send one of {known}."
        )


def check_refund(stay: Stay, line: NewLine, original: FolioLine, *, left_minor: int, now: datetime) -> None:
    """Raises `BadInput` unless the line can refund the original, of which `left_minor` was not refunded yet."""
    if original.refunds_id is not None:
        raise BadInput("refunds", "is a refund itself.", "Charge a new line instead.")
    for name in ("currency", "outlet"):
        if getattr(line, name) != getattr(original, name):
            raise BadInput(
                name, "differs from the line that is refunded.", f"Send {getattr(original, name)}."
            )
    # A deposit is refunded before the day it is for; night audit may be a day ahead of the calendar.
    today = today_at(stay.hotel, now)
    first, last = min(original.day, today), max(original.day, today + timedelta(days=1))
    if not first <= line.day <= last:
        raise BadInput("day", "is no day for this refund.", f"Send one from {first} to {last}.")
    if -line.amount_minor > left_minor:
        raise BadInput(
            "amount_minor",
            "refunds more than was charged.",
            f"Of line {original.line}, {left_minor} are left.",
        )
