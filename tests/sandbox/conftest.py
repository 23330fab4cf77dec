"""Stand-ins beside stub doors, with a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from bot.sandbox import TelegramPlatform, WeChatPlatform
from bot.sandbox.wechat_crypto import Envelope
from tests.sandbox.doors import TelegramDoor, WeChatDoor
from tests.serving import serving_here

TOKEN = "123456:secret-token_of-the-bot"
APP_ID = "wx2c2769f8efd9abc2"
APP_SECRET = "0123456789abcdef0123456789abcdef"
WECHAT_TOKEN = "spamtest"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ACCOUNT = "gh_10f6c3c3ac5a"


class FakeClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 14, 1, 59, 26, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Stage:
    """One server for all tests of this folder: starting one takes longer than most of them."""

    base = ""
    app = Starlette()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    async with serving_here(stage) as stage.base:
        yield stage


@dataclass
class Telegram:
    """The stand-in, the API as a bot calls it, and a stub door."""

    platform: TelegramPlatform
    api: httpx.AsyncClient
    door: TelegramDoor
    door_url: str

    async def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """The whole answer to a JSON call."""
        answer = await self.api.post(f"/bot{TOKEN}/{method}", json=given)
        body: dict[str, Any] = answer.json()
        assert body["ok"] == (answer.status_code == 200)
        return body

    async def get(self, method: str, **given: Any) -> Any:
        """The result of a call that must succeed."""
        body = await self.ask(method, **given)
        assert body["ok"], body
        return body["result"]

    async def refusal(self, method: str, **given: Any) -> tuple[int, str]:
        body = await self.ask(method, **given)
        assert not body["ok"], body
        return body["error_code"], body["description"]

    async def hook(self, **given: Any) -> None:
        """Set the webhook to the stub door."""
        await self.get("setWebhook", url=f"{self.door_url}/telegram/webhook", **given)


@pytest_asyncio.fixture(loop_scope="session")
async def telegram(clock: FakeClock, stage: Stage) -> AsyncIterator[Telegram]:
    platform = TelegramPlatform(TOKEN, clock=clock, pace=0.01)
    door = TelegramDoor()
    stage.app = Starlette(routes=[*platform.routes, *door.routes])
    async with httpx.AsyncClient(base_url=stage.base, trust_env=False, timeout=10) as api:
        yield Telegram(platform, api, door, stage.base)
        await platform.stop()


@dataclass
class WeChat:
    """The stand-in, the API as the account's server calls it, and a stub door."""

    platform: WeChatPlatform
    api: httpx.AsyncClient
    door: WeChatDoor

    async def token(self, **more: Any) -> dict[str, Any]:
        given = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET, **more}
        answer: dict[str, Any] = (await self.api.post("/cgi-bin/stable_token", json=given)).json()
        return answer

    async def post(self, path: str, body: Any, token: str | None = None) -> dict[str, Any]:
        """POST JSON as WeChat wants it, UTF-8 and unescaped, with a good token unless another is given."""
        token = token if token is not None else (await self.token())["access_token"]
        content = (
            httpx.Request("POST", "http://x", json=body).content if not isinstance(body, bytes) else body
        )
        answer = await self.api.post(f"/cgi-bin/{path}", params={"access_token": token}, content=content)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    async def send(self, openid: str, text: str = "好") -> int:
        """The errcode of a text to a guest."""
        body = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        code: int = (await self.post("message/custom/send", body))["errcode"]
        return code


@pytest_asyncio.fixture(loop_scope="session")
async def wechat(clock: FakeClock, stage: Stage) -> AsyncIterator[WeChat]:
    door = WeChatDoor(WECHAT_TOKEN, Envelope(AES_KEY, APP_ID))
    platform = WeChatPlatform(
        APP_ID,
        APP_SECRET,
        WECHAT_TOKEN,
        AES_KEY,
        ACCOUNT,
        f"{stage.base}/wechat",
        clock=clock,
        pace=0.06,
    )
    stage.app = Starlette(routes=[*platform.routes, *door.routes])
    async with httpx.AsyncClient(base_url=stage.base, trust_env=False, timeout=10) as api:
        yield WeChat(platform, api, door)
        await platform.stop()
