"""`python -m bot.sandbox`: the stand-ins in a process of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import free_port

PEOPLE = [
    {
        "member_id": 1,
        "number": "ZK1",
        "name": "Li",
        "tier": "gold",
        "locale": "en",
        "points": 5,
        "telegram": "77",
        "wechat": "o77",
    }
]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str], list[str]]]:
    people = tmp_path / "people.json"
    people.write_text(json.dumps(PEOPLE))
    port = free_port()
    command = [sys.executable, "-m", "bot.sandbox", "--port", str(port), "--people", str(people)]
    environment = {**os.environ, "ZHIKE_TELEGRAM_TOKEN": "99:from-the-environment"}
    process = subprocess.Popen(
        [*command, "--wechat-app-id", "wxgiven", "--pace", "0.01"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    killer = threading.Timer(30, process.kill)
    killer.start()
    ready = process.stderr.readline()
    yield f"http://127.0.0.1:{port}/sandbox", process, [ready]
    killer.cancel()
    process.kill()
    process.communicate()


def test_it_serves_by_given_secrets_and_stops_with_an_open_page(
    alone: tuple[str, subprocess.Popen[str], list[str]],
) -> None:
    base, process, said = alone
    assert said == [f"ready {json.dumps({'sandbox': base + '/'})}\n"]
    with httpx.Client(trust_env=False, timeout=10) as http:
        assert http.get(f"{base}/telegram/bot99:from-the-environment/getMe").json()["result"]["id"] == 99
        given = {"grant_type": "client_credential", "appid": "wxgiven", "secret": "unknown"}
        assert http.post(f"{base}/wechat/cgi-bin/stable_token", json=given).json()["errcode"] == 40125
        assert [p["name"] for p in http.get(f"{base}/people").json()["people"]] == ["Li"]
        with http.stream("GET", f"{base}/telegram/guest/events", params={"address": "77"}) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "retry: 1000"
            process.send_signal(signal.SIGTERM)
            assert list(lines)[-1:] in ([], [""])
    out, err = process.communicate(timeout=10)
    assert (process.returncode in (0, -signal.SIGTERM), out, err) == (True, "", "")
