"""A WeChat turn: one reply for each message, in answer to the push or after it, and never both."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot import passive, wechat
from data.promises import Draft
from tests.bot.payloads.wechat_wire import Wire, fields, message
from tests.bot.stubs import Running, database_away, incoming_rows, outgoing_rows
from tests.bot.test_wechat_door import push, seconds, text, wire

__all__ = ["wire"]

SUCCESS = b"success"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The door waits a tenth of a second, as if four had passed."""
    monkeypatch.setattr(wechat, "REPLY_WITHIN", 0.1)


def follow(house: Running, openid: str = "oGuest") -> None:
    """The platform lets us write to this guest, who has just written."""
    follower = house.sandbox.wechat.account.follower(openid)
    follower.allowance.earn("message", house.clock())


def sent(house: Running) -> list[dict[str, Any]]:
    return [call.json for call in house.witness.named("message/custom/send")]


# The passive reply


async def test_reply_in_answer_to_the_push(house: Running, wire: Wire) -> None:
    answer = await push(house, wire, text(house))
    await house.idle()
    assert answer.headers["content-type"].startswith("application/xml")
    assert wire.read_reply(answer.content) == {
        "ToUserName": "oGuest",
        "FromUserName": wire.account,
        "CreateTime": str(seconds(house)),
        "MsgType": "text",
        "Content": house.brain.reply.text,
    }
    (row,) = outgoing_rows()
    assert (row.state, row.via, row.attempts) == ("sent", "passive", 1)
    assert sent(house) == [], "said once"


async def test_choices_are_links(house: Running, wire: Wire) -> None:
    house.brain.reply = Draft("您好", (("我的积分", "/points_balance"), ("A&B", "/help")))
    reply = wire.read_reply((await push(house, wire, text(house))).content)
    assert reply["Content"].splitlines() == [
        "您好",
        "",
        '<a href="weixin://bizmsgmenu?msgmenucontent=%E6%88%91%E7%9A%84%E7%A7%AF%E5%88%86'
        '&msgmenuid=points_balance">我的积分</a>',
        '<a href="weixin://bizmsgmenu?msgmenucontent=A%26B&msgmenuid=help">A&amp;B</a>',
    ]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Hello ]]></Content><MsgType>news</MsgType>", "Hello ]]></Content><MsgType>news</MsgType>"),
        ("]]>]]>", "]]>]]>"),
        ("Hello ]]", "Hello ]]"),
        ("a\x08b\x1dc\x00", "abc"),
        ("<xml>&amp;</xml>", "<xml>&amp;</xml>"),
        ('Dear <a href="https://evil.example/">you</a>', 'Dear ＜a href="https://evil.example/">you＜/a>'),
        ("Dear <A\nHREF='https://evil.example/'>you</A>", "Dear ＜A\nHREF='https://evil.example/'>you＜/A>"),
        ("积分 < 500，<b>多</b> 😀", "积分 < 500，<b>多</b> 😀"),
    ],
)
async def test_what_a_name_may_hold(house: Running, wire: Wire, said: str, shown: str) -> None:
    """Words that could end the element they stand in, or bring a link of their own."""
    house.brain.reply = Draft(said)
    answer = await push(house, wire, text(house))
    assert wire.read_reply(answer.content)["Content"] == shown


async def test_second_reply_follows_as_a_customer_message(house: Running, wire: Wire) -> None:
    follow(house)
    house.brain.then = (Draft("Anything else?"),)
    answer = await push(house, wire, text(house))
    await house.idle()
    assert wire.read_reply(answer.content)["Content"] == house.brain.reply.text
    assert [call["text"]["content"] for call in sent(house)] == ["Anything else?"]
    assert [(row.via, row.state) for row in outgoing_rows()] == [("passive", "sent"), ("api", "sent")]


# Twice


async def test_three_deliveries_at_once_are_one_deed_and_one_reply(house: Running, wire: Wire) -> None:
    house.brain.gate = asyncio.Event()
    xml = text(house)
    deliveries = [asyncio.create_task(push(house, wire, xml)) for _ in range(3)]
    await house.until(lambda: len(house.taken) == 3)
    house.brain.gate.set()
    answers = [delivery.content for delivery in await asyncio.gather(*deliveries)]
    await house.idle()
    assert answers.count(SUCCESS) == 2
    (reply,) = [answer for answer in answers if answer != SUCCESS]
    assert wire.read_reply(reply)["Content"] == house.brain.reply.text
    assert len(house.brain.asked) == len(incoming_rows()) == len(outgoing_rows()) == 1
    assert sent(house) == []


async def test_repetition_right_after_the_reply_is_acknowledged(house: Running, wire: Wire) -> None:
    xml = text(house)
    assert (await push(house, wire, xml)).content != SUCCESS
    house.clock.advance(1)
    assert (await push(house, wire, xml)).content == SUCCESS
    assert len(house.brain.asked) == 1


