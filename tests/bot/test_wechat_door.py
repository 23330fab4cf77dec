"""The WeChat door: the handshake, who is let in, and what each push becomes."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from bot.doors import LARGEST_BODY
from data import db
from data.members import Contact
from tests.bot.payloads.wechat_broken import BROKEN
from tests.bot.payloads.wechat_wire import Wire, message, signature
from tests.bot.stubs import Running, incoming_rows

URL = "/wechat"


@pytest.fixture
def wire(house: Running) -> Wire:
    given = house.settings
    return Wire(given.wechat_app_id, given.wechat_token, given.wechat_aes_key, given.wechat_account)


def seconds(house: Running) -> int:
    return int(house.clock().timestamp())


async def post(house: Running, query: dict[str, str], body: bytes) -> httpx.Response:
    return await house.client.post(
        f"{house.base}{URL}", params=query, content=body, headers={"content-type": "text/xml"}
    )


async def push(house: Running, wire: Wire, xml: bytes) -> httpx.Response:
    """One push as WeChat makes it."""
    return await post(house, *wire.push(wire.seal(xml), now=seconds(house)))


def text(house: Running, content: str = "我还有多少积分？", *, number: int = 1, **more: Any) -> bytes:
    return message(
        house.settings.wechat_account, "text", at=seconds(house), message_id=number, Content=content, **more
    )


# The handshake


def handshake(house: Running, **changes: str | None) -> dict[str, str]:
    """The query of a good handshake; a change of None leaves the part out."""
    stamp, nonce = str(seconds(house)), "1320562132"
    query: dict[str, str | None] = {
        "signature": signature(house.settings.wechat_token, stamp, nonce),
        "echostr": "4375120948345356249",
        "timestamp": stamp,
        "nonce": nonce,
        **changes,
    }
    return {name: value for name, value in query.items() if value is not None}


@pytest.mark.parametrize("echo", ["4375120948345356249", "<script>alert(1)</script>", "知客 &<>\"'"])
async def test_good_handshake_gives_back_echostr_as_plain_text(house: Running, echo: str) -> None:
    answer = await house.client.get(f"{house.base}{URL}", params=handshake(house, echostr=echo))
    assert answer.status_code == 200
    assert answer.content == echo.encode()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_bad_handshake(house: Running) -> None:
    changes: list[dict[str, str | None]] = [
        {"signature": None},
        {"signature": ""},
        {"signature": "0" * 40},
        {"signature": "é"},
        {"timestamp": None},
        {"timestamp": ""},
        {"timestamp": "now"},
        {"timestamp": "-1"},
        {"nonce": None},
        {"nonce": ""},
        {"nonce": "other"},
        {"signature": signature("", "", "")},
        {"signature": signature("", "1", "2"), "timestamp": "1", "nonce": "2"},
    ]
    # Signed as they should be, and no time that a clock could show.
    for stamp in ("²", "٣", "9" * 4000, "1" * 5000):
        changes.append(
            {"timestamp": stamp, "signature": signature(house.settings.wechat_token, stamp, "1320562132")}
        )
    for change in changes:
        answer = await house.client.get(f"{house.base}{URL}", params=handshake(house, **change))
        assert (answer.status_code, answer.content) == (403, b""), change


@pytest.mark.parametrize(("late", "status"), [(300, 200), (301, 403), (-300, 200), (-301, 403)])
async def test_handshake_is_good_for_five_minutes(house: Running, late: int, status: int) -> None:
    query = handshake(house)
    house.clock.advance(late)
    # Whole seconds travel; the clock has its fraction.
    house.clock.now = house.clock.now.replace(microsecond=0)
    assert (await house.client.get(f"{house.base}{URL}", params=query)).status_code == status


# Who is let in


async def refused(house: Running, query: dict[str, str], body: bytes, *statuses: int) -> None:
    """The answer is a refusal, and nothing got as far as reception."""
    answer = await post(house, query, body)
    assert answer.status_code in (statuses or (403,))
    assert answer.content == b""
    assert house.taken == []
    assert incoming_rows() == []
    assert house.brain.asked == []


async def test_plaintext_push_is_refused(house: Running, wire: Wire) -> None:
    stamp, nonce = str(seconds(house)), "1"
    query = {"signature": signature(wire.token, stamp, nonce), "timestamp": stamp, "nonce": nonce}
    await refused(house, query, text(house))
    await refused(house, {**query, "encrypt_type": "raw"}, text(house))


async def test_plaintext_body_under_an_encrypted_query(house: Running, wire: Wire) -> None:
    query, _body = wire.push(wire.seal(text(house)), now=seconds(house))
    await refused(house, query, text(house), 400)


async def test_compat_mode_uses_only_the_ciphertext(house: Running, wire: Wire) -> None:
    """Compatibility mode sends the message twice, and only one of the two is signed."""
    encrypted = wire.seal(text(house, "the guest's own words"))
    query, _body = wire.push(encrypted, now=seconds(house))
    forged = text(house, "forged", number=2, openid="oVictim").decode()
    body = forged.replace("</xml>", f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>").encode()
    assert (await post(house, query, body)).status_code == 200
    (row,) = incoming_rows()
    assert (row.text, row.key) == ("the guest's own words", "wechat:msg:1")
    assert address_of(row.contact_id) == "oGuest"


async def test_wrong_part_of_the_query(house: Running, wire: Wire) -> None:
    query, body = wire.push(wire.seal(text(house)), now=seconds(house))
    for name in ("msg_signature", "timestamp", "nonce", "encrypt_type"):
        await refused(house, {key: value for key, value in query.items() if key != name}, body)
        for value in ("", "0" * 40, "1"):
            await refused(house, {**query, name: value}, body)


async def test_plain_signature_does_not_stand_in_for_the_other(house: Running, wire: Wire) -> None:
    query, body = wire.push(wire.seal(text(house)), now=seconds(house))
    await refused(house, {**query, "msg_signature": query["signature"]}, body)


async def test_ciphertext_of_another_push(house: Running, wire: Wire) -> None:
    query, _body = wire.push(wire.seal(text(house, "a")), now=seconds(house))
    _query, body = wire.push(wire.seal(text(house, "b")), now=seconds(house))
    await refused(house, query, body)


@pytest.mark.parametrize("late", [301, -302])
async def test_stale_push(house: Running, wire: Wire, late: int) -> None:
    query, body = wire.push(wire.seal(text(house)), now=seconds(house) - late)
    await refused(house, query, body)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text)


def _flipped(sealed: str) -> str:
    """In CBC a flipped bit of one block flips the same bit of the next: here of the text's length."""
    raw = bytearray(unb64(sealed))
    raw[3] ^= 1
    return b64(bytes(raw))


