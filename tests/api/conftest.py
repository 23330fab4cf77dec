"""A property system with its key, before a real server whose clock the test moves; two hotels and a catalogue."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from bot import api
from data import api_keys, db
from data.api_keys import Scope
from tests.conftest import NOW
from tests.data import reward_scenes
from tests.data.rivals import Rivals
from tests.serving import serving

_numbers = itertools.count(1)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


class NoLimit:
    """Lets everything through."""

    def wait(self, key_id: int) -> float:
        return 0.0


class Client:
    """A property system: every change has an Idempotency-Key of its own, unless one is given."""

    def __init__(self, base: str, key: str) -> None:
        self.base = base
        self.http = httpx.Client(
            base_url=base + api.PREFIX,
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=30,
        )

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query)

    def post(self, path: str, body: Any = None, **how: Any) -> httpx.Response:
        return self.send("POST", path, body, **how)

    def patch(self, path: str, body: Any, **how: Any) -> httpx.Response:
        return self.send("PATCH", path, body, **how)

    def send(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> httpx.Response:
        once = {"Idempotency-Key": key or f"test-{next(_numbers)}"}
        return self.http.request(method, path, json=body, headers=once | headers)


def done(answer: httpx.Response, status: int = 200) -> Any:
    """The JSON of an answer with this status."""
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """The problem that an answer is."""
    said: dict[str, Any] = answer.json()
    assert (answer.status_code, said["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (said["status"], said["type"]) == (status, f"urn:problem-type:zhike:{code}")
    assert said["title"]
    assert said["detail"]
    if field is not None:
        assert said["field"] == field
    return said


def new_key(*scopes: Scope, name: str = "") -> str:
    """A key with these scopes, or all of them."""
    with db.transaction() as session:
        name = name or f"pms-{next(_numbers)}"
        return api_keys.issue(session, name, scopes or tuple(Scope), actor="test", now=NOW).text


@pytest.fixture(scope="session")
def moving_clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def server(moving_clock: Clock) -> Iterator[str]:
    """The API on a real socket, on whatever database this process is connected to; its base URL."""
    with serving(Starlette(routes=api.routes(moving_clock, limiter=NoLimit()))) as base:
        yield base


@pytest.fixture
def clock(moving_clock: Clock) -> Iterator[Clock]:
    """The server's clock, at `NOW`."""
    moving_clock.now = NOW
    yield moving_clock
    moving_clock.now = NOW


@pytest.fixture
def house(database: str) -> str:
    """URL of a database with both hotels and the sample catalogue."""
    reward_scenes.open_house()
    return database


@pytest.fixture
def pms(house: str, server: str, clock: Clock) -> Iterator[Client]:
    """A property system whose key opens everything."""
    client = Client(server, new_key(name="pms"))
    yield client
    client.http.close()


LIN = {
    "number": "ZK100123",
    "name": "林望舒",
    "latin_name": "Lin Wangshu",
    "locale": "zh-Hans",
    "phone": "139 1700 2468",
    "email": "Wangshu@Heron-Lantern.com",
    "document": "E1234 5678",
    "birthday": "1992-09-25",
    "home_hotel": "HLSH",
    "consents": {"offers": True, "surveys": False},
}
# Every way in which Lin's personal data might stand somewhere.
PERSONAL = [
    "林望舒",
    "Wangshu",
    "13917002468",
    "1700",
    "heron-lantern",
    "12345678",
    "1234 5678",
    "1992",
    "09-25",
]

STAY = {
    "confirmation": "SH-1",
    "member": "ZK100123",
    "hotel": "HLSH",
    "room_type": "creek_king",
    "arrival": "2026-03-11",
    "departure": "2026-03-14",
    "adults": 2,
}


def line(number: str = "1", amount_minor: int = 100_000, **other: Any) -> dict[str, Any]:
    """1,000.00 yuan for the room on 11 March, unless told otherwise."""
    usual = {"outlet": "room", "day": "2026-03-11", "currency": "CNY"}
    return {"line": number, "amount_minor": amount_minor, **usual, **other}


@pytest.fixture
def lin(pms: Client) -> str:
    """The number of a member."""
    return str(done(pms.post("/members", LIN), 201)["number"])


@pytest.fixture
def stay(pms: Client, lin: str) -> str:
    """The path of a stay of the member."""
    done(pms.post("/stays", STAY), 201)
    return "/stays/SH-1"


@pytest.fixture(scope="session")
def rivals() -> Iterator[Rivals]:
    """Two processes that act at once."""
    pair = Rivals()
    yield pair
    pair.close()