async def test_repetition_five_seconds_later_hears_the_same_reply(house: Running, wire: Wire) -> None:
    """WeChat brings a message again only when our answer was lost on its way."""
    xml = text(house)
    first = wire.read_reply((await push(house, wire, xml)).content)
    house.clock.advance(5)
    second = wire.read_reply((await push(house, wire, xml)).content)
    assert second["Content"] == first["Content"]
    assert len(house.brain.asked) == len(outgoing_rows()) == 1
    assert sent(house) == []


async def test_repetition_with_new_time_stamp_and_nonce(house: Running, wire: Wire) -> None:
    sealed = wire.seal(text(house))
    answers = []
    for nonce in ("1", "2"):
        query, body = wire.push(sealed, now=seconds(house), nonce=nonce)
        answers.append(await house.client.post(f"{house.base}/wechat", params=query, content=body))
    assert answers[1].content == SUCCESS
    assert len(house.brain.asked) == 1


def click(house: Running, key: str, *, at: int = 0, openid: str = "oGuest") -> bytes:
    return message(
        house.settings.wechat_account, "event", at=at or seconds(house), openid=openid,
        Event="CLICK", EventKey=key,
    )  # fmt: skip


async def test_event_again_is_one_event(house: Running, wire: Wire) -> None:
    for _ in range(3):
        await push(house, wire, click(house, "points_balance"))
    assert house.brain.asked == ["/points_balance"]
    assert len(incoming_rows()) == 1


async def test_events_that_only_look_alike(house: Running, wire: Wire) -> None:
    """Same second, another entry; same entry, another second; same both, another guest."""
    now = seconds(house)
    events = [
        click(house, "points_balance"),
        click(house, "help"),
        click(house, "points_balance", at=now + 1),
        click(house, "points_balance", openid="oOther"),
        message(wire.account, "event", at=now, Event="VIEW", EventKey="points_balance"),
        message(wire.account, "event", at=now, Event="SCAN", EventKey="x" * 100),
        message(wire.account, "event", at=now, Event="SCAN", EventKey="x" * 101),
    ]
    for event in events:
        assert (await push(house, wire, event)).status_code == 200
    rows = incoming_rows()
    assert len(rows) == len(events)
    assert max(len(row.key) for row in rows) <= 200
    assert house.brain.asked == ["/points_balance", "/help", "/points_balance", "/points_balance"]


async def test_longest_event_key_fits_its_column(house: Running, wire: Wire) -> None:
    event = message(
        wire.account, "event", at=10**11, openid="o" * 64, Event="x" * 32, EventKey="k" * 1000
    )  # fmt: skip
    assert (await push(house, wire, event)).content == SUCCESS
    (row,) = incoming_rows()
    assert row.kind == "overheard"
    assert len(row.key) <= 200


async def test_unfollow_is_noted_and_not_answered(house: Running, wire: Wire) -> None:
    gone = message(wire.account, "event", at=seconds(house), Event="unsubscribe", EventKey="")
    assert (await push(house, wire, gone)).content == SUCCESS
    await house.idle()
    assert [(row.kind, row.state) for row in incoming_rows()] == [("goodbye", "noted")]
    assert (house.brain.asked, outgoing_rows(), sent(house)) == ([], [], [])


# Too slow


@pytest.mark.usefixtures("impatient")
async def test_late_reply_is_a_customer_message(house: Running, wire: Wire) -> None:
    follow(house)
    house.brain.gate = asyncio.Event()
    xml = text(house)
    assert (await push(house, wire, xml)).content == SUCCESS
    assert sent(house) == []
    house.brain.gate.set()
    await house.idle()
    assert sent(house) == [
        {"touser": "oGuest", "msgtype": "text", "text": {"content": house.brain.reply.text}}
    ]
    house.clock.advance(5)
    assert (await push(house, wire, xml)).content == SUCCESS, "never both"
    await house.idle()
    assert [(row.via, row.state) for row in outgoing_rows()] == [("api", "sent")]
    assert house.says("oGuest") == [house.brain.reply.text]


@pytest.mark.usefixtures("impatient")
async def test_repetition_while_the_brain_still_thinks_may_hear_the_reply(house: Running, wire: Wire) -> None:
    """The first delivery was acknowledged too late to be heard; the second stands at the door in time."""
    follow(house)
    house.brain.gate = asyncio.Event()
    xml = text(house)
    assert (await push(house, wire, xml)).content == SUCCESS
    second = asyncio.create_task(push(house, wire, xml))
    await house.until(lambda: len(house.taken) == 2)
    house.brain.gate.set()
    assert wire.read_reply((await second).content)["Content"] == house.brain.reply.text
    await house.idle()
    assert sent(house) == []


