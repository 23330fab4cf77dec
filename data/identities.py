"""One spelling for what identifies and addresses a person: phone, e-mail, document, birthday, name, language, zone."""

from __future__ import annotations

import functools
import re
import unicodedata
import zoneinfo
from datetime import date

import phonenumbers
from babel.core import get_global
from email_validator import EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult

from data.refusals import BadInput

HOME_REGION = "CN"  # where a phone number without a country belongs, unless a hotel says otherwise
LONGEST_NAME = 80  # characters
FIRST_BIRTHDAY = date(1900, 1, 1)

_WITH_COUNTRY = "Write it with + and the country's code, as in +86 138 0013 8000."
_MAINLAND_MOBILE = re.compile(r"\+861[3-9]")
_DOCUMENT = re.compile(r"[A-Z0-9]{5,20}")
_IDENTITY_CARD = re.compile(r"[0-9]{17}[0-9X]")
_BIRTHDAY = re.compile(r"(?:([0-9]{4})-|--)([0-9]{2}-[0-9]{2})")
_CARD_NUMBER = re.compile(r"[A-Z0-9](?:[A-Z0-9-]{2,14})[A-Z0-9]")
_LANGUAGE_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{1,8})*")
_TRADITIONAL = frozenset({"tw", "hk", "mo"})  # where Chinese is written so, unless a script is named
_JOINERS = "\u200c\u200d"  # invisible, but part of how some scripts are spelt


def phone(text: str, *, region: str = HOME_REGION, field: str = "phone") -> str:
    """A phone number in E.164 (`+8613800138000`). One without + is read as dialled in `region` (ISO 3166).

    With + its length must fit its country; without it must be a number in use there, so that a country code that was
    left out is not guessed wrongly. Raises `BadInput`.
    """
    typed = _folded(text)
    try:
        number = phonenumbers.parse(typed, region)
        written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        # Of zeros too many one is dropped at every reading: such a number is not settled.
        settled = phonenumbers.parse(written) == number
    except NumberParseException:
        raise BadInput(field, "is no phone number.", _WITH_COUNTRY) from None
    if number.extension:
        raise BadInput(field, "has an extension.", "Send the number alone; an extension is no guest's own.")
    if not settled or any(each.isalpha() for each in typed) or not _fits(number, written, typed[:1] == "+"):
        raise BadInput(field, "is no phone number.", _WITH_COUNTRY)
    return written


def email(text: str, *, field: str = "email") -> str:
    """An e-mail address, in lower case on both sides of the @. Whether it exists is not asked. Raises `BadInput`."""
    try:
        once = validate_email(text.strip(), check_deliverability=False, strict=True).normalized
        # Once more: in lower case some letters are longer.
        return validate_email(once.lower(), check_deliverability=False, strict=True).normalized
    except (EmailNotValidError, UnicodeError):
        raise BadInput(field, "is no e-mail address.", "Write it as in name@example.com.") from None


def document(text: str, *, field: str = "document") -> str:
    """The number of a passport or an identity card: capitals and digits, without spaces and dashes. Raises `BadInput`.

    Eighteen digits (the last may be X) are a mainland identity card, whose check digit must be right (GB 11643).
    """
    number = "".join(
        each for each in _folded(text) if not each.isspace() and unicodedata.category(each) != "Pd"
    )
    number = number.upper() if number.isascii() else ""
    if not _DOCUMENT.fullmatch(number):
        remedy = "Write the number alone, 5 to 20 letters and digits."
        raise BadInput(field, "is no number of a passport or an identity card.", remedy)
    if _IDENTITY_CARD.fullmatch(number) and number[-1] != _check_digit(number[:-1]):
        problem = "is no identity card: its last digit does not follow from the others."
        raise BadInput(field, problem, "Read it again from the card; a digit is wrong or two changed places.")
    return number


