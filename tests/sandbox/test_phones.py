"""The page in a real browser: what is typed on each phone goes out through the platform, and the answer comes in."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount

from bot.sandbox import Person, Sandbox
from tests.sandbox.conftest import FakeClock, Stage
from tests.sandbox.doors import TelegramDoor, WeChatDoor

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PEOPLE = [
    Person(1, "ZK100001", "陈静怡", "gold", "zh_CN", 12480, "7000001", "oABCDEFGHIJKLMNOPQRSTUVWXYZ1"),
    Person(
        2, "ZK100002", "Eleanor Whitfield", "platinum", "en", 86310, "7000002", "oABCDEFGHIJKLMNOPQRSTUVWXYZ2"
    ),
    Person(3, "ZK100003", "Only Telegram", "classic", "en", 0, "7000003", ""),
]
LINK = '<a href="weixin://bizmsgmenu?msgmenucontent=more&msgmenuid=1">more</a>'


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        # A machine without a browser may leave the page out; the one that decides may not.
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium: apt-get install chromium fonts-noto-cjk", pytrace=False)
        pytest.skip("no Chromium on this machine")
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


class Doors:
    """Stub doors that say back what they heard, Telegram's with a button, WeChat's with a link."""

    def __init__(self, base: str, clock: FakeClock) -> None:
        self.base = base
        self.sandbox = Sandbox.create(base, clock=clock, pace=0.2, people=lambda: PEOPLE, hotel="云栖 Yunqi")
        self.telegram = TelegramDoor(self.telegram_answer)
        self.wechat = WeChatDoor(
            self.sandbox.secrets.wechat_token, self.sandbox.wechat.pusher._envelope, self.wechat_answer
        )
        self.api = httpx.AsyncClient(
            base_url=f"{base}/sandbox/telegram/bot{self.sandbox.secrets.telegram_token}", trust_env=False
        )

    @property
    def app(self) -> Starlette:
        mount = Mount("/sandbox", routes=self.sandbox.routes)
        return Starlette(routes=[mount, *self.telegram.routes, *self.wechat.routes])

    async def telegram_answer(self, update: dict[str, Any]) -> Response:
        tapped = update.get("callback_query")
        message = tapped["message"] if tapped else update["message"]
        text = f"tapped {tapped['data']}" if tapped else f"heard <{message.get('text', 'a picture')}>"
        markup = {"inline_keyboard": [[{"text": "Points", "callback_data": "v1:points"}]]}
        given = {"chat_id": message["chat"]["id"], "text": text, "reply_markup": markup}
        await self.api.post("/sendMessage", json=given)
        return Response()

    async def wechat_answer(self, push: dict[str, str]) -> Response:
        if push.get("Content") == "junk":
            return Response("junk")
        heard = push.get("Content", push.get("Event", ""))
        return Response(self.wechat.reply(push, Content=f"heard <{heard}> {LINK}"))


@pytest_asyncio.fixture(loop_scope="session")
async def doors(stage: Stage, clock: FakeClock) -> AsyncIterator[Doors]:
    doors = Doors(stage.base, clock)
    stage.app = doors.app
    await doors.sandbox.start()
    hook = f"{stage.base}/telegram/webhook"
    await doors.api.get(
        "/setWebhook", params={"url": hook, "secret_token": doors.sandbox.secrets.telegram_secret}
    )
    yield doors
    await doors.sandbox.stop()
    await doors.api.aclose()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """Whatever the browser complains of; there must be nothing."""
    found: list[str] = []
    yield found
    assert found == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, doors: Doors, complaints: list[str]) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    page = await context.new_page()
    page.set_default_timeout(8000)
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((doors.base, "data:")) else complaints.append(asked.url),
    )
    yield page
    await context.close()


async def say(page: Page, channel: str, text: str) -> None:
    await page.fill(f"#panel-{channel} .words", text)
    await page.press(f"#panel-{channel} .words", "Enter")


async def test_each_phone_is_answered_through_its_door(page: Page, doors: Doors, tmp_path: Path) -> None:
    await page.goto(f"{doors.base}/sandbox/#ZK100001")
    await expect(page.locator(".guest[aria-pressed=true] .guest-name")).to_have_text("陈静怡")
    await say(page, "telegram", "<b>积分</b>?")
    await expect(page.locator("#panel-telegram .row-hotel .text")).to_have_text("heard <<b>积分</b>?>")
    await expect(page.locator("#panel-telegram .mark-delivered")).to_be_visible()
    await say(page, "wechat", "我还有多少积分？")
    await expect(page.locator("#panel-wechat .row-hotel .text")).to_have_text("heard <我还有多少积分？> more")
    assert doors.telegram.updates[0]["message"]["from"] == {
        "id": 7000001,
        "is_bot": False,
        "first_name": "陈静怡",
        "language_code": "zh-hans",
    }
    assert doors.telegram.secrets == [doors.sandbox.secrets.telegram_secret]
    await page.screenshot(path=tmp_path / "desktop.png")


async def test_buttons_links_and_chips_work(page: Page, doors: Doors) -> None:
    await page.goto(f"{doors.base}/sandbox/#ZK100002")
    await page.click("#panel-telegram .chip >> text=thanks")
    await page.click("#panel-telegram .key >> text=Points")
    await expect(page.locator("#panel-telegram .row-hotel").nth(1)).to_contain_text("tapped v1:points")
    await page.click("#panel-wechat .chip >> text=你好")
    await page.click("#panel-wechat .row-hotel .link")
    await expect(page.locator("#panel-wechat .row-hotel").nth(1)).to_contain_text("heard <more>")
    assert doors.wechat.pushes[1]["bizmsgmenuid"] == "1"


async def test_a_failure_and_typing_are_seen(page: Page, doors: Doors) -> None:
    await page.goto(f"{doors.base}/sandbox/#ZK100001")
    await say(page, "wechat", "junk")
    await expect(page.locator("#panel-wechat .notice")).to_have_text("该公众号提供的服务出现故障，请稍后再试")
    await expect(page.locator("#panel-wechat .mark-failed")).to_be_visible()
    await doors.api.post("/sendChatAction", json={"chat_id": 7000001, "action": "typing"})
    await expect(page.locator("#panel-telegram .bar-state")).to_have_text("typing")
    await doors.api.post("/sendMessage", json={"chat_id": 7000001, "text": "done"})
    await expect(page.locator("#panel-telegram .bar-state")).to_have_text("bot")


async def test_each_member_keeps_a_history(page: Page, doors: Doors) -> None:
    await page.goto(f"{doors.base}/sandbox/#ZK100001")
    await say(page, "telegram", "first")
    await expect(page.locator("#panel-telegram .row")).to_have_count(2)
    await page.fill(".search input", "platinum")
    await page.press(".search input", "ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator(".guest[aria-pressed=true] .guest-name")).to_have_text("Eleanor Whitfield")
    await expect(page.locator("#panel-telegram .row")).to_have_count(0)
    await page.fill(".search input", "zk100001")
    await page.click(".guest-list .guest")
    await expect(page.locator("#panel-telegram .row")).to_have_count(2)
    await page.reload()
    await expect(page.locator("#panel-telegram .row-guest .text")).to_have_text("first")


async def test_a_stranger_follows_and_presses_start(page: Page, doors: Doors) -> None:
    await page.goto(f"{doors.base}/sandbox/")
    await page.click(".guest-stranger")
    await expect(page.locator("#panel-wechat .composer")).to_be_hidden()
    await page.click("#panel-wechat .welcome-go")
    await expect(page.locator("#panel-wechat .row-hotel")).to_contain_text("heard <subscribe>")
    await page.click("#panel-telegram .welcome-start")
    await expect(page.locator("#panel-telegram .row-hotel")).to_contain_text("heard </start>")
    stranger = doors.telegram.updates[0]["message"]["from"]["id"]
    await page.click(".another")
    await expect(page.locator("#panel-wechat .welcome-go")).to_be_visible()
    await page.click("#panel-telegram .welcome-start")
    await expect(page.locator("#panel-telegram .row-hotel")).to_have_count(1)
    assert doors.telegram.updates[1]["message"]["from"]["id"] != stranger


async def test_who_is_not_on_a_channel_cannot_write_there(page: Page, doors: Doors) -> None:
    await page.goto(f"{doors.base}/sandbox/#ZK100003")
    await expect(page.locator("#panel-wechat .absent-note")).to_be_visible()
    assert await page.evaluate("document.querySelector('#panel-wechat').inert")
    await expect(page.locator("#panel-telegram .absent-note")).to_be_hidden()
    await say(page, "telegram", "here")
    await expect(page.locator("#panel-telegram .row-hotel")).to_have_count(1)
    await page.click(".guest >> text=Eleanor")
    assert not await page.evaluate("document.querySelector('#panel-wechat').inert")


async def test_on_a_narrow_screen_one_phone_at_a_time(page: Page, doors: Doors) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(f"{doors.base}/sandbox/?lang=zh#ZK100001")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page.locator("#panel-wechat")).to_be_visible()
    await expect(page.locator("#panel-telegram")).to_be_hidden()
    await page.focus("[role=tab][data-channel=wechat]")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#panel-telegram")).to_be_visible()
    await expect(page.locator("#panel-wechat")).to_be_hidden()
    await page.click(".who")
    await page.click(".guest-list .guest >> text=Eleanor")
    await expect(page.locator(".who-name")).to_have_text("Eleanor Whitfield")
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    await page.click(".language")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator(".who-name")).to_have_text("Eleanor Whitfield")
