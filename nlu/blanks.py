"""The blanks of a phrase, such as `{points:number}`: which there are, and how each kind is filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from babel.dates import format_date, format_time, get_datetime_format
from babel.numbers import format_currency, format_decimal, get_currency_precision

_BLANK = re.compile(r"\{(\w*)(?::(\w*))?\}")


class MissingValue(KeyError):
    """A phrase was said without a value that it needs."""


class BadValue(ValueError):
    """A value that its blank cannot show, such as a word for a number."""


def blanks(text: str) -> frozenset[tuple[str, str]]:
    """Name and kind of every blank in `text`. Raises `ValueError` for a kind nobody can fill in."""
    found = frozenset((name, kind or "text") for name, kind in _BLANK.findall(text))
    for name, kind in found:
        if kind not in _KINDS or not name:
            raise ValueError(f"{{{name}:{kind}}} is no blank; kinds are {', '.join(_KINDS)}.")
    return found


def fill(text: str, locale: str, values: Mapping[str, Any]) -> str:
    """`text` with every blank filled in, as written in `locale`. Raises `MissingValue` and `BadValue`."""

    def one(found: re.Match[str]) -> str:
        name, kind = found[1], found[2] or "text"
        if values.get(name) is None:
            raise MissingValue(f"The phrase needs a value for {name}.")
        try:
            return _KINDS[kind](values[name], locale)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadValue(f"The value for {name} does not read as {kind}.") from error

    return _BLANK.sub(one, text)


def _text(value: Any, _locale: str) -> str:
    return str(value)


def _number(value: Any, locale: str) -> str:
    return format_decimal(value, locale=locale)


def _date(value: Any, locale: str) -> str:
    """`value`: a date, or its ISO form."""
    return format_date(date.fromisoformat(value) if isinstance(value, str) else value, "long", locale=locale)


def _datetime(value: Any, locale: str) -> str:
    """`value`: a moment in the hotel's own time, or its ISO form; it is shown as that clock shows it."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    day, clock = _date(moment.date(), locale), format_time(moment.time(), "short", locale=locale)
    return str(get_datetime_format("medium", locale=locale)).replace("{1}", day).replace("{0}", clock)


def _money(value: Any, locale: str) -> str:
    """`value`: `{"minor": 12050, "currency": "CNY"}`, in the smallest unit of the currency."""
    currency = value["currency"]
    amount = Decimal(int(value["minor"])).scaleb(-get_currency_precision(currency))
    return format_currency(amount, currency, locale=locale)


_KINDS: dict[str, Callable[[Any, str], str]] = {
    "text": _text,
    "number": _number,
    "date": _date,
    "datetime": _datetime,
    "money": _money,
}
