"""Every operation of the API × every caller: nobody without the right key gets anywhere, and none is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bot import api
from bot.api.addresses import Address, Methods
from bot.api.table import OPERATIONS
from data import api_keys, db
from data.api_keys import Scope
from tests.api.conftest import LIN, STAY, Client, Clock, done, line, new_key
from tests.conftest import NOW
from tests.data import reward_scenes
from tests.data.conftest import everything


@dataclass(frozen=True)
class Row:
    """One operation with what it takes to succeed on a member with a stay and a code in hand."""

    id: str
    method: str
    path: str
    scope: str
    body: Any = None
    status: int = 200


TABLE = [
    Row("enrolMember", "POST", "/members", "members:write", {"name": "Min", "locale": "en"}, 201),
    Row("findMembers", "POST", "/members/search", "members:read", {"kind": "phone", "value": "13917002468"}),
    Row("getMember", "GET", "/members/ZK100123", "members:read"),
    Row("changeMember", "PATCH", "/members/ZK100123", "members:write", {"name": "Min"}),
    Row("getPoints", "GET", "/members/ZK100123/points", "members:read"),
    Row("listEntries", "GET", "/members/ZK100123/entries", "members:read"),
    Row("bookStay", "POST", "/stays", "stays:write", STAY, 201),
    Row("getStay", "GET", "/stays/SH-1", "stays:read"),
    Row("changeStay", "PATCH", "/stays/SH-1", "stays:write", {"adults": 1}),
    Row("checkIn", "POST", "/stays/SH-1/check-in", "stays:write"),
    Row("chargeStay", "POST", "/stays/SH-1/folio-lines", "stays:write", {"lines": [line()]}, 201),
    Row("listFolioLines", "GET", "/stays/SH-1/folio-lines", "stays:read"),
    Row("checkOut", "POST", "/stays/SH-1/check-out", "stays:write", {}),
    Row("cancelStay", "POST", "/stays/SH-2/cancel", "stays:write"),
    Row("listRewards", "GET", "/rewards", "rewards:read"),
    Row("fulfilRedemption", "POST", "/redemptions/{code}/fulfil", "rewards:fulfil", {"hotel": "HLSH"}),
]
OPEN = {"/openapi.json"}


def knock(base: str, row: Row, key: str | None, code: str = "2222") -> httpx.Response:
    headers = {"Idempotency-Key": f"table-{row.id}"} | ({"Authorization": key} if key else {})
    return httpx.request(
        row.method,
        base + api.PREFIX + row.path.format(code=code),
        json=row.body,
        headers=headers,
        trust_env=False,
    )


def test_every_operation_is_in_the_table() -> None:
    assert {(each.id, each.method, each.scope.value) for each in OPERATIONS} == {
        (row.id, row.method, row.scope) for row in TABLE
    }


def test_every_route_leads_to_an_operation_of_the_table_or_is_open() -> None:
    addresses = api.routes(lambda: NOW)
    *known, nowhere = addresses
    assert nowhere.path == f"{api.PREFIX}/{{rest:path}}"  # type: ignore[attr-defined]
    paths = set()
    for address in known:
        assert isinstance(address, Address)
        if not isinstance(address.endpoint, Methods):
            assert address.path.removeprefix(api.PREFIX) in OPEN
        paths.add(address.path.removeprefix(api.PREFIX))
    assert paths == {each.path for each in OPERATIONS} | OPEN


WRONG = "Bearer zk_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
NO_KEY = [None, "", "Bearer", "Basic cG1zOnBtcw==", "Bearer x", WRONG]


def test_without_a_good_key_nothing_is_told_or_done(pms: Client, stay: str) -> None:
    good = new_key()
    revoked = new_key(name="revoked")
    cut, longer, other_case = good[:-1], good + "A", good.upper()
    with db.transaction() as session:
        api_keys.revoke(session, "revoked", actor="test", now=NOW)
    bad = [*NO_KEY, *(f"Bearer {key}" for key in (revoked, cut, longer, other_case)), good]
    before = everything()
    for row in TABLE:
        for key in bad:
            answer = knock(pms.base, row, key)
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), (row, key)
            assert answer.headers["www-authenticate"].startswith("Bearer ")
            assert good not in answer.text
    assert everything() == before


def test_a_key_opens_what_its_scopes_say_and_nothing_else(pms: Client, stay: str) -> None:
    before = everything()
    keys = {scope.value: f"Bearer {new_key(*(set(Scope) - {scope}))}" for scope in Scope}
    for row in TABLE:
        answer = knock(pms.base, row, keys[row.scope])
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), row
        assert row.scope in answer.json()["detail"]
    after = everything()
    assert {name for name in after if after[name] != before[name]} == {"api_keys", "audit_entries"}


def test_the_right_key_does_the_deed(house: str, server: str, clock: Clock) -> None:
    done(Client(server, new_key()).post("/members", LIN), 201)
    member_id = reward_scenes.new_guest("ZK100001", 9000)
    code = reward_scenes.bought(member_id, "breakfast").code
    again = STAY | {"confirmation": "SH-2", "arrival": "2026-05-01", "departure": "2026-05-02"}
    for row in TABLE:
        key = f"bEaReR {new_key(Scope(row.scope))}"
        if row.id == "cancelStay":
            done(Client(server, new_key()).post("/stays", again), 201)
        answer = knock(server, row, key, str(code))
        assert answer.status_code == row.status, (row, answer.text)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_other_methods_are_told_which_there_are(server: str, method: str) -> None:
    allowed: dict[str, set[str]] = {}
    for row in TABLE:
        allowed.setdefault(row.path, set()).add(row.method)
    for path, methods in {**allowed, "/openapi.json": {"GET"}}.items():
        answer = httpx.request(method, server + api.PREFIX + path, trust_env=False)
        assert answer.status_code == 405, path
        assert set(answer.headers["allow"].split(", ")) == methods
        if method != "HEAD":
            assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    ["/", "/member", "/members/", "/members/ZK1/point", "/stays//check-in", "/%0A", "/%ff", "/openapi.json/"],
)
def test_elsewhere_there_is_nothing(server: str, path: str) -> None:
    answer = httpx.get(server + api.PREFIX + path, trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_address")
    assert answer.headers["content-type"] == "application/problem+json"
