"""The Telegram door, outwards: messages, and what each refusal of the Bot API means."""

from __future__ import annotations

from datetime import timedelta

import pytest
from telegram import error as telegram

from bot.channel import (
    GuestGone,
    NotAllowed,
    Outgoing,
    Rejected,
    SendError,
    TooFast,
    Uncertain,
    Unreachable,
)
from bot.sandbox import TelegramPlatform
from bot.telegram import TelegramDoor, keyboard, send_error
from bot.telegram_updates import BUTTON
from nlu.phrasebook import Phrasebook
from tests.bot.stubs import (
    GUEST,
    HELLO,
    Running,
)

# The library asks everybody to choose how it gives `retry_after`; the door takes both.
pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")

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
