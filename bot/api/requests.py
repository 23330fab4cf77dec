"""What a request must be like before anybody works on it: its key, its Idempotency-Key, its query, its body."""

from __future__ import annotations

import re
from typing import TypeVar

from starlette.requests import Request

from bot.api import reading
from bot.api.bodies import Body
from bot.api.operations import Operation
from bot.api.problems import refuse

B = TypeVar("B", bound=Body)

LARGEST_BODY = 256 * 1024
CHALLENGE = 'Bearer realm="zhike"'

_KEY = re.compile(r"[!-~]{1,128}")


def presented(request: Request) -> str:
    """The key that was sent. Raises `Refused`."""
    sent = request.headers.getlist("authorization")
    scheme, _, key = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not key:
        raise refuse(
            "not_authenticated",
            "Authorization: there is no key.",
            field="header.Authorization",
            remedy="Send Authorization: Bearer zk_…, with a key that `zhike keys issue` gave.",
            headers={"WWW-Authenticate": CHALLENGE},
        )
    return key.strip()


def idempotency_key(request: Request) -> str:
    """The name the client gave to what it wants done. Raises `Refused`."""
    sent = request.headers.getlist("idempotency-key")
    if len(sent) != 1 or not _KEY.fullmatch(sent[0]):
        raise refuse(
            "idempotency_key_missing",
            "Idempotency-Key: it is missing, comes twice, or is no key.",
            field="header.Idempotency-Key",
            remedy="Send a new one with every change: 1 to 128 letters, digits and signs, such as a UUID.",
        )
    return sent[0]


async def told(request: Request, operation: Operation[B]) -> B:
    """The body, or of a GET the query, as the operation takes it. Raises `Refused`."""
    pairs = request.query_params.multi_items()
    if operation.method == "GET":
        return reading.query(pairs, operation.takes)
    if pairs:
        raise refuse(
            "does_not_fit",
            "query: this address takes no parameters.",
            field="query",
            remedy="Send what you have to say in the body.",
        )
    raw = await _body(request)
    if not raw and not operation.needs_body:
        return reading.body(b"{}", operation.takes)
    _require_json(request)
    return reading.body(raw, operation.takes)


def _require_json(request: Request) -> None:
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = re.fullmatch(r'\s*charset="?([\w-]+)"?\s*', parameters)
    unicode = not parameters.strip() or (charset is not None and charset[1].lower() in ("utf-8", "utf8"))
    if media_type.strip().lower() != "application/json" or not unicode:
        raise refuse(
            "not_json",
            "Content-Type: it is not application/json.",
            field="header.Content-Type",
            remedy="Send JSON in UTF-8, with Content-Type: application/json.",
        )


async def _body(request: Request) -> bytes:
    """The whole body, up to the cap."""
    too_large = refuse(
        "too_large",
        f"The body is larger than {LARGEST_BODY // 1024} KiB.",
        field="$",
        remedy="Send it in several requests.",
    )
    claimed = request.headers.get("content-length", "")
    if claimed.isdigit() and int(claimed) > LARGEST_BODY:
        raise too_large
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise too_large
        parts.append(part)
    return b"".join(parts)
