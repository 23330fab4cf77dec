"""Logs: where it broke is in them; what guests wrote, who they are and what is secret is not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from bot import logs
from bot.channel import Outgoing
from data.promises import Draft
from tests.bot.payloads.wechat_wire import Wire, message
from tests.bot.stubs import Running, StandingClock, StubBrain, database_away, open_house
from tests.bot.test_telegram_door import deliver, tap_update, text_update
from tests.bot.test_wechat_door import post, push, seconds, text

WORDS = "canaryguestwords"
NAME = "Canarina Vogelsang"
REPLY = "canaryreply"
GUEST = 7009001


@pytest.fixture
def written(logging_kept: None) -> io.StringIO:
    """Standard error, as far as logging is concerned."""
    return io.StringIO()


@pytest.fixture(params=["json", "console"])
async def house(
    request: pytest.FixtureRequest,
    sqlite_database: str,
    brain: StubBrain,
    clock: StandingClock,
    written: io.StringIO,
) -> AsyncIterator[Running]:
    """A house that logs as it does for real, once in each form; its standard error is captured."""
    configure(written, request.param)
    brain.reply = Draft(f"{REPLY} for {NAME}")
    async with open_house(brain, clock, telegram_staff_chat="7009002") as running:
        running.sandbox.telegram.meet(GUEST, name=NAME)
        running.sandbox.telegram.meet(7009002)
        yield running


@pytest.fixture
def wire(house: Running) -> Wire:
    given = house.settings
    return Wire(given.wechat_app_id, given.wechat_token, given.wechat_aes_key, given.wechat_account)


def canaries(house: Running) -> list[str]:
    given = house.settings
    return [
        WORDS, NAME, "Canarina", REPLY, str(GUEST), "oCanary",
        given.telegram_token, given.telegram_token.split(":")[1], given.telegram_secret,
        given.wechat_app_secret, given.wechat_token, given.wechat_aes_key,
    ]  # fmt: skip


def silent_about(house: Running, written: io.StringIO) -> str:
    """What was logged so far, which holds none of the canaries, however they are written."""
    logged = written.getvalue()
    assert logged, "the check must see what was logged"
    for canary in canaries(house):
        assert canary not in logged
        assert json.dumps(canary)[1:-1] not in logged
    return logged


def update(number: int, words: str = WORDS) -> dict[str, Any]:
    made = text_update(number, words, guest=GUEST)
    made["message"]["from"]["first_name"] = made["message"]["chat"]["first_name"] = NAME
    return made


async def test_answered_turns(house: Running, wire: Wire, written: io.StringIO) -> None:
    await deliver(house, update(1))
    await deliver(house, update(1))
    await deliver(house, tap_update(2, WORDS))
    await push(house, wire, text(house, WORDS, openid="oCanary"))
    await house.idle()
    assert len(house.brain.asked) == 3
    silent_about(house, written)


class Unlucky(Exception):
    """An error whose text is what a guest wrote."""


def _deed(words: str) -> None:
    raise Unlucky(f"cannot understand {words} of {NAME}")


async def test_failing_action_is_logged_with_where_it_broke(
    house: Running, wire: Wire, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def think(turn: Any, words: str) -> Any:
        try:
            _deed(words)
        except Unlucky as error:
            raise RuntimeError(f"the turn of {NAME} broke on {words}") from error

    monkeypatch.setattr(house.brain, "think", think)
    await deliver(house, update(1))
    await push(house, wire, text(house, WORDS, openid="oCanary"))
    await house.idle()
    logged = silent_about(house, written)
    assert "turn.failed" in logged
    assert "Unlucky" in logged
    assert "RuntimeError" in logged
    assert f"{__file__}:{_deed.__code__.co_firstlineno + 1} in _deed" in logged


async def test_failing_sends(house: Running, wire: Wire, written: io.StringIO) -> None:
    refusals = [
        (400, f"Bad Request: can't parse entities: unsupported start tag {WORDS}"),
        (403, "Forbidden: bot was blocked by the user"),
        (401, "Unauthorized"),
        (500, "Internal Server Error"),
    ]
    for number, (code, description) in enumerate(refusals, 1):
        house.sandbox.telegram.fail_next("sendMessage", code, description)
        await deliver(house, update(number))
        await house.idle()
    house.sandbox.wechat.fail_next("message/custom/send", 48001, f"api unauthorized for {WORDS}")
    house.brain.then = (Draft(f"{REPLY} again"),)
    await push(house, wire, text(house, WORDS, openid="oCanary"))
    await house.idle()
    assert silent_about(house, written).count("outbox.send_failed") >= len(refusals)


async def test_refused_and_unreadable_requests(house: Running, wire: Wire, written: io.StringIO) -> None:
    await deliver(house, update(1), **{"x-telegram-bot-api-secret-token": WORDS})
    await deliver(house, f'{{"update_id": 1, "message": "{WORDS}"}}'.encode())
    await deliver(house, WORDS.encode())
    await deliver(house, WORDS.encode() * 20_000)
    query, body = wire.push(wire.seal(text(house, WORDS)), now=seconds(house))
    await post(house, {**query, "msg_signature": WORDS}, body)
    await post(house, {**query, "encrypt_type": "raw"}, text(house, WORDS))
    await post(house, query, WORDS.encode())
    await push(house, wire, f"<xml><Content>{WORDS}</Content></xml>".encode())
    await push(house, wire, message("gh_other", "text", at=1, message_id=1, openid="oCanary", Content=WORDS))
    foreign = wire.push(wire.seal(text(house, WORDS), app_id="wx0"), now=seconds(house))
    await post(house, *foreign)
    logged = silent_about(house, written)
    for event in (
        "telegram.refused", "telegram.unreadable", "wechat.refused", "wechat.unreadable", "wechat.does_not_open",
    ):  # fmt: skip
        assert event in logged


async def test_database_down(
    house: Running, written: io.StringIO, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with database_away(tmp_path_factory.mktemp("away")):
        assert (await deliver(house, update(1))).status_code == 503
    assert "telegram.database_down" in silent_about(house, written)


async def test_unforeseen_error_in_a_door(
    house: Running, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the web server itself logs of a request that broke."""

    def broken(_incoming: Any) -> Any:
        _deed(WORDS)

    monkeypatch.setattr(house.house.reception, "take", broken)
    assert (await deliver(house, update(1))).status_code == 500
    logged = silent_about(house, written)
    assert "Unlucky" in logged
    assert " in _deed" in logged


