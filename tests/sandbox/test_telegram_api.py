"""The Bot API: ways to call it, limits, and the real error texts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import TOKEN, FakeClock, Telegram

pytestmark = pytest.mark.asyncio(loop_scope="session")

LI = 7_000_001
EMPTY = "Bad Request: message text is empty"
BROKEN = "Bad Request: can't parse reply keyboard markup JSON object"
NO_QUOTE = "Bad Request: message to be replied not found"
UNALLOWED = "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
LONG = "Bad Request: message is too long"


@pytest.fixture(autouse=True)
def known(telegram: Telegram) -> None:
    telegram.platform.meet(LI, name="Li", language="zh-hans")


@pytest.mark.parametrize(
    ("path", "status", "description"),
    [
        ("/bot1:wrong/getMe", 401, "Unauthorized"),
        ("/botwrong/getMe", 404, "Not Found"),
        ("/bot0:x/getMe", 404, "Not Found"),
        (f"/bot{TOKEN}/dance", 404, "Not Found: method not found"),
        ("/file/bot1:wrong/photos/file_0.jpg", 401, "Unauthorized"),
        (f"/file/bot{TOKEN}/photos/none.jpg", 404, "Not Found"),
    ],
)
async def test_a_wrong_address_is_refused(
    telegram: Telegram, path: str, status: int, description: str
) -> None:
    answer = await telegram.api.get(path)
    assert answer.status_code == status
    assert answer.json() == {"ok": False, "error_code": status, "description": description}


async def test_get_me(telegram: Telegram) -> None:
    me = await telegram.get("getMe")
    assert (me["id"], me["is_bot"]) == (123456, True)
    assert {"first_name", "username", "can_join_groups", "supports_inline_queries"} <= set(me)


CALLS: dict[str, dict[str, Any]] = {
    "query": {"method": "GET", "params": {"chat_id": LI, "text": "你好 <b>"}},
    "json": {"method": "POST", "json": {"chat_id": LI, "text": "你好 <b>"}},
    "form": {"method": "POST", "data": {"chat_id": LI, "text": "你好 <b>"}},
    "multipart": {
        "method": "POST",
        "data": {"chat_id": str(LI), "text": "你好 <b>"},
        "files": {"unused": ("a.bin", b"\x00\r\n--x")},
    },
}


@pytest.mark.parametrize("how", CALLS)
async def test_four_ways_to_say_the_same(telegram: Telegram, how: str) -> None:
    answer = await telegram.api.request(url=f"/bot{TOKEN}/sendMessage", **CALLS[how])
    message = answer.json()["result"]
    assert message["text"] == "你好 <b>"
    assert message["chat"] == {"id": LI, "first_name": "Li", "type": "private"}
    assert message["from"]["is_bot"] is True


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff"])
async def test_a_broken_body_is_refused(telegram: Telegram, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await telegram.api.post(f"/bot{TOKEN}/sendMessage", content=body, headers=headers)
    assert answer.status_code == 400


async def test_method_names_ignore_case(telegram: Telegram) -> None:
    assert (await telegram.get("SENDMESSAGE", chat_id=LI, text="x"))["text"] == "x"


@pytest.mark.parametrize(
    ("given", "code", "description"),
    [
        ({"text": "x"}, 400, "Bad Request: chat_id is empty"),
        ({"chat_id": 1, "text": "x"}, 400, "Bad Request: chat not found"),
        ({"chat_id": "@somebody", "text": "x"}, 400, "Bad Request: chat not found"),
        ({"chat_id": LI}, 400, EMPTY),
        ({"chat_id": LI, "text": " \n "}, 400, EMPTY),
        ({"chat_id": LI, "text": "<b> </b>", "parse_mode": "HTML"}, 400, EMPTY),
        ({"chat_id": LI, "text": "x" * 4097}, 400, LONG),
        ({"chat_id": LI, "text": "🏨" * 2049}, 400, LONG),
        ({"chat_id": LI, "text": "x", "parse_mode": "BBCode"}, 400, "Bad Request: unsupported parse_mode"),
        ({"chat_id": LI, "text": "x", "reply_markup": "{"}, 400, BROKEN),
        ({"chat_id": LI, "text": "x", "reply_markup": []}, 400, "Bad Request: object expected as reply markup"),
        ({"chat_id": LI, "text": "x", "reply_parameters": {"message_id": 99}}, 400, NO_QUOTE),
    ],
)  # fmt: skip
async def test_a_bad_message_is_refused(
    telegram: Telegram, given: dict[str, Any], code: int, description: str
) -> None:
    assert await telegram.refusal("sendMessage", **given) == (code, description)
    assert telegram.platform.screens.bubbles(str(LI)) == []


@pytest.mark.parametrize("text", ["x" * 4096, "🏨" * 2048, "<b>" + "x" * 4096 + "</b>"])
async def test_4096_units_after_parsing_are_allowed(telegram: Telegram, text: str) -> None:
    mode = {"parse_mode": "HTML"} if text.startswith("<") else {}
    assert await telegram.get("sendMessage", chat_id=LI, text=text, **mode)


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("<b>12</b> points", "12 points", [("bold", 0, 2)]),
        ("🏨 <i>x</i>", "🏨 x", [("italic", 3, 1)]),
        ("<b>a<i>b</i></b>", "ab", [("bold", 0, 2), ("italic", 1, 1)]),
        ("&lt;b&gt; &amp; &quot;&#39;&#x41; &copy;", "<b> & \"'A &copy;", []),
        ('<a href="https://x.y/?a=1&amp;b=2">z</a>', "z", [("text_link", 0, 1)]),
        ("  <b> a </b>  ", "a", [("bold", 0, 1)]),
        ("2 > 1", "2 > 1", []),
        ("<b></b>x", "x", []),
    ],
)
async def test_html_becomes_entities(
    telegram: Telegram, source: str, text: str, entities: list[tuple[str, int, int]]
) -> None:
    message = await telegram.get("sendMessage", chat_id=LI, text=source, parse_mode="HTML")
    assert message["text"] == text
    found = [(e["type"], e["offset"], e["length"]) for e in message.get("entities", [])]
    assert found == entities


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 < 2", 'Unsupported start tag "" at byte offset 2'),
        ("知 <p>x</p>", 'Unsupported start tag "p" at byte offset 4'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
async def test_bad_html_is_refused(telegram: Telegram, source: str, reason: str) -> None:
    refusal = await telegram.refusal("sendMessage", chat_id=LI, text=source, parse_mode="HTML")
    assert refusal == (400, f"Bad Request: can't parse entities: {reason}")


def inline(*buttons: Any) -> dict[str, Any]:
    return {"inline_keyboard": [list(buttons)]}


@pytest.mark.parametrize(
    ("markup", "description"),
    [
        (inline({"text": "x", "callback_data": "知" * 21 + "xx"}), "BUTTON_DATA_INVALID"),
        (inline({"text": "x", "callback_data": ""}), "BUTTON_DATA_INVALID"),
        (inline({"text": " ", "callback_data": "x"}), "BUTTON_TEXT_INVALID"),
        (inline({"callback_data": "x"}), "can't parse inline keyboard button: Can't find field \"text\""),
        (inline({"text": "x"}), UNALLOWED),
        (inline({"text": "x", "url": "zhike"}), "inline keyboard button URL 'zhike' is invalid: Wrong HTTP URL"),
        (inline(*[{"text": "x", "callback_data": "x"}] * 101), "reply markup is too long"),
        ({"inline_keyboard": 5}, 'field "inline_keyboard" must be of type Array'),
    ],
)  # fmt: skip
async def test_bad_keyboards_are_refused(telegram: Telegram, markup: Any, description: str) -> None:
    refusal = await telegram.refusal("sendMessage", chat_id=LI, text="x", reply_markup=markup)
    assert refusal == (400, f"Bad Request: {description}")


async def test_a_keyboard_of_64_bytes_is_shown(telegram: Telegram) -> None:
    data = "知" * 21 + "x"
    await telegram.get(
        "sendMessage",
        chat_id=LI,
        text="x",
        reply_markup=json.dumps(inline({"text": "积分", "callback_data": data})),
    )
    (bubble,) = telegram.platform.screens.bubbles(str(LI))
    assert [(c.title, c.payload) for c in bubble.choices] == [("积分", data)]


async def test_message_ids_grow_over_all_chats(telegram: Telegram) -> None:
    first = await telegram.platform.say(LI, "a")
    second = (await telegram.get("sendMessage", chat_id=LI, text="b"))["message_id"]
    third = await telegram.platform.say(LI + 1, "c")
    assert [second - first, third - second] == [1, 1]


async def test_replies_quote_and_may_be_lenient(telegram: Telegram) -> None:
    asked = await telegram.platform.say(LI, "积分？")
    message = await telegram.get("sendMessage", chat_id=LI, text="x", reply_parameters={"message_id": asked})
    assert message["reply_to_message"]["text"] == "积分？"
    lenient = {"message_id": 999, "allow_sending_without_reply": True}
    assert "reply_to_message" not in await telegram.get(
        "sendMessage", chat_id=LI, text="x", reply_parameters=lenient
    )


async def test_editing(telegram: Telegram, clock: FakeClock) -> None:
    sent = (await telegram.get("sendMessage", chat_id=LI, text="a"))["message_id"]
    clock.pass_time(seconds=3)
    edited = await telegram.get(
        "editMessageText", chat_id=LI, message_id=sent, text="<b>b</b>", parse_mode="HTML"
    )
    assert (edited["text"], edited["edit_date"]) == ("b", edited["date"] + 3)
    assert [(b.text, b.edited) for b in telegram.platform.screens.bubbles(str(LI))] == [("b", True)]
    guests = await telegram.platform.say(LI, "mine")
    telegram.platform.meet(LI + 1)
    same = {"chat_id": LI, "message_id": sent, "text": "<b>b</b>", "parse_mode": "HTML"}
    for given, description in (
        (
            same,
            "message is not modified: specified new message content and reply markup are exactly the same "
            "as a current content and reply markup of the message",
        ),
        ({**same, "message_id": 999}, "message to edit not found"),
        ({**same, "chat_id": LI + 1}, "message to edit not found"),
        ({**same, "message_id": guests}, "message can't be edited"),
    ):
        assert await telegram.refusal("editMessageText", **given) == (400, f"Bad Request: {description}")
    # The same words with other buttons are a change.
    assert await telegram.get(
        "editMessageText", **same, reply_markup=inline({"text": "x", "callback_data": "y"})
    )


async def test_deleting(telegram: Telegram, clock: FakeClock) -> None:
    sent = (await telegram.get("sendMessage", chat_id=LI, text="a"))["message_id"]
    old = (await telegram.get("sendMessage", chat_id=LI, text="b"))["message_id"]
    assert await telegram.get("deleteMessage", chat_id=LI, message_id=sent) is True
    gone = (400, "Bad Request: message to delete not found")
    assert await telegram.refusal("deleteMessage", chat_id=LI, message_id=sent) == gone
    clock.pass_time(hours=49)
    late = (400, "Bad Request: message can't be deleted for everyone")
    assert await telegram.refusal("deleteMessage", chat_id=LI, message_id=old) == late


async def test_a_tap_can_be_answered_once_and_not_late(telegram: Telegram, clock: FakeClock) -> None:
    sent = (
        await telegram.get(
            "sendMessage", chat_id=LI, text="a", reply_markup=inline({"text": "x", "callback_data": "y"})
        )
    )["message_id"]
    too_old = (
        400,
        "Bad Request: query is too old and response timeout expired or query ID is invalid",
    )
    first = await telegram.platform.tap(LI, sent, "y")
    assert await telegram.get("answerCallbackQuery", callback_query_id=first, text="好") is True
    assert telegram.platform.screens.bubbles(str(LI))[-1].text == "好"
    assert await telegram.refusal("answerCallbackQuery", callback_query_id=first) == too_old
    second = await telegram.platform.tap(LI, sent, "y")
    long = (400, "Bad Request: MESSAGE_TOO_LONG")
    assert await telegram.refusal("answerCallbackQuery", callback_query_id=second, text="x" * 201) == long
    clock.pass_time(seconds=151)
    assert await telegram.refusal("answerCallbackQuery", callback_query_id=second) == too_old
    assert await telegram.refusal("answerCallbackQuery", callback_query_id="1") == too_old


async def test_typing_is_seen_until_something_is_said(telegram: Telegram) -> None:
    watch = telegram.platform.watch(str(LI))
    bad = (400, "Bad Request: wrong parameter action in request")
    assert await telegram.refusal("sendChatAction", chat_id=LI, action="dance") == bad
    seen: list[Any] = []

    async def look() -> None:
        async for happening in watch:
            seen.append(getattr(happening, "on", getattr(happening, "text", None)))
            if len(seen) == 3:
                return

    looking = asyncio.ensure_future(look())
    await asyncio.sleep(0)
    await telegram.get("sendChatAction", chat_id=LI, action="typing")
    await telegram.get("sendMessage", chat_id=LI, text="a")
    await asyncio.wait_for(looking, 5)
    assert seen == [True, False, "a"]


async def test_commands_are_kept_by_scope_and_language(telegram: Telegram) -> None:
    chinese = [{"command": "points", "description": "积分"}]
    english = [{"command": "points", "description": "Points"}]
    await telegram.get("setMyCommands", commands=english)
    await telegram.get(
        "setMyCommands", commands=chinese, language_code="zh", scope={"type": "all_private_chats"}
    )
    assert await telegram.get("getMyCommands") == english
    assert await telegram.get("getMyCommands", language_code="zh") == []
    private = {"scope": {"type": "all_private_chats"}, "language_code": "zh"}
    assert await telegram.get("getMyCommands", **private) == chinese


@pytest.mark.parametrize(
    ("given", "description"),
    [
        ({"commands": [{"command": "Points", "description": "x"}]}, "BOT_COMMAND_INVALID"),
        ({"commands": [{"command": "x" * 33, "description": "x"}]}, "BOT_COMMAND_INVALID"),
        ({"commands": [{"command": "x", "description": ""}]}, "BOT_COMMAND_DESCRIPTION_INVALID"),
        ({"commands": [{"command": "x", "description": "x"}] * 101}, "too many commands specified"),
        ({"commands": [], "language_code": "zh-hans"}, "invalid language code specified"),
    ],
)
async def test_bad_commands_are_refused(telegram: Telegram, given: dict[str, Any], description: str) -> None:
    assert await telegram.refusal("setMyCommands", **given) == (400, f"Bad Request: {description}")


async def test_descriptions_by_language(telegram: Telegram) -> None:
    await telegram.get("setMyDescription", description="Ask me.")
    await telegram.get("setMyDescription", description="问我。", language_code="zh")
    assert await telegram.get("getMyDescription", language_code="zh") == {"description": "问我。"}
    assert await telegram.get("getMyDescription", language_code="fr") == {"description": "Ask me."}
    code, _ = await telegram.refusal("setMyDescription", description="x" * 513)
    assert code == 400


async def test_a_photo_can_be_fetched(telegram: Telegram) -> None:
    await telegram.platform.send_photo(LI, "看")
    (update,) = await telegram.get("getUpdates")
    photo = update["message"]["photo"][-1]
    assert update["message"]["caption"] == "看"
    found = await telegram.get("getFile", file_id=photo["file_id"])
    content = await telegram.api.get(f"/file/bot{TOKEN}/{found['file_path']}")
    assert len(content.content) == found["file_size"] == photo["file_size"]
    assert content.content.startswith(b"\xff\xd8\xff")
    code, _ = await telegram.refusal("getFile", file_id="none")
    assert code == 400


async def test_get_chat(telegram: Telegram) -> None:
    chat = await telegram.get("getChat", chat_id=LI)
    assert (chat["id"], chat["first_name"], chat["type"]) == (LI, "Li", "private")


async def test_faults_on_demand(telegram: Telegram) -> None:
    platform = telegram.platform
    platform.fail_next("sendMessage", 429, "Too Many Requests: retry after 3", {"retry_after": 3}, times=2)
    for _ in range(2):
        answer = await telegram.api.post(f"/bot{TOKEN}/sendMessage", json={"chat_id": LI, "text": "x"})
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "3"
        assert answer.json()["parameters"] == {"retry_after": 3}
    platform.hang_next("sendMessage", 60, after_accepting=True)
    platform.hang_next("sendMessage", 60, after_accepting=False)
    for text in ("accepted", "lost"):
        with pytest.raises(httpx.ReadTimeout):
            await telegram.api.post(
                f"/bot{TOKEN}/sendMessage", json={"chat_id": LI, "text": text}, timeout=0.2
            )
    platform.hang_next("sendMessage", 0.05, after_accepting=False)
    answer = await telegram.api.post(f"/bot{TOKEN}/sendMessage", json={"chat_id": LI, "text": "x"})
    assert answer.status_code == 504
    assert [b.text for b in platform.screens.bubbles(str(LI))] == ["accepted"]
