"""The Telegram door, outwards: polling, messages, and what each refusal of the Bot API means."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from telegram import error as telegram

from bot.channel import (
    GuestGone,
    Incoming,
    NotAllowed,
    Outgoing,
    Rejected,
    SendError,
    TooFast,
    Uncertain,
    Unreachable,
)
from bot.sandbox import TelegramPlatform
from bot.sandbox.telegram_updates import Update, Webhook
from bot.telegram import PROBES, UPDATES_WANTED, TelegramDoor, keyboard, send_error
from bot.telegram_updates import BUTTON
from nlu.phrasebook import Phrasebook
from tests.bot.payloads.telegram_broken import BROKEN
from tests.bot.stubs import Running, StandingClock, StubBrain, database_away, incoming_rows, open_house

# The library asks everybody to choose how it gives `retry_after`; the door takes both.
pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")

GUEST = 7001
OTHER = 7002
HELLO = Outgoing(str(GUEST), "You have 500 points.", (("My points", "/points_balance"),))


@pytest.fixture
def door(house: Running) -> TelegramDoor:
    assert house.house.telegram is not None
    return house.house.telegram


@pytest.fixture
def platform(house: Running) -> TelegramPlatform:
    house.sandbox.telegram.meet(GUEST)
    house.sandbox.telegram.meet(OTHER)
    return house.sandbox.telegram


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


# What a refusal means


REFUSALS: list[tuple[telegram.TelegramError, type[SendError]]] = [
    (telegram.Forbidden("Forbidden: bot was blocked by the user"), GuestGone),
    (telegram.Forbidden("Forbidden: user is deactivated"), GuestGone),
    (telegram.Forbidden("Forbidden: bot was kicked from the group chat"), GuestGone),
    (telegram.BadRequest("Chat not found"), GuestGone),
    (telegram.BadRequest("Message is too long"), Rejected),
    (telegram.BadRequest("Can't parse entities: unsupported start tag"), Rejected),
    (telegram.BadRequest("Button_data_invalid"), Rejected),
    (telegram.InvalidToken("Unauthorized"), NotAllowed),
    (telegram.TimedOut(), Uncertain),
    (telegram.NetworkError("httpx.ReadError: "), Uncertain),
    (telegram.NetworkError("httpx.RemoteProtocolError: Server disconnected"), Uncertain),
    (telegram.NetworkError("Bad Gateway (502)"), Uncertain),
    (telegram.NetworkError("httpx.ConnectError: refused"), Unreachable),
    (telegram.NetworkError("httpx.ProxyError: 407"), Unreachable),
    (telegram.Conflict("terminated by other getUpdates request"), Unreachable),
    (telegram.ChatMigrated(-1001), Rejected),
    (telegram.TelegramError("something new"), Unreachable),
    (telegram.EndPointNotFound("Endpoint not found in Bot API"), Unreachable),
    (telegram.PassportDecryptionError("no"), Unreachable),
]


@pytest.mark.parametrize(
    ("raised", "meaning"), REFUSALS, ids=lambda value: getattr(value, "message", "")[:40]
)
def test_refusal(raised: telegram.TelegramError, meaning: type[SendError]) -> None:
    understood = send_error(raised)
    assert type(understood) is meaning
    assert understood.after is None


@pytest.mark.parametrize("wait", [17, timedelta(seconds=17)])
def test_flood(wait: int | timedelta) -> None:
    understood = send_error(telegram.RetryAfter(wait))
    assert type(understood) is TooFast
    assert understood.after == 17


def test_what_telegram_quotes_is_not_passed_on() -> None:
    assert str(send_error(telegram.BadRequest("Can't parse entities: <words>"))) == "Can't parse entities"


def test_no_error_of_the_library_is_left_out() -> None:
    kinds = [kind for kind in vars(telegram).values() if isinstance(kind, type)]
    assert {kind for kind in kinds if issubclass(kind, telegram.TelegramError)} == {
        telegram.RetryAfter,
        *(type(raised) for raised, _meaning in REFUSALS),
    }


@pytest.mark.parametrize(
    ("code", "description", "parameters", "meaning"),
    [
        (429, "Too Many Requests: retry after 5", {"retry_after": 5}, TooFast),
        (403, "Forbidden: bot was blocked by the user", None, GuestGone),
        (400, "Bad Request: chat not found", None, GuestGone),
        (400, "Bad Request: message text is empty", None, Rejected),
        (401, "Unauthorized", None, NotAllowed),
        (404, "Not Found", None, NotAllowed),
        (500, "Internal Server Error", None, Uncertain),
        (502, "Bad Gateway", None, Uncertain),
    ],
)
async def test_refusal_over_the_wire(
    door: TelegramDoor,
    platform: TelegramPlatform,
    code: int,
    description: str,
    parameters: dict[str, int] | None,
    meaning: type[SendError],
) -> None:
    platform.fail_next("sendMessage", code, description, parameters)
    with pytest.raises(SendError) as raised:
        await door.send(HELLO)
    assert type(raised.value) is meaning
    assert raised.value.after == (5 if meaning is TooFast else None)


async def test_secret_is_not_in_what_a_refused_token_raises(door: TelegramDoor, house: Running) -> None:
    house.sandbox.telegram.fail_next("sendMessage", 401, "Unauthorized")
    with pytest.raises(NotAllowed) as raised:
        await door.send(HELLO)
    assert house.settings.telegram_token.split(":")[1] not in str(raised.value)
    assert "ZHIKE_TELEGRAM_TOKEN" in str(raised.value)


async def test_nothing_listens(house: Running) -> None:
    door = TelegramDoor(token="1:a", api="http://127.0.0.1:9", secret="", reception=house.house.reception)
    with pytest.raises(Unreachable) as raised:
        await door.open("", webhook=False)
    assert type(raised.value) is Unreachable
    await door.close()


# Messages and buttons


async def test_markup_in_a_name_is_shown_as_it_is(door: TelegramDoor, platform: TelegramPlatform) -> None:
    words = Outgoing(str(GUEST), 'Hello <b>&"*_[x](y) </b>, 您好 😀')
    message_id = await door.send(words)
    assert platform.account.messages[int(message_id)].text == words.text


def test_no_choices_no_keyboard() -> None:
    assert keyboard(()) is None


def test_every_choice_we_offer_fits_a_button(phrasebook: Phrasebook) -> None:
    assert {"/points_balance", "/help"} <= set(phrasebook.payloads)
    for payload in phrasebook.payloads:
        made = keyboard((("title", payload),))
        assert made is not None
        ((button,),) = made.inline_keyboard
        data = str(button.callback_data)
        assert data.startswith(BUTTON)
        assert 1 <= len(data.encode()) <= 64
        assert "/" + data[len(BUTTON) :] == payload, "a tap must find its way back"


async def test_buttons_are_one_a_row(door: TelegramDoor, platform: TelegramPlatform) -> None:
    choices = (("My points", "/points_balance"), ("Help", "/help"))
    await door.send(Outgoing(str(GUEST), "Hello", choices))
    (bubble,) = platform.screens.bubbles(str(GUEST))
    assert [(c.title, c.payload, c.row) for c in bubble.choices] == [
        ("My points", "v1:points_balance", 0),
        ("Help", "v1:help", 1),
    ]


# Did it arrive?


@pytest.fixture
def deaf(platform: TelegramPlatform) -> TelegramPlatform:
    """The platform without a webhook: what guests write is not answered."""
    platform.updates.set_webhook(None)
    return platform


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "delivered"])
@pytest.mark.parametrize("guest_wrote", [0, 2], ids=["", "guest wrote"])
@pytest.mark.parametrize("elsewhere", [0, 3], ids=["", "others spoke"])
async def test_arrived(
    door: TelegramDoor, deaf: TelegramPlatform, lost: bool, guest_wrote: int, elsewhere: int
) -> None:
    """The answer of a send is lost; meanwhile the guest and other chats go on, and take message ids."""
    before = await deaf.say(GUEST, "points?")
    for _ in range(elsewhere):
        await door.send(Outgoing(str(OTHER), HELLO.text, HELLO.choices))
    if not lost:
        await door.send(HELLO)
    for number in range(guest_wrote):
        await deaf.say(GUEST, f"hello? {number}")
    for _ in range(elsewhere):
        await deaf.say(OTHER, HELLO.text)
    shown = [(b.id, b.seq, b.text) for b in deaf.screens.bubbles(str(GUEST)) if b.who == "hotel"]
    assert (await door.arrived(HELLO, after=str(before), newest="") is None) is lost
    assert shown == [(b.id, b.seq, b.text) for b in deaf.screens.bubbles(str(GUEST)) if b.who == "hotel"]
    assert all(not b.edited for b in deaf.screens.bubbles(str(OTHER)))


async def test_arrived_asks_no_further_than_it_must(
    door: TelegramDoor, deaf: TelegramPlatform, house: Running
) -> None:
    before = await deaf.say(GUEST, "points?")
    await door.arrived(HELLO, after=str(before), newest=str(before))
    assert len(house.witness.named("editMessageText")) == PROBES


async def test_arrived_looks_as_far_as_the_house_has_come(door: TelegramDoor, deaf: TelegramPlatform) -> None:
    """In a busy house others' messages lie between the guest's and ours."""
    before = await deaf.say(GUEST, "points?")
    for _ in range(PROBES + 5):
        newest = await door.send(Outgoing(str(OTHER), "others"))
    ours = await door.send(HELLO)
    assert await door.arrived(HELLO, after=str(before), newest=newest) == ours


async def test_arrived_stops_when_an_edit_goes_through(
    door: TelegramDoor, deaf: TelegramPlatform, house: Running
) -> None:
    before = await deaf.say(GUEST, "points?")
    await door.send(Outgoing(str(GUEST), "another of ours, its id unknown"))
    await door.send(HELLO)
    assert await door.arrived(HELLO, after=str(before), newest="") is None
    assert len(house.witness.named("editMessageText")) == 1


async def test_arrived_knows_nothing_without_a_last_message(door: TelegramDoor, house: Running) -> None:
    assert await door.arrived(HELLO, after="", newest="9") is None
    assert house.witness.named("editMessageText") == []


async def test_arrived_that_cannot_ask_says_so(door: TelegramDoor, platform: TelegramPlatform) -> None:
    platform.fail_next("editMessageText", 429, "Too Many Requests: retry after 5", {"retry_after": 5})
    with pytest.raises(TooFast):
        await door.arrived(HELLO, after="1", newest="1")


async def test_send_cut_off_after_it_arrived_is_not_sent_again(
    house: Running, platform: TelegramPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: the platform accepts, we never hear so, and the guest sees one bubble."""
    door = house.house.telegram
    assert door is not None
    send = door._bot.send_message
    attempts = itertools.count(1)

    async def impatient(**given: Any) -> Any:
        return await send(**given, read_timeout=0.1 if next(attempts) == 1 else 5)

    monkeypatch.setattr(type(door._bot), "send_message", lambda _bot, **given: impatient(**given))
    platform.hang_next("sendMessage", 1, after_accepting=True)
    await platform.say(GUEST, "points?")
    await house.until(lambda: house.brain.asked)
    await house.idle()
    house.clock.advance(2)
    house.house.recovery.look()
    await house.idle()
    assert house.says(str(GUEST)) == [house.brain.reply.text]
    assert len(house.witness.named("sendMessage")) == 1