async def test_task_that_nobody_waited_for(house: Running, written: io.StringIO) -> None:
    """asyncio itself would write the error's text into the log."""

    async def forgotten() -> None:
        _deed(WORDS)

    task = asyncio.create_task(forgotten())
    await asyncio.wait([task])
    del task
    gc.collect()
    logged = silent_about(house, written)
    assert "never retrieved" in logged
    assert " in _deed" in logged


async def test_libraries_do_not_log_addresses(house: Running, written: io.StringIO) -> None:
    """httpx logs each address it calls, and the Bot API's hold the token."""
    assert house.house.telegram is not None
    await house.house.telegram.send(Outgoing(str(GUEST), WORDS))
    logging.getLogger("httpx").info("HTTP Request: POST %s", house.settings.telegram_token)
    logging.getLogger("telegram.Bot").info("Getting updates: %s", WORDS)
    logging.getLogger("rasa.core.processor").info("Received user message %s", WORDS)
    structlog.get_logger("bot.test").info("still.heard")
    assert "still.heard" in silent_about(house, written)


# Form


def configure(written: io.StringIO, form: str = "") -> None:
    with contextlib.redirect_stderr(written):
        logs.configure(form)


def test_json_is_one_object_a_line(written: io.StringIO) -> None:
    configure(written, "json")
    structlog.get_logger("bot.one").info("house.open", channels=["telegram"], name="知客")
    try:
        _deed(WORDS)
    except Unlucky:
        structlog.get_logger("bot.two").error("turn.failed", exc_info=True)
    logging.getLogger("uvicorn.error").warning("a library's %s", "own")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["house.open", "turn.failed", "a library's own"]
    assert [line["level"] for line in lines] == ["info", "error", "warning"]
    assert [line["logger"] for line in lines] == ["bot.one", "bot.two", "uvicorn.error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["channels"] == ["telegram"]
    assert lines[1]["exception"].startswith("Unlucky\n")
    assert "知客" in json.dumps(lines[0], ensure_ascii=False)


def test_json_by_default_where_nobody_looks(written: io.StringIO) -> None:
    configure(written)
    structlog.get_logger("bot.one").info("house.open")
    assert json.loads(written.getvalue())["event"] == "house.open"


def test_debug_is_off(written: io.StringIO) -> None:
    configure(written, "json")
    structlog.get_logger("rasa.core.processor").debug("processor.slots", text=WORDS)
    structlog.get_logger("bot.one").debug("quiet", text=WORDS)
    logging.getLogger("bot.two").debug(WORDS)
    assert written.getvalue() == ""


def test_chain_of_causes_without_an_end_is_cut(written: io.StringIO) -> None:
    configure(written, "json")
    first, second = ValueError(WORDS), KeyError(WORDS)
    first.__cause__, second.__cause__ = second, first
    structlog.get_logger("bot.one").error("turn.failed", exc_info=first)
    line = json.loads(written.getvalue())
    assert 2 <= line["exception"].count("caused by") <= 10
    assert WORDS not in line["exception"]
