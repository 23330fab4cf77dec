"""HTTP routes by which a page, or a test in another process, moves a guest's thumbs and orders faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from bot.sandbox.screens import Screens
from bot.sandbox.telegram_platform import TelegramPlatform
from bot.sandbox.wechat_platform import WeChatPlatform

Given = Mapping[str, Any]
Act = Callable[[Given], Awaitable[Any]]
Fault = Callable[[Given], Any]
_LONGEST_WAIT = 30.0
# Keeps proxies from closing a quiet stream.
_HEARTBEAT = 15.0


class BadOrder(ValueError):
    """A control request that cannot be carried out; the text says why."""


def telegram_control(platform: TelegramPlatform) -> list[BaseRoute]:
    """`/guest/…` and `/faults` for the Telegram stand-in."""

    def person(given: Given) -> dict[str, str]:
        return {"language": _text(given, "language", ""), "name": _text(given, "name", "")}

    async def meet(given: Given) -> None:
        platform.meet(_chat(given), **person(given))

    acts: dict[str, Act] = {
        "meet": meet,
        "say": lambda g: platform.say(_chat(g), _text(g, "text"), **person(g)),
        "start": lambda g: platform.start(_chat(g), _text(g, "payload", ""), **person(g)),
        "tap": lambda g: platform.tap(_chat(g), _number(g, "message_id"), _text(g, "data")),
        "edit": lambda g: platform.edit(_chat(g), _number(g, "message_id"), _text(g, "text")),
        "photo": lambda g: platform.send_photo(_chat(g), _text(g, "caption", "")),
        "voice": lambda g: platform.send_voice(_chat(g)),
        "sticker": lambda g: platform.send_sticker(_chat(g), _text(g, "emoji", "👍")),
        "block": lambda g: platform.block(_chat(g)),
        "unblock": lambda g: platform.unblock(_chat(g)),
    }
    faults: dict[str, Fault] = {
        "fail_next": lambda g: platform.fail_next(
            _text(g, "method"),
            _number(g, "error_code"),
            _text(g, "description", "Internal Server Error"),
            _object(g, "parameters"),
            _number(g, "times", 1),
        ),
        "hang_next": lambda g: platform.hang_next(
            _text(g, "method"), _seconds(g), g.get("after_accepting") is True
        ),
        "redeliver": lambda g: platform.redeliver(_number(g, "update_id")),
    }
    return _routes(platform.screens, acts, faults)


def wechat_control(platform: WeChatPlatform) -> list[BaseRoute]:
    """`/guest/…` and `/faults` for the WeChat stand-in."""

    async def meet(given: Given) -> None:
        platform.meet(_address(given), language=_text(given, "language", ""))

    acts: dict[str, Act] = {
        "meet": meet,
        "handshake": lambda g: platform.handshake(),
        "say": lambda g: platform.say(_address(g), _text(g, "text"), language=_text(g, "language", "")),
        "tap": lambda g: platform.tap_link(_address(g), _text(g, "title"), _text(g, "menu_id", "")),
        "click": lambda g: platform.click(_address(g), _text(g, "key")),
        "follow": lambda g: platform.follow(_address(g), language=_text(g, "language", "")),
        "unfollow": lambda g: platform.unfollow(_address(g)),
        "photo": lambda g: platform.send_image(_address(g)),
        "voice": lambda g: platform.send_voice(_address(g)),
    }
    faults: dict[str, Fault] = {
        "fail_next": lambda g: platform.fail_next(
            _text(g, "path"), _number(g, "errcode"), _text(g, "errmsg", ""), _number(g, "times", 1)
        ),
        "hang_next": lambda g: platform.hang_next(
            _text(g, "path"), _seconds(g), g.get("after_accepting") is True
        ),
        "redeliver": lambda g: platform.redeliver(_text(g, "key")),
        "expire_token": lambda g: platform.expire_token(),
        "lose_response_once": lambda g: platform.lose_response_once(),
    }
    return _routes(platform.screens, acts, faults)


def _routes(screens: Screens, acts: Mapping[str, Act], faults: Mapping[str, Fault]) -> list[BaseRoute]:
    async def act(request: Request) -> Response:
        name = request.path_params["act"]
        return await _obey(request, lambda given: _found(acts, name, "act")(given))

    async def fault(request: Request) -> Response:
        async def order(given: Given) -> Any:
            return _found(faults, _text(given, "fault"), "fault")(given)

        return await _obey(request, order)

    async def bubbles(request: Request) -> Response:
        return await _bubbles(screens, request)

    async def events(request: Request) -> Response:
        return _events(screens, request)

    return [
        Route("/guest/bubbles", bubbles, methods=["GET"]),
        Route("/guest/events", events, methods=["GET"]),
        Route("/guest/{act}", act, methods=["POST"]),
        Route("/faults", fault, methods=["POST"]),
    ]


async def _obey(request: Request, order: Act) -> Response:
    # A browser sends JSON across sites only after asking; a form it would send unasked.
    try:
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            raise BadOrder("Send the order as application/json.")
        return JSONResponse({"result": await order(_read(await request.body()))})
    except BadOrder as error:
        return _refused(str(error))
    except KeyError as error:
        return _refused(f"The platform knows no message {error.args[0]}.")
    except ValueError as error:
        return _refused(str(error))


def _read(body: bytes) -> Given:
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        raise BadOrder("The body is not JSON.") from None
    if not isinstance(given, dict):
        raise BadOrder("The body is not a JSON object.")
    return given


async def _bubbles(screens: Screens, request: Request) -> Response:
    """Bubbles changed after `after`; with `wait`, up to that many seconds for the first of them."""
    query = request.query_params
    address, after, wait = query.get("address", ""), query.get("after", "0"), query.get("wait", "0")
    if not after.isdigit() or not wait.replace(".", "", 1).isdigit():
        return _refused("after and wait must be numbers.")
    found = screens.bubbles(address, int(after))
    if not found and float(wait):
        try:
            await screens.wait_for(address, lambda b: True, min(float(wait), _LONGEST_WAIT), after=int(after))
        except TimeoutError:
            return JSONResponse({"bubbles": []})
        found = screens.bubbles(address, int(after))
    return JSONResponse({"bubbles": [bubble.as_json() for bubble in found]})


def _events(screens: Screens, request: Request) -> Response:
    """Server-sent events: what is on the phone already after `after`, then everything as it comes."""
    address = request.query_params.get("address", "")
    after = request.headers.get("last-event-id") or request.query_params.get("after", "0")
    if not after.isdigit():
        return _refused("after must be a number.")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _stream(screens, address, int(after)), media_type="text/event-stream", headers=headers
    )


async def _stream(screens: Screens, address: str, after: int) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    watch = screens.watch(address)
    coming = asyncio.ensure_future(_next(watch))
    # One turn of the loop, so that the watch has begun before the past is read.
    await asyncio.sleep(0)
    last = after
    try:
        for bubble in screens.bubbles(address, after):
            last = bubble.seq
            yield f"id: {bubble.seq}\ndata: {json.dumps(bubble.as_json(), ensure_ascii=False)}\n\n"
        while True:
            done, _ = await asyncio.wait({coming}, timeout=_HEARTBEAT)
            if not done:
                yield ": quiet\n\n"
                continue
            happening = coming.result()
            if happening is None:
                return
            coming = asyncio.ensure_future(_next(watch))
            if happening.seq > last:
                yield f"id: {happening.seq}\ndata: {json.dumps(happening.as_json(), ensure_ascii=False)}\n\n"
    finally:
        coming.cancel()


async def _next(watch: AsyncIterator[Any]) -> Any:
    """The next thing that happens, None when the phones are switched off."""
    async for happening in watch:
        return happening
    return None


def _found(table: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in table:
        raise BadOrder(f"There is no {what} {name}; there are: {', '.join(sorted(table))}.")
    return table[name]


def _text(given: Given, name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise BadOrder(f"{name} must be a text.")
    return value


def _number(given: Given, name: str, default: int | None = None) -> int:
    value = given.get(name, default)
    if isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadOrder(f"{name} must be a whole number.")
    return value


def _seconds(given: Given) -> float:
    value = given.get("seconds", 60)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0:
        raise BadOrder("seconds must be a number, 0 or more.")
    return float(value)


def _object(given: Given, name: str) -> dict[str, Any]:
    value = given.get(name) or {}
    if not isinstance(value, dict):
        raise BadOrder(f"{name} must be an object.")
    return value


def _chat(given: Given) -> int:
    number = _number(given, "address")
    if number == 0:
        raise BadOrder("address must be a chat id, not 0.")
    return number


def _address(given: Given) -> str:
    address = _text(given, "address")
    if not address or len(address) > 64:
        raise BadOrder("address must be an openid.")
    return address


def _refused(reason: str) -> Response:
    return JSONResponse({"error": reason}, 400)
