"""What both doors do with a request before they know what it says."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request

# Far above any real update or push; below what could hurt.
LARGEST_BODY = 128 * 1024


class TooLarge(Exception):
    """The body is over the cap; reading stopped there."""


class HungUp(Exception):
    """The caller went away in mid-body; whatever we answer, nobody hears it."""


async def body_of(request: Request) -> bytes:
    """The whole body. Raises `TooLarge` as soon as it is longer than `LARGEST_BODY`, whatever its header
    claimed, and `HungUp`.
    """
    claimed = request.headers.get("content-length", "")
    if claimed.isdigit() and int(claimed) > LARGEST_BODY:
        raise TooLarge
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > LARGEST_BODY:
                raise TooLarge
            parts.append(part)
    except ClientDisconnect:
        raise HungUp from None
    return b"".join(parts)
