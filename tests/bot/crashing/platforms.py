"""Both platforms in a process of their own, and a guest's thumbs on them by plain HTTP."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

HOUSE = Path(__file__).resolve().parents[3]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def new_secrets() -> dict[str, str]:
    """What the house and both platforms agree on, as environment variables."""
    return {
        "ZHIKE_TELEGRAM_TOKEN": f"{secrets.randbelow(9 * 10**9) + 10**9}:{secrets.token_urlsafe(26)}",
        "ZHIKE_TELEGRAM_SECRET": secrets.token_hex(32),
        "ZHIKE_WECHAT_APP_ID": f"wx{secrets.token_hex(8)}",
        "ZHIKE_WECHAT_APP_SECRET": secrets.token_hex(16),
        "ZHIKE_WECHAT_TOKEN": secrets.token_hex(8),
        "ZHIKE_WECHAT_AES_KEY": base64.b64encode(secrets.token_bytes(32)).decode().rstrip("="),
        "ZHIKE_WECHAT_ACCOUNT": f"gh_{secrets.token_hex(6)}",
    }


@dataclass
class Platforms:
    """The stand-ins at `base`, which deliver to `door`."""

    base: str
    door: str
    shared: dict[str, str]
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=35))

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a house that talks to these."""
        return {
            **self.shared,
            "ZHIKE_TELEGRAM_API": f"{self.base}/sandbox/telegram",
            "ZHIKE_WECHAT_API": f"{self.base}/sandbox/wechat",
            "ZHIKE_PUBLIC_URL": self.door,
        }

    def act(self, channel: str, act: str, **given: Any) -> Any:
        """One of the guest's acts; see `bot/sandbox/control.py`."""
        done = self.client.post(f"{self.base}/sandbox/{channel}/guest/{act}", json=given)
        assert done.status_code == 200, done.text
        return done.json()["result"]

    def fault(self, channel: str, fault: str, **given: Any) -> None:
        ordered = self.client.post(f"{self.base}/sandbox/{channel}/faults", json={"fault": fault, **given})
        assert ordered.status_code == 200, ordered.text

    def said(self, channel: str, address: str) -> list[str]:
        """What the phone shows from the hotel."""
        return [bubble["text"] for bubble in self._bubbles(channel, address) if bubble["who"] == "hotel"]

    def undelivered(self, channel: str, address: str) -> list[str]:
        """Ids of the guest's messages that the platform has given up bringing us."""
        bubbles = self._bubbles(channel, address)
        return [bubble["message_id"] for bubble in bubbles if bubble["mark"] == "failed"]

    def at_rest(self, channel: str, address: str) -> bool:
        """Whether none of the guest's messages is on its way to us any more."""
        return not any(bubble["mark"] == "sending" for bubble in self._bubbles(channel, address))

    def _bubbles(self, channel: str, address: str) -> list[dict[str, Any]]:
        url = f"{self.base}/sandbox/{channel}/guest/bubbles"
        found: list[dict[str, Any]] = self.client.get(url, params={"address": address}).json()["bubbles"]
        return found

    def wait(
        self, channel: str, address: str, found: Callable[[list[str]], bool], within: float = 10
    ) -> list[str]:
        """What the phone shows as soon as that satisfies."""
        until(lambda: found(self.said(channel, address)), within, lambda: self.said(channel, address))
        return self.said(channel, address)


def until(
    found: Callable[[], bool], within: float, explain: Callable[[], object] = lambda: "it did not happen"
) -> None:
    """Return as soon as `found()`; fail with what `explain()` says after `within` seconds."""
    ends = time.monotonic() + within
    while not found():
        if time.monotonic() > ends:
            raise AssertionError(f"after {within} s: {explain()}")
        time.sleep(0.03)


@contextlib.contextmanager
def platforms(door_port: int, log: Path, *, pace: float = 1.0) -> Iterator[Platforms]:
    """`python -m bot.sandbox` on a free port, its output in `log`."""
    port, shared = free_port(), new_secrets()
    door = f"http://127.0.0.1:{door_port}"
    command = [sys.executable, "-m", "bot.sandbox", "--port", str(port), "--door", door, "--pace", str(pace)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=HOUSE, env={**os.environ, **shared}, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: b"ready" in log.read_bytes() or process.poll() is not None, 30, log.read_text)
        assert process.poll() is None, log.read_text()
        yield Platforms(f"http://127.0.0.1:{port}", door, shared)
    finally:
        process.terminate()
        process.wait(10)
