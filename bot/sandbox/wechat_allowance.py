"""How many customer-service messages a guest's acts earn, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

# A tap on a msgmenu option or on a menu_link counts as a menu click, not as a message.
Act = Literal["message", "menu", "follow"]

_EARNED: dict[Act, tuple[int, timedelta]] = {
    "message": (5, timedelta(hours=48)),
    "menu": (3, timedelta(minutes=1)),
    "follow": (3, timedelta(minutes=1)),
}

Refusal = Literal["", "too many", "too late"]


@dataclass
class _Window:
    left: int
    until: datetime


@dataclass
class Allowance:
    """One guest's windows. They overlap and are never summed: what is sent counts against each open one."""

    windows: dict[Act, _Window] = field(default_factory=dict)

    def earn(self, act: Act, now: datetime) -> None:
        """A guest did something: its window begins anew."""
        count, life = _EARNED[act]
        self.windows[act] = _Window(count, now + life)

    def spend(self, now: datetime) -> Refusal:
        """Use one up, or say why not."""
        windows = [w for w in self.windows.values() if now < w.until]
        if not windows:
            return "too late"
        if not any(w.left for w in windows):
            return "too many"
        for window in windows:
            window.left = max(window.left - 1, 0)
        return ""

    def left(self, now: datetime) -> int:
        """How many may be sent now."""
        return max((w.left for w in self.windows.values() if now < w.until), default=0)
