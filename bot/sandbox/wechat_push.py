"""How WeChat pushes a guest's act to the account's server: signed, sealed, three times at most."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import httpx

from bot.sandbox.wechat_crypto import Envelope, signature
from bot.sandbox.wechat_reply import Junk, PassiveReply, ReplyReader
from bot.sandbox.wechat_xml import write

ATTEMPTS = 3
DEADLINE = 5.0
_PAUSE = 1.0

Outcome = Literal["replied", "acknowledged", "no answer", "bad status", "junk", "lost"]


@dataclass(frozen=True)
class Push:
    """One act of a guest: `key` is the MsgId, or what stands for it in an event."""

    key: str
    openid: str
    values: dict[str, str | int]


@dataclass(frozen=True)
class Delivery:
    """What came of one attempt; `attempt` counts from 1."""

    key: str
    attempt: int
    outcome: Outcome
    reason: str = ""


class Pusher:
    """Pushes to one address. All waiting is scaled by `pace`."""

    def __init__(
        self,
        url: str,
        token: str,
        envelope: Envelope,
        account: str,
        *,
        clock: Callable[[], datetime],
        pace: float,
    ) -> None:
        self.url = url
        self.deliveries: deque[Delivery] = deque(maxlen=1000)
        self.lose_next = 0
        self._token = token
        self._envelope = envelope
        self._account = account
        self._clock = clock
        self._reader = ReplyReader(token, envelope, account)
        self._pace = pace
        self._client: httpx.AsyncClient | None = None

    async def handshake(self) -> bool:
        """The GET that WeChat sends when the address is entered: good if `echostr` comes back unchanged."""
        echo = str(secrets.randbelow(10**19))
        timestamp, nonce = self._stamp()
        query = {
            "signature": signature(self._token, timestamp, nonce),
            "echostr": echo,
            "timestamp": timestamp,
            "nonce": nonce,
        }
        try:
            answer = await self._http().get(self.url, params=query, timeout=self._deadline())
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.content == echo.encode()

    async def deliver(self, push: Push) -> PassiveReply | Outcome:
        """Push until there is an answer, three times at most. A reply, or the outcome of the last attempt."""
        outcome: Outcome = "no answer"
        for attempt in range(1, ATTEMPTS + 1):
            found, reason = await self._attempt(push)
            outcome = "replied" if isinstance(found, PassiveReply) else found
            self.deliveries.append(Delivery(push.key, attempt, outcome, reason))
            if isinstance(found, PassiveReply) or outcome in ("acknowledged", "junk"):
                return found
            if reason != "timeout" and attempt < ATTEMPTS:
                await asyncio.sleep(_PAUSE * self._pace)
        return outcome

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()
            self._client = None

    async def _attempt(self, push: Push) -> tuple[PassiveReply | Outcome, str]:
        query, body = self.sealed(push)
        try:
            # httpx counts its time-outs between two bytes; WeChat's deadline is for the whole answer.
            answer = await asyncio.wait_for(self._post(query, body), self._deadline())
        except asyncio.TimeoutError:
            return "no answer", "timeout"
        except httpx.HTTPError as error:
            return "no answer", type(error).__name__
        if self.lose_next:
            self.lose_next -= 1
            return "lost", "our own network lost it"
        # Anything but 200, 201 included, is answered by another attempt.
        if answer.status_code != 200:
            return "bad status", str(answer.status_code)
        try:
            reply = self._reader.read(answer.content, push.openid)
        except Junk as junk:
            return "junk", str(junk)
        return reply or "acknowledged", ""

    async def _post(self, query: dict[str, str], body: bytes) -> httpx.Response:
        headers = {"Content-Type": "text/xml", "User-Agent": "Mozilla/4.0"}
        return await self._http().post(self.url, params=query, content=body, headers=headers, timeout=None)

    def sealed(self, push: Push) -> tuple[dict[str, str], bytes]:
        """The query and body of one attempt: a fresh time stamp, nonce and salt each time."""
        encrypted = self._envelope.seal(write(push.values))
        timestamp, nonce = self._stamp()
        query = {
            "signature": signature(self._token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "openid": push.openid,
            "encrypt_type": "aes",
            "msg_signature": signature(self._token, timestamp, nonce, encrypted),
        }
        return query, write({"ToUserName": self._account, "Encrypt": encrypted})

    def _stamp(self) -> tuple[str, str]:
        return str(int(self._clock().timestamp())), str(secrets.randbelow(9 * 10**8) + 10**8)

    def _deadline(self) -> float:
        return max(DEADLINE * self._pace, 0.05)

    def _http(self) -> httpx.AsyncClient:
        # A proxy in the environment is for the outer world, not for the house next door.
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=200))
        return self._client


def event_key(values: dict[str, str | int]) -> str:
    """Events carry no MsgId; this names one for `redeliver`."""
    whole = "|".join(str(values.get(k, "")) for k in ("FromUserName", "CreateTime", "Event", "EventKey"))
    return "event-" + hashlib.sha256(whole.encode()).hexdigest()[:16]
