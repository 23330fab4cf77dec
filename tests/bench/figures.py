"""Figures as the tables print them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def milliseconds(seconds: Sequence[float]) -> tuple[str, str]:
    """Median and p99."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{statistics.median(ordered) * 1000:.1f}", f"{p99 * 1000:.1f}"
