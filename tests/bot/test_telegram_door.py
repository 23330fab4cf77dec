"""The Telegram door, inwards: what each update becomes, what is refused, and that nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.channel import Outgoing
from bot.doors import LARGEST_BODY
from bot.telegram_updates import read
from data import db
from data.members import Contact
from tests.bot.payloads.telegram_broken import BROKEN
from tests.bot.stubs import Running, StandingClock, StubBrain, database_away, incoming_rows, open_house

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "payloads" / "telegram_updates.json").read_text(encoding="utf-8")
)
GUEST = 7001


async def deliver(house: Running, body: bytes | dict[str, Any], **headers: str) -> httpx.Response:
    """A webhook call as Telegram makes it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await house.client.post(
        f"{house.base}/telegram/webhook",
        content=content,
        headers={
            "content-type": "application/json",
            "x-telegram-bot-api-secret-token": house.settings.telegram_secret,
            **headers,
        },
    )


def text_update(update_id: int, text: str, *, guest: int = GUEST) -> dict[str, Any]:
    message = {
        "message_id": update_id,
        "date": 1773453566,
        "chat": {"id": guest, "type": "private", "first_name": "Anna"},
        "from": {"id": guest, "is_bot": False, "first_name": "Anna", "language_code": "en"},
        "text": text,
    }
    return {"update_id": update_id, "message": message}


def tap_update(update_id: int, query: str) -> dict[str, Any]:
    tapper = {"id": GUEST, "is_bot": False, "first_name": "Anna"}
    return {
        "update_id": update_id,
        "callback_query": {"id": query, "from": tapper, "chat_instance": "1", "data": "v1:help"},
    }


@pytest.fixture
async def known(house: Running) -> Running:
    """The house, with a guest who has once pressed Start."""
    house.sandbox.telegram.meet(GUEST)
    return house


# What each update becomes


def test_the_table_holds_every_kind_once() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert {case["kind"] for case in CASES} == {
        "text", "tap", "hello", "goodbye", "wordless", "edit", "overheard", "unreadable",
    }  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_update(known: Running, case: dict[str, Any]) -> None:
    answer = await deliver(known, case["update"])
    assert (answer.status_code, answer.content) == (200, b"")
    await known.idle()
    (row,) = incoming_rows()
    assert (row.key, row.kind, row.state, row.text) == (
        case["key"],
        case["kind"],
        case["state"],
        case["text"],
    )
    assert row.payload.get("pressed", "") == case["pressed"]
    assert _address(row.contact_id) == case["address"]
    assert known.brain.asked == ([case["asked"]] if case["asked"] else [])
    expected = [known.brain.reply.text] if case["asked"] else []
    if case["hears"]:
        expected = [known.house.phrasebook.say(case["hears"], "en", {}, turn=f"turn:{row.id}").text]
    assert known.says(str(GUEST)) == expected


def _address(contact_id: int | None) -> str:
    if contact_id is None:
        return ""
    with db.reading() as session:
        contact = session.get(Contact, contact_id)
        assert contact is not None
        return contact.address


@pytest.mark.parametrize("text", ["好" * 4096, "x" * 4096, "😀" * 2048], ids=["Chinese", "Latin", "emoji"])
async def test_longest_text_is_kept_whole(known: Running, text: str) -> None:
    assert (await deliver(known, text_update(1, text))).status_code == 200
    await known.idle()
    assert [row.text for row in incoming_rows()] == [text]
    assert known.brain.asked == [text]
    assert known.says(str(GUEST)) == [known.brain.reply.text]


async def test_half_a_character_is_kept_and_answered(known: Running) -> None:
    update = json.dumps(text_update(1, "halves")).replace("halves", "\\ud83d")
    assert (await deliver(known, update.encode())).status_code == 200
    await known.idle()
    assert [row.text for row in incoming_rows()] == ["\ud83d"]
    assert known.says(str(GUEST)) == [known.brain.reply.text]


# What is refused


