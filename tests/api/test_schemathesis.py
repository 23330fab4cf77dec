"""Schemathesis against the served description: every operation, good data and bad, and walks along the links."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from starlette.applications import Starlette

from bot import api
from bot.api.table import OPERATIONS
from data import db, enrolment
from data.enrolment import NewMember
from tests.api.conftest import NoLimit, new_key
from tests.conftest import NOW
from tests.data import reward_scenes
from tests.data.staying import booked
from tests.serving import serving

HOUSE = Path(__file__).parents[2]
SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
SEED = "20260314"
EXAMPLES = {"sqlite": 8, "postgresql": 4}  # on each operation; what is covered does not differ

# Hotels and members that are there, drawn now and then in the place of invented ones; and 422 for what fits the
# description but not the rules: a day that is over, a phone number that is none. See `hooks` for the rest.
CONFIGURATION = """
hooks = "tests.api.schemathesis_hooks"
headers = { Authorization = "Bearer %(key)s" }

[dictionaries]
hotels = { values = ["HLSH", "HLLN"] }
members = { values = ["ZK200001", "ZK200002", "ZK200003", "ZK200004"] }
days = { values = ["2026-03-10", "2026-03-11", "2026-03-12", "2026-03-13", "2026-03-14"] }
locales = { values = ["en", "zh-Hant-TW"] }

[parameters]
"body.hotel" = { dictionary = "hotels", probability = 0.9 }
"query.hotel" = { dictionary = "hotels", probability = 0.5 }
"body.home_hotel" = { dictionary = "hotels", probability = 0.5 }
"body.locale" = { dictionary = "locales", probability = 0.9 }
"body.member" = { dictionary = "members", probability = 0.7 }
"path.number" = { dictionary = "members", probability = 0.8 }
"body.arrival" = { dictionary = "days", probability = 0.8 }
"body.departure" = { dictionary = "days", probability = 0.8 }
"body.lines[*].day" = { dictionary = "days", probability = 0.9 }

[phases.coverage]
unexpected-methods = ["DELETE"]

[phases.stateful]
max-steps = 8

[phases.stateful.inference]
algorithms = []

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "422"]
"""


def people() -> list[str]:
    """Members, each with a stay; and codes to hand in."""
    for number, confirmation in enumerate(("S-1", "S-2", "S-3", "S-4"), 1):
        new = NewMember(number=f"ZK20000{number}", name="Min", locale="en")
        with db.transaction() as session:
            enrolment.enrol(session, new, via="test", actor="test", now=NOW)
        booked(confirmation=confirmation, member=f"ZK20000{number}", hotel="HLSH" if number % 2 else "HLLN")
    member_id = reward_scenes.new_guest("ZK200009", 90_000)
    return [str(reward_scenes.bought(member_id, "breakfast", key=key).code) for key in "abcdefgh"]


def test_it_finds_nothing(house: str, tmp_path: Path) -> None:
    codes = " ".join(people())
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(CONFIGURATION % {"key": new_key(name="pms")})
    report = tmp_path / "report.json"
    with serving(Starlette(routes=api.routes(lambda: NOW, limiter=NoLimit()))) as base:
        done = subprocess.run(
            [
                SCHEMATHESIS, "--config-file", str(settings), "run", f"{base}{api.PREFIX}/openapi.json",
                "--seed", SEED, "--generation-deterministic",
                "--max-examples", str(EXAMPLES[house.partition(":")[0]]), "--no-color",
                "--report", "json", "--report-json-path", str(report),
            ],
            capture_output=True, text=True, timeout=300, check=False,
            cwd=tmp_path, env={**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(HOUSE), "CODES": codes},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(report.read_text())
    assert {phase: each["status"] for phase, each in said["phases"].items()} == dict.fromkeys(
        ("examples", "coverage", "fuzzing", "stateful"), "success"
    )
    # Whatever is only ever refused was not tested.
    accepted = {
        operation: sum(phase["accepted"] for phase in phases.values())
        for operation, phases in said["valid_rates"].items()
    }
    assert len(accepted) == len(OPERATIONS)
    assert all(accepted.values()), accepted
