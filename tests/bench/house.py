"""A `zhike serve` of its own for measuring, on a database of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg

from tests.bench.platform import SECRET, TOKEN, free_port

ADMIN = os.environ.get("ZHIKE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
KEYS = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@dataclass(frozen=True)
class Running:
    """A house that answers."""

    url: str
    pid: int
    ready_after: float  # seconds from start to ready
    doors_after: float  # seconds from start to the first answer at all

    @property
    def megabytes(self) -> float:
        """Resident memory."""
        return float(psutil.Process(self.pid).memory_info().rss) / 2**20


@contextmanager
def database(kind: str) -> Iterator[str]:
    """The address of an empty database of this kind, gone afterwards."""
    if kind == "SQLite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/bench.db"
        return
    name = f"zhike_bench_{os.getpid()}"
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield ADMIN.rsplit("/", 1)[0] + f"/{name}"
        finally:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def serving(database_url: str, bot_api: str) -> Iterator[Running]:
    """Schema and demo members, then a serving house."""
    port = free_port()
    zhike = Path(sys.executable).with_name("zhike")
    environment = {
        **os.environ,
        "ZHIKE_DATABASE_URL": database_url,
        "ZHIKE_KEYS": KEYS,
        "ZHIKE_TELEGRAM_TOKEN": TOKEN,
        "ZHIKE_TELEGRAM_SECRET": SECRET,
        "ZHIKE_TELEGRAM_API": bot_api,
        "ZHIKE_LOG_FORMAT": "json",
    }
    for command in (("db", "upgrade"), ("db", "seed", "--demo")):
        subprocess.run([zhike, *command], env=environment, check=True, capture_output=True)
    began = time.perf_counter()
    process = subprocess.Popen(
        [zhike, "serve", "--port", str(port)], env=environment, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        doors = _until(f"{url}/healthz", process, began)
        ready = _until(f"{url}/readyz", process, began)
        yield Running(url, process.pid, ready_after=ready, doors_after=doors)
    finally:
        process.terminate()
        process.wait(20)


def _until(url: str, process: subprocess.Popen[bytes], began: float) -> float:
    while time.perf_counter() - began < 120:
        if process.poll() is not None:
            raise RuntimeError(f"zhike serve ended with {process.returncode}")
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return time.perf_counter() - began
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within two minutes")