@pytest.mark.parametrize("change", ["", "wrong", "{}x", "x{}", "{} {}", "é"])
async def test_wrong_secret_reaches_nobody(house: Running, change: str) -> None:
    given = change.replace("{}", house.settings.telegram_secret)
    answer = await house.client.post(
        f"{house.base}/telegram/webhook",
        content=json.dumps(text_update(1, "hi")).encode(),
        headers={b"x-telegram-bot-api-secret-token": given.encode("latin-1")},
    )
    assert (answer.status_code, answer.content) == (403, b"")
    assert house.taken == []
    assert incoming_rows() == []


async def test_missing_secret_reaches_nobody(house: Running) -> None:
    answer = await house.client.post(f"{house.base}/telegram/webhook", json=text_update(1, "hi"))
    assert (answer.status_code, house.taken, incoming_rows()) == (403, [], [])


async def test_secret_in_the_address_does_not_count(house: Running) -> None:
    url = f"{house.base}/telegram/webhook?secret_token={house.settings.telegram_secret}"
    answer = await house.client.post(url, json=text_update(1, "hi"))
    assert (answer.status_code, house.taken) == (403, [])


async def test_only_post_is_heard(house: Running) -> None:
    answer = await house.client.get(f"{house.base}/telegram/webhook")
    assert (answer.status_code, house.taken) == (405, [])


async def test_body_over_the_cap(house: Running) -> None:
    answer = await deliver(house, b"x" * (LARGEST_BODY + 1))
    assert (answer.status_code, house.taken) == (413, [])


async def test_body_over_the_cap_in_chunks_without_a_length(house: Running) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // 1024 + 1):
            yield b"x" * 1024

    answer = await house.client.post(
        f"{house.base}/telegram/webhook",
        content=chunks(),
        headers={"x-telegram-bot-api-secret-token": house.settings.telegram_secret},
    )
    assert "content-length" not in answer.request.headers
    assert (answer.status_code, house.taken) == (413, [])


async def test_body_of_just_the_cap_is_read(known: Running) -> None:
    update = json.dumps(text_update(1, "hi")).encode()
    assert (await deliver(known, update + b" " * (LARGEST_BODY - len(update)))).status_code == 200
    assert [row.text for row in incoming_rows()] == ["hi"]


# What cannot be read


@pytest.mark.parametrize("name", BROKEN)
def test_broken_body_is_read_as_unreadable(name: str) -> None:
    incoming = read(BROKEN[name])
    assert (incoming.kind, incoming.address, incoming.wants_answer) == ("unreadable", "", False)
    assert re.fullmatch(r"bad:[0-9a-f]{64}", incoming.key)
    assert incoming.raw == BROKEN[name].decode(errors="replace").replace("\x00", "")


async def test_broken_bodies_are_kept_once_and_acknowledged(house: Running) -> None:
    for body in BROKEN.values():
        for _ in range(2):  # refused, Telegram would bring it again for a day and hold its guest's queue
            answer = await deliver(house, body)
            assert (answer.status_code, answer.content) == (200, b"")
    await house.idle()
    rows = incoming_rows()
    assert [(row.key, row.text) for row in rows] == [
        (f"telegram:{read(body).key}", read(body).raw) for body in BROKEN.values()
    ]
    assert {(row.kind, row.state, row.contact_id) for row in rows} == {("unreadable", "noted", None)}
    assert house.brain.asked == []
    assert house.witness.named("sendMessage") == []


# Twice, out of order, at once


async def test_same_update_again_is_one_row_and_one_turn(known: Running) -> None:
    update = text_update(77, "points?")
    answers = await asyncio.gather(*(deliver(known, update) for _ in range(5)))
    await known.idle()
    answers.append(await deliver(known, update))
    await known.idle()
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 6
    assert len(incoming_rows()) == 1
    assert known.brain.asked == ["points?"]
    assert known.says(str(GUEST)) == [known.brain.reply.text]


async def test_lower_update_id_is_no_repetition(known: Running) -> None:
    for update_id in (900_000_000, 12, 900_000_001):  # after a quiet week the numbers begin anywhere
        await deliver(known, text_update(update_id, f"message {update_id}"))
        await known.idle()
    assert known.brain.asked == ["message 900000000", "message 12", "message 900000001"]
    assert len(known.says(str(GUEST))) == 3


