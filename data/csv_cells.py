"""What stands in a table's cells: days, numbers, amounts, yes and no, and the damage that spreadsheets do to them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from babel.numbers import get_currency_precision

from data.refusals import BadInput

FIRST_YEAR, LAST_YEAR = 1900, 2199  # 0001-01-01 is how some systems write "nothing", 9999-12-31 "never"

_AS_TEXT = "Give the column the format Text, enter the numbers anew, and save."
_AS_DAY = "Give the column the date format YYYY-MM-DD and save anew."

# In place of any value: the whole cell, what happened, what to do.
_DAMAGE = (
    (re.compile(r"##+"), "was too narrow in the spreadsheet.", "Widen the column and save anew."),
    (
        re.compile(r"#(?:N/A|NAME\?|VALUE!|REF!|DIV/0!|NULL!|NUM!)"),
        "holds an error of the spreadsheet.",
        "Mend the formula, or write the value itself.",
    ),
)
_SHORTENED = re.compile(r"[+-]?\d+(?:[.,]\d+)?E[+-]?\d+", re.IGNORECASE)
_WITH_DECIMALS = re.compile(r"\d{6,}[.,]0+")
_LAST_DIGITS_GONE = re.compile(r"[1-9]\d{14}0{3,}")  # a spreadsheet keeps fifteen

_DAY = re.compile(
    r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[ T]0?0:00(?::00)?)?|(\d{4})年(\d{1,2})月(\d{1,2})日|(\d{4})(\d\d)(\d\d)"
)
_SERIAL = re.compile(r"\d{5}(?:\.\d+)?")
_WHICH_IS_WHICH = re.compile(r"\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}")
_NO_YEAR = re.compile(r"--\d\d-\d\d")

_WHOLE = re.compile(r"-?\d{1,18}(?:\.0+)?")
_AMOUNT = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?")
_YES_NO = {
    **dict.fromkeys(("yes", "y", "true", "1", "是", "同意"), True),
    **dict.fromkeys(("no", "n", "false", "0", "否", "不同意"), False),
}


def refuse_damage(cells: Mapping[str, str]) -> None:
    """Raises `BadInput` for the first cell in which a spreadsheet left something else than the value."""
    for column, text in cells.items():
        if text[0] == "#":
            for pattern, problem, remedy in _DAMAGE:
                if pattern.fullmatch(text.upper()):
                    raise BadInput(column, problem, remedy)


def digits(text: str, field: str) -> str:
    """The number of a card, a phone, a document or a stay as it stands. Raises `BadInput` where digits were lost."""
    if _SHORTENED.fullmatch(text):
        raise BadInput(field, "was shortened by a spreadsheet; its digits are lost.", _AS_TEXT)
    if _WITH_DECIMALS.fullmatch(text):
        raise BadInput(field, "was taken for an amount by a spreadsheet.", _AS_TEXT)
    return text


def refuse_lost_digits(text: str, field: str) -> None:
    """Raises `BadInput` for a long number that ends like one whose last digits a spreadsheet made zeros.

    Good numbers may end so as well: ask only about one that was refused.
    """
    if _LAST_DIGITS_GONE.fullmatch(text):
        raise BadInput(field, "lost its last digits in a spreadsheet, which keeps fifteen.", _AS_TEXT)


def day(text: str, field: str) -> date:
    """A day: 2026-03-14, 2026/3/14, 2026.3.14, 20260314 or 2026年3月14日. Raises `BadInput`."""
    typed = _folded(text)
    match = _DAY.fullmatch(typed)
    if match:
        year, month, number = (int(each) for each in match.groups() if each and each.isdigit())
        try:
            found = date(year, month, number)
        except ValueError:
            raise BadInput(field, "is no day of the calendar.", "Write it as YYYY-MM-DD.") from None
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise BadInput(
                field, "is too long ago or too far ahead.", "Check the year, or leave it empty for never."
            )
        return found
    if _SERIAL.fullmatch(typed) or _SHORTENED.fullmatch(typed):
        raise BadInput(field, "is a spreadsheet's own number for a day.", _AS_DAY)
    if _WHICH_IS_WHICH.fullmatch(typed):
        raise BadInput(field, "does not tell which is the day, the month and the year.", _AS_DAY)
    raise BadInput(field, "is no day.", "Write it as YYYY-MM-DD.")


def birthday(text: str, field: str) -> str:
    """A birthday as `YYYY-MM-DD`, from any spelling of a day, or `--MM-DD` as it stands. Raises `BadInput`."""
    typed = _folded(text)
    return typed if _NO_YEAR.fullmatch(typed) else day(typed, field).isoformat()


def whole(text: str, field: str) -> int:
    """A whole number, without signs for thousands. Raises `BadInput`."""
    typed = _folded(text)
    if _SHORTENED.fullmatch(typed):
        raise BadInput(field, "was shortened by a spreadsheet; its digits are lost.", _AS_TEXT)
    if not _WHOLE.fullmatch(typed):
        raise BadInput(field, "is no whole number.", "Write digits alone, as in 2680.")
    return int(Decimal(typed))


def amount_minor(text: str, currency: str, field: str) -> int:
    """An amount of money in the currency's smallest unit, from one in its main unit. Raises `BadInput`."""
    typed = _folded(text)
    if _SHORTENED.fullmatch(typed):
        raise BadInput(field, "was shortened by a spreadsheet; its digits are lost.", _AS_TEXT)
    if not _AMOUNT.fullmatch(typed):
        remedy = "Write digits and a point, without the currency and signs for thousands: 1280.50."
        raise BadInput(field, "is no amount.", remedy)
    places = get_currency_precision(currency)
    minor = Decimal(typed).scaleb(places)
    if minor != minor.to_integral_value():
        problem = f"has more decimals than {currency} has."
        raise BadInput(field, problem, f"Write at most {places} of them." if places else "Write none.")
    return int(minor)


def yes_or_no(text: str, field: str) -> bool:
    """yes or no, 是 or 否, 1 or 0. Raises `BadInput`."""
    said = _YES_NO.get(_folded(text).casefold())
    if said is None:
        raise BadInput(field, "is neither yes nor no.", "Write yes or no, or leave it empty.")
    return said


def _folded(text: str) -> str:
    """Full-width digits and signs made plain."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
