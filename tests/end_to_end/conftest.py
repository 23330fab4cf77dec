"""`zhike serve` in a process of its own, on a database with the demo group, between platforms in another."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bot import training
from bot.app import utc_now
from data import db, schema
from data.demo import DemoMember
from tests.bot.crashing.platforms import HOUSE, Platforms, free_port, platforms, until
from tests.conftest import KEYS, PostgresServer, connected, seed_demo
from tests.end_to_end.curl import WeChat

ZHIKE = str(Path(sys.executable).with_name("zhike"))
READY_WITHIN = 90.0


@dataclass
class Serving:
    """A running `zhike serve`."""

    process: subprocess.Popen[bytes]
    base: str
    log: Path
    seen: list[str]  # what /readyz said, in order

    def status(self) -> str:
        try:
            answer = httpx.get(f"{self.base}/readyz", trust_env=False, timeout=5)
        except httpx.HTTPError:
            return "closed"
        assert (answer.status_code == 200) is (answer.json()["status"] == "ready")
        return str(answer.json()["status"])

    def wait_until(self, status: str) -> None:
        def reached() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            now = self.status()
            if not self.seen or self.seen[-1] != now:
                self.seen.append(now)
            return now == status

        until(reached, READY_WITHIN, self.log.read_text)

    def kill(self) -> None:
        """kill -9"""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30), time.monotonic() - began


@contextlib.contextmanager
def zhike_serve(environment: dict[str, str], port: int, log: Path, *arguments: str) -> Iterator[Serving]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ZHIKE_")}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [ZHIKE, "serve", "--port", str(port), *arguments],
            cwd=HOUSE, env={**clean, **environment}, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield Serving(process, f"http://127.0.0.1:{port}", log, [])
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="session")
def model() -> Path:
    """Today's model, trained if need be."""
    return training.train(HOUSE / "var/models")


@dataclass
class Outside:
    """All that a house needs to be started."""

    platforms: Platforms
    port: int
    environment: dict[str, str]
    people: list[DemoMember]
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "zhike.log"

    @property
    def wechat(self) -> WeChat:
        given = self.environment
        return WeChat(
            given["ZHIKE_WECHAT_APP_ID"], given["ZHIKE_WECHAT_TOKEN"],
            given["ZHIKE_WECHAT_AES_KEY"], given["ZHIKE_WECHAT_ACCOUNT"],
        )  # fmt: skip

    def member(self, locale: str) -> DemoMember:
        """A member of that language with points that need a thousands separator."""
        return next(each for each in self.people if each.locale == locale and each.points >= 1000)

    @contextlib.contextmanager
    def serving(self, **changes: str) -> Iterator[Serving]:
        with zhike_serve({**self.environment, **changes}, self.port, self.log) as running:
            yield running

    def telegram(self, update: dict[str, object]) -> httpx.Response:
        """Post an update to the webhook."""
        secret = {"X-Telegram-Bot-Api-Secret-Token": self.environment["ZHIKE_TELEGRAM_SECRET"]}
        url = f"http://127.0.0.1:{self.port}/telegram/webhook"
        return httpx.post(url, json=update, headers=secret, trust_env=False, timeout=10)

    def push(self, sealed: tuple[dict[str, str], str]) -> httpx.Response:
        """Push to the WeChat door, for as long as WeChat waits."""
        url = f"http://127.0.0.1:{self.port}/wechat"
        return httpx.post(url, params=sealed[0], content=sealed[1].encode(), trust_env=False, timeout=5)


@contextlib.contextmanager
def outside_on(url: str, folder: Path, model: Path) -> Iterator[Outside]:
    """Platforms, and the demo group in the database at `url`."""
    with connected(url):
        people = seed_demo(utc_now())  # the house that is served has the real clock
    port = free_port()
    with platforms(port, folder / "platforms.log") as running:
        environment = {
            **running.environment,
            "ZHIKE_DATABASE_URL": url,
            "ZHIKE_KEYS": KEYS,
            "ZHIKE_MODEL_DIR": str(model.parent),
        }
        yield Outside(running, port, environment, people, folder)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def outside(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model: Path
) -> Iterator[Outside]:
    """On a database of either kind."""
    folder = tmp_path_factory.mktemp("outside")
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "zhike.db")
        with outside_on(f"sqlite:///{folder / 'zhike.db'}", folder, model) as made:
            yield made
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.make()
    try:
        engine = db.new_engine(url)
        schema.upgrade(engine)
        engine.dispose()
        with outside_on(url, folder, model) as made:
            yield made
    finally:
        server.drop(url)


@pytest.fixture
def outside_sqlite(sqlite_template: Path, tmp_path: Path, model: Path) -> Iterator[Outside]:
    """On a fresh SQLite file."""
    shutil.copy(sqlite_template, tmp_path / "zhike.db")
    with outside_on(f"sqlite:///{tmp_path / 'zhike.db'}", tmp_path, model) as made:
        yield made