FOREIGN_KEY = b64(bytes(32)).rstrip("=")


CIPHERTEXTS: dict[str, Callable[[Wire, bytes], str]] = {
    "foreign AppID": lambda wire, xml: wire.seal(xml, app_id="wx0000000000000000"),
    "AppID and more": lambda wire, xml: wire.seal(xml, app_id=wire.app_id + "x"),
    "foreign key": lambda wire, xml: replace(wire, aes_key=FOREIGN_KEY).seal(xml),
    "tampered": lambda wire, xml: _flipped(wire.seal(xml)),
    "truncated base64": lambda wire, xml: wire.seal(xml)[:-24],
    "half a block missing": lambda wire, xml: b64(unb64(wire.seal(xml))[:-8]),
    "last block missing": lambda wire, xml: b64(unb64(wire.seal(xml))[:-16]),
    "two blocks": lambda wire, xml: b64(unb64(wire.seal(xml))[:32]),
    "one block": lambda wire, xml: b64(unb64(wire.seal(xml))[:16]),
    "not base64": lambda wire, xml: "not base64 at all!",
    "one letter": lambda wire, xml: "A",
    "padding only": lambda wire, xml: "=",
    "Chinese": lambda wire, xml: "知客",
    "padding of zeroes": lambda wire, xml: wire.seal(xml, padding=b"\x00"),
    "padding of 255": lambda wire, xml: wire.seal(xml, padding=b"\xff"),
    "not UTF-8": lambda wire, xml: wire.seal(b"\xff\xfe" + xml),
}


