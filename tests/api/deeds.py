"""What each of two processes does with the API; see `tests.data.rivals`."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
from starlette.applications import Starlette

from bot import api
from data import booking, checkout, db
from tests.api.conftest import NoLimit
from tests.conftest import NOW
from tests.data.rivals import together
from tests.serving import serving


def _client(base: str, key: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=base + api.PREFIX, headers=headers, trust_env=False, timeout=30)


def enrol_the_same(who: str, key: str, told: Sequence[str]) -> list[tuple[str, str]]:
    """For each Idempotency-Key ("done" or "replayed", the member's number), both processes at the same moment."""
    outcomes = []
    app = Starlette(routes=api.routes(lambda: NOW, limiter=NoLimit()))
    with serving(app) as base, _client(base, key) as client:
        for once in told:
            together()
            answer = client.post(
                "/members", json={"name": "Min", "locale": "en"}, headers={"Idempotency-Key": once}
            )
            assert answer.status_code == 201, answer.text
            replayed = "idempotency-replayed" in answer.headers
            outcomes.append(("replayed" if replayed else "done", answer.json()["number"]))
    return outcomes


def enrol_over_http(who: str, key: str, told: Sequence[str]) -> dict[str, str]:
    """The member's number by Idempotency-Key; one process takes them from the front, the other from behind."""
    numbers = {}
    app = Starlette(routes=api.routes(lambda: NOW, limiter=NoLimit()))
    with serving(app) as base, _client(base, key) as client:
        together()
        for once in told if who == "a" else reversed(told):
            answer = client.post(
                "/members", json={"name": "Min", "locale": "en"}, headers={"Idempotency-Key": once}
            )
            assert answer.status_code == 201, answer.text
            numbers[once] = answer.json()["number"]
    return numbers


def check_out_friends(who: str, key: str, friends: int) -> list[int]:
    """The statuses of checking out a stay of each friend: a over HTTP with a folio line, b without HTTP."""
    statuses = []
    app = Starlette(routes=api.routes(lambda: NOW, limiter=NoLimit()))
    line = {"line": "1", "outlet": "room", "day": "2026-03-01", "amount_minor": 100_000, "currency": "CNY"}
    with serving(app) as base, _client(base, key) as client:
        for number in range(friends):
            together()
            if who == "a":
                path = f"/stays/F{number}-a/check-out"
                answer = client.post(path, json={"lines": [line]}, headers={"Idempotency-Key": path})
                statuses.append(answer.status_code)
                continue
            with db.transaction() as session:
                stay = booking.stay_by_confirmation(session, f"F{number}-b")
                checkout.check_out(session, stay.id, actor="import", now=NOW)
            statuses.append(200)
    return statuses
