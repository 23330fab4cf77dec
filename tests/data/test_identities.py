"""One spelling: what people type for the same thing becomes the same, and what cannot be is refused with a remedy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from data import identities
from data.refusals import BadInput

TODAY = date(2026, 3, 14)
CARD = "11010519491231002X"  # the example of GB 11643 itself

birthday = partial(identities.birthday, today=TODAY)

SAME = [
    (identities.phone, "+86 138 0013 8000", "+8613800138000"),
    (identities.phone, "13800138000", "+8613800138000"),
    (identities.phone, " 138-0013-8000 ", "+8613800138000"),
    (identities.phone, "（＋８６）１３８００１３８０００", "+8613800138000"),
    (identities.phone, "0086 13800138000", "+8613800138000"),
    (identities.phone, "021-6121 8888", "+862161218888"),
    (identities.phone, "+44 (0)20 7946 0018", "+442079460018"),
    (
        identities.phone,
        "+44 7700 900123",
        "+447700900123",
    ),  # in no range that is in use, but of the right length
    (identities.phone, "+886 912 345 678", "+886912345678"),
    (partial(identities.phone, region="GB"), "020 7946 0018", "+442079460018"),
    (partial(identities.phone, region="TW"), "0912-345-678", "+886912345678"),
    (partial(identities.phone, region="GB"), "+8613800138000", "+8613800138000"),
    (identities.email, "Zhiwei.Shen@Example.COM", "zhiwei.shen@example.com"),
    (identities.email, " a+b@bücher.example ", "a+b@bücher.example"),
    (identities.email, "x@XN--BCHER-KVA.example", "x@bücher.example"),
    (identities.document, "e 1234-5678", "E12345678"),
    (identities.document, "Ｅ１２３４５６７８", "E12345678"),
    (identities.document, "E1234\u20135678", "E12345678"),
    (identities.document, "110105194912310 02x", CARD),
    (identities.document, "12345", "12345"),
    (identities.document, "A" * 20, "A" * 20),
    (birthday, "1990-02-28", "1990-02-28"),
    (birthday, "2000-02-29", "2000-02-29"),
    (birthday, "--02-29", "--02-29"),
    (birthday, " --12-31", "--12-31"),
    (birthday, "１９９０-０２-２８", "1990-02-28"),
    (birthday, "1900-01-01", "1900-01-01"),
    (birthday, "2026-03-14", "2026-03-14"),
    (identities.person_name, "  沈知微 ", "沈知微"),
    (identities.person_name, "Jose\u0301", "José"),
    (identities.person_name, "O'Brien-Lee, Jr. 3rd", "O'Brien-Lee, Jr. 3rd"),
    (identities.person_name, "阿卜杜拉·买买提", "阿卜杜拉·买买提"),
    (identities.person_name, "می\u200cخواهم", "می\u200cخواهم"),
    (identities.person_name, "沈" * 80, "沈" * 80),
    (identities.locale, "en", "en"),
    (identities.locale, "en-GB", "en"),
    (identities.locale, "EN_us", "en"),
    (identities.locale, "zh", "zh_CN"),
    (identities.locale, "zh-CN", "zh_CN"),
    (identities.locale, "zh_CN", "zh_CN"),
    (identities.locale, "zh-Hans", "zh_CN"),
    (identities.locale, "zh-Hans-HK", "zh_CN"),
    (identities.locale, "zh-SG", "zh_CN"),
    (identities.locale, "zh-TW", "zh_TW"),
    (identities.locale, "zh-Hant-TW", "zh_TW"),
    (identities.locale, "zh-Hant", "zh_TW"),
    (identities.locale, "zh-hk", "zh_TW"),
    (identities.time_zone, " Asia/Shanghai", "Asia/Shanghai"),
    (identities.time_zone, "UTC", "UTC"),
    (identities.card_number, "zk 100023", "ZK100023"),
    (identities.card_number, "ＺＫ１０００２３", "ZK100023"),
    (identities.card_number, "H-123456", "H-123456"),
]

WRONG = [
    (identities.phone, "+86 139 1234 567", "is no phone"),  # a digit is missing
    (identities.phone, "1380013800", "is no phone"),
    (identities.phone, "+86 138 0013 80001", "is no phone"),
    (identities.phone, "12345", "is no phone"),
    (identities.phone, "+12345", "is no phone"),
    (identities.phone, "447700900123", "is no phone"),  # the + was left out
    (identities.phone, "+999 1234 5678", "is no phone"),
    (identities.phone, "call 13800138000", "is no phone"),
    (partial(identities.phone, region="US"), "1-800-FLOWERS", "is no phone"),
    (identities.phone, "", "is no phone"),
    (identities.phone, "+", "is no phone"),
    (identities.phone, "1" * 300, "is no phone"),
    (identities.phone, "+86 10 6552 9988 ext. 12", "extension"),
    (identities.phone, "+86 10 6552 9988 x12", "extension"),
    (identities.email, "a@b", "is no e-mail"),
    (identities.email, "a b@example.com", "is no e-mail"),
    (identities.email, "Shen <a@example.com>", "is no e-mail"),
    (identities.email, "a@localhost", "is no e-mail"),
    (identities.email, "a" * 65 + "@example.com", "is no e-mail"),
    (identities.email, "İ" * 33 + "@example.com", "is no e-mail"),  # in lower case it is longer than allowed
    (identities.email, "", "is no e-mail"),
    (identities.email, "\ud800@example.com", "is no e-mail"),
    (identities.document, "1234", "is no number"),
    (identities.document, "A" * 21, "is no number"),
    (identities.document, "E1234/5678", "is no number"),
    (identities.document, "护照12345", "is no number"),
    (identities.document, "straße", "is no number"),  # in capitals it would be STRASSE
    (identities.document, "", "is no number"),
    (identities.document, "110105194912310021", "last digit"),
    (birthday, "1990-02-30", "is no day"),
    (birthday, "1990-02-29", "is no day"),
    (birthday, "--02-30", "is no day"),
    (birthday, "1990-2-28", "is no day"),
    (birthday, "28.02.1990", "is no day"),
    (birthday, "1990-02-28T00:00", "is no day"),
    (birthday, "0000-02-28", "is no day"),
    (birthday, "2026-03-15", "in the future"),
    (birthday, "1899-12-31", "before 1900"),
    (birthday, "", "is no day"),
    (identities.person_name, "", "is empty"),
    (identities.person_name, " \u3000\t", "is empty"),
    (identities.person_name, "\u200d", "is empty"),
    (identities.person_name, "沈" * 81, "too long"),
    (identities.person_name, "Shen\x00", "no writing"),
    (identities.person_name, "Shen\nZhiwei", "no writing"),
    (identities.person_name, "Shen\u2028Zhiwei", "no writing"),
    (identities.person_name, "Shen\u202eiewihZ", "no writing"),
    (identities.person_name, "Shen\ud800", "no writing"),
    (identities.locale, "fr", "no language"),
    (identities.locale, "e", "no language"),
    (identities.locale, "english", "no language"),
    (identities.locale, "zh CN", "no language"),
    (identities.locale, "", "no language"),
    (identities.time_zone, "Shanghai", "no time zone"),
    (identities.time_zone, "Asia", "no time zone"),
    (identities.time_zone, "../Asia/Shanghai", "no time zone"),
    (identities.time_zone, "asia/shanghai", "no time zone"),
    (identities.time_zone, "localtime", "no time zone"),
    (identities.time_zone, "", "no time zone"),
    (identities.card_number, "ZK1", "no membership number"),
    (identities.card_number, "ZK" + "1" * 15, "no membership number"),
    (identities.card_number, "ZK_100023", "no membership number"),
    (identities.card_number, "-ZK100023", "no membership number"),
    (identities.card_number, "会员100023", "no membership number"),
    (identities.card_number, "ZK100023\x00", "no membership number"),
]

Spelling = Callable[[str], str]


@pytest.mark.parametrize(("spelling", "typed", "ours"), SAME)
def test_one_spelling(spelling: Spelling, typed: str, ours: str) -> None:
    assert spelling(typed) == ours


@pytest.mark.parametrize(("spelling", "typed", "problem"), WRONG)
def test_what_cannot_be_is_refused(spelling: Spelling, typed: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as refused:
        spelling(typed)
    assert refused.value.remedy.endswith(".")
    assert refused.value.field in (
        "phone",
        "email",
        "document",
        "birthday",
        "name",
        "locale",
        "time_zone",
        "number",
    )


PERSONAL = (identities.phone, identities.email, identities.document, birthday, identities.person_name)


@pytest.mark.parametrize(
    ("spelling", "typed"), [each[:2] for each in WRONG if each[0] in PERSONAL and len(each[1].strip()) > 3]
)
def test_a_refusal_does_not_repeat_what_was_typed(spelling: Spelling, typed: str) -> None:
    with pytest.raises(BadInput) as refused:
        spelling(typed)
    assert typed not in str(refused.value)
    # Nor does the traceback, where a library's own words would.
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    "spelling",
    [
        identities.phone,
        identities.email,
        identities.document,
        birthday,
        identities.person_name,
        identities.locale,
        identities.time_zone,
        identities.card_number,
    ],
)
@given(typed=st.text(max_size=100))
def test_any_text_is_spelt_or_refused(spelling: Spelling, typed: str) -> None:
    try:
        once = spelling(typed)
    except BadInput:
        return
    assert spelling(once) == once


DIALLED = st.from_regex(r"\A(\+|00)?[0-9 ()-]{6,18}\Z") | st.from_regex(
    r"\A\+(86|44|886|852|1|39|61)[0-9]{7,11}\Z"
)


@given(typed=DIALLED, region=st.sampled_from(["CN", "GB", "TW", "IT", "US"]))
@example(typed="+39 06 698 12345", region="CN")  # a zero that stays
def test_a_phone_number_is_spelt_once(typed: str, region: str) -> None:
    try:
        once = identities.phone(typed, region=region)
    except BadInput:
        assume(False)
    assert identities.phone(once) == once
    assert once[0] == "+"
    assert once[1:].isdigit()
    assert 6 <= len(once) <= 18


@given(typed=st.emails())
def test_an_address_is_spelt_once(typed: str) -> None:
    try:
        once = identities.email(typed)
    except BadInput:
        assume(False)
    assert identities.email(once) == once == once.lower()
    assert identities.email(typed.upper()) == once


@given(typed=st.text(st.characters(categories=["L", "M", "N", "P", "Zs"]), max_size=90))
def test_a_name_is_spelt_once(typed: str) -> None:
    try:
        once = identities.person_name(typed)
    except BadInput:
        assume(False)
    assert identities.person_name(once) == once == once.strip()
    assert identities.person_name(f" {once}\u3000") == once


@given(day=st.dates(identities.FIRST_BIRTHDAY, TODAY))
def test_every_past_day_is_a_birthday(day: date) -> None:
    spelt = birthday(day.isoformat())
    assert identities.month_day(spelt) == f"{day:%m-%d}"
    assert identities.month_day(birthday(f"--{day:%m-%d}")) == identities.month_day(spelt)


@given(digits=st.from_regex(r"\A[0-9]{17}\Z", alphabet="0123456789"))
@example(digits=CARD[:17])
def test_one_check_digit_fits_and_finds_every_slip(digits: str) -> None:
    def fits(number: str) -> bool:
        try:
            return identities.document(number) == number
        except BadInput:
            return False

    right = [digits + last for last in "0123456789X" if fits(digits + last)]
    assert len(right) == 1
    for place, digit in enumerate(digits):
        slip = str((int(digit) + 1) % 10)
        assert not fits(digits[:place] + slip + right[0][place + 1 :])


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("Asia/Shanghai", "CN"),
        ("Europe/London", "GB"),
        ("Asia/Taipei", "TW"),
        ("PRC", "CN"),
        ("Asia/Kolkata", "IN"),
        ("Etc/UTC", "CN"),
        (None, "CN"),
    ],
)
def test_a_hotel_stands_in_a_country(zone: str | None, region: str) -> None:
    assert identities.region_of(zone) == region
