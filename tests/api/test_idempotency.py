"""Done once: replayed, refused for other content, serialised between two at once, and never half-done."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text
from starlette.applications import Starlette

from bot import api
from bot.api import door
from data import checkout, db, sealed
from data.api_keys import ApiRequest
from data.ledger_rows import PointEntry
from data.members import Member
from tests.api.conftest import LIN, PERSONAL, STAY, Client, Clock, NoLimit, done, line, new_key, refused
from tests.api.deeds import enrol_over_http, enrol_the_same
from tests.data.conftest import everything
from tests.data.rivals import Rivals

MIN = {"name": "Min", "locale": "en"}


def test_the_same_request_gets_the_same_answer(pms: Client) -> None:
    first = pms.post("/members", MIN, key="k1")
    before = everything()
    again = pms.post("/members", MIN, key="k1")
    assert done(first, 201) == done(again, 201)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert everything() == before


def test_neither_the_order_of_fields_nor_defaults_make_another_request(pms: Client) -> None:
    number = done(pms.post("/members", MIN, key="k"), 201)["number"]
    spelt_out = {"welcome_gift": True, "consents": {}, "phone": None, "locale": "en", "name": "Min"}
    again = pms.post("/members", spelt_out, key="k")
    assert done(again, 201)["number"] == number
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/members", {**MIN, "name": "Mina"}),
        ("POST", "/stays", STAY),
        ("POST", "/stays/SH-1/check-in", None),
        ("PATCH", "/members/ZK100123", {"locale": "zh_CN"}),
    ],
)
def test_another_request_under_the_same_key_is_refused(
    pms: Client, lin: str, method: str, path: str, body: Any
) -> None:
    done(pms.post("/members", MIN, key="k"), 201)
    before = everything()
    refused(pms.send(method, path, body, key="k"), 422, "idempotency_key_reused", "header.Idempotency-Key")
    assert everything() == before


def test_keys_of_two_clients_are_apart(pms: Client, server: str) -> None:
    other = Client(server, new_key())
    first, second = (done(client.post("/members", MIN, key="k"), 201) for client in (pms, other))
    assert first["number"] != second["number"]


def test_what_the_rules_refused_is_refused_again_until_another_key_asks(pms: Client) -> None:
    early = pms.post("/stays", STAY, key="k")
    refused(early, 422, "unknown_reference", "$.member")
    done(pms.post("/members", LIN), 201)
    again = pms.post("/stays", STAY, key="k")
    assert again.content == early.content
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == "application/problem+json"
    done(pms.post("/stays", STAY, key="k2"), 201)


@pytest.mark.parametrize("key", ["", "a b", "k" * 129, "ключ".encode()])
def test_a_change_without_a_key_is_not_done(pms: Client, key: Any) -> None:
    before = everything()
    answer = pms.http.post("/members", json=MIN, headers={"Idempotency-Key": key})
    refused(answer, 400, "idempotency_key_missing", "header.Idempotency-Key")
    refused(pms.http.post("/members", json=MIN), 400, "idempotency_key_missing")
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    refused(pms.http.post("/members", json=MIN, headers=twice), 400, "idempotency_key_missing")
    assert everything() == before


def test_a_key_may_be_quoted_and_long(pms: Client) -> None:
    key = '"8e03978e-40d5-43e8-bc93-6894a57f9324"'.ljust(128, "~")
    assert done(pms.post("/members", MIN, key=key), 201) == done(pms.post("/members", MIN, key=key), 201)


def test_answers_are_kept_sealed_and_found_after_a_new_key(pms: Client, lin: str) -> None:
    with db.reading() as session:
        (row,) = session.execute(text("SELECT fingerprint, body FROM api_requests")).all()
    assert not [part for part in (*PERSONAL, lin) if part in str(row)]
    newer = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    older = ",".join(_keys())
    sealed.use_keys(f"{newer},{older}")
    try:
        other = {**LIN, "name": "Mina"}
        with db.reading() as session:
            key = session.scalars(select(ApiRequest.key)).one()
        assert done(pms.post("/members", LIN, key=key), 201)["number"] == lin
        refused(pms.post("/members", other, key=key), 422, "idempotency_key_reused")
    finally:
        sealed.use_keys(older)


def _keys() -> list[str]:
    return [base64.b64encode(key).decode() for key in sealed.ring().keys.values()]


# Two at once


def members() -> int:
    with db.reading() as session:
        return int(session.scalar(select(func.count()).select_from(Member)) or 0)


def test_two_threads_with_the_same_key_do_it_once(pms: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(5):
            key = f"k{number}"
            answers = list(pool.map(lambda _, key=key: pms.post("/members", MIN, key=key), range(8)))  # type: ignore[misc]
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.content for answer in answers}) == 1
            assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert members() == 5


def test_two_processes_with_the_same_key_do_it_once(house: str, rivals: Rivals) -> None:
    key = new_key(name="pms")
    told = [f"k{number}" for number in range(10)]
    a, b = rivals.race(enrol_the_same, house, key, told)
    assert [one[1] for one in a] == [one[1] for one in b], "both heard of the same member"
    assert all(sorted([one[0], two[0]]) == ["done", "replayed"] for one, two in zip(a, b, strict=True))
    assert members() == len(told)


def test_two_processes_that_are_retried_by_a_client(house: str, rivals: Rivals) -> None:
    # One client, two servers behind a load balancer: the same requests to both, each in another order.
    key = new_key(name="pms")
    told = [f"k{number}" for number in range(6)]
    a, b = rivals.race(enrol_over_http, house, key, told)
    assert a == dict(sorted(b.items()))
    assert members() == len(told)


def test_a_request_that_is_still_running_is_not_waited_for_without_end(pms: Client, house: str) -> None:
    # Another process works on it and takes long: its transaction is open.
    db.connect(house, patience=0.2)
    other = db.new_engine(house)
    columns = "api_key_id, key, fingerprint, status, body, at"
    with other.connect() as connection:
        row = f"INSERT INTO api_requests ({columns}) SELECT id, 'k', '', 0, '', made_at FROM api_keys"
        connection.execute(text(row))
        answer = pms.post("/members", MIN, key="k")
        connection.rollback()
    other.dispose()
    said = {"still_running": 409} if house.startswith("postgresql") else {"not_available": 503}
    ((code, status),) = said.items()
    refused(answer, status, code)
    assert answer.headers["retry-after"] == "2"
    done(pms.post("/members", MIN, key="k"), 201)


# Killed in between


class Killed(Exception):
    """What stands for the end of the process: whoever asked hears nothing."""


def test_what_breaks_after_the_deed_leaves_nothing_and_is_done_once_when_sent_again(
    pms: Client, stay: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(pms.post(f"{stay}/folio-lines", {"lines": [line()]}), 201)
    before = everything()
    whole = checkout.check_out

    def breaks(*given: Any, **told: Any) -> Any:
        whole(*given, **told)
        raise RuntimeError("林望舒 13917002468")

    with monkeypatch.context() as patch:
        patch.setattr("data.checkout.check_out", breaks)
        answer = pms.post(f"{stay}/check-out", {}, key="k")
        no = refused(answer, 500, "fault")
    assert "RuntimeError" not in answer.text
    assert "Idempotency-Key" in no["remedy"]
    assert everything() == before

    assert done(pms.post(f"{stay}/check-out", {}, key="k"))["points"] == 1000
    assert done(pms.post(f"{stay}/check-out", {}, key="k"))["points"] == 1000
    with db.reading() as session:
        earned = session.scalars(select(PointEntry.amount).where(PointEntry.reason == "stay")).all()
    assert earned == [1000]


def test_what_breaks_when_the_answer_is_kept_leaves_nothing(
    pms: Client, stay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything()
    with monkeypatch.context() as patch:
        patch.setattr("data.sealed.KeyRing.seal", lambda *_: (_ for _ in ()).throw(MemoryError()))
        refused(pms.post(f"{stay}/cancel", key="k"), 500, "fault")
    assert everything() == before
    assert done(pms.post(f"{stay}/cancel", key="k"))["status"] == "cancelled"


async def test_an_answer_that_was_never_heard_is_given_again(house: str, server: str, clock: Clock) -> None:
    # The deed is committed, then the process dies before it answers: the client knows nothing, and asks again.
    key = new_key()

    class Deaf(door.Door):
        async def answer(self, request: Any, operation: Any) -> Any:
            await super().answer(request, operation)
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.api.table.Door", Deaf)
        deaf = Starlette(routes=api.routes(clock, limiter=NoLimit()))
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(deaf), base_url="http://pms") as client:
        with pytest.raises(Killed):
            await client.post("/api/v1/members", json=MIN, headers=headers)
    assert members() == 1
    again = Client(server, key).post("/members", MIN, key="k")
    assert again.headers["idempotency-replayed"] == "true"
    assert json.loads(again.content)["number"]
    assert members() == 1
