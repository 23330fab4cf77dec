"""The trained model: made by `rasa train`, and made again only when what it is made of has changed."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

HOUSE = Path(__file__).resolve().parent.parent
CONFIG = "config.yml"
DOMAIN = "nlu/domain"
DATA = ("nlu/examples", "nlu/rules")
# What the model's components are made of: a changed tokenizer needs a new model as much as a new example does.
COMPONENTS = "nlu"


class TrainingFailed(Exception):
    """`rasa train` ended without a model; the text is what it said last."""


def model_path(folder: Path) -> Path:
    """Where the model made of today's files is, or would be."""
    digest = hashlib.sha256()
    for part in _ingredients():
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return folder / f"zhike-{digest.hexdigest()[:16]}.tar.gz"


def _ingredients() -> Iterator[bytes]:
    for package in ("rasa", "scikit-learn", "jieba"):
        yield f"{package} {importlib.metadata.version(package)}".encode()
    yield (HOUSE / CONFIG).read_bytes()
    for path in sorted((HOUSE / DOMAIN).glob("*.yml")):
        domain = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        # The words of a phrase are read from the files at start; only its name is part of the model.
        domain["responses"] = sorted(domain.get("responses") or ())
        yield json.dumps(domain, sort_keys=True, ensure_ascii=False).encode()
    for folder in DATA:
        for path in sorted((HOUSE / folder).rglob("*.yml")):
            yield path.read_bytes()
    for path in sorted((HOUSE / COMPONENTS).glob("*")):
        if path.suffix in (".py", ".txt"):
            yield path.read_bytes()


def train(folder: Path) -> Path:
    """The model of today's files, trained if it is not there yet. Raises `TrainingFailed`."""
    path = model_path(folder)
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".training", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two commands started at once train once
        if not path.exists():
            _train(path)
    return path


def _train(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as workshop:
        done = subprocess.run(
            [
                sys.executable, "-m", "rasa", "train",
                "--config", CONFIG, "--domain", DOMAIN, "--data", *DATA,
                "--out", workshop, "--fixed-model-name", "model",
            ],
            cwd=HOUSE,
            env={**os.environ, "RASA_TELEMETRY_ENABLED": "false", "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
        )  # fmt: skip
        made = Path(workshop) / "model.tar.gz"
        if done.returncode != 0 or not made.exists():
            raise TrainingFailed("\n".join((done.stdout + done.stderr).splitlines()[-20:]))
        os.replace(made, path)  # whole or not at all, even if we are killed here
