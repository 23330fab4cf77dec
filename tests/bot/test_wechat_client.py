"""WeChat's server API: one token for all threads, one retry, and what each error code means."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot import wechat_client
from bot.channel import (
    GuestGone,
    NotAllowed,
    Outgoing,
    OutOfWindow,
    Rejected,
    SendError,
    TooFast,
    Uncertain,
    Unreachable,
)
from bot.wechat_client import Account, WeChatSender, render, send_error
from tests.bot.stubs import Running, served

SEND = "message/custom/send"
HELLO = Outgoing("oGuest", "您有 500 积分。")
TOMORROW = 6 * 3600


@pytest.fixture
def account(house: Running) -> Account:
    """A client that has not yet fetched a token."""
    follower = house.sandbox.wechat.account.follower("oGuest")
    follower.allowance.earn("message", house.clock())
    given = house.settings
    return Account(given.wechat_app_id, given.wechat_app_secret, given.wechat_api)


# Error codes


CODES: list[tuple[int | None, type[SendError], float | None]] = [
    (None, Unreachable, None),
    (-1, Unreachable, None),
    (45011, TooFast, 60),
    (45009, TooFast, TOMORROW),
    (45015, OutOfWindow, None),
    (45047, OutOfWindow, None),
    (40003, GuestGone, None),
    (43004, GuestGone, None),
    (43019, GuestGone, None),
    (46004, GuestGone, None),
    (48002, GuestGone, None),
    (48001, NotAllowed, 60),
    (48004, NotAllowed, 60),
    (50002, NotAllowed, 60),
    (40013, NotAllowed, 60),
    (61004, NotAllowed, 60),
    (45035, NotAllowed, 60),
    (40243, NotAllowed, 60),
    (40125, NotAllowed, 60),
    (40164, NotAllowed, 60),
    (40001, NotAllowed, 60),
    (40014, NotAllowed, 60),
    (42001, NotAllowed, 60),
    (45002, Rejected, None),
    (45008, Rejected, None),
    (47001, Rejected, None),
    (47003, Rejected, None),
    (40037, Rejected, None),
    (40007, Rejected, None),
    (40200, Rejected, None),
    (99999, Unreachable, None),
]


@pytest.mark.parametrize(("code", "meaning", "after"), CODES)
def test_code(code: int | None, meaning: type[SendError], after: float | None) -> None:
    understood = send_error(code)
    assert type(understood) is meaning
    assert understood.after == after
    assert code is None or str(code) in str(understood), "an operator looks the code up"


def test_every_code_the_house_knows_is_in_the_table() -> None:
    assert set(wechat_client.ERRORS) < {code for code, _meaning, _after in CODES}


async def test_codes_over_the_wire(house: Running, account: Account) -> None:
    for code, meaning, _after in CODES:
        if code is None:
            continue
        house.sandbox.wechat.fail_next(SEND, code, times=2 if code in wechat_client.STALE_TOKEN else 1)
        with pytest.raises(SendError) as raised:
            await WeChatSender(account).send(HELLO)
        assert type(raised.value) is meaning, code
    assert house.says("oGuest") == []
    assert await WeChatSender(account).send(HELLO) == ""
    assert house.says("oGuest") == [HELLO.text]


async def test_sixth_message_is_out_of_the_window(house: Running, account: Account) -> None:
    for _ in range(5):
        await WeChatSender(account).send(HELLO)
    with pytest.raises(OutOfWindow):
        await WeChatSender(account).send(HELLO)


async def test_nobody_of_that_openid(account: Account) -> None:
    with pytest.raises(GuestGone):
        await WeChatSender(account).send(Outgoing("oNobody", "hello"))


async def test_wechat_cannot_tell_what_arrived(account: Account) -> None:
    assert await WeChatSender(account).arrived(HELLO, after="1", newest="1") is None


# The token


async def test_eight_cold_threads_fetch_one_token(house: Running, account: Account) -> None:
    tokens = await asyncio.gather(*(asyncio.to_thread(lambda: account.access_token) for _ in range(8)))
    assert len(set(tokens)) == 1
    (call,) = house.witness.named("stable_token")
    assert call.json == {
        "grant_type": "client_credential",
        "appid": house.settings.wechat_app_id,
        "secret": house.settings.wechat_app_secret,
    }
    assert house.witness.named("token") == [], "the older call would end another process's token"


async def test_token_is_kept(house: Running, account: Account) -> None:
    for _ in range(3):
        await WeChatSender(account).send(HELLO)
    assert len(house.witness.named("stable_token")) == 1
    assert len({call.query["access_token"] for call in house.witness.named(SEND)}) == 1


@pytest.mark.parametrize("code", sorted(wechat_client.STALE_TOKEN))
async def test_stale_token_is_renewed_once_and_the_message_arrives(
    house: Running, account: Account, code: int
) -> None:
    house.sandbox.wechat.fail_next(SEND, code)
    await WeChatSender(account).send(HELLO)
    assert house.says("oGuest") == [HELLO.text]
    assert (len(house.witness.named("stable_token")), len(house.witness.named(SEND))) == (2, 2)


@pytest.mark.parametrize("code", sorted(wechat_client.STALE_TOKEN))
async def test_token_that_stays_refused_is_tried_twice_and_no_more(
    house: Running, account: Account, code: int
) -> None:
    house.sandbox.wechat.fail_next(SEND, code, times=1000)
    with pytest.raises(NotAllowed):
        await WeChatSender(account).send(HELLO)
    assert (len(house.witness.named("stable_token")), len(house.witness.named(SEND))) == (2, 2)


async def test_token_that_ran_out_at_the_platform(house: Running, account: Account) -> None:
    await WeChatSender(account).send(HELLO)
    house.sandbox.wechat.expire_token()
    await asyncio.gather(*(WeChatSender(account).send(HELLO) for _ in range(4)))
    assert len(house.witness.named("stable_token")) == 2, "who waited uses the token another brought"
    assert house.says("oGuest") == [HELLO.text] * 5


@pytest.mark.parametrize(("code", "meaning"), [(40013, NotAllowed), (40125, NotAllowed), (-1, Unreachable)])
async def test_no_token_to_be_had(
    house: Running, account: Account, code: int, meaning: type[SendError]
) -> None:
    house.sandbox.wechat.fail_next("stable_token", code)
    with pytest.raises(meaning):
        await WeChatSender(account).send(HELLO)
    assert house.witness.named(SEND) == []


# A platform that is out of order


@dataclass
class Gateway:
    """A server that answers every call with `answers` in turn, the last one for ever; None: not at all."""

    answers: list[Response | None]
    paths: list[str] = field(default_factory=list)
    base: str = ""

    async def answer(self, request: Request) -> Response:
        self.paths.append(request.url.path.removeprefix("/cgi-bin/"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            while not await request.is_disconnected():
                await asyncio.sleep(0.01)
            return Response(status_code=504)
        return answer

    def account(self) -> Account:
        return Account("wx1", "secret", self.base)


@pytest.fixture
async def gateway(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    monkeypatch.setattr(wechat_client, "TIMEOUT", (0.5, 0.2))
    made = Gateway([])
    listening = socket.create_server(("127.0.0.1", 0))
    made.base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with served(
        Starlette(routes=[Route("/{path:path}", made.answer, methods=["GET", "POST"])]), listening
    ):
        yield made


def token() -> Response:
    return Response(json.dumps({"access_token": "t", "expires_in": 7200}))


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (Response("<html>502 Bad Gateway</html>", media_type="text/html"), Unreachable),
        (Response(""), Unreachable),
        (Response("[]"), Unreachable),
        (Response("7"), Unreachable),
        (Response("null"), Unreachable),
        (Response("no", status_code=500), Unreachable),
        (Response("no", status_code=502), Unreachable),
        (Response('{"errcode": 0}', status_code=404), Unreachable),
        (Response('{"errcode": "many", "errmsg": ""}'), Unreachable),
        (Response('{"errcode": 45015, "errmsg": ""}'), OutOfWindow),
        (Response('{"errcode": "45015", "errmsg": ""}'), OutOfWindow),
        (None, Uncertain),
    ],
    ids=["page", "nothing", "list", "number", "null", "500", "502", "404", "word", "refused", "text", "hung"],
)
async def test_answer_to_a_message(
    gateway: Gateway, answer: Response | None, meaning: type[SendError]
) -> None:
    gateway.answers = [token(), answer]
    with pytest.raises(SendError) as raised:
        await WeChatSender(gateway.account()).send(HELLO)
    assert type(raised.value) is meaning
    assert gateway.paths == ["stable_token", SEND]


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html>502 Bad Gateway</html>", media_type="text/html"),
        Response("{}"),
        Response("[]"),
        Response('{"access_token": "t", "expires_in": "soon"}'),
        Response("no", status_code=500),
        None,
    ],
    ids=["page", "empty", "list", "word", "500", "hung"],
)
async def test_answer_to_the_request_for_a_token(gateway: Gateway, answer: Response | None) -> None:
    gateway.answers = [answer]
    with pytest.raises(Unreachable):
        await WeChatSender(gateway.account()).send(HELLO)
    assert gateway.paths == ["stable_token"], "nothing is sent without a token"


async def test_nothing_listens() -> None:
    with pytest.raises(Unreachable) as raised:
        await WeChatSender(Account("wx1", "secret", "http://127.0.0.1:9")).send(HELLO)
    assert type(raised.value) is Unreachable, "it cannot have arrived"


def test_every_call_has_an_end() -> None:
    connect, read = wechat_client.TIMEOUT
    assert 0 < connect <= 10
    assert 0 < read <= 10
    assert Account("wx1", "secret", "http://127.0.0.1:9").timeout == wechat_client.TIMEOUT


# Words


def test_text_goes_out_as_it_is() -> None:
    assert render("a < b & c > d\n<b>", ()) == "a < b & c > d\n<b>"


@pytest.mark.parametrize("link", ["<a href='x'>", "</a>", "<A HREF=x>", "<a\nhref=x>", "<a\t", "<a>"])
def test_links_of_others_are_none(link: str) -> None:
    assert render(f"Dear {link}", ()) == f"Dear ＜{link[1:]}"


def test_our_choices_are_links_below_the_text() -> None:
    said = render("您好", (('"><a href="x">', "/help"),))
    assert said.splitlines()[:2] == ["您好", ""]
    assert said.count("<a ") == said.count("</a>") == 1
