"""WeChat's API: tokens, errcodes, and how many messages a guest's acts earn."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import APP_ID, APP_SECRET, FakeClock, WeChat

pytestmark = pytest.mark.asyncio(loop_scope="session")

LI = "oABCDEFGHIJKLMNOPQRSTUVWXYZ1"


@pytest.mark.parametrize(
    ("given", "errcode"),
    [
        ({"grant_type": "authorization_code"}, 40002),
        ({"appid": ""}, 41002),
        ({"appid": "wxother"}, 40013),
        ({"secret": ""}, 41004),
        ({"secret": "wrong"}, 40125),
    ],
)
async def test_wrong_credentials_get_their_errcode(
    wechat: WeChat, given: dict[str, str], errcode: int
) -> None:
    answer = await wechat.token(**given)
    assert answer["errcode"] == errcode
    assert "access_token" not in answer


async def test_a_stable_token_stays_the_same_until_its_last_five_minutes(
    wechat: WeChat, clock: FakeClock
) -> None:
    first = await wechat.token()
    assert first["expires_in"] == 7200
    assert len(first["access_token"]) >= 512
    clock.pass_time(minutes=100)
    again = await wechat.token()
    assert again == {"access_token": first["access_token"], "expires_in": 1200}
    clock.pass_time(minutes=16)
    renewed = await wechat.token()
    assert renewed["access_token"] != first["access_token"]
    # For the last minutes both open the door.
    wechat.platform.meet(LI)
    info = {"openid": LI}
    for token in (first["access_token"], renewed["access_token"]):
        answer = await wechat.api.get("/cgi-bin/user/info", params={"access_token": token, **info})
        assert answer.json()["subscribe"] == 1
    clock.pass_time(minutes=5)
    answer = await wechat.api.get(
        "/cgi-bin/user/info", params={"access_token": first["access_token"], **info}
    )
    assert answer.json()["errcode"] == 42001


async def test_a_forced_refresh_ends_the_old_token_and_is_rationed(wechat: WeChat, clock: FakeClock) -> None:
    old = (await wechat.token())["access_token"]
    assert (await wechat.token(force_refresh=True))["access_token"] != old
    assert (await wechat.post("message/custom/send", {}, old))["errcode"] == 42001
    assert (await wechat.token(force_refresh=True))["errcode"] == 45011
    for _ in range(19):
        clock.pass_time(seconds=31)
        assert "access_token" in await wechat.token(force_refresh=True)
    clock.pass_time(seconds=31)
    assert (await wechat.token(force_refresh=True))["errcode"] == 45009


async def test_the_older_token_call_gives_a_new_one_each_time_beside_the_stable_one(
    wechat: WeChat, clock: FakeClock
) -> None:
    query = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}
    stable = (await wechat.token())["access_token"]
    first = (await wechat.api.get("/cgi-bin/token", params=query)).json()["access_token"]
    second = (await wechat.api.get("/cgi-bin/token", params=query)).json()["access_token"]
    assert len({stable, first, second}) == 3
    clock.pass_time(minutes=6)
    codes = {t: (await wechat.post("message/custom/send", {}, t))["errcode"] for t in (stable, first, second)}
    assert codes == {stable: 40003, first: 42001, second: 40003}


@pytest.mark.parametrize(("token", "errcode"), [("", 41001), ("nonsense", 40001)])
async def test_a_call_without_a_good_token_is_refused(wechat: WeChat, token: str, errcode: int) -> None:
    wechat.platform.meet(LI)
    assert (await wechat.post("message/custom/send", {"touser": LI}, token))["errcode"] == errcode


async def test_expired_on_demand(wechat: WeChat) -> None:
    token = (await wechat.token())["access_token"]
    wechat.platform.expire_token()
    assert (await wechat.post("message/custom/typing", {}, token))["errcode"] == 42001
    assert (await wechat.token())["access_token"] != token


def text(content: Any) -> dict[str, Any]:
    return {"touser": LI, "msgtype": "text", "text": {"content": content}}


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (text("好"), 0),
        (text("知" * 682 + "xx"), 0),
        (text("知" * 683), 45002),
        (text(""), 44004),
        (text(7), 47001),
        (b"{broken", 47001),
        (b"[]", 47001),
        ("知".encode("gbk"), 47001),
        ({**text("x"), "touser": "oNobody"}, 40003),
        ({**text("x"), "touser": 5}, 40003),
        ({**text("x"), "msgtype": "dance"}, 40008),
        ({"touser": LI, "msgtype": "text"}, 47001),
        ({"touser": LI, "msgtype": "image", "image": {"media_id": "none"}}, 40007),
        ({"touser": LI, "msgtype": "news", "news": {"articles": [{"title": "a"}]}}, 0),
        ({"touser": LI, "msgtype": "news", "news": {"articles": [{"title": "a"}, {"title": "b"}]}}, 45008),
        ({"touser": LI, "msgtype": "msgmenu", "msgmenu": {"head_content": "?", "list": []}}, 47001),
        ({"touser": LI, "msgtype": "msgmenu", "msgmenu": {"list": [{"id": "1", "content": "是"}]}}, 0),
    ],
)
async def test_a_customer_message_is_checked(wechat: WeChat, body: Any, errcode: int) -> None:
    await wechat.platform.say(LI, "你好")
    assert (await wechat.post("message/custom/send", body))["errcode"] == errcode
    shown = [b for b in wechat.platform.screens.bubbles(LI) if b.who == "hotel"]
    assert len(shown) == (errcode == 0)


async def test_escapes_are_shown_as_they_came(wechat: WeChat) -> None:
    await wechat.platform.say(LI, "你好")
    await wechat.post("message/custom/send", json.dumps(text("你好")).encode())
    await wechat.post("message/custom/send", json.dumps(text("你\\n好"), ensure_ascii=False).encode())
    hotel = [b.text for b in wechat.platform.screens.bubbles(LI) if b.who == "hotel"]
    assert hotel == ["\\u4f60\\u597d", "你\\n好"]


async def test_five_messages_in_forty_eight_hours(wechat: WeChat, clock: FakeClock) -> None:
    wechat.platform.meet(LI)
    assert await wechat.send(LI) == 45015
    await wechat.platform.say(LI, "你好")
    assert [await wechat.send(LI) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    await wechat.platform.say(LI, "还在吗")
    clock.pass_time(hours=47, minutes=59)
    assert await wechat.send(LI) == 0
    clock.pass_time(minutes=1)
    assert await wechat.send(LI) == 45015


async def test_a_menu_tap_earns_three_in_a_minute(wechat: WeChat, clock: FakeClock) -> None:
    await wechat.platform.click(LI, "points")
    assert [await wechat.send(LI) for _ in range(4)] == [0, 0, 0, 45047]
    await wechat.platform.click(LI, "points")
    clock.pass_time(seconds=60)
    assert await wechat.send(LI) == 45015


async def test_following_earns_three_in_a_minute(wechat: WeChat, clock: FakeClock) -> None:
    await wechat.platform.follow(LI)
    assert [await wechat.send(LI) for _ in range(4)] == [0, 0, 0, 45047]


async def test_windows_overlap_but_are_never_summed(wechat: WeChat, clock: FakeClock) -> None:
    await wechat.platform.say(LI, "你好")
    await wechat.platform.click(LI, "points")
    assert [await wechat.send(LI) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    await wechat.platform.click(LI, "points")
    assert [await wechat.send(LI) for _ in range(4)] == [0, 0, 0, 45047]
    clock.pass_time(hours=2)
    # The minute is over, the 48 hours are not, and their five are used up.
    assert await wechat.send(LI) == 45047


async def test_a_menu_option_tap_does_not_renew_the_forty_eight_hours(
    wechat: WeChat, clock: FakeClock
) -> None:
    await wechat.platform.say(LI, "你好")
    menu = {"head_content": "满意吗？", "list": [{"id": "101", "content": "满意"}], "tail_content": ""}
    body = {"touser": LI, "msgtype": "msgmenu", "msgmenu": menu}
    assert (await wechat.post("message/custom/send", body))["errcode"] == 0
    clock.pass_time(hours=49)
    await wechat.platform.tap_link(LI, "满意", "101")
    await wechat.platform.settled()
    assert wechat.door.pushes[-1]["Content"] == "满意"
    assert wechat.door.pushes[-1]["bizmsgmenuid"] == "101"
    assert [await wechat.send(LI) for _ in range(4)] == [0, 0, 0, 45047]
    clock.pass_time(minutes=2)
    assert await wechat.send(LI) == 45015


async def test_who_left_cannot_be_written_to(wechat: WeChat) -> None:
    await wechat.platform.say(LI, "你好")
    await wechat.platform.unfollow(LI)
    assert await wechat.send(LI) == 43004
    with pytest.raises(ValueError, match="follower"):
        await wechat.platform.say(LI, "再见")


async def test_user_info_gives_language_and_no_name(wechat: WeChat) -> None:
    await wechat.platform.follow(LI, language="en")
    token = (await wechat.token())["access_token"]
    query = {"access_token": token, "openid": LI}
    info = (await wechat.api.get("/cgi-bin/user/info", params=query)).json()
    assert (info["subscribe"], info["openid"], info["language"]) == (1, LI, "en")
    assert "nickname" not in info
    await wechat.platform.unfollow(LI)
    gone = (await wechat.api.get("/cgi-bin/user/info", params=query)).json()
    assert gone == {"subscribe": 0, "openid": LI}


async def test_typing_needs_a_guest_who_was_just_here(wechat: WeChat, clock: FakeClock) -> None:
    wechat.platform.meet(LI)

    async def typing(command: str) -> int:
        code: int = (await wechat.post("message/custom/typing", {"touser": LI, "command": command}))[
            "errcode"
        ]
        return code

    assert await typing("Typing") == 45080
    await wechat.platform.say(LI, "你好")
    assert [await typing(c) for c in ("Dance", "Typing", "Typing", "CancelTyping", "Typing")] == [
        45072, 0, 45081, 0, 0,
    ]  # fmt: skip
    clock.pass_time(seconds=31)
    assert await typing("Typing") == 45080


@pytest.mark.parametrize(
    ("buttons", "errcode"),
    [
        ([{"type": "click", "name": "积分", "key": "points"}], 0),
        ([], 40016),
        ([{"type": "click", "name": "x", "key": "k"}] * 4, 40016),
        ([{"type": "click", "name": "一二三四五六", "key": "k"}], 40018),
        ([{"type": "click", "name": "x", "key": "k" * 129}], 40019),
        ([{"name": "x", "sub_button": [{"type": "click", "name": "y", "key": "k"}] * 6}], 40023),
    ],
)
async def test_menus_are_checked(wechat: WeChat, buttons: list[Any], errcode: int) -> None:
    assert (await wechat.post("menu/create", {"button": buttons}))["errcode"] == errcode
    token = (await wechat.token())["access_token"]
    found = (await wechat.api.get("/cgi-bin/menu/get", params={"access_token": token})).json()
    assert found == ({"menu": {"button": buttons}} if not errcode else found)
    assert ("menu" in found) == (errcode == 0)
    if errcode:
        assert found["errcode"] == 46003
    else:
        with pytest.raises(ValueError, match="no entry"):
            await wechat.platform.click(LI, "other")


async def test_faults_on_demand(wechat: WeChat) -> None:
    await wechat.platform.say(LI, "你好")
    wechat.platform.fail_next("message/custom/send", 45009, times=2)
    assert [await wechat.send(LI) for _ in range(3)] == [45009, 45009, 0]
    wechat.platform.hang_next("message/custom/send", 60, after_accepting=True)
    token = (await wechat.token())["access_token"]
    with pytest.raises(httpx.ReadTimeout):
        await wechat.api.post(
            "/cgi-bin/message/custom/send", params={"access_token": token}, json=text("late"), timeout=0.2
        )
    assert [b.text for b in wechat.platform.screens.bubbles(LI) if b.who == "hotel"] == ["好", "late"]


async def test_an_unknown_path_and_a_wrong_method_are_told(wechat: WeChat) -> None:
    assert (await wechat.api.get("/cgi-bin/nothing")).json()["errcode"] == 40066
    assert (await wechat.api.get("/cgi-bin/message/custom/send")).json()["errcode"] == 43002
