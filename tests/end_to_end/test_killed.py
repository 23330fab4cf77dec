"""The real process with the trained model is killed, told to stop, and started again."""

from __future__ import annotations

import httpx
import pytest

from tests.end_to_end.conftest import Outside, zhike_serve
from tests.end_to_end.curl import telegram_update

pytestmark = pytest.mark.model


def test_killed_while_starting_and_in_mid_send_then_polling(outside_sqlite: Outside) -> None:
    """Three lives of one house; each question is answered once, with the right balance."""
    outside = outside_sqlite
    english, chinese = outside.member("en"), outside.member("zh_CN")
    for member in (english, chinese):
        outside.platforms.act("telegram", "meet", address=member.telegram)

    with outside.serving() as first:
        first.wait_until("starting")
        question = telegram_update(int(english.telegram), text="how many points do I have?")
        assert outside.telegram(question).status_code == 200
        first.kill()
    assert outside.platforms.said("telegram", english.telegram) == []

    with outside.serving() as second:
        second.wait_until("ready")
        (said,) = outside.platforms.wait("telegram", english.telegram, bool)
        assert f"{english.points:,}" in said
        # Telegram takes the message but its answer does not reach us before we die.
        outside.platforms.fault(
            "telegram", "hang_next", method="sendMessage", seconds=30, after_accepting=True
        )
        outside.platforms.act("telegram", "say", address=chinese.telegram, text="我还有多少积分？")
        outside.platforms.wait("telegram", chinese.telegram, bool)
        second.kill()

    with outside.serving(ZHIKE_TELEGRAM_MODE="polling") as third:
        third.wait_until("ready")
        assert outside.telegram(question).status_code == 404, "a house that polls has no webhook"
        outside.platforms.act("telegram", "say", address=english.telegram, text="points balance please")
        said_now = outside.platforms.wait("telegram", english.telegram, lambda said: len(said) > 1)
        assert [f"{english.points:,}" in each for each in said_now] == [True, True]
        (said,) = outside.platforms.said("telegram", chinese.telegram)
        assert f"{chinese.points:,}" in said
        code, seconds = third.stop()
    assert code == 0
    assert seconds < 12


def test_the_sandbox_answers_on_both_phones_and_stops_with_a_page_open(
    outside_sqlite: Outside,
) -> None:
    outside = outside_sqlite
    database = f"sqlite:///{outside.folder / 'sandbox.db'}"
    environment = {
        # A real hotel's settings that happen to be exported must not touch its members.
        "ZHIKE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/the_real_hotel",
        "ZHIKE_TELEGRAM_TOKEN": "1:real",
        "ZHIKE_MODEL_DIR": outside.environment["ZHIKE_MODEL_DIR"],
    }
    own = ("--sandbox", "--sandbox-database", database)
    with zhike_serve(environment, outside.port, outside.log, *own) as running:
        running.wait_until("ready")
        phones = outside.platforms
        phones.base = running.base
        people = phones.client.get(f"{running.base}/sandbox/people").json()["people"]
        member = next(each for each in people if each["locale"] == "zh_CN" and each["points"] >= 1000)
        page = phones.client.get(f"{running.base}/", follow_redirects=True)
        assert page.status_code == 200
        assert "/sandbox" in str(page.url)
        for channel in ("telegram", "wechat"):
            phones.act(channel, "say", address=member[channel], text="我还有多少积分？")
            (said,) = phones.wait(channel, member[channel], bool)
            assert f"{member['points']:,}" in said
        stream = f"{running.base}/sandbox/telegram/guest/events"
        with httpx.stream("GET", stream, params={"address": member["telegram"]}, trust_env=False) as events:
            next(events.iter_lines())
            code, seconds = running.stop()
    assert code == 0
    assert seconds < 12
