"""`zhike serve` with the trained model: both doors answer a points question, in three ways of writing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from data.demo import STRANGER_TELEGRAM, STRANGER_WECHAT
from tests.bot.crashing.platforms import until
from tests.end_to_end.conftest import Outside, Serving
from tests.end_to_end.curl import telegram_update

pytestmark = pytest.mark.model

ASKED = {
    "zh_CN": ("我还有多少积分？", "积分"),
    "zh_TW": ("請問我還有多少積分？", "積分"),
    "en": ("how many points do I have?", "points"),
}


@pytest.fixture(scope="module")
def house(outside: Outside) -> Iterator[Serving]:
    with outside.serving() as running:
        running.wait_until("ready")
        yield running


def test_readiness_goes_from_starting_to_ready(house: Serving) -> None:
    assert [status for status in house.seen if status != "closed"] == ["starting", "ready"]
    assert httpx.get(f"{house.base}/healthz", trust_env=False).status_code == 200


@pytest.mark.parametrize("locale", ASKED)
def test_a_telegram_update_gets_the_right_balance(house: Serving, outside: Outside, locale: str) -> None:
    words, points = ASKED[locale]
    member = outside.member(locale)
    outside.platforms.act("telegram", "meet", address=member.telegram)
    answer = outside.telegram(telegram_update(int(member.telegram), text=words))
    assert (answer.status_code, answer.content) == (200, b"")
    (said,) = outside.platforms.wait("telegram", member.telegram, bool)
    assert f"{member.points:,}" in said
    assert points in said


@pytest.mark.parametrize("locale", ASKED)
def test_an_encrypted_push_gets_the_right_balance(house: Serving, outside: Outside, locale: str) -> None:
    words, points = ASKED[locale]
    member = outside.member(locale)
    answer = outside.push(outside.wechat.text(member.wechat, words))
    said = outside.wechat.passive_reply(answer, member.wechat)
    assert f"{member.points:,}" in said
    assert points in said


def test_a_push_that_comes_again_at_once_is_not_answered_twice(house: Serving, outside: Outside) -> None:
    member = outside.member("en")
    sealed = outside.wechat.text(member.wechat, "how many points do I have?")
    assert f"{member.points:,}" in outside.wechat.passive_reply(outside.push(sealed), member.wechat)
    assert outside.push(sealed).content == b"success"


def test_a_guest_we_do_not_know(house: Serving, outside: Outside) -> None:
    outside.platforms.act("telegram", "meet", address=STRANGER_TELEGRAM)
    outside.telegram(telegram_update(int(STRANGER_TELEGRAM), "en", text="how many points do I have?"))
    (said,) = outside.platforms.wait("telegram", STRANGER_TELEGRAM, bool)
    assert "not linked" in said
    reply = outside.wechat.passive_reply(
        outside.push(outside.wechat.text(STRANGER_WECHAT, "我有多少积分")), STRANGER_WECHAT
    )
    assert not re.search(r"\d", re.sub(r"<a.*?</a>", "", reply)), "no number is any guest's balance here"


def test_a_photo_is_answered_with_a_request_to_type(house: Serving, outside: Outside) -> None:
    chat = "700900077"
    outside.platforms.act("telegram", "meet", address=chat)
    photo = [{"file_id": "A", "file_unique_id": "B", "file_size": 99, "width": 90, "height": 90}]
    outside.telegram(telegram_update(int(chat), "en", photo=photo))
    (said,) = outside.platforms.wait("telegram", chat, bool)
    assert "type" in said
    openid = "oPhoto_1"
    assert "文字" in outside.wechat.passive_reply(outside.push(outside.wechat.photo(openid)), openid)


def test_what_happened_is_counted(house: Serving, outside: Outside) -> None:
    def count(name: str) -> float:
        page = httpx.get(f"{house.base}/metrics", trust_env=False).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    taken = 'zhike_messages_taken_total{channel="telegram",kind="text"}'
    answered = 'zhike_turns_total{channel="telegram",outcome="answered"}'
    sent = 'zhike_sends_total{channel="telegram",outcome="sent"}'
    before = {name: count(name) for name in (taken, answered, sent, "zhike_passive_replies_total")}
    outside.platforms.act("telegram", "meet", address="700900078")
    outside.telegram(telegram_update(700900078, "en", text="hello"))
    outside.platforms.wait("telegram", "700900078", bool)
    outside.push(outside.wechat.text("oCount_1", "你好"))
    for name, value in before.items():
        until(lambda name=name, value=value: count(name) == value + 1, 5, lambda name=name: name)  # type: ignore[misc]


def test_the_log_holds_no_guests_words_and_no_secret(house: Serving, outside: Outside) -> None:
    outside.platforms.act("telegram", "meet", address="700900079")
    outside.telegram(telegram_update(700900079, "en", text="my passport is X1234567"))
    outside.platforms.wait("telegram", "700900079", bool)
    log = outside.log.read_text()
    assert "house.open" in log, "this is the log"
    for secret in ("X1234567", "passport", "多少积分", *outside.environment.values()):
        if secret.startswith(("http", "sqlite", "postgres", "/")):
            continue
        assert secret not in log
