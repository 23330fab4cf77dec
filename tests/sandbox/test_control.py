"""Control over HTTP: a page or another process moves thumbs, reads phones and orders faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Mount

from bot.sandbox import Person, Sandbox
from bot.sandbox.phones import page_language
from bot.settings import Settings
from tests.sandbox.conftest import FakeClock, Stage
from tests.sandbox.doors import TelegramDoor, WeChatDoor

pytestmark = pytest.mark.asyncio(loop_scope="session")

LI = Person(1, "ZK100001", "李", "gold", "zh_TW", 4200, "7000001", "oABCDEFGHIJKLMNOPQRSTUVWXYZ1")


class House:
    """A sandbox under /sandbox beside stub doors."""

    def __init__(self, base: str, clock: FakeClock) -> None:
        self.sandbox = Sandbox.create(base, clock=clock, pace=0.01, people=lambda: [LI], hotel="云栖 Yunqi")
        wechat = self.sandbox.wechat.pusher
        self.telegram_door = TelegramDoor()
        self.wechat_door = WeChatDoor(self.sandbox.secrets.wechat_token, wechat._envelope)
        self.app = Starlette(
            routes=[
                Mount("/sandbox", routes=self.sandbox.routes),
                *self.telegram_door.routes,
                *self.wechat_door.routes,
            ]
        )
        self.http = httpx.AsyncClient(base_url=f"{base}/sandbox", trust_env=False, timeout=10)

    async def order(self, path: str, /, **given: Any) -> tuple[int, Any]:
        answer = await self.http.post(path, json=given)
        return answer.status_code, answer.json()


@pytest_asyncio.fixture(loop_scope="session")
async def house(clock: FakeClock, stage: Stage) -> AsyncIterator[House]:
    house = House(stage.base, clock)
    stage.app = house.app
    await house.sandbox.start()
    yield house
    await house.sandbox.stop()
    await house.http.aclose()


async def test_settings_point_both_doors_here(house: House) -> None:
    settings = house.sandbox.settings(Settings())
    # It must be a configuration that the house itself accepts.
    settings._check_telegram()
    settings._check_wechat()
    assert settings.telegram_api.endswith("/sandbox/telegram")
    assert settings.wechat_api.endswith("/sandbox/wechat")
    me = await house.http.get(f"/telegram/bot{settings.telegram_token}/getMe")
    assert me.json()["ok"]
    given = {
        "grant_type": "client_credential",
        "appid": settings.wechat_app_id,
        "secret": settings.wechat_app_secret,
    }
    assert "access_token" in (await house.http.post("/wechat/cgi-bin/stable_token", json=given)).json()
    assert settings.public_url.startswith("http://127.0.0.1")
    assert settings.telegram_token not in repr(house.sandbox.secrets)


async def test_two_sandboxes_share_no_secret(clock: FakeClock) -> None:
    one, other = (Sandbox.create("http://127.0.0.1:1", clock=clock).secrets for _ in range(2))
    assert one.telegram_token != other.telegram_token
    assert one.wechat_aes_key != other.wechat_aes_key


async def test_a_telegram_guest_by_http(house: House) -> None:
    hook = f"{house.sandbox.door}/telegram/webhook"
    await house.http.get(
        f"/telegram/bot{house.sandbox.secrets.telegram_token}/setWebhook", params={"url": hook}
    )
    for act, more in (
        ("say", {"text": "hi", "name": "李", "language": "zh-hant"}),
        ("start", {"payload": "x"}),
        ("edit", {"message_id": 1, "text": "ho"}),
        ("tap", {"message_id": "1", "data": "d"}),
        ("photo", {"caption": "c"}),
        ("voice", {}),
        ("sticker", {}),
        ("block", {}),
        ("unblock", {}),
        ("meet", {}),
    ):
        status, body = await house.order(f"/telegram/guest/{act}", address=LI.telegram, **more)
        assert (act, status) == (act, 200), body
    await house.sandbox.telegram.settled()
    kinds = sorted(next(k for k in u if k != "update_id") for u in house.telegram_door.updates)
    assert kinds == [
        "callback_query", "edited_message", "message", "message", "message", "message", "message",
        "my_chat_member", "my_chat_member",
    ]  # fmt: skip
    assert house.telegram_door.updates[0]["message"]["from"]["language_code"] == "zh-hant"


async def test_a_wechat_guest_by_http(house: House) -> None:
    for act, more in (
        ("handshake", {}),
        ("say", {"text": "你好"}),
        ("follow", {}),
        ("click", {"key": "k"}),
        ("photo", {}),
        ("voice", {}),
        ("meet", {}),
        ("unfollow", {}),
    ):
        status, body = await house.order(f"/wechat/guest/{act}", address=LI.wechat, **more)
        assert (act, status) == (act, 200), body
    await house.sandbox.wechat.settled()
    found = sorted(p.get("Event", p["MsgType"]) for p in house.wechat_door.pushes)
    assert found == ["CLICK", "image", "subscribe", "text", "unsubscribe", "voice"]


@pytest.mark.parametrize(
    ("path", "given", "sentence"),
    [
        ("/telegram/guest/dance", {"address": "1"}, "There is no act dance"),
        ("/telegram/guest/say", {"text": "x"}, "address must be a whole number."),
        ("/telegram/guest/say", {"address": "x", "text": "x"}, "address must be a whole number."),
        ("/telegram/guest/say", {"address": 0, "text": "x"}, "address must be a chat id, not 0."),
        ("/telegram/guest/say", {"address": 1}, "text must be a text."),
        ("/telegram/guest/say", {"address": 1, "text": " "}, "Telegram does not send an empty message."),
        (
            "/telegram/guest/tap",
            {"address": 1, "message_id": 5, "data": "x"},
            "The platform knows no message 5.",
        ),
        ("/wechat/guest/say", {"address": "", "text": "x"}, "address must be an openid."),
        ("/wechat/guest/tap", {"address": "o1", "title": "x"}, "The phone shows no link x with the id ."),
        ("/wechat/faults", {"fault": "dance"}, "There is no fault dance"),
        ("/telegram/faults", {"fault": "fail_next"}, "method must be a text."),
        (
            "/telegram/faults",
            {"fault": "hang_next", "method": "x", "seconds": []},
            "seconds must be a number",
        ),
        ("/telegram/guest/bubbles", {}, "There is no act bubbles"),
    ],
)
async def test_a_bad_order_is_told_why(house: House, path: str, given: dict[str, Any], sentence: str) -> None:
    status, body = await house.order(path, **given)
    assert status == 400
    assert body["error"].startswith(sentence)


@pytest.mark.parametrize(
    ("body", "kind"), [(b"{", "application/json"), (b"[]", "application/json"), (b"{}", "text/plain")]
)
async def test_an_order_is_a_json_object(house: House, body: bytes, kind: str) -> None:
    answer = await house.http.post("/telegram/guest/say", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"] or "application/json" in answer.json()["error"]


async def test_bubbles_can_be_waited_for(house: House) -> None:
    query = {"address": LI.telegram, "wait": "5"}
    waiting = asyncio.ensure_future(house.http.get("/telegram/guest/bubbles", params=query))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await house.order("/telegram/guest/say", address=LI.telegram, text="hi")
    (bubble,) = (await waiting).json()["bubbles"]
    assert (bubble["who"], bubble["text"]) == ("guest", "hi")
    later = {"address": LI.telegram, "after": str(bubble["seq"]), "wait": "0.05"}
    assert (await house.http.get("/telegram/guest/bubbles", params=later)).json() == {"bubbles": []}
    assert (await house.http.get("/telegram/guest/bubbles", params={"after": "x"})).status_code == 400


async def test_events_tell_the_past_then_the_news_and_end(house: House) -> None:
    await house.order("/wechat/guest/say", address=LI.wechat, text="旧")
    await house.sandbox.wechat.settled()
    seen: list[tuple[str, str]] = []
    url = "/wechat/guest/events"
    async with house.http.stream("GET", url, params={"address": LI.wechat}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            if not line.startswith("data: "):
                continue
            news = json.loads(line.removeprefix("data: "))
            seen.append((news["text"], news["mark"]))
            if len(seen) == 1:
                house.sandbox.wechat.screens.show("oSomebodyElse", "hotel", "secret")
                await house.order("/wechat/guest/say", address=LI.wechat, text="新")
            if len(seen) == 3:
                house.sandbox.hang_up()
    assert seen == [("旧", "delivered"), ("新", "sending"), ("新", "delivered")]


async def test_faults_by_http(house: House) -> None:
    token = house.sandbox.secrets.telegram_token
    await house.order("/telegram/faults", fault="fail_next", method="getMe", error_code=500)
    assert (await house.http.get(f"/telegram/bot{token}/getMe")).status_code == 500
    await house.order("/telegram/faults", fault="hang_next", method="getMe", seconds=0.01)
    assert (await house.http.get(f"/telegram/bot{token}/getMe")).status_code == 504
    await house.order("/wechat/faults", fault="fail_next", path="stable_token", errcode=-1)
    assert (await house.http.post("/wechat/cgi-bin/stable_token", json={})).json()["errcode"] == -1
    for order in ({"fault": "expire_token"}, {"fault": "lose_response_once"}):
        assert await house.order("/wechat/faults", **order) == (200, {"result": None})
    _, body = await house.order("/wechat/guest/say", address=LI.wechat, text="hi")
    await house.sandbox.wechat.settled()
    assert len(house.wechat_door.pushes) == 2
    await house.order("/wechat/faults", fault="redeliver", key=body["result"])
    await house.sandbox.wechat.settled()
    assert len(house.wechat_door.pushes) == 3


async def test_the_page_lists_members_and_knows_them_on_both_platforms(house: House) -> None:
    (person,) = (await house.http.get("/people")).json()["people"]
    assert (person["name"], person["points"]) == ("李", 4200)
    assert (person["telegram_language"], person["wechat_language"]) == ("zh-hant", "zh_TW")
    assert 7000001 in house.sandbox.telegram.account.chats
    # A follower who has not written: known, but out of the window.
    assert (
        house.sandbox.wechat.account.followers[LI.wechat].allowance.left(house.sandbox.wechat.account.clock())
        == 0
    )


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("", "fr,zh;q=0.5", "zh"),
        ("", "", "en"),
        ("?lang=en", "zh", "en"),
        ("?lang=klingon", "zh", "zh"),
    ],
)
async def test_the_page_speaks_the_browsers_language(
    house: House, query: str, accepted: str, language: str
) -> None:
    page = await house.http.get(f"/{query}", headers={"Accept-Language": accepted})
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in page.text
    assert page_language(query.removeprefix("?lang="), accepted) == language
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text
