"""The command line: every trouble is one clear line and exit code 1, and nothing needs a set-up to be tried."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from bot import cli, training
from data import db
from data.members import Member

ZHIKE = Path(sys.executable).parent / "zhike"
COMMANDS = {"serve", "train", "chat", "parse", "check"}
GROUPS = {"db", "ledger", "programme", "rewards", "members", "import", "export", "keys"}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


def bare(**settings: str) -> dict[str, str]:
    """The environment of this process without anything of ours, but `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZHIKE_")}
    return {**kept, "COLUMNS": "200", "TERM": "dumb", **settings}


def process(folder: Path, *given: str, **settings: str) -> Ended:
    """`zhike …` as a process of its own, in a folder where nothing is yet."""
    done = subprocess.run(
        [ZHIKE, *given],
        cwd=folder,
        env=bare(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logging_kept: None
) -> Iterator[Run]:
    """`zhike …` inside this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ZHIKE_")]:
        monkeypatch.delenv(name)
    for name in ("TF_CPP_MIN_LOG_LEVEL", "RASA_TELEMETRY_ENABLED"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that what `main` sets is undone

    def command(*given: str, stdin: str = "", **settings: str) -> Ended:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["zhike", *given])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            for name, value in settings.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        captured = capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)

    yield command
    db.disconnect()


def one_line(ended: Ended) -> str:
    """The one line that a stopped command says."""
    (line,) = ended.err.splitlines()
    assert line.startswith("zhike: ")
    assert (ended.code, ended.out) == (1, "")
    return line


# On an empty machine, as a process


def test_help_lists_every_command(tmp_path: Path) -> None:
    ended = process(tmp_path, "--help")
    assert ended.code == 0
    assert ended.err == ""
    for command in COMMANDS:
        assert f" {command} " in ended.out
    assert list(tmp_path.iterdir()) == [], "help makes nothing"


def test_check_on_an_empty_machine(tmp_path: Path) -> None:
    ended = process(tmp_path, "check")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    for what, state, remedy in [
        ("schema", "empty", "zhike db upgrade"),
        ("model", "missing", "zhike train"),
        ("channels", "none", "set ZHIKE_TELEGRAM_TOKEN or ZHIKE_WECHAT_APP_ID"),
    ]:
        (line,) = [line for line in ended.out.splitlines() if line.strip().startswith(what)]
        assert state in line
        assert remedy in line


def test_serve_without_a_channel(tmp_path: Path) -> None:
    line = one_line(process(tmp_path, "serve"))
    for remedy in ("ZHIKE_TELEGRAM_TOKEN", "ZHIKE_WECHAT_APP_ID", "zhike serve --sandbox"):
        assert remedy in line


# Help and wrong calls


def test_the_list_of_commands_is_whole() -> None:
    assert {str(info.callback.__name__) for info in cli.app.registered_commands if info.callback} | {
        str(group.name) for group in cli.app.registered_groups
    } == COMMANDS | GROUPS


@pytest.mark.parametrize(
    "given", [[name] for name in sorted(COMMANDS | GROUPS)] + [["db", "upgrade"], ["db", "seed"]]
)
def test_every_command_explains_itself(run: Run, given: list[str]) -> None:
    ended = run(*given, "--help")
    assert ended.code == 0
    assert "Usage:" in ended.out


def test_unknown_command(run: Run) -> None:
    assert run("sereve").code == 2


# Settings


@pytest.mark.usefixtures("reads")
@pytest.mark.parametrize(
    "given", [["serve"], ["train"], ["parse"], ["chat"], ["db", "upgrade"], ["db", "seed", "--demo"]]
)
def test_wrong_setting_stops_every_command_with_one_line(run: Run, given: list[str]) -> None:
    assert "ZHIKE_TELEGRAM_MODE" in one_line(run(*given, ZHIKE_TELEGRAM_MODE="push"))


def test_check_names_a_wrong_setting(run: Run) -> None:
    ended = run("check", ZHIKE_TELEGRAM_MODE="push")
    assert ended.code == 1
    assert "ZHIKE_TELEGRAM_MODE" in ended.out


def test_database_that_does_not_answer(run: Run) -> None:
    keys = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    ended = run(
        "db", "upgrade", ZHIKE_DATABASE_URL="postgresql://zhike:canary@127.0.0.1:9/zhike", ZHIKE_KEYS=keys
    )
    line = one_line(ended)
    assert "ZHIKE_DATABASE_URL" in line
    assert "canary" not in line


# The database


def test_seed_without_demo_seeds_nothing(run: Run, tmp_path: Path) -> None:
    assert "--demo" in one_line(run("db", "seed"))
    assert not (tmp_path / "var").exists()


def test_upgrade_and_seed_can_be_repeated(run: Run) -> None:
    for _ in range(2):
        ended = run("db", "upgrade")
        assert ended.code == 0
        assert "The schema is at 0" in ended.out
    counts = []
    for _ in range(2):
        assert run("db", "seed", "--demo").code == 0
        with db.reading() as session:
            counts.append(session.scalars(select(func.count()).select_from(Member)).one())
    assert counts[0] == counts[1] > 50


# Words


class Reads:
    """Stands where the brain would; takes what comes before a colon for the intent."""

    def __init__(self, *_given: Any) -> None:
        pass

    async def understand(self, text: str) -> Any:
        entities = ({"entity": "city", "value": "上海"},) if "上海" in text else ()
        return types.SimpleNamespace(intent=text.partition(":")[0], confidence=0.98765432, entities=entities)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No model and no TensorFlow."""
    brain = types.ModuleType("bot.brain")
    brain.Brain = Reads  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bot.brain", brain)
    monkeypatch.setattr(training, "train", lambda folder: tmp_path / "model.tar.gz")


@pytest.mark.usefixtures("reads")
def test_parse_answers_line_by_line(run: Run) -> None:
    lines = [
        '{"id": 1, "text": "greet: hi"}',
        "",
        '{"id": "b", "text": "上海: 您好", "more": 1}',
        '{"text": "no id"}',
    ]
    ended = run("parse", stdin="\n".join(lines) + "\n")
    assert ended.code == 0
    assert [json.loads(line) for line in ended.out.splitlines()] == [
        {"id": 1, "intent": "greet", "confidence": 0.9877, "entities": []},
        {
            "id": "b",
            "intent": "上海",
            "confidence": 0.9877,
            "entities": [{"entity": "city", "value": "上海"}],
        },
        {"id": None, "intent": "no id", "confidence": 0.9877, "entities": []},
    ]
    assert "上海" in ended.out


@pytest.mark.usefixtures("reads")
@pytest.mark.parametrize("line", ["greet: hi", '{"id": 1}', "[1]", "7", "null", '{"id": 1, "text": "cut'])
def test_parse_stops_at_a_line_that_is_none(run: Run, line: str) -> None:
    ended = run("parse", stdin='{"id": 1, "text": "greet: hi"}\n' + line + "\n")
    assert ended.code == 1
    assert len(ended.out.splitlines()) == 1, "what was good before is answered"
    (said,) = ended.err.splitlines()
    assert said.startswith("zhike: Line 2 ")
    assert '{"id": …, "text": …}' in said


@pytest.mark.usefixtures("reads")
def test_parse_of_nothing(run: Run) -> None:
    assert run("parse", stdin="") == Ended(0, "", "")


def test_chat_on_a_channel_we_do_not_have(run: Run) -> None:
    assert "telegram or wechat" in one_line(run("chat", "--channel", "fax"))


@pytest.mark.usefixtures("reads")
def test_chat_as_nobody(run: Run) -> None:
    assert "ZK000000" in one_line(run("chat", "--as", "ZK000000"))


def test_training_that_fails_says_what_rasa_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_folder: Path) -> Path:
        raise training.TrainingFailed("YamlException: nlu/examples/en/points.yml, line 3")

    monkeypatch.setattr(training, "train", fails)
    assert "points.yml" in one_line(run("train"))
