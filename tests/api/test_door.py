"""The door: bodies too large or of the wrong kind, a database that is away, faults of ours, and what is logged."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from bot import logs
from bot.api.problems import KINDS
from bot.api.requests import LARGEST_BODY
from bot.app import House
from bot.settings import Settings
from data import db
from tests.api.conftest import LIN, PERSONAL, Client, done, new_key, refused
from tests.bot.conftest import logging_kept  # noqa: F401 - a fixture
from tests.conftest import ADMIN_URL, KEYS, connected
from tests.data.conftest import everything

JSON = {"Content-Type": "application/json", "Idempotency-Key": "k"}


@pytest.fixture
def client(sqlite_database: str, server: str) -> Client:
    """A property system before a house without hotels."""
    return Client(server, new_key(name="pms"))


def test_a_body_may_be_as_large_as_the_cap_and_no_larger(client: Client) -> None:
    fits = b'{"name": "Min", "locale": "en"}'.ljust(LARGEST_BODY)
    done(client.http.post("/members", content=fits, headers=JSON), 201)
    before = everything()
    refused(client.http.post("/members", content=fits + b" ", headers=JSON), 413, "too_large", "$")

    def in_pieces() -> Iterator[bytes]:
        for _ in range(5):
            yield b" " * 64 * 1024

    refused(client.http.post("/members", content=in_pieces(), headers=JSON), 413, "too_large", "$")
    assert everything() == before


def test_a_claim_to_be_huge_is_refused_before_it_is_sent(client: Client) -> None:
    parts = urlsplit(client.base)
    head = (
        f"POST /api/v1/members HTTP/1.1\r\nHost: {parts.netloc}\r\nIdempotency-Key: k\r\n"
        f"Authorization: {client.http.headers['authorization']}\r\nContent-Type: application/json\r\n"
        "Content-Length: 99999999999\r\n\r\n{"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as wire:
        wire.sendall(head.encode())
        assert wire.recv(12) == b"HTTP/1.1 413"


@pytest.mark.parametrize(
    ("kind", "fine"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ('Application/JSON;charset="UTF-8"', True),
        ("application/json; charset=gb18030", False),
        ("application/json; version=1", False),
        ("text/json", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("", False),
    ],
)
def test_only_json_is_read(client: Client, kind: str, fine: bool) -> None:
    answer = client.http.post(
        "/members", content=b'{"name": "Min", "locale": "en"}', headers=JSON | {"Content-Type": kind}
    )
    if fine:
        done(answer, 201)
    else:
        refused(answer, 415, "not_json", "header.Content-Type")


def test_where_no_body_is_needed_none_is_asked_for(client: Client) -> None:
    for path in ("/stays/X/check-in", "/stays/X/cancel", "/stays/X/check-out"):
        for sent in (
            {},
            {"content": b""},
            {"content": b"{}", "headers": {"Content-Type": "application/json"}},
        ):
            headers = {"Idempotency-Key": f"{path}{len(sent)}", **sent.get("headers", {})}  # type: ignore[attr-defined]
            answer = client.http.post(path, content=sent.get("content"), headers=headers)  # type: ignore[attr-defined]
            refused(answer, 404, "not_found")
    refused(client.http.patch("/stays/X", headers={"Idempotency-Key": "p"}), 415, "not_json")


def test_a_database_that_is_away_is_told_with_when_to_come_again(client: Client, tmp_path: Any) -> None:
    key = client.http.headers["authorization"].removeprefix("Bearer ")
    home = str(db.engine().url)
    for away in (f"sqlite:///{tmp_path}/gone/zhike.db", "postgresql://nobody@127.0.0.1:1/none"):
        db.connect(away)
        (tmp_path / "gone").rmdir() if away.startswith("sqlite") else None
        for answer in (client.get("/rewards"), client.post("/members", LIN)):
            no = refused(answer, 503, "not_available")
            assert answer.headers["retry-after"] == "2"
            assert "same Idempotency-Key" in no["remedy"]
            assert key not in answer.text
    db.connect(home)
    done(client.get("/rewards"))


def test_a_database_that_was_restarted_is_found_again(postgres_database: str, server: str) -> None:
    client = Client(server, new_key())
    done(client.post("/members", {"name": "Min", "locale": "en"}, key="k"), 201)
    with psycopg.connect(ADMIN_URL, autocommit=True) as admin:
        name = urlsplit(postgres_database).path[1:]
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    said = [client.post("/members", {"name": "Min", "locale": "en"}, key="k") for _ in range(3)]
    assert [answer.status_code for answer in said] in ([503, 201, 201], [503, 503, 201])
    assert said[-1].headers["idempotency-replayed"] == "true"


def test_a_fault_of_ours_is_told_without_a_word_of_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Any, **_told: Any) -> Any:
        raise ZeroDivisionError("林望舒")

    monkeypatch.setattr("data.offers.catalogue", broken)
    answer = client.get("/rewards")
    refused(answer, 500, "fault")
    assert not [word for word in ("ZeroDivision", "林望舒", "Traceback", ".py") if word in answer.text]
    monkeypatch.undo()
    done(client.get("/rewards"))


def test_nothing_of_a_guest_or_a_key_is_logged(
    client: Client, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("logging_kept")
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure("json")
    who = LIN | {"home_hotel": None}
    done(client.post("/members", who), 201)
    refused(client.post("/members", who | {"birthday": "1992-09-24"}), 409, "conflict")
    refused(client.post("/members/search", {"kind": "phone", "value": who["name"]}), 422, "bad_input")
    refused(client.get("/members/ZK9"), 404, "not_found")
    bad = {"Authorization": client.http.headers["authorization"] + "x"}
    refused(client.http.get("/rewards", headers=bad), 401, "not_authenticated")

    def broken(*given: Any, **told: Any) -> Any:
        raise RuntimeError(repr((given, told, who)))

    monkeypatch.setattr("data.enrolment.enrol", broken)
    refused(client.post("/members", who), 500, "fault")
    said = written.getvalue()
    assert "api.failed" in said
    assert "enrolMember" in said
    assert json.loads(said.splitlines()[-1])["error"] == "RuntimeError"
    secrets = [*PERSONAL, "zk_", client.http.headers["authorization"][-43:]]
    assert not [part for part in secrets if part in said]


def test_the_house_has_the_api(sqlite_database: str) -> None:
    with connected(sqlite_database):
        house = House(Settings(database_url=sqlite_database, keys=KEYS))
        key = new_key()

        async def ask() -> httpx.Response:
            app = Starlette(routes=house.routes())
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://zhike"
            ) as client:
                return await client.get("/api/v1/rewards", headers={"Authorization": f"Bearer {key}"})

        assert done(asyncio.run(ask())) == {"rewards": []}


def test_every_kind_of_problem_is_tried_somewhere() -> None:
    """The tests of this folder, read as text, name each kind."""
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [kind for kind in KINDS if f'"{kind}"' not in text and kind != "refused"] == []
