"""WeChat's server-side API as far as the house uses it, with the platform's errcodes."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from bot.sandbox.wechat_account import Account, Follower, WeChatError
from bot.sandbox.wechat_text import LONGEST_TEXT, Shown, shown, shown_menu, shown_news

_TYPING_LIFE = timedelta(seconds=15)
_TYPING_AFTER = timedelta(seconds=30)
_ESCAPED = re.compile(rb"(?<!\\)((?:\\\\)*)\\u(?!00[01])")

Query = Mapping[str, str]
Handler = Callable[[Account, Query, bytes], dict[str, Any]]
OK: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}


def stable_token(account: Account, query: Query, body: bytes) -> dict[str, Any]:
    given = read_json(body)
    _check_credentials(account, given)
    token, seconds = account.tokens.stable(given.get("force_refresh") is True)
    return {"access_token": token, "expires_in": seconds}


def token(account: Account, query: Query, body: bytes) -> dict[str, Any]:
    _check_credentials(account, query)
    value, seconds = account.tokens.plain()
    return {"access_token": value, "expires_in": seconds}


def _check_credentials(account: Account, given: Mapping[str, Any]) -> None:
    if given.get("grant_type") != "client_credential":
        raise WeChatError(40002, "invalid grant_type")
    if not given.get("appid"):
        raise WeChatError(41002, "appid missing")
    if given["appid"] != account.app_id:
        raise WeChatError(40013, "invalid appid")
    if not given.get("secret"):
        raise WeChatError(41004, "appsecret missing")
    if not hmac.compare_digest(str(given["secret"]).encode(), account.app_secret.encode()):
        raise WeChatError(40125, "invalid appsecret, view more at http://t.cn/RAEkdVq")


def custom_send(account: Account, query: Query, body: bytes) -> dict[str, Any]:
    account.tokens.check(query.get("access_token"))
    given = read_json(body)
    follower = account.known(given.get("touser"))
    kind = given.get("msgtype")
    if kind not in _CONTENTS:
        raise WeChatError(40008, "invalid message type")
    content = given.get(kind)
    if not isinstance(content, dict):
        raise WeChatError(47001, "data format error")
    message = _CONTENTS[kind](account, content)
    _spend(account, follower)
    account.screens.show(
        follower.openid, "hotel", message.text, kind=kind, pieces=message.pieces, choices=message.choices
    )
    return OK


def _spend(account: Account, follower: Follower) -> None:
    if not follower.subscribed:
        raise WeChatError(43004, "require subscribe")
    refusal = follower.allowance.spend(account.clock())
    if refusal == "too late":
        raise WeChatError(45015, "response out of time limit or subscription is canceled")
    if refusal == "too many":
        raise WeChatError(45047, "out of response count limit")


def _text(account: Account, content: dict[str, Any]) -> Shown:
    return shown(_limited(content.get("content")))


def _limited(text: Any) -> str:
    if not isinstance(text, str):
        raise WeChatError(47001, "data format error")
    if not text.strip():
        raise WeChatError(44004, "empty content")
    if len(text.encode("utf-8", "replace")) > LONGEST_TEXT:
        raise WeChatError(45002, "content size out of limit")
    return text


def _image(account: Account, content: dict[str, Any]) -> Shown:
    if content.get("media_id") not in account.media:
        raise WeChatError(40007, "invalid media_id")
    return shown("[图片]")


def _news(account: Account, content: dict[str, Any]) -> Shown:
    articles = content.get("articles")
    if not isinstance(articles, list) or not articles or not all(isinstance(a, dict) for a in articles):
        raise WeChatError(47001, "data format error")
    if len(articles) > 1:
        raise WeChatError(45008, "article size out of limit")
    return shown_news(articles)


def _menu(account: Account, content: dict[str, Any]) -> Shown:
    options = content.get("list")
    if not isinstance(options, list) or not options:
        raise WeChatError(47001, "data format error")
    for option in options:
        if not isinstance(option, dict) or not option.get("id") or not option.get("content"):
            raise WeChatError(47001, "data format error")
    message = shown_menu(content)
    _limited(message.text)
    return message


_CONTENTS: dict[str, Callable[[Account, dict[str, Any]], Shown]] = {
    "text": _text,
    "image": _image,
    "news": _news,
    "msgmenu": _menu,
}


def typing(account: Account, query: Query, body: bytes) -> dict[str, Any]:
    account.tokens.check(query.get("access_token"))
    given = read_json(body)
    follower = account.known(given.get("touser"))
    now = account.clock()
    if given.get("command") not in ("Typing", "CancelTyping"):
        raise WeChatError(45072, "invalid command")
    if follower.last_act is None or now - follower.last_act > _TYPING_AFTER:
        raise WeChatError(45080, "can only send typing after the user has interacted within 30 seconds")
    on = given["command"] == "Typing"
    already = follower.typing_until is not None and now < follower.typing_until
    if on and already:
        raise WeChatError(45081, "already in typing state")
    follower.typing_until = now + _TYPING_LIFE if on else None
    account.screens.typing(follower.openid, on)
    return OK


def user_info(account: Account, query: Query, body: bytes) -> dict[str, Any]:
    account.tokens.check(query.get("access_token"))
    follower = account.known(query.get("openid"))
    if not follower.subscribed:
        return {"subscribe": 0, "openid": follower.openid}
    # No nickname and no picture: WeChat stopped giving them in 2021.
    return {
        "subscribe": 1,
        "openid": follower.openid,
        "language": follower.language,
        "subscribe_time": follower.since,
        "remark": "",
        "groupid": 0,
        "tagid_list": [],
        "subscribe_scene": "ADD_SCENE_QR_CODE",
        "qr_scene": 0,
        "qr_scene_str": "",
    }


def menu_create(account: Account, query: Query, body: bytes) -> dict[str, Any]:
    account.tokens.check(query.get("access_token"))
    buttons = read_json(body).get("button")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        raise WeChatError(40016, "invalid button size")
    for button in buttons:
        _check_button(button, 16, 40018, 40019)
        below = button.get("sub_button") or []
        if len(below) > 5:
            raise WeChatError(40023, "invalid sub button size")
        for child in below:
            _check_button(child, 40, 40025, 40026)
    account.menu = buttons
    return OK


def _check_button(button: Any, longest: int, name_error: int, key_error: int) -> None:
    if not isinstance(button, dict):
        raise WeChatError(47001, "data format error")
    if not 1 <= len(str(button.get("name", "")).encode()) <= longest:
        raise WeChatError(name_error, "invalid button name size")
    if len(str(button.get("key", "")).encode()) > 128:
        raise WeChatError(key_error, "invalid button key size")


def menu_get(account: Account, query: Query, body: bytes) -> dict[str, Any]:
    account.tokens.check(query.get("access_token"))
    if account.menu is None:
        raise WeChatError(46003, "menu no exist")
    return {"menu": {"button": account.menu}}


def menu_delete(account: Account, query: Query, body: bytes) -> dict[str, Any]:
    account.tokens.check(query.get("access_token"))
    account.menu = None
    return OK


def read_json(body: bytes) -> dict[str, Any]:
    r"""A JSON body. Raises `WeChatError` 47001.

    WeChat does not undo \uXXXX: a guest would see the escapes, so they stay as they are.
    """
    try:
        given = json.loads(_ESCAPED.sub(rb"\1\\\\u", body).decode())
    except ValueError:
        raise WeChatError(47001, "data format error") from None
    if not isinstance(given, dict):
        raise WeChatError(47001, "data format error")
    return given


# Path below /cgi-bin/: the HTTP method it wants, and what it does.
API: dict[str, tuple[str, Handler]] = {
    "stable_token": ("POST", stable_token),
    "token": ("GET", token),
    "message/custom/send": ("POST", custom_send),
    "message/custom/typing": ("POST", typing),
    "user/info": ("GET", user_info),
    "menu/create": ("POST", menu_create),
    "menu/get": ("GET", menu_get),
    "menu/delete": ("GET", menu_delete),
}