async def test_ciphertext_that_does_not_open(house: Running, wire: Wire) -> None:
    """Signed as it should be, so it is WeChat or a mistake in the configuration; never our failure."""
    for name, make in CIPHERTEXTS.items():
        query, body = wire.push(make(wire, text(house)), now=seconds(house))
        answer = await post(house, query, body)
        assert (answer.status_code, answer.content) == (403, b""), name
    assert (house.taken, incoming_rows(), house.brain.asked) == ([], [], [])


NO_ENVELOPES = [
    b"",
    b"hello",
    b"{}",
    b"<xml/>",
    b"<xml></xml>",
    b"<xml><Encrypt/></xml>",
    b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>",
    b"<xml><Encrypt><a>b</a></Encrypt></xml>",
    b"<other><Encrypt>a</Encrypt></other>",
    b"\xff\xfe<xml/>",
    b"<!DOCTYPE xml><xml><Encrypt>a</Encrypt></xml>",
    b'<!DOCTYPE xml [<!ENTITY a "aaaa">]><xml><Encrypt>&a;</Encrypt></xml>',
    b'<!doctype xml [<!entity a SYSTEM "file:///etc/passwd">]><xml><Encrypt>&a;</Encrypt></xml>',
    b"<xml>" + b"<a>" * 15_000 + b"</a>" * 15_000 + b"</xml>",
    b"<xml><Encrypt>cut off",
]


async def test_body_that_is_no_envelope(house: Running, wire: Wire) -> None:
    for body in NO_ENVELOPES:
        query, _body = wire.push("", now=seconds(house))
        await refused(house, query, body, 400)


async def test_body_over_the_cap(house: Running, wire: Wire) -> None:
    query, body = wire.push(wire.seal(text(house)), now=seconds(house))
    await refused(house, query, body + b" " * LARGEST_BODY, 413)


async def test_body_over_the_cap_in_chunks_without_a_length(house: Running, wire: Wire) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // 1024 + 1):
            yield b"x" * 1024

    query, _body = wire.push("", now=seconds(house))
    answer = await house.client.post(f"{house.base}{URL}", params=query, content=chunks())
    assert "content-length" not in answer.request.headers
    assert (answer.status_code, house.taken) == (413, [])


# What a push becomes


def address_of(contact_id: int | None) -> str:
    if contact_id is None:
        return ""
    with db.reading() as session:
        contact = session.get(Contact, contact_id)
        assert contact is not None
        return contact.address


async def test_broken_bodies_are_kept_once_and_acknowledged(house: Running, wire: Wire) -> None:
    bodies = {name: xml.replace("{account}", wire.account) for name, xml in BROKEN.items()}
    for name, xml in bodies.items():
        for _ in range(2):
            answer = await push(house, wire, xml.encode())
            assert (answer.status_code, answer.content) == (200, b"success"), name
        last = incoming_rows()[-1]
        assert (last.kind, last.state, last.contact_id) == ("unreadable", "noted", None), name
        assert re.fullmatch("wechat:bad:[0-9a-f]{64}", last.key), name
    assert [row.text for row in incoming_rows()] == list(bodies.values())
    assert house.brain.asked == []


