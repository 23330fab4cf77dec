"""How many requests a key may make: a bucket of tokens for each, filled steadily."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

PER_SECOND = 50.0
AT_ONCE = 100


class Limiter(Protocol):
    """Counts requests by key."""

    def wait(self, key_id: int) -> float:
        """Count one request of this key: 0.0 if it may be done, else in how many seconds to try again."""


@dataclass
class _Bucket:
    tokens: float
    at: float


class TokenBuckets:
    """Buckets in this process's memory: with several processes a key may make as many requests at each."""

    def __init__(
        self,
        *,
        per_second: float = PER_SECOND,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._clock = clock
        self._buckets: dict[int, _Bucket] = {}  # as many as there are keys

    def wait(self, key_id: int) -> float:
        """See `Limiter`."""
        now = self._clock()
        bucket = self._buckets.setdefault(key_id, _Bucket(float(self._at_once), now))
        gained = (now - bucket.at) * self._per_second
        bucket.tokens, bucket.at = min(bucket.tokens + gained, float(self._at_once)), now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0