def birthday(text: str, *, today: date, field: str = "birthday") -> str:
    """A birthday as `YYYY-MM-DD`, or `--MM-DD` without the year. Raises `BadInput`."""
    typed = _folded(text)
    match = _BIRTHDAY.fullmatch(typed)
    try:
        # Without a year it may be the 29th of February.
        day = date.fromisoformat(f"{match[1] or 2000}-{match[2]}") if match else None
    except ValueError:
        day = None
    if match is None or day is None:
        raise BadInput(field, "is no day.", "Write it as YYYY-MM-DD, or as --MM-DD without the year.")
    if match[1] and day > today:
        raise BadInput(field, "is in the future.", "Write the day of birth.")
    if day < FIRST_BIRTHDAY:
        raise BadInput(field, f"is before {FIRST_BIRTHDAY}.", "Write all four digits of the year.")
    return typed


def month_day(birthday: str) -> str:
    """`MM-DD` of a birthday in our spelling."""
    return birthday[-5:]


def person_name(text: str, *, field: str = "name") -> str:
    """A name, composed (NFC) and trimmed: 1 to 80 characters, at least one to be seen. Raises `BadInput`."""
    name = unicodedata.normalize("NFC", text).strip()
    kinds = [unicodedata.category(each) for each in name if each not in _JOINERS]
    if not any(kind[0] in "LNPS" for kind in kinds):
        raise BadInput(field, "is empty.", "Write the name.")
    if len(name) > LONGEST_NAME:
        raise BadInput(field, "is too long.", f"Write at most {LONGEST_NAME} characters.")
    # Control characters, marks that turn the direction of writing, line ends, half characters, unassigned ones.
    if any(kind[0] == "C" or kind in ("Zl", "Zp") for kind in kinds):
        raise BadInput(field, "holds a character that is no writing.", "Type it anew instead of copying it.")
    return name


def locale(text: str, *, field: str = "locale") -> str:
    """`en`, `zh_CN` or `zh_TW`, from these or a BCP 47 tag (`en-GB`, `zh-Hant-HK`). Raises `BadInput`."""
    tag = text.strip().replace("_", "-").lower()
    language, *rest = tag.split("-") if _LANGUAGE_TAG.fullmatch(tag) else [""]
    if language == "en":
        return "en"
    if language == "zh":
        traditional = "hant" in rest or ("hans" not in rest and _TRADITIONAL & set(rest))
        return "zh_TW" if traditional else "zh_CN"
    raise BadInput(field, "is no language we speak.", "Use en, zh_CN or zh_TW.")


def time_zone(text: str, *, field: str = "time_zone") -> str:
    """A time zone by its IANA name. Raises `BadInput`."""
    name = text.strip()
    if name not in _zones():
        raise BadInput(field, "is no time zone.", "Write one as in Asia/Shanghai.")
    return name


def card_number(text: str, *, field: str = "number") -> str:
    """A membership number as printed: 4 to 16 capitals, digits and dashes, without spaces. Raises `BadInput`."""
    number = "".join(_folded(text).split()).upper()
    if not _CARD_NUMBER.fullmatch(number):
        remedy = "Use 4 to 16 letters, digits and dashes, as in ZK100023."
        raise BadInput(field, "is no membership number.", remedy)
    return number


def region_of(time_zone: str | None) -> str:
    """The country (ISO 3166) in which a hotel with this time zone stands; `HOME_REGION` if that cannot be told."""
    if time_zone is None:
        return HOME_REGION
    name = get_global("zone_aliases").get(time_zone, time_zone)
    region = str(get_global("zone_territories").get(name, ""))
    return region if region in phonenumbers.SUPPORTED_REGIONS else HOME_REGION


def _folded(text: str) -> str:
    """Full-width letters and digits, as Chinese keyboards write them, made plain."""
    return unicodedata.normalize("NFKC", text).strip()


def _fits(number: PhoneNumber, written: str, explicit: bool) -> bool:
    if _MAINLAND_MOBILE.match(written):
        # One digit less would pass for a landline.
        return len(written) == len("+8613800138000")
    if not explicit:
        return phonenumbers.is_valid_number(number)
    # Not whether the number is in use: new ranges are opened faster than our table of them is renewed.
    return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def _check_digit(digits: str) -> str:
    """ISO/IEC 7064 MOD 11-2, as GB 11643 has it."""
    total = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(digits))
    return "10X98765432"[total % 11]


@functools.lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    # Not ZoneInfo(name): what else it opens ("localtime", "posix/…") another machine may not have.
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "Factory"}