# kind, fields → what is recorded, and what the brain is asked ("" nothing, None: the guest is asked to type)
KINDS: list[tuple[str, str, dict[str, str], str, str | None]] = [
    ("text", "text", {"Content": "points?"}, "text", "points?"),
    ("link tapped", "text", {"Content": "我的积分", "bizmsgmenuid": "points_balance"}, "text", "我的积分"),
    ("typed as a command", "text", {"Content": '/points_balance{"x":1}'}, "text", 'points_balance{"x":1}'),
    ("emoji", "text", {"Content": "😀👍🏽"}, "text", "😀👍🏽"),
    ("longest", "text", {"Content": "好" * 680}, "text", "好" * 680),
    ("control characters", "text", {"Content": "a\x08b\x1dc\x00d\te"}, "text", "abcd\te"),
    ("markup", "text", {"Content": "<b>&amp;</b> <!-- x -->"}, "text", "<b>&amp;</b> <!-- x -->"),
    ("voice with words", "voice", {"MediaId": "m", "Format": "amr", "Recognition": "积分"}, "text", "积分"),
    ("voice, recognition empty", "voice", {"MediaId": "m", "Format": "amr", "Recognition": ""}, "wordless", None),
    ("voice", "voice", {"MediaId": "m", "Format": "amr"}, "wordless", None),
    ("image", "image", {"MediaId": "m", "PicUrl": "http://mmbiz.qpic.cn/1"}, "wordless", None),
    ("location", "location", {"Location_X": "31.2", "Location_Y": "121.4", "Scale": "15"}, "wordless", None),
    ("video", "shortvideo", {"MediaId": "m", "ThumbMediaId": "t"}, "wordless", None),
    ("of a later day", "hologram", {"Depth": "3"}, "wordless", None),
    ("follow", "event", {"Event": "subscribe", "EventKey": ""}, "hello", "/greet"),
    ("follow by code", "event", {"Event": "subscribe", "EventKey": "qrscene_room512"}, "hello", "/greet"),
    ("menu", "event", {"Event": "CLICK", "EventKey": "points_balance"}, "tap", "/points_balance"),
    ("menu, unknown entry", "event", {"Event": "CLICK", "EventKey": "restart"}, "tap", "/help"),
    ("unfollow", "event", {"Event": "unsubscribe", "EventKey": ""}, "goodbye", ""),
    ("scan", "event", {"Event": "SCAN", "EventKey": "room512", "Ticket": "t"}, "overheard", ""),
    ("view", "event", {"Event": "VIEW", "EventKey": "https://hotel.example/"}, "overheard", ""),
    ("where the guest is", "event", {"Event": "LOCATION", "Latitude": "31.2", "Longitude": "1"}, "overheard", ""),
    ("notice sent", "event", {"Event": "TEMPLATESENDJOBFINISH", "MsgID": "2", "Status": "success"}, "overheard", ""),
    ("event of a later day", "event", {"Event": "teleport"}, "overheard", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "fields", "recorded", "asked"), KINDS, ids=lambda v: str(v)[:25])
async def test_push_of_every_kind(
    house: Running, wire: Wire, name: str, kind: str, fields: dict[str, str], recorded: str, asked: str | None
) -> None:
    number = None if kind == "event" else 23_000_000_000_000_001
    answer = await push(
        house, wire, message(wire.account, kind, at=seconds(house), message_id=number, **fields)
    )
    assert answer.status_code == 200
    (row,) = incoming_rows()
    assert row.kind == recorded
    assert row.state == ("noted" if asked == "" else "answered")
    assert address_of(row.contact_id) == "oGuest"
    assert house.brain.asked == ([asked] if asked else [])
    if asked == "":
        assert answer.content == b"success"
        return
    expected = house.brain.reply.text
    if asked is None:
        expected = house.house.phrasebook.say("utter_please_type", "zh_CN", {}, turn=f"turn:{row.id}").text
    assert wire.read_reply(answer.content)["Content"] == expected
    if recorded == "text":
        assert row.text == asked or row.text.lstrip("/") == asked
