"""One lane for each guest: jobs of one key run in order, one at a time; different keys run side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

Job = Callable[[], Awaitable[None]]


class Lanes:
    """Lanes that exist only while something drives in them, so memory does not grow with guests seen."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed = False

    def add(self, key: str, job: Job) -> bool:
        """Queue a job behind the others of its key. False once closed: the job stays in the database, undone."""
        if self.closed:
            return False
        lane = self._waiting.get(key)
        if lane is not None:
            lane.append(job)
            return True
        self._waiting[key] = deque([job])
        task = asyncio.create_task(self._drive(key), name=f"lane {key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def busy(self, key: str) -> bool:
        """Whether a job of this key is running or waiting."""
        return key in self._waiting

    async def _drive(self, key: str) -> None:
        lane = self._waiting[key]
        while lane and not self.closed:
            try:
                await lane[0]()
            except Exception as error:
                # One job may fail; the guest's next message must not. What was open stays open in the database.
                log.error("lane.job_failed", error=type(error).__name__, exc_info=True)
            lane.popleft()
        del self._waiting[key]

    async def close(self, within: float) -> bool:
        """Start nothing more, and give what runs `within` seconds. False if something had to be cut off."""
        self.closed = True
        if not self._tasks:
            return True
        _done, late = await asyncio.wait(self._tasks, timeout=within)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)
        return not late
