"""WeChat's pushes: what they carry, how often they come, and what may be answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse

from bot.sandbox.wechat_crypto import Envelope, signature
from bot.sandbox.wechat_platform import OUT_OF_ORDER
from bot.sandbox.wechat_xml import read, write
from tests.sandbox.conftest import ACCOUNT, AES_KEY, APP_ID, WECHAT_TOKEN, FakeClock, WeChat
from tests.sandbox.doors import WeChatDoor

pytestmark = pytest.mark.asyncio(loop_scope="session")

LI = "oABCDEFGHIJKLMNOPQRSTUVWXYZ1"


def shown(wechat: WeChat) -> list[tuple[str, str]]:
    return [(b.who, b.text) for b in sorted(wechat.platform.screens.bubbles(LI), key=lambda b: b.id)]


async def test_the_handshake_passes_only_on_an_unchanged_echo(wechat: WeChat) -> None:
    assert await wechat.platform.handshake()
    assert set(wechat.door.queries[0]) == {"signature", "timestamp", "nonce", "echostr"}
    wechat.door.echo = lambda echo: f'"{echo}"'
    assert not await wechat.platform.handshake()


async def test_a_text_arrives_signed_sealed_and_whole(wechat: WeChat, clock: FakeClock) -> None:
    msgid = await wechat.platform.say(LI, "积分 ]]> <b>&\x08 🏨")
    await wechat.platform.settled()
    query = wechat.door.queries[0]
    assert set(query) == {"signature", "timestamp", "nonce", "openid", "encrypt_type", "msg_signature"}
    assert (query["encrypt_type"], query["openid"]) == ("aes", LI)
    assert query["signature"] == signature(WECHAT_TOKEN, query["timestamp"], query["nonce"])
    assert query["timestamp"] == str(int(clock.now.timestamp()))
    # Control characters come through raw, as WeChat sends them; a reader must take them out first.
    body = wechat.door.bodies[0]
    outer = read(body).texts()
    assert outer["ToUserName"] == ACCOUNT
    assert query["msg_signature"] == signature(
        WECHAT_TOKEN, query["timestamp"], query["nonce"], outer["Encrypt"]
    )
    inner = wechat.door.envelope.open(outer["Encrypt"])
    assert b"\x08" in inner
    fields = read(inner.replace(b"\x08", b"")).texts()
    assert fields == {
        "ToUserName": ACCOUNT,
        "FromUserName": LI,
        "CreateTime": str(int(clock.now.timestamp())),
        "MsgType": "text",
        "Content": "积分 ]]> <b>& 🏨",
        "MsgId": msgid,
    }


@pytest.mark.parametrize(
    ("act", "wanted"),
    [
        (lambda p: p.send_image(LI), {"MsgType": "image", "MediaId": None, "PicUrl": None, "MsgId": None}),
        (lambda p: p.send_voice(LI), {"MsgType": "voice", "MediaId": None, "Format": "amr", "MsgId": None}),
        (lambda p: p.follow(LI), {"MsgType": "event", "Event": "subscribe", "EventKey": ""}),
        (lambda p: p.unfollow(LI), {"MsgType": "event", "Event": "unsubscribe", "EventKey": ""}),
        (lambda p: p.click(LI, "points"), {"MsgType": "event", "Event": "CLICK", "EventKey": "points"}),
    ],
)
async def test_other_acts_arrive_in_their_own_form(
    wechat: WeChat, act: Callable[[Any], Any], wanted: dict[str, str | None]
) -> None:
    wechat.platform.meet(LI)
    await act(wechat.platform)
    await wechat.platform.settled()
    push = wechat.door.pushes[0]
    assert set(push) == {"ToUserName", "FromUserName", "CreateTime", *wanted}
    assert {k: push[k] for k, v in wanted.items() if v is not None} == {
        k: v for k, v in wanted.items() if v is not None
    }


@pytest.mark.parametrize("body", [b"", b"success"])
async def test_an_acknowledgement_ends_it(wechat: WeChat, body: bytes) -> None:
    async def answer(_push: dict[str, str]) -> Response:
        return Response(body)

    wechat.door.answer = answer
    await wechat.platform.say(LI, "你好")
    await wechat.platform.settled()
    assert shown(wechat) == [("guest", "你好")]
    assert wechat.platform.screens.bubbles(LI)[0].mark == "delivered"
    assert [d.outcome for d in wechat.platform.deliveries] == ["acknowledged"]


async def test_a_passive_reply_is_shown(wechat: WeChat) -> None:
    async def answer(push: dict[str, str]) -> Response:
        return Response(wechat.door.reply(push, Content="您有 12,480 积分。"))

    wechat.door.answer = answer
    await wechat.platform.say(LI, "积分")
    await wechat.platform.settled()
    assert shown(wechat) == [("guest", "积分"), ("hotel", "您有 12,480 积分。")]
    # A passive reply is not one of the five.
    assert [await wechat.send(LI) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]


NEWS = (
    b"<Articles><item><Title>\xe7\xa4\xbc\xe9\x81\x87</Title><Description>\xe6\x98\xa5</Description>"
    b"<Url>https://zhike.example/a</Url></item></Articles></xml>"
)


@pytest.mark.parametrize(("kind", "text"), [("news", "礼遇\n春"), ("image", "[图片]")])
async def test_other_passive_replies_are_shown(wechat: WeChat, kind: str, text: str) -> None:
    async def answer(push: dict[str, str]) -> Response:
        inner: dict[str, str | int] = {"ToUserName": LI, "FromUserName": ACCOUNT, "CreateTime": 1}
        inner["MsgType"] = kind
        return Response(wechat.door.sealed(write(inner).replace(b"</xml>", NEWS)))

    wechat.door.answer = answer
    await wechat.platform.say(LI, "礼遇")
    await wechat.platform.settled()
    assert shown(wechat) == [("guest", "礼遇"), ("hotel", text)]


def other_key(door: WeChatDoor, push: dict[str, str]) -> bytes:
    return WeChatDoor(WECHAT_TOKEN, Envelope(AES_KEY[::-1], APP_ID)).reply(push)


JUNK: dict[str, Callable[[WeChatDoor, dict[str, str]], bytes]] = {
    "json": lambda door, push: b'{"ok": true}',
    "words": lambda door, push: b"Success",
    "success and a line end": lambda door, push: b"success\n",
    "plain xml": lambda door, push: write(
        {"ToUserName": LI, "FromUserName": ACCOUNT, "CreateTime": 1, "MsgType": "text", "Content": "x"}
    ),
    "wrong signature": lambda door, push: door.sealed(b"<xml></xml>", MsgSignature="0" * 40),
    "other appid": lambda door, push: WeChatDoor(WECHAT_TOKEN, Envelope(AES_KEY, "wxother")).reply(push),
    "other token": lambda door, push: WeChatDoor("other", Envelope(AES_KEY, APP_ID)).reply(push),
    "other key": other_key,
    "not swapped": lambda door, push: door.reply(push, ToUserName=ACCOUNT, FromUserName=LI),
    "no time": lambda door, push: door.reply(push, CreateTime="now"),
    "unknown type": lambda door, push: door.reply(push, MsgType="dance"),
    "empty content": lambda door, push: door.reply(push, Content=""),
    "2049 bytes": lambda door, push: door.reply(push, Content="x" * 2049),
    "an empty envelope": lambda door, push: door.sealed(b""),
    "type twice": lambda door, push: door.sealed(
        write({"ToUserName": LI, "FromUserName": ACCOUNT, "CreateTime": 1, "MsgType": "text", "Content": "x"})
        .replace(b"</xml>", b"<MsgType>image</MsgType></xml>")
    ),
    "doctype": lambda door, push: b"<!DOCTYPE x>" + door.reply(push),
}  # fmt: skip


@pytest.mark.parametrize("kind", JUNK)
async def test_junk_shows_the_guest_that_the_service_is_out_of_order(wechat: WeChat, kind: str) -> None:
    async def answer(push: dict[str, str]) -> Response:
        return Response(JUNK[kind](wechat.door, push))

    wechat.door.answer = answer
    await wechat.platform.say(LI, "你好")
    await wechat.platform.settled()
    assert shown(wechat) == [("guest", "你好"), ("notice", OUT_OF_ORDER)]
    assert [d.outcome for d in wechat.platform.deliveries] == ["junk"]
    assert wechat.platform.screens.bubbles(LI)[0].mark in ("failed", "")


async def test_2048_bytes_are_not_too_many(wechat: WeChat) -> None:
    async def answer(push: dict[str, str]) -> Response:
        return Response(wechat.door.reply(push, Content="知" * 682 + "xx"))

    wechat.door.answer = answer
    await wechat.platform.say(LI, "你好")
    await wechat.platform.settled()
    assert shown(wechat)[1] == ("hotel", "知" * 682 + "xx")


async def test_three_deliveries_and_no_more(wechat: WeChat) -> None:
    async def answer(_push: dict[str, str]) -> Response:
        await asyncio.sleep(1)
        return Response()

    wechat.door.answer = answer
    msgid = await wechat.platform.say(LI, "你好")
    await wechat.platform.settled()
    assert [p["MsgId"] for p in wechat.door.pushes] == [msgid] * 3
    assert len({q["nonce"] for q in wechat.door.queries}) == 3
    assert [(d.attempt, d.outcome, d.reason) for d in wechat.platform.deliveries] == [
        (n, "no answer", "timeout") for n in (1, 2, 3)
    ]
    assert shown(wechat) == [("guest", "你好"), ("notice", OUT_OF_ORDER)]


async def test_a_slow_answer_in_small_pieces_is_too_late_as_well(wechat: WeChat) -> None:
    async def dribble() -> Any:
        for _ in range(20):
            yield b" "
            await asyncio.sleep(0.08)

    async def answer(_push: dict[str, str]) -> Response:
        return StreamingResponse(dribble())

    wechat.door.answer = answer
    await wechat.platform.say(LI, "你好")
    await wechat.platform.settled()
    assert [d.reason for d in wechat.platform.deliveries] == ["timeout"] * 3


@pytest.mark.parametrize("status", [201, 403, 500, 503])
async def test_any_status_but_200_brings_another_delivery(wechat: WeChat, status: int) -> None:
    async def answer(push: dict[str, str]) -> Response:
        if len(wechat.door.pushes) < 3:
            return Response(status_code=status)
        return Response(wechat.door.reply(push))

    wechat.door.answer = answer
    await wechat.platform.say(LI, "你好")
    await wechat.platform.settled()
    assert [d.outcome for d in wechat.platform.deliveries] == ["bad status", "bad status", "replied"]
    assert shown(wechat) == [("guest", "你好"), ("hotel", "好的")]


async def test_a_lost_answer_is_pushed_again_and_shown_once(wechat: WeChat) -> None:
    async def answer(push: dict[str, str]) -> Response:
        return Response(wechat.door.reply(push))

    wechat.door.answer = answer
    wechat.platform.lose_response_once()
    msgid = await wechat.platform.say(LI, "你好")
    await wechat.platform.settled()
    assert [p["MsgId"] for p in wechat.door.pushes] == [msgid] * 2
    assert shown(wechat) == [("guest", "你好"), ("hotel", "好的")]


async def test_redelivery_brings_the_same_message_again(wechat: WeChat) -> None:
    msgid = await wechat.platform.say(LI, "你好")
    await wechat.platform.settled()
    wechat.platform.redeliver(msgid)
    await wechat.platform.settled()
    assert wechat.door.pushes[0] == wechat.door.pushes[1]
    event = await wechat.platform.follow(LI)
    wechat.platform.redeliver(event)
    await wechat.platform.settled()
    assert wechat.door.pushes[2] == wechat.door.pushes[3]
    with pytest.raises(KeyError):
        wechat.platform.redeliver("1")


async def test_a_guests_second_message_does_not_wait_for_the_first(wechat: WeChat) -> None:
    release = asyncio.Event()

    async def answer(push: dict[str, str]) -> Response:
        if push["Content"] == "一":
            await asyncio.wait_for(release.wait(), 5)
        else:
            release.set()
        return Response()

    wechat.door.answer = answer
    await wechat.platform.say(LI, "一")
    await wechat.platform.say(LI, "二")
    await wechat.platform.settled()
    assert [d.outcome for d in wechat.platform.deliveries] == ["acknowledged", "acknowledged"]


async def test_a_menu_link_is_tapped_by_what_it_says(wechat: WeChat) -> None:
    async def answer(push: dict[str, str]) -> Response:
        link = '<a href="weixin://bizmsgmenu?msgmenucontent=%E6%BB%A1%E6%84%8F&msgmenuid=101">很满意</a>'
        return Response(wechat.door.reply(push, Content=f"如何？{link} <b>&amp;</b>"))

    wechat.door.answer = answer
    await wechat.platform.say(LI, "退房")
    bubble = await wechat.platform.wait_for(LI, lambda b: b.who == "hotel")
    assert bubble.text == "如何？很满意 <b>&amp;</b>"
    assert [(c.title, c.says, c.payload) for c in bubble.choices] == [("很满意", "满意", "101")]
    with pytest.raises(ValueError, match="shows no link"):
        await wechat.platform.tap_link(LI, "很满意", "102")
    await wechat.platform.tap_link(LI, "很满意", "101")
    await wechat.platform.settled()
    assert (wechat.door.pushes[1]["Content"], wechat.door.pushes[1]["bizmsgmenuid"]) == ("满意", "101")


@pytest.mark.parametrize(
    ("markup", "text", "links"),
    [
        ('<a href="https://zhike.example/a?b=1&c=2">看</a>', "看", ["https://zhike.example/a?b=1&c=2"]),
        ('<a href="javascript:alert(1)">看</a>', '<a href="javascript:alert(1)">看</a>', []),
        ("<script>alert(1)</script>", "<script>alert(1)</script>", []),
        (
            '<a href="weixin://bizmsgmenu?msgmenuid=1">x</a>',
            '<a href="weixin://bizmsgmenu?msgmenuid=1">x</a>',
            [],
        ),
    ],
)
async def test_only_two_kinds_of_link_work(wechat: WeChat, markup: str, text: str, links: list[str]) -> None:
    await wechat.platform.say(LI, "你好")
    assert await wechat.send(LI, markup) == 0
    bubble = wechat.platform.screens.bubbles(LI)[-1]
    assert bubble.text == text
    assert [p.url for p in bubble.pieces if p.url] == links


async def test_the_app_sends_nothing_empty(wechat: WeChat) -> None:
    with pytest.raises(ValueError, match="empty"):
        await wechat.platform.say(LI, "  \n")
    assert shown(wechat) == []
