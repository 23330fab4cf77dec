"""WeChat's server API: the access token, customer-service messages, and what its error codes mean to us."""

from __future__ import annotations

import asyncio
import html
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import requests
from wechatpy import WeChatClient
from wechatpy.exceptions import WeChatClientException

from bot.channel import (
    GuestGone,
    NotAllowed,
    Outgoing,
    OutOfWindow,
    Rejected,
    SendError,
    TooFast,
    Uncertain,
    Unreachable,
)

TIMEOUT = (5.0, 8.0)  # seconds to connect, to answer; wechatpy itself would wait for ever
STALE_TOKEN = frozenset({40001, 40014, 42001})
SOON_AGAIN = 60.0
TOMORROW = 6 * 3600.0

# From the platform's table of global return codes. What is not here is retried, and logged.
ERRORS: dict[int, tuple[type[SendError], float | None]] = {
    -1: (Unreachable, None),
    40003: (GuestGone, None),
    43004: (GuestGone, None),
    43019: (GuestGone, None),
    46004: (GuestGone, None),
    48002: (GuestGone, None),
    45015: (OutOfWindow, None),
    45047: (OutOfWindow, None),
    45009: (TooFast, TOMORROW),
    45011: (TooFast, SOON_AGAIN),
    40007: (Rejected, None),
    40037: (Rejected, None),
    40200: (Rejected, None),
    45002: (Rejected, None),
    45008: (Rejected, None),
    47001: (Rejected, None),
    47003: (Rejected, None),
    40001: (NotAllowed, SOON_AGAIN),
    40013: (NotAllowed, SOON_AGAIN),
    40014: (NotAllowed, SOON_AGAIN),
    40125: (NotAllowed, SOON_AGAIN),
    40164: (NotAllowed, SOON_AGAIN),
    40243: (NotAllowed, SOON_AGAIN),
    42001: (NotAllowed, SOON_AGAIN),
    45035: (NotAllowed, SOON_AGAIN),
    48001: (NotAllowed, SOON_AGAIN),
    48004: (NotAllowed, SOON_AGAIN),
    50002: (NotAllowed, SOON_AGAIN),
    61004: (NotAllowed, SOON_AGAIN),
}


class Account(WeChatClient):
    """wechatpy's client with its faults mended: `stable_token`, one refresh at a time, time-outs, no endless retry."""

    def __init__(self, app_id: str, secret: str, api: str) -> None:
        # auto_retry recurses without end on a token that stays refused.
        super().__init__(app_id, secret, timeout=TIMEOUT, auto_retry=False)
        self.API_BASE_URL = f"{api}/cgi-bin/"
        self._refreshing = threading.Lock()

    def fetch_access_token(self) -> dict[str, Any]:
        """A token by `cgi-bin/stable_token`: the same while it is valid, so processes do not kill each other's."""
        answer = self._http.post(
            f"{self.API_BASE_URL}stable_token",
            json={"grant_type": "client_credential", "appid": self.appid, "secret": self.secret},
            timeout=TIMEOUT,
        )
        result = self._handle_result(answer)
        if not isinstance(result, dict) or "access_token" not in result:
            raise Unreachable("stable_token gave no token")
        lifetime = int(result.get("expires_in", 7200))
        self.session.set(self.access_token_key, result["access_token"], lifetime)
        self.expires_at = int(time.time()) + lifetime
        return result

    @property
    def access_token(self) -> str:
        with self._refreshing:  # whoever waited finds the fresh one
            return str(super().access_token)

    def forget_token(self, token: str) -> None:
        """Drop this token, unless another thread has already brought a newer one."""
        with self._refreshing:
            if self.session.get(self.access_token_key) == token:
                self.session.delete(self.access_token_key)

    def post_custom(self, data: dict[str, Any]) -> None:
        """One customer-service message. A stale token is renewed and the call repeated once. Raises a `SendError`."""
        for last in (False, True):
            token = ""
            try:
                token = self.access_token
                result = self.post("message/custom/send", data=data, params={"access_token": token})
            except WeChatClientException as error:
                if error.errcode in STALE_TOKEN and not last:
                    self.forget_token(token)
                    continue
                raise send_error(error.errcode) from None
            except requests.ReadTimeout:
                raise Uncertain("no answer in time") from None
            except (requests.RequestException, ValueError, TypeError) as error:
                # Among them an error code or a lifetime that is no number.
                raise Unreachable(type(error).__name__) from None
            if not isinstance(result, dict):
                raise Unreachable("the answer is not JSON")  # a gateway's page, with status 200
            return


class WeChatSender:
    """The outbox's way to WeChat."""

    name = "wechat"

    def __init__(self, account: Account) -> None:
        self._account = account
        # Its own threads, enough that a slow API does not make one guest wait for another.
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="wechat")

    async def send(self, words: Outgoing) -> str:
        """See `bot.channel.Channel`. The platform gives no id for a message."""
        await asyncio.get_running_loop().run_in_executor(
            self._threads,
            self._account.post_custom,
            {
                "touser": words.address,
                "msgtype": "text",
                "text": {"content": render(words.text, words.choices)},
            },
        )
        return ""

    async def close(self) -> None:
        """Wait for calls under way; each has its time-outs."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    async def arrived(self, words: Outgoing, *, after: str, newest: str) -> str | None:
        """WeChat cannot be asked what it delivered."""
        return None


def send_error(code: int | None) -> SendError:
    """The failure an error code stands for; None is an HTTP error."""
    if code is None:
        return Unreachable("http error")
    kind, after = ERRORS.get(code, (Unreachable, None))
    return kind(f"errcode {code}", after=after)


def render(text: str, choices: tuple[tuple[str, str], ...]) -> str:
    """Text as WeChat shows it, each choice a link on a line of its own. A tap sends the choice's title as text."""
    # Only our own links are links: a guest's name must not bring one.
    plain = re.sub(r"<(?=/?a\b)", "＜", text, flags=re.IGNORECASE)
    links = (
        f'<a href="weixin://bizmsgmenu?msgmenucontent={quote(title)}&msgmenuid={quote(payload.lstrip("/"))}">'
        f"{html.escape(title)}</a>"
        for title, payload in choices
    )
    return "\n".join([plain, *(["", *links] if choices else [])])
