"""Faults on demand: what a platform does wrong next, so that a test can see how the house bears it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Failure:
    """Answer with this error instead of doing what was asked."""

    error_code: int
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """Say nothing for `seconds` real seconds; `after_accepting` does what was asked all the same."""

    seconds: float
    after_accepting: bool


Fault = Failure | Hang


class Faults:
    """One queue of faults for each method; each call to a method uses up one."""

    def __init__(self) -> None:
        self._next: dict[str, deque[Fault]] = {}

    def add(self, method: str, fault: Fault, times: int = 1) -> None:
        """Let the next `times` calls of `method` meet `fault`."""
        self._next.setdefault(method.lower(), deque()).extend([fault] * times)

    def take(self, method: str) -> Fault | None:
        """The fault that a call of `method` meets now, if any."""
        waiting = self._next.get(method.lower())
        return waiting.popleft() if waiting else None


async def silence(
    seconds: float, gone: Callable[[], Awaitable[bool]], sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Wait `seconds`, or less when the caller hangs up first."""
    left = seconds
    while left > 0 and not await gone():
        await sleep(min(0.05, left))
        left -= 0.05
