"""The API's addresses: one for each path, with its methods; and what is said where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from bot.api import problems
from bot.api.door import Door
from bot.api.operations import Operation


class Address(Route):
    """A path whose parameters may hold a slash, sent as %2F: property systems number stays as they like."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As it was sent it is split at its slashes, and only then each part is decoded."""
        match, found = super().matches({**scope, "path": _as_sent(scope)})
        if match is Match.NONE:
            return match, found
        # What is no UTF-8 becomes a character that no number and no code has.
        parts = {name: unquote(value) for name, value in found["path_params"].items()}
        return match, {**found, "path_params": parts}


def _as_sent(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"]) if raw is None else raw.decode("latin-1")


class Methods:
    """The operations at one path."""

    def __init__(self, operations: Sequence[Operation[Any]], *, door: Door) -> None:
        self._operations: Mapping[str, Operation[Any]] = {each.method: each for each in operations}
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        operation = self._operations.get(request.method)
        if operation is None:
            response = wrong_method(*self._operations)
        else:
            response = await self._door.answer(request, operation)
        await response(scope, receive, send)


class Description:
    """`GET /openapi.json`, for anybody."""

    def __init__(self, document: bytes) -> None:
        self._document = document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            response = wrong_method("GET")
        else:
            response = Response(self._document, media_type="application/json")
        await response(scope, receive, send)


class Nowhere:
    """Every other address."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = problems.problem(
            "no_such_address",
            "There is nothing at this address.",
            field="path",
            remedy=f"See {problems.PREFIX}/openapi.json for all there are.",
        )
        await problems.response(said)(scope, receive, send)


def wrong_method(*allowed: str) -> Response:
    """What is said to a method that an address does not take."""
    names = ", ".join(sorted(allowed))
    said = problems.problem(
        "method_not_allowed", f"Here it is {names}.", field="method", remedy=f"Use {names}."
    )
    return problems.response(said, {"Allow": names})
