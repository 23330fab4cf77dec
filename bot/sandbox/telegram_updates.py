"""How Telegram hands updates to a bot: held until confirmed, by long poll or by webhook with retries."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from bot.sandbox.telegram_request import ApiError

# Queue of a chat's messages, of a user's taps: each delivers one at a time and waits on its head.
QueueName = tuple[str, int]

MESSAGE_LIFE = timedelta(hours=24)
TAP_LIFE = timedelta(seconds=150)
# Kept for `redeliver`, as a platform that lost our answer would do.
REMEMBERED = 1000
# Left out unless asked for by name.
_OPT_IN = {"chat_member", "message_reaction", "message_reaction_count"}
_HOOK_TIMEOUT = 60.0
_LONGEST_RETRY_AFTER = 3600.0


@dataclass(frozen=True)
class Update:
    """One update on its way; `body` is its JSON, `delivered` is told when the bot has it."""

    update_id: int
    body: dict[str, Any]
    queue: QueueName
    expires: datetime
    delivered: Callable[[bool], None]


@dataclass(frozen=True)
class Webhook:
    """Where updates are posted, as setWebhook said."""

    url: str
    secret: str = ""
    max_connections: int = 40


@dataclass
class _Trouble:
    at: int = 0
    message: str = ""


@dataclass
class Updates:
    """All undelivered updates of one bot. `run_method` executes a method found in a webhook's answer."""

    clock: Callable[[], datetime]
    pace: float
    run_method: Callable[[dict[str, Any]], Awaitable[None]]
    webhook: Webhook | None = None
    allowed: tuple[str, ...] = ()
    trouble: _Trouble = field(default_factory=_Trouble)

    def __post_init__(self) -> None:
        self._next_id = random.randint(100_000_000, 900_000_000)  # noqa: S311 - any starting number will do
        self._pending: dict[int, Update] = {}
        self._past: dict[int, Update] = {}
        self._once_more: set[int] = set()  # redelivered: polled once again whatever the offset says
        self._queues: dict[QueueName, deque[Update]] = {}
        self._workers: dict[QueueName, asyncio.Task[None]] = {}
        self._arrived = asyncio.Event()
        self._poller: asyncio.Future[str] | None = None
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(40)

    @property
    def pending(self) -> int:
        return len(self._pending)

    def add(
        self,
        kind: str,
        body: dict[str, Any],
        queue: QueueName,
        life: timedelta,
        delivered: Callable[[bool], None] = lambda _: None,
    ) -> int | None:
        """Number and hold an update; None if the bot did not allow this kind."""
        if kind not in self.allowed if self.allowed else kind in _OPT_IN:
            return None
        self._next_id += 1
        body = {"update_id": self._next_id, kind: body}
        self._hold(Update(self._next_id, body, queue, self.clock() + life, delivered))
        return self._next_id

    def again(self, update_id: int) -> None:
        """Deliver a past update once more. Raises `KeyError` for one that never was or is long gone."""
        update = self._past[update_id]
        self._once_more.add(update_id)
        self._hold(update)

    def _hold(self, update: Update) -> None:
        self._past[update.update_id] = update
        while len(self._past) > REMEMBERED:
            self._past.pop(next(iter(self._past)))
        self._pending[update.update_id] = update
        self._arrived.set()
        if self.webhook:
            self._enqueue(update)

    # Polling.

    async def poll(self, offset: int, limit: int, timeout: int) -> list[dict[str, Any]]:
        """getUpdates; `timeout` in the bot's seconds. Raises `ApiError` 409."""
        if self.webhook:
            raise _conflict(
                "can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first"
            )
        self._end_poll(
            "terminated by other getUpdates request; make sure that only one bot instance is running"
        )
        self._confirm(offset)
        if found := self._waiting(offset, limit):
            return found
        return await self._long_poll(offset, limit, timeout * self.pace)

    def _confirm(self, offset: int) -> None:
        """An offset confirms all before it; a negative one keeps only that many from the end."""
        if offset < 0:
            offset = min(sorted(self._pending)[offset:], default=0)
        for update_id in [u for u in sorted(self._pending) if u < offset and u not in self._once_more]:
            self._pending.pop(update_id).delivered(True)

    def _waiting(self, offset: int, limit: int) -> list[dict[str, Any]]:
        now = self.clock()
        for update in [u for u in self._pending.values() if u.expires < now]:
            self._drop(update)
        chosen = sorted(u for u in self._pending if offset < 0 or u >= offset or u in self._once_more)[:limit]
        self._once_more.difference_update(chosen)
        return [self._pending[u].body for u in chosen]

    async def _long_poll(self, offset: int, limit: int, seconds: float) -> list[dict[str, Any]]:
        mine: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._poller = mine
        ends = asyncio.get_running_loop().time() + seconds
        try:
            while (left := ends - asyncio.get_running_loop().time()) > 0:
                self._arrived.clear()
                arrival: asyncio.Future[Any] = asyncio.ensure_future(self._arrived.wait())
                waiting: set[asyncio.Future[Any]] = {arrival, mine}
                await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                arrival.cancel()
                if mine.done():
                    raise _conflict(mine.result())
                if found := self._waiting(offset, limit):
                    return found
            return []
        finally:
            if self._poller is mine:
                self._poller = None

    def _end_poll(self, reason: str) -> None:
        if self._poller and not self._poller.done():
            self._poller.set_result(reason)
        self._poller = None

    # Webhook.

    def set_webhook(self, webhook: Webhook | None) -> None:
        """Deliver to `webhook` from now on, all that is pending included; None: hold for polling."""
        if webhook:
            self._end_poll("terminated by setWebhook request")
        for worker in self._workers.values():
            worker.cancel()
        self._workers.clear()
        self._queues.clear()
        self.webhook, self.trouble = webhook, _Trouble()
        if webhook:
            self._slots = asyncio.Semaphore(webhook.max_connections)
            for update in self._pending.values():
                self._enqueue(update)

    def drop_pending(self) -> None:
        """Forget what is undelivered."""
        for update in list(self._pending.values()):
            self._drop(update)
        self._queues.clear()

    async def stop(self) -> None:
        """Deliver nothing more; what is pending stays pending."""
        workers = list(self._workers.values())
        self.set_webhook(None)
        self._end_poll("terminated by server shutdown")
        await asyncio.gather(*workers, return_exceptions=True)
        if self._client:
            await self._client.aclose()
            self._client = None

    async def settled(self) -> None:
        """Return once no delivery is under way."""
        while workers := [w for w in self._workers.values() if not w.done()]:
            await asyncio.wait(workers)

    def _enqueue(self, update: Update) -> None:
        self._queues.setdefault(update.queue, deque()).append(update)
        worker = self._workers.get(update.queue)
        if worker is None or worker.done():
            self._workers[update.queue] = asyncio.get_running_loop().create_task(self._drain(update.queue))

    async def _drain(self, name: QueueName) -> None:
        failures = 0
        while queue := self._queues.get(name):
            update = queue[0]
            if update.expires < self.clock() or update.update_id not in self._pending:
                self._drop(update)
                queue.popleft()
                continue
            async with self._slots:
                wait = await self._post(update, failures)
            if wait is None:
                failures = 0
                queue.popleft()
                continue
            failures += 1
            await asyncio.sleep(wait * self.pace)
        self._queues.pop(name, None)
        self._workers.pop(name, None)

    async def _post(self, update: Update, failures: int) -> float | None:
        """One delivery. None when the bot has it, else seconds to wait before the next attempt."""
        assert self.webhook is not None
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.webhook.secret} if self.webhook.secret else {}
        timeout = max(_HOOK_TIMEOUT * self.pace, 0.5)
        try:
            answer = await self._http().post(
                self.webhook.url, json=update.body, headers=headers, timeout=timeout
            )
        except httpx.TimeoutException:
            return self._failed("Read timeout expired", failures)
        except httpx.ConnectError:
            return self._failed("Connection refused", failures)
        except httpx.HTTPError:
            return self._failed("Connection closed by the remote server", failures)
        if not answer.is_success:
            reason = f"Wrong response from the webhook: {answer.status_code} {answer.reason_phrase}"
            return self._failed(reason, failures, answer.headers.get("Retry-After", ""))
        if self._pending.pop(update.update_id, None):
            update.delivered(True)
        if b'"method"' in answer.content:
            await self._run_answer(answer)
        return None

    async def _run_answer(self, answer: httpx.Response) -> None:
        try:
            call = answer.json()
        except ValueError:
            return
        if isinstance(call, dict) and isinstance(call.get("method"), str):
            await self.run_method(call)

    def _failed(self, reason: str, failures: int, retry_after: str = "") -> float:
        self.trouble = _Trouble(int(self.clock().timestamp()), reason)
        if retry_after.isdigit():
            return min(float(retry_after), _LONGEST_RETRY_AFTER)
        if failures == 0:
            return 0.0
        return min(2.0**failures, random.uniform(60, 120))  # noqa: S311 - spreads the retries, guards nothing

    def _drop(self, update: Update) -> None:
        if self._pending.pop(update.update_id, None):
            update.delivered(False)

    def _http(self) -> httpx.AsyncClient:
        # A proxy in the environment is for the outer world, not for the house next door.
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=200))
        return self._client


def _conflict(reason: str) -> ApiError:
    return ApiError(409, f"Conflict: {reason}")
