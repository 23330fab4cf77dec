"""How updates reach the bot: long poll with confirmation, webhook with queues and retries."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from tests.sandbox.conftest import FakeClock, Telegram
from tests.sandbox.doors import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

LI, WANG = 7_000_001, 7_000_002


async def test_a_typed_message_has_the_whole_shape(telegram: Telegram, clock: FakeClock) -> None:
    number = await telegram.platform.say(LI, "🏨 /points now", language="zh-hans", name="李")
    (update,) = await telegram.get("getUpdates")
    assert update["message"] == {
        "message_id": number,
        "from": {"id": LI, "is_bot": False, "first_name": "李", "language_code": "zh-hans"},
        "chat": {"id": LI, "first_name": "李", "type": "private"},
        "date": int(clock.now.timestamp()),
        "text": "🏨 /points now",
        "entities": [{"type": "bot_command", "offset": 3, "length": 7}],
    }


async def test_a_tap_has_the_whole_shape(telegram: Telegram) -> None:
    await telegram.platform.start(LI, "room-12", name="Li")
    markup = {"inline_keyboard": [[{"text": "Points", "callback_data": "v1:points"}]]}
    sent = await telegram.get("sendMessage", chat_id=LI, text="Hello", reply_markup=markup)
    query = await telegram.platform.tap(LI, sent["message_id"], "v1:points")
    start, tap = await telegram.get("getUpdates")
    assert start["message"]["text"] == "/start room-12"
    assert start["message"]["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    found = tap["callback_query"]
    assert (found["id"], found["data"], found["from"]["id"]) == (query, "v1:points", LI)
    assert found["message"] == sent
    assert int(found["chat_instance"])


async def test_other_acts_have_their_own_shape(telegram: Telegram) -> None:
    number = await telegram.platform.say(LI, "2 towels", name="Li")
    await telegram.platform.edit(LI, number, "3 towels")
    await telegram.platform.send_voice(LI)
    await telegram.platform.send_sticker(LI, "👍")
    await telegram.platform.block(LI)
    await telegram.platform.block(LI)
    await telegram.platform.unblock(LI)
    updates = await telegram.get("getUpdates")
    kinds = [next(k for k in u if k != "update_id") for u in updates]
    assert kinds == ["message", "edited_message", "message", "message", "my_chat_member", "my_chat_member"]
    edited = updates[1]["edited_message"]
    assert (edited["message_id"], edited["text"]) == (number, "3 towels")
    assert "edit_date" in edited
    assert {"file_id", "file_unique_id", "duration"} <= set(updates[2]["message"]["voice"])
    assert updates[3]["message"]["sticker"]["emoji"] == "👍"
    statuses = [
        (u["my_chat_member"]["old_chat_member"]["status"], u["my_chat_member"]["new_chat_member"]["status"])
        for u in updates[4:]
    ]
    assert statuses == [("member", "kicked"), ("kicked", "member")]
    ids = [u["update_id"] for u in updates]
    assert ids == list(range(ids[0], ids[0] + 6))


async def test_a_blocked_bot_can_not_write(telegram: Telegram) -> None:
    await telegram.platform.say(LI, "hi")
    await telegram.platform.block(LI)
    blocked = (403, "Forbidden: bot was blocked by the user")
    assert await telegram.refusal("sendMessage", chat_id=LI, text="x") == blocked
    assert await telegram.refusal("sendChatAction", chat_id=LI, action="typing") == blocked
    await telegram.platform.say(LI, "back")
    assert await telegram.get("sendMessage", chat_id=LI, text="x")


async def test_only_an_offset_confirms(telegram: Telegram) -> None:
    for text in ("a", "b", "c"):
        await telegram.platform.say(LI, text)

    async def texts(**given: Any) -> list[str]:
        return [u["message"]["text"] for u in await telegram.get("getUpdates", **given)]

    assert await texts(limit=2) == ["a", "b"]
    assert await texts() == ["a", "b", "c"]
    first = (await telegram.get("getUpdates"))[0]["update_id"]
    assert await texts(offset=first + 1) == ["b", "c"]
    assert await texts() == ["b", "c"]
    assert await texts(offset=-1) == ["c"]
    assert await texts(offset=first + 3) == []
    assert (await telegram.get("getWebhookInfo"))["pending_update_count"] == 0
    marks = {b.text: b.mark for b in telegram.platform.screens.bubbles(str(LI))}
    assert marks == {"a": "delivered", "b": "delivered", "c": "delivered"}


async def test_a_long_poll_waits_for_news(telegram: Telegram) -> None:
    poll = asyncio.ensure_future(telegram.get("getUpdates", timeout=50))
    await asyncio.sleep(0.05)
    assert not poll.done()
    await telegram.platform.say(LI, "news")
    assert (await asyncio.wait_for(poll, 2))[0]["message"]["text"] == "news"
    # 2 of the bot's seconds are 20 of ours in milliseconds.
    later = (await telegram.get("getUpdates"))[0]["update_id"] + 1
    assert await asyncio.wait_for(telegram.get("getUpdates", offset=later, timeout=2), 2) == []


async def test_a_second_poller_ends_the_first(telegram: Telegram) -> None:
    first = asyncio.ensure_future(telegram.refusal("getUpdates", timeout=50))
    await asyncio.sleep(0.05)
    second = asyncio.ensure_future(telegram.get("getUpdates", timeout=1))
    assert await asyncio.wait_for(first, 2) == (
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    )
    assert await second == []


async def test_polling_and_a_webhook_exclude_each_other(telegram: Telegram) -> None:
    poll = asyncio.ensure_future(telegram.refusal("getUpdates", timeout=50))
    await asyncio.sleep(0.05)
    await telegram.hook()
    assert await poll == (409, "Conflict: terminated by setWebhook request")
    assert await telegram.refusal("getUpdates") == (
        409,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
    )
    assert (await telegram.ask("deleteWebhook"))["description"] == "Webhook was deleted"
    assert (await telegram.ask("deleteWebhook"))["description"] == "Webhook is already deleted"
    assert await telegram.get("getUpdates") == []


async def test_allowed_updates_are_kept_until_changed(telegram: Telegram) -> None:
    await telegram.get("getUpdates", allowed_updates=["callback_query"])
    await telegram.platform.say(LI, "unheard")
    assert await telegram.get("getUpdates") == []
    assert (await telegram.get("getWebhookInfo"))["allowed_updates"] == ["callback_query"]
    await telegram.get("getUpdates", allowed_updates=[])
    await telegram.platform.say(LI, "heard")
    assert len(await telegram.get("getUpdates")) == 1


@pytest.mark.parametrize(
    ("given", "description"),
    [
        ({"url": "http://hotel.example/x"}, "bad webhook: An HTTPS URL must be provided for webhook"),
        ({"url": "https://h.example:9999/"}, "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443"),
        ({"url": "https://:x/"}, "bad webhook: Wrong HTTP URL"),
        ({"url": "https://hotel.example/x", "secret_token": "a b"}, "secret token contains unallowed characters"),
        ({"url": "https://hotel.example/x", "secret_token": "知"}, "secret token contains unallowed characters"),
        ({"url": "https://hotel.example/x", "secret_token": "a" * 257}, "secret token is too long"),
    ],
)  # fmt: skip
async def test_a_bad_webhook_is_refused(telegram: Telegram, given: dict[str, str], description: str) -> None:
    assert await telegram.refusal("setWebhook", **given) == (400, f"Bad Request: {description}")
    assert (await telegram.get("getWebhookInfo"))["url"] == ""


async def test_the_webhook_gets_what_was_pending_with_its_secret(telegram: Telegram) -> None:
    await telegram.platform.say(LI, "before")
    url = f"{telegram.door_url}/telegram/webhook"
    answer = await telegram.ask("setWebhook", url=url, secret_token="s3cret_-", max_connections=7)
    assert answer["description"] == "Webhook was set"
    await telegram.platform.say(LI, "after")
    await telegram.platform.settled()
    assert [u["message"]["text"] for u in telegram.door.updates] == ["before", "after"]
    assert telegram.door.secrets == ["s3cret_-"] * 2
    info = await telegram.get("getWebhookInfo")
    assert (info["url"], info["max_connections"], info["pending_update_count"]) == (url, 7, 0)
    again = await telegram.ask("setWebhook", url=url, secret_token="s3cret_-", max_connections=7)
    assert again["description"] == "Webhook is already set"


async def test_pending_updates_can_be_dropped(telegram: Telegram) -> None:
    await telegram.platform.say(LI, "lost")
    await telegram.hook(drop_pending_updates=True)
    await telegram.platform.settled()
    assert telegram.door.updates == []
    assert telegram.platform.screens.bubbles(str(LI))[0].mark == "failed"


async def test_a_failing_head_blocks_its_own_chat_only(telegram: Telegram) -> None:
    async def answer(update: dict[str, Any]) -> Response:
        if update["message"]["chat"]["id"] == LI and len(telegram.door.updates) < 6:
            return Response("oops", 500)
        return Response()

    telegram.door.answer = answer
    await telegram.hook()
    for chat, text in ((LI, "one"), (LI, "two"), (WANG, "three")):
        await telegram.platform.say(chat, text)
    await telegram.platform.settled()
    order = [u["message"]["text"] for u in telegram.door.updates]
    assert [t for t in order if t != "three"] == ["one"] * order.count("one") + ["two"]
    assert order.count("one") > 3
    assert order.count("two") == order.count("three") == 1
    info = await telegram.get("getWebhookInfo")
    assert info["last_error_message"] == "Wrong response from the webhook: 500 Internal Server Error"
    assert info["pending_update_count"] == 0


async def test_retries_come_at_once_then_ever_later(telegram: Telegram) -> None:
    times: list[float] = []

    async def answer(_update: dict[str, Any]) -> Response:
        times.append(asyncio.get_running_loop().time())
        return Response(status_code=500 if len(times) < 5 else 200)

    telegram.door.answer = answer
    await telegram.hook()
    await telegram.platform.say(LI, "hi")
    await telegram.platform.settled()
    gaps = [100 * (b - a) for a, b in itertools.pairwise(times)]
    assert gaps[0] < gaps[3]
    assert [gap >= wanted for gap, wanted in zip(gaps[1:], (2, 4, 8), strict=True)] == [True] * 3


async def test_retry_after_is_honoured(telegram: Telegram) -> None:
    times: list[float] = []

    async def answer(_update: dict[str, Any]) -> Response:
        times.append(asyncio.get_running_loop().time())
        return Response(status_code=503 if len(times) == 1 else 200, headers={"Retry-After": "10"})

    telegram.door.answer = answer
    await telegram.hook()
    await telegram.platform.say(LI, "hi")
    await telegram.platform.settled()
    assert times[1] - times[0] >= 0.1


async def test_a_door_that_hangs_up_is_tried_again(telegram: Telegram) -> None:
    url = f"{telegram.door_url}/telegram/webhook"
    await telegram.get("setWebhook", url="http://127.0.0.1:9/nobody")
    await telegram.platform.say(LI, "hi")

    async def refused() -> bool:
        info = await telegram.get("getWebhookInfo")
        return bool(info.get("last_error_message") == "Connection refused")

    for _ in range(200):
        if await refused():
            break
        await asyncio.sleep(0.01)
    assert await refused()
    assert (await telegram.get("getWebhookInfo"))["pending_update_count"] == 1
    await telegram.get("setWebhook", url=url)
    await telegram.platform.settled()
    assert [u["message"]["text"] for u in telegram.door.updates] == ["hi"]


async def test_old_updates_are_given_up(telegram: Telegram, clock: FakeClock) -> None:
    sent = await telegram.platform.say(LI, "hi")
    await telegram.platform.tap(LI, sent, "x")
    clock.pass_time(seconds=151)
    assert [set(u) - {"update_id"} for u in await telegram.get("getUpdates")] == [{"message"}]
    clock.pass_time(hours=24)
    assert await telegram.get("getUpdates") == []
    assert telegram.platform.screens.bubbles(str(LI))[0].mark == "failed"


async def test_a_tap_and_a_text_of_one_guest_come_together(telegram: Telegram) -> None:
    both = asyncio.Event()

    async def answer(_update: dict[str, Any]) -> Response:
        if telegram.door.under_way == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 5)
        return Response()

    telegram.door.answer = answer
    number = await telegram.platform.say(LI, "hi")
    await telegram.platform.tap(LI, number, "x")
    await telegram.hook()
    await telegram.platform.settled()
    assert telegram.door.most_under_way == 2


async def test_connections_are_limited(telegram: Telegram) -> None:
    async def answer(_update: dict[str, Any]) -> Response:
        await asyncio.sleep(0.01)
        return Response()

    telegram.door.answer = answer
    for chat in range(1, 9):
        await telegram.platform.say(LI + chat, "hi")
    await telegram.hook(max_connections=2)
    await telegram.platform.settled()
    assert len(telegram.door.updates) == 8
    assert telegram.door.most_under_way == 2


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ({"method": "sendMessage", "chat_id": LI, "text": "echo"}, ["echo"]),
        ({"method": "sendMessage", "chat_id": LI, "text": ""}, []),
        ({"method": "deleteWebhook"}, []),
        ({"text": "no method"}, []),
        ([{"method": "sendMessage"}], []),
    ],
)
async def test_a_method_in_the_answer_is_executed(telegram: Telegram, call: Any, shown: list[str]) -> None:
    async def answer(_update: dict[str, Any]) -> Response:
        return JSONResponse(call)

    telegram.door.answer = answer
    await telegram.hook()
    await telegram.platform.say(LI, "hi")
    await telegram.platform.settled()
    assert [b.text for b in telegram.platform.screens.bubbles(str(LI)) if b.who == "hotel"] == shown
    # deleteWebhook is not among what an answer may call.
    assert (await telegram.get("getWebhookInfo"))["url"]


async def test_redelivery_brings_the_same_update_again(telegram: Telegram) -> None:
    await telegram.hook()
    await telegram.platform.say(LI, "hi")
    await telegram.platform.settled()
    update = telegram.door.updates[0]
    telegram.platform.redeliver(update["update_id"])
    await telegram.platform.settled()
    assert telegram.door.updates == [update, update]
    with pytest.raises(KeyError):
        telegram.platform.redeliver(1)
    await telegram.get("deleteWebhook")
    telegram.platform.redeliver(update["update_id"])
    # Even a bot that polls beyond it gets it, once.
    assert await telegram.get("getUpdates", offset=update["update_id"] + 1) == [update]
    assert await telegram.get("getUpdates", offset=update["update_id"] + 1) == []


async def test_stopping_leaves_nothing_running(telegram: Telegram) -> None:
    async def answer(_update: dict[str, Any]) -> Response:
        return Response(status_code=500)

    telegram.door.answer = answer
    await telegram.hook()
    await telegram.platform.say(LI, "hi")
    await until(lambda: len(telegram.door.updates) > 2)
    await telegram.platform.stop()
    before = len(telegram.door.updates)
    await asyncio.sleep(0.1)
    assert len(telegram.door.updates) == before
