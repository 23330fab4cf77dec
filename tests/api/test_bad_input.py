"""Bodies that cannot be taken: each is refused by its place, with a remedy, and without a word of what was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.api import reading
from bot.api.bodies import NewMember, NewStay
from bot.api.problems import Problem, Refused
from bot.api.table import OPERATIONS
from tests.api.conftest import LIN, PERSONAL, STAY, Client, done, line, refused
from tests.data.conftest import everything

SECRET = "林望舒 13917002468"

MEMBER: list[tuple[dict[str, Any], str, str, str]] = [
    ({"name": None}, "does_not_fit", "$.name", "is of type null"),
    ({"name": 13917002468}, "does_not_fit", "$.name", "is of type int"),
    ({"name": [SECRET]}, "does_not_fit", "$.name", "is of type array"),
    ({"name": ""}, "does_not_fit", "$.name", "too long or too short"),
    ({"name": SECRET * 9}, "does_not_fit", "$.name", "too long or too short"),
    ({"name": "\u0000"}, "bad_input", "$.name", "empty"),
    ({"name": f"{SECRET}\u202e"}, "bad_input", "$.name", "no writing"),
    ({"nmae": SECRET}, "does_not_fit", "$.nmae", "not known"),
    ({SECRET: 1}, "does_not_fit", "$", "not known"),
    ({"locale": "fr"}, "bad_input", "$.locale", "no language"),
    ({"locale": f"en {SECRET}"}, "does_not_fit", "$.locale", "not written"),
    ({"number": "ZK"}, "does_not_fit", "$.number", "not written"),
    ({"phone": SECRET}, "bad_input", "$.phone", "no phone number"),
    ({"phone": "139170024681380013800138001380013800"}, "does_not_fit", "$.phone", "too long"),
    ({"email": SECRET}, "bad_input", "$.email", "no e-mail"),
    ({"document": SECRET}, "bad_input", "$.document", "no number"),
    ({"birthday": "1992-02-30"}, "bad_input", "$.birthday", "no day"),
    ({"birthday": "25 Sep 1992"}, "does_not_fit", "$.birthday", "not written"),
    ({"home_hotel": "XX"}, "unknown_reference", "$.home_hotel", "no hotel"),
    ({"home_hotel": "\u0000"}, "does_not_fit", "$.home_hotel", "not written"),
    ({"time_zone": "Mars/Olympus"}, "bad_input", "$.time_zone", "no time zone"),
    ({"tier": "diamond"}, "unknown_reference", "$.tier", "not in the programme"),
    ({"joined_at": "2020-01-01T00:00:00"}, "does_not_fit", "$.joined_at", "no time zone"),
    ({"joined_at": "2020-01-01"}, "does_not_fit", "$.joined_at", "no moment"),
    ({"joined_at": "2036-01-01T00:00:00Z"}, "bad_input", "$.joined_at", "future"),
    ({"joined_at": "0001-01-01T00:00:00+23:59"}, "bad_input", "$.joined_at", "too long ago"),
    ({"referral_code": "AAAA"}, "unknown_reference", "$.referral_code", "no code"),
    ({"consents": {"offers": "yes"}}, "does_not_fit", "$.consents.offers", "is of type str"),
    ({"consents": {"mail": True}}, "does_not_fit", "$.consents.mail", "not known"),
    ({"consents": None}, "does_not_fit", "$.consents", "is of type null"),
]
STAYS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"arrival": "2026-02-30"}, "does_not_fit", "$.arrival", "no day"),
    ({"arrival": "11.03.2026"}, "does_not_fit", "$.arrival", "no day"),
    ({"arrival": "2026-03-11T00:00:00Z"}, "does_not_fit", "$.arrival", "no day"),
    ({"departure": "9999-12-31"}, "bad_input", "$.departure", "nights away"),
    ({"adults": 0}, "does_not_fit", "$.adults", "out of bounds"),
    ({"adults": 1.5}, "does_not_fit", "$.adults", "is of type float"),
    ({"adults": True}, "does_not_fit", "$.adults", "is of type bool"),
    ({"children": 10**30}, "does_not_fit", "$.children", "out of bounds"),
    ({"confirmation": "a b"}, "does_not_fit", "$.confirmation", "not written"),
    ({"confirmation": ".."}, "does_not_fit", "$.confirmation", "not written"),
    ({"confirmation": "SH-1\n"}, "bad_input", "$.confirmation", "no such number"),
    ({"hotel": "HLSH\n"}, "bad_input", "$.hotel", "no such number"),
    ({"room_type": ""}, "does_not_fit", "$.room_type", "too long or too short"),
    ({"status": "checked_out"}, "does_not_fit", "$.status", "none of the values"),
    ({"status": SECRET}, "does_not_fit", "$.status", "none of the values"),
]
LINES: list[tuple[Any, str, str, str]] = [
    ([], "does_not_fit", "$.lines", "too long or too short"),
    ([line(str(number)) for number in range(101)], "does_not_fit", "$.lines", "too long or too short"),
    (line(), "does_not_fit", "$.lines", "is of type object"),
    ([line(), "x"], "does_not_fit", "$.lines[1]", "is of type str"),
    ([line(), {"line": "2"}], "does_not_fit", "$.lines[1].outlet", "is missing"),
    ([line(), line("2", tip=1)], "does_not_fit", "$.lines[1].tip", "not known"),
    ([line("1", 0)], "bad_input", "$.lines[0].amount_minor", "is 0"),
    ([line("1", -1)], "bad_input", "$.lines[0].refunds", "is missing"),
    ([line("1", 10.5)], "does_not_fit", "$.lines[0].amount_minor", "is of type float"),  # type: ignore[arg-type]
    ([line("1", 10**9)], "does_not_fit", "$.lines[0].amount_minor", "out of bounds"),
    ([line("1", currency="cny")], "does_not_fit", "$.lines[0].currency", "not written"),
    ([line("1", currency="XYZ")], "bad_input", "$.lines[0].currency", "no currency"),
    ([line("1", currency="TWD")], "bad_input", "$.lines[0].currency", "no rate"),
    ([line("1", outlet="Room")], "does_not_fit", "$.lines[0].outlet", "not written"),
    ([line("1", day="2026-01-01")], "bad_input", "$.lines[0].day", "no day of the stay"),
    ([line("1"), line("1", 5)], "conflict", "$.lines[1].amount_minor", "recorded with another"),
]
CASES = [
    *(("/members", {"name": "Min", "locale": "en", **change}, *said) for change, *said in MEMBER),
    *(("/stays", STAY | change, *said) for change, *said in STAYS),
    *(("/stays/SH-1/folio-lines", {"lines": lines}, *said) for lines, *said in LINES),
    ("/members", {"name": SECRET}, "does_not_fit", "$.locale", "is missing"),
    ("/members", {}, "does_not_fit", "$.name", "is missing"),
    ("/members", [LIN], "does_not_fit", "$", "is of type array"),
    ("/stays/SH-1/check-in", {"at": "noon"}, "does_not_fit", "$.at", "not known"),
    ("/stays/SH-1/check-out", {"departure": "soon"}, "does_not_fit", "$.departure", "no day"),
    ("/members/search", {"kind": "name", "value": SECRET}, "does_not_fit", "$.kind", "none of the values"),
    ("/members/search", {"kind": "phone", "value": SECRET}, "bad_input", "$.value", "no phone number"),
    ("/members/search", {"kind": "email", "value": SECRET}, "bad_input", "$.value", "no e-mail"),
]


def test_what_cannot_be_taken_is_named_by_its_place(pms: Client, stay: str) -> None:
    before = everything()
    for path, body, code, field, problem in CASES:
        status = 409 if code == "conflict" else 422
        answer = pms.post(path, body)
        no = refused(answer, status, code, field)
        assert problem in no["detail"], (body, no)
        assert no["remedy"]
        assert not [part for part in (*PERSONAL, SECRET) if part in answer.text], no
    after = everything()
    assert {name for name in after if after[name] != before[name]} == {"api_requests"}


NOT_JSON = [
    b"",
    b"nope",
    b"{",
    b'{"name": "Min", "locale": "en"} x',
    b"\xff\xfe{}",
    b'{"name":"\\ud800"}',
    b"NaN",
    b"\xef\xbb\xbf{}",
]


def test_what_is_no_json_is_refused(pms: Client) -> None:
    for raw in NOT_JSON:
        headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
        refused(pms.http.post("/members", content=raw, headers=headers), 422, "malformed", "$")
    deep = b'{"name":' + b"[" * 100_000
    answer = pms.http.post("/members", content=deep, headers=headers)
    assert answer.status_code == 422


def test_what_is_refused_before_it_begins_is_not_kept(pms: Client) -> None:
    refused(pms.post("/members", {"name": "Min"}, key="k"), 422, "does_not_fit")
    refused(pms.post("/members", {"name": "Min"}, key="k"), 422, "does_not_fit")
    done(pms.post("/members", {"name": "Min", "locale": "en"}, key="k"), 201)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(body: Any, into: type[Any]) -> Problem | None:
    """Why a body cannot be read into this; None if it can."""
    try:
        reading.body(json.dumps(body).encode(), into)
    except Refused as no:
        return no.problem
    return None


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(OPERATIONS), st.data())
def test_no_body_is_ever_quoted(operation: Any, data: st.DataObject) -> None:
    known = st.sampled_from([*operation.takes.__struct_fields__, "zzz"])
    body = data.draw(st.dictionaries(known | st.text(), anything | st.just(SECRET)) | anything)
    no = read(body, operation.takes)
    if no is not None:
        assert SECRET not in str(no)
        assert no.code in ("does_not_fit", "malformed")
        assert no.remedy


@pytest.mark.parametrize("into", [NewMember, NewStay])
def test_every_message_of_the_decoder_is_one_we_know(into: type[Any]) -> None:
    # "does not fit." is the fallback: what it says helps nobody.
    for body in [case[1] for case in CASES]:
        no = read(body, into)
        assert no is None or not no.detail.endswith("does not fit.")
