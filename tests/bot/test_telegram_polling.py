"""The Telegram door: how it opens, and polling that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.channel import (
    Incoming,
)
from bot.sandbox import TelegramPlatform
from bot.sandbox.telegram_updates import Update, Webhook
from bot.telegram import UPDATES_WANTED
from tests.bot.payloads.telegram_broken import BROKEN
from tests.bot.stubs import (
    GUEST,
    Running,
    StandingClock,
    StubBrain,
    database_away,
    incoming_rows,
    open_house,
)

# The library asks everybody to choose how it gives `retry_after`; the door takes both.
pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")

# Opening


async def test_webhook_is_set_with_its_secret_and_what_we_want_to_hear(house: Running) -> None:
    (call,) = house.witness.named("setWebhook")
    assert call.form["url"] == f"{house.base}/telegram/webhook"
    assert call.form["secret_token"] == house.settings.telegram_secret
    assert json.loads(call.form["allowed_updates"]) == UPDATES_WANTED
    assert "drop_pending_updates" not in call.form, "guests write while we restart"


def test_what_we_want_to_hear() -> None:
    assert UPDATES_WANTED == ["message", "edited_message", "callback_query", "my_chat_member"]


async def test_webhook_stays_when_the_house_closes(
    sqlite_database: str, brain: StubBrain, clock: StandingClock
) -> None:
    async with open_house(brain, clock) as house:
        pass
    assert house.witness.named("deleteWebhook") == []


# Polling


@pytest.fixture
async def polling(
    sqlite_database: str, brain: StubBrain, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    """A house that polls, behind a webhook that an earlier configuration left."""
    made = TelegramPlatform.__init__

    def with_webhook(self: TelegramPlatform, *given: Any, **more: Any) -> None:
        made(self, *given, **more)
        self.updates.webhook = Webhook("http://127.0.0.1:9/gone")

    monkeypatch.setattr(TelegramPlatform, "__init__", with_webhook)
    # A failed poll waits two seconds and more; here it is a moment.
    sleep = asyncio.sleep
    monkeypatch.setattr("bot.telegram.asyncio.sleep", lambda seconds: sleep(min(seconds, 0.01)))
    async with open_house(brain, clock, telegram_mode="polling") as house:
        house.sandbox.telegram.meet(GUEST)
        await house.until(lambda: house.witness.named("getUpdates"))
        yield house


async def test_polling_begins_by_deleting_the_webhook(polling: Running) -> None:
    names = [call.name for call in polling.witness.calls if call.name != "getMe"]
    assert names[:2] == ["deleteWebhook", "getUpdates"]
    assert "drop_pending_updates" not in polling.witness.named("deleteWebhook")[0].form
    assert polling.witness.named("setWebhook") == []


async def test_polled_message_is_answered(polling: Running) -> None:
    await polling.sandbox.telegram.say(GUEST, "points?")
    bubble = await polling.sandbox.telegram.wait_for(str(GUEST), lambda b: b.who == "hotel")
    assert bubble.text == polling.brain.reply.text
    assert polling.brain.asked == ["points?"]


async def test_every_poll_says_what_we_want_to_hear(polling: Running) -> None:
    for number in range(3):
        await polling.sandbox.telegram.say(GUEST, f"message {number}")
        await polling.until(lambda: len(polling.brain.asked) > number)  # noqa: B023 - awaited in the loop
    calls = polling.witness.named("getUpdates")
    assert len(calls) >= 3
    assert all(json.loads(call.form["allowed_updates"]) == UPDATES_WANTED for call in calls)
    assert all(int(call.form["timeout"]) > 0 for call in calls)


async def test_update_is_recorded_before_the_next_poll_confirms_it(polling: Running) -> None:
    """Telegram forgets an update when a poll asks for a later one; by then its row is committed."""
    confirmed: list[tuple[int, list[str]]] = []
    poll = polling.sandbox.telegram.updates.poll

    async def watched(offset: int, limit: int, timeout: int) -> list[dict[str, Any]]:
        confirmed.append((offset, [row.key for row in incoming_rows()]))
        return await poll(offset, limit, timeout)

    polling.sandbox.telegram.updates.poll = watched  # type: ignore[method-assign]
    for number in range(3):
        await polling.sandbox.telegram.say(GUEST, f"message {number}")
    await polling.until(lambda: len(incoming_rows()) == 3 and confirmed and confirmed[-1][0] > 0)
    last = max(offset for offset, _rows in confirmed)
    for offset, rows in confirmed:
        known = {int(key.rpartition(":")[2]) for key in rows}
        assert not offset or set(range(last - 3, offset)) <= known, "confirmed what was not recorded"


async def test_process_killed_between_fetching_and_recording_loses_nothing(
    polling: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second process polls from where Telegram stands: at the update the first one never confirmed."""
    door = polling.house.telegram
    assert door is not None
    take = polling.house.reception.take
    met: list[Incoming] = []

    def dies(incoming: Incoming) -> Any:
        met.append(incoming)
        raise asyncio.CancelledError  # nothing of ours runs any more, as after kill -9

    monkeypatch.setattr(polling.house.reception, "take", dies)
    await polling.sandbox.telegram.say(GUEST, "points?")
    await polling.until(lambda: met)
    assert incoming_rows() == []
    monkeypatch.setattr(polling.house.reception, "take", take)
    successor = asyncio.create_task(door.poll())
    await polling.until(lambda: polling.says(str(GUEST)))
    assert polling.brain.asked == ["points?"]
    successor.cancel()


async def test_polling_survives_a_database_that_goes_away(polling: Running, tmp_path: Path) -> None:
    with database_away(tmp_path):
        await polling.sandbox.telegram.say(GUEST, "points?")
        before = len(polling.witness.named("getUpdates"))
        await polling.until(lambda: len(polling.witness.named("getUpdates")) > before + 1)
        assert polling.brain.asked == []
    await polling.until(lambda: polling.says(str(GUEST)))
    assert polling.brain.asked == ["points?"]
    assert len(incoming_rows()) == 1


@pytest.mark.parametrize("code", [401, 409, 429, 500, 502])
async def test_polling_survives_a_refusal(polling: Running, code: int) -> None:
    polling.sandbox.telegram.fail_next(
        "getUpdates", code, "no", {"retry_after": 1} if code == 429 else None, 2
    )
    await polling.sandbox.telegram.say(GUEST, "points?")
    await polling.until(lambda: polling.says(str(GUEST)))


def _odd_updates() -> Iterator[dict[str, Any]]:
    for body in BROKEN.values():
        with contextlib.suppress(ValueError, RecursionError):  # no JSON at all would be a failed poll
            update = json.loads(body)
            if isinstance(update, dict) and type(update.get("update_id")) is int:
                yield update


async def test_odd_updates_do_not_stop_the_others(polling: Running) -> None:
    """What the library cannot read comes in one batch with a guest's message."""
    updates = polling.sandbox.telegram.updates
    expires = polling.clock() + timedelta(days=1)
    odd = list(_odd_updates())
    assert len(odd) > 10
    for update in odd:
        updates._next_id += 1
        body = {**update, "update_id": updates._next_id}
        updates._hold(Update(updates._next_id, body, ("chat", 5), expires, lambda _arrived: None))
    await polling.sandbox.telegram.say(GUEST, "points?")
    await polling.until(lambda: polling.says(str(GUEST)))
    assert [row.kind for row in incoming_rows()] == ["unreadable"] * len(odd) + ["text"]