async def test_text_and_tap_at_once_are_answered_one_after_the_other(known: Running) -> None:
    known.brain.gate = asyncio.Event()
    await asyncio.gather(deliver(known, text_update(1, "points")), deliver(known, tap_update(2, "q1")))
    await known.until(lambda: known.brain.asked)
    assert len(known.brain.asked) == 1, "one lane for one guest"
    known.brain.gate.set()
    await known.idle()
    assert sorted(known.brain.asked) == ["/help", "points"]


async def test_answer_does_not_wait_for_the_brain(known: Running) -> None:
    known.brain.gate = asyncio.Event()
    answer = await asyncio.wait_for(deliver(known, text_update(1, "points")), 2)
    assert answer.status_code == 200
    assert known.says(str(GUEST)) == []
    known.brain.gate.set()
    await known.idle()
    assert known.says(str(GUEST)) == [known.brain.reply.text]


async def test_edit_of_an_order_orders_nothing(known: Running) -> None:
    await deliver(known, text_update(1, "2 towels"))
    await known.idle()
    edited = {**text_update(1, "3 towels")["message"], "edit_date": 1773453600}
    await deliver(known, {"update_id": 2, "edited_message": edited})
    await known.idle()
    assert known.brain.asked == ["2 towels"]
    assert [row.kind for row in incoming_rows()] == ["text", "edit"]


# The database


async def test_database_down_loses_and_repeats_nothing(known: Running, tmp_path: Path) -> None:
    update = text_update(5, "points?")
    with database_away(tmp_path):
        refused = await deliver(known, update)
        assert refused.status_code == 503
        assert refused.headers["retry-after"].isdigit()
        assert (await deliver(known, update)).status_code == 503
    assert incoming_rows() == []
    assert known.brain.asked == []
    for _ in range(2):  # Telegram's own retry, and once more because our 200 was lost
        assert (await deliver(known, update)).status_code == 200
        await known.idle()
    assert known.brain.asked == ["points?"]
    assert known.says(str(GUEST)) == [known.brain.reply.text]


async def test_tap_while_the_database_is_down_is_not_acknowledged(known: Running, tmp_path: Path) -> None:
    with database_away(tmp_path):
        assert (await deliver(known, tap_update(3, "q1"))).status_code == 503
        await known.idle()
    assert known.witness.named("answerCallbackQuery") == []


# Taps


async def test_tap_is_acknowledged_at_once(known: Running) -> None:
    known.brain.gate = asyncio.Event()
    message_id = await _button(known)
    query = await known.sandbox.telegram.tap(GUEST, message_id, "v1:points_balance")
    await known.until(lambda: known.witness.named("answerCallbackQuery"))
    assert known.says(str(GUEST)) == ["Hello"], "the spinner stops before the answer is there"
    (call,) = known.witness.named("answerCallbackQuery")
    assert call.form == {"callback_query_id": query}
    known.brain.gate.set()
    await known.idle()
    assert known.says(str(GUEST)) == ["Hello", known.brain.reply.text]


async def test_tap_too_old_to_acknowledge_is_answered_all_the_same(known: Running) -> None:
    await deliver(known, tap_update(3, "unknown to the platform"))
    await known.idle()
    assert len(known.witness.named("answerCallbackQuery")) == 1
    assert known.says(str(GUEST)) == [known.brain.reply.text]


async def _button(house: Running) -> int:
    assert house.house.telegram is not None
    words = Outgoing(str(GUEST), "Hello", (("My points", "/points_balance"),))
    return int(await house.house.telegram.send(words))


async def test_webhook_is_shut_when_polling(
    sqlite_database: str, brain: StubBrain, clock: StandingClock
) -> None:
    async with open_house(brain, clock, telegram_mode="polling") as house:
        assert (await deliver(house, text_update(1, "hi"))).status_code == 404
        assert house.taken == []