async def test_failing_brain_apologises_in_the_reply(house: Running, wire: Wire) -> None:
    house.brain.failure = RuntimeError("broken")
    reply = wire.read_reply((await push(house, wire, text(house))).content)
    # No staff chat is configured: nobody may be promised.
    assert reply["Content"] == house.house.phrasebook.say("utter_apology_unattended", "zh_CN", {}).text
    assert [row.state for row in incoming_rows()] == ["failed"]


def test_the_door_answers_before_wechat_hangs_up() -> None:
    """WeChat's five seconds, and the three deliveries in all."""
    assert wechat.REPLY_WITHIN <= 4.5 < 5 < wechat.HANG_UP_AFTER
    assert passive.DELIVERIES == 3


# The database


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A twentieth of a second to record a push, three tenths more until WeChat has hung up."""
    monkeypatch.setattr(wechat, "REPLY_WITHIN", 0.55)
    monkeypatch.setattr(wechat, "HANG_UP_AFTER", 0.85)


@pytest.mark.usefixtures("brief")
async def test_database_down(house: Running, wire: Wire, tmp_path: Path) -> None:
    xml = text(house)
    with database_away(tmp_path):
        for _ in range(2):
            began = time.monotonic()
            answer = await push(house, wire, xml)
            # WeChat brings a message again only if it heard nothing in its five seconds.
            assert time.monotonic() - began >= wechat.HANG_UP_AFTER - 0.5
            assert answer.status_code == 503
        third = await push(house, wire, xml)
        expected = house.house.phrasebook.say("utter_try_again", "zh_CN", {}).text
        assert wire.read_reply(third.content)["Content"] == expected
    assert (incoming_rows(), house.brain.asked) == ([], [])
    again = await push(house, wire, text(house, number=2))
    assert wire.read_reply(again.content)["Content"] == house.brain.reply.text
    assert len(house.brain.asked) == 1


@pytest.mark.usefixtures("brief")
async def test_database_back_for_the_second_delivery(house: Running, wire: Wire, tmp_path: Path) -> None:
    xml = text(house)
    with database_away(tmp_path):
        assert (await push(house, wire, xml)).status_code == 503
    answer = await push(house, wire, xml)
    assert wire.read_reply(answer.content)["Content"] == house.brain.reply.text
    assert len(incoming_rows()) == len(house.brain.asked) == 1


async def test_database_back_while_the_push_waits(house: Running, wire: Wire, tmp_path: Path) -> None:
    with database_away(tmp_path):
        delivery = asyncio.create_task(push(house, wire, text(house)))
        await house.until(lambda: house.taken)
        await asyncio.sleep(0)
    answer = await delivery
    assert wire.read_reply(answer.content)["Content"] == house.brain.reply.text
    assert len(incoming_rows()) == 1


@pytest.mark.usefixtures("brief")
async def test_apology_is_in_the_guests_language(house: Running, wire: Wire, tmp_path: Path) -> None:
    xml = text(house, "how many points do I have left?")
    with database_away(tmp_path):
        answers = [await push(house, wire, xml) for _ in range(3)]
    expected = house.house.phrasebook.say("utter_try_again", "en", {}).text
    assert wire.read_reply(answers[2].content)["Content"] == expected


@pytest.mark.usefixtures("brief")
async def test_unfollow_while_the_database_is_down_is_not_apologised_for(
    house: Running, wire: Wire, tmp_path: Path
) -> None:
    gone = message(wire.account, "event", at=seconds(house), Event="unsubscribe", EventKey="")
    with database_away(tmp_path):
        answers: list[httpx.Response] = [await push(house, wire, gone) for _ in range(3)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(503, b"")] * 3


# Hung up


async def test_wechat_that_hung_up_hears_it_by_customer_message(
    house: Running, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed while the brain thinks; the reply then leaves by the outbox, once."""
    follow(house)
    house.brain.gate = asyncio.Event()
    delivery = asyncio.create_task(push(house, wire, text(house)))
    await house.until(lambda: house.brain.asked)
    served = set(house.server.server_state.connections)
    delivery.cancel()
    await asyncio.wait([delivery])
    await house.until(lambda: served - house.server.server_state.connections)
    house.brain.gate.set()
    await house.until(lambda: sent(house))
    await house.idle()
    assert house.says("oGuest") == [house.brain.reply.text]
    assert [(row.via, row.state) for row in outgoing_rows()] == [("api", "sent")]


def test_our_own_reading_of_the_reply_is_strict() -> None:
    with pytest.raises(AssertionError):
        fields(b"<xml><MsgType>text</MsgType><MsgType>news</MsgType></xml>")
