"""What both doors do with a request before they know what it says."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request

# Far above any real update or push; below what could hurt.
LARGEST_BODY = 128 * 1024


class TooLarge(Exception):
    """The body is over the cap; reading stopped there."""


async def body_of(request: Request) -> bytes:
    """The whole body. Raises `TooLarge` as soon as it is longer than `LARGEST_BODY`, whatever its header claimed."""
    claimed = request.headers.get("content-length", "")
    if claimed.isdigit() and int(claimed) > LARGEST_BODY:
        raise TooLarge
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


__all__ = ["LARGEST_BODY", "ClientDisconnect", "TooLarge", "body_of"]
