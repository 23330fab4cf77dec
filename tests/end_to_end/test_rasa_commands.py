"""Rasa's own commands work from the checkout: `rasa test`, and what `rasa shell` loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nlu.phrasebook import Phrasebook
from tests.bot.crashing.platforms import HOUSE

pytestmark = pytest.mark.model


def test_every_conversation_is_predicted_right(model: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "rasa", "test", "core", "--model", str(model), "--stories", "tests/conversations",
            "--endpoints", "endpoints.yml", "--out", str(tmp_path), "--fail-on-prediction-errors",
        ],
        cwd=HOUSE, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "RASA_TELEMETRY_ENABLED": "false", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    report = json.loads((tmp_path / "story_report.json").read_text())
    stories = report["conversation_accuracy"]
    assert stories["correct"] == stories["total"]
    assert stories["total"] >= 2, "files not named test_*.yml would be a silent nothing"


async def test_the_shell_speaks_with_the_phrasebook(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`endpoints.yml` names our reply generator; the guest's language is read from the words."""
    from rasa.core.agent import load_agent
    from rasa.core.utils import AvailableEndpoints

    monkeypatch.setenv("RASA_TELEMETRY_ENABLED", "false")
    endpoints = AvailableEndpoints.read_endpoints(str(HOUSE / "endpoints.yml"))
    agent = await load_agent(model_path=str(model), endpoints=endpoints)
    assert agent.is_ready()
    book = Phrasebook.load()
    for words, locale in (("thank you very much", "en"), ("非常感谢", "zh_CN"), ("非常感謝你", "zh_TW")):
        replies = await agent.handle_text(words)
        assert replies is not None
        said = {book.say("utter_thanks", locale, {}, turn=str(turn)).text for turn in range(50)}
        assert [reply["text"] in said for reply in replies] == [True], replies
