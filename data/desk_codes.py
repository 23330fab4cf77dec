"""Codes as they are typed at a desk: read forgivingly, refused with the reason."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from data import codes
from data.refusals import Refusal

_SEPARATORS = re.compile(r"[\s\-‐-―_.·、,]+")

# Letters that no code has, each for the digit it was read from.
_MISREAD = str.maketrans("ZSB", "258")


class CodeUnknown(Refusal):
    """There is no such code; most likely a slip in typing."""

    utter = "utter_code_unknown"


class CodeVoid(Refusal):
    """What the code stood for was cancelled or withdrawn."""

    utter = "utter_code_void"


class CodeUsed(Refusal):
    """It has been used before. Values: `at`, a moment in that hotel's time, and `hotel`, its code."""

    utter = "utter_code_used"


class CodeUsedBefore(Refusal):
    """It has been used before. Value: `at`, a moment in the time of the hotel where it is shown."""

    utter = "utter_code_used_before"


class CodeOver(Refusal):
    """Its time is over. Value: `at`, the last moment it was good, in the time of the hotel where it is shown."""

    utter = "utter_code_over"


class CodeNotYet(Refusal):
    """Its time has not come. Value: `at`, from when on it is good, in the time of the hotel where it is shown."""

    utter = "utter_code_not_yet"


class CodeElsewhere(Refusal):
    """It is for another hotel. Value: `hotel`, that one's code."""

    utter = "utter_code_elsewhere"


class CouponCurrency(Refusal):
    """The coupon is an amount in another currency than this hotel's. Value: `currency`."""

    utter = "utter_coupon_currency"


class CodeOfAnother(Refusal):
    """It belongs to another member than the one whose stay this is."""

    utter = "utter_code_of_another"


def read(typed: str) -> str:
    """The code that was meant: any case, width and spacing, and the commonest misreadings. Raises `CodeUnknown`."""
    plain = _SEPARATORS.sub("", unicodedata.normalize("NFKC", typed)).upper().translate(_MISREAD)
    code = codes.read_code(plain)
    if code is None:
        raise CodeUnknown
    return code


def last_moment(valid_until: datetime, zone: ZoneInfo) -> datetime:
    """As people say it: what ends at midnight was good until 23:59 of the day before."""
    return (valid_until - timedelta(microseconds=1)).astimezone(zone)
