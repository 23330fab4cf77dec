"""The Telegram door: updates in by webhook or polling, messages out through the Bot API."""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any

import httpx
import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from bot import metrics
from bot.channel import (
    GuestGone,
    Incoming,
    NotAllowed,
    Outgoing,
    Rejected,
    SendError,
    TooFast,
    Uncertain,
    Unreachable,
)
from bot.doors import HungUp, TooLarge, body_of
from bot.reception import Reception
from bot.telegram_updates import BUTTON, MALFORMED, NAME, read

log = structlog.get_logger(__name__)

# Left unsaid, Telegram keeps whatever was asked for last time.
UPDATES_WANTED = ["message", "edited_message", "callback_query", "my_chat_member"]
# Message ids of a bot grow by one over all its chats; a message in doubt lies close behind the last known one.
PROBES = 12
MOST_PROBES = 60  # a busy minute of a whole house; beyond it the message is sent again
POLL_SECONDS = 30
# Nothing was sent: there was no connection to send it over.
NEVER_LEFT = ("httpx.ConnectError", "httpx.ProxyError", "httpx.UnsupportedProtocol")


class _Bot(Bot):
    """The library's bot, with updates as they come over the wire."""

    async def raw_updates(self, offset: int | None) -> Any:
        """`get_updates` itself drops a whole batch for one odd update, and logs it with the guests' words."""
        return await self._post(
            "getUpdates",
            {"offset": offset, "timeout": POLL_SECONDS, "allowed_updates": UPDATES_WANTED},
            read_timeout=POLL_SECONDS + 10,
        )


class TelegramDoor:
    """One bot. `reception` takes what comes in; the outbox calls `send`."""

    name = NAME

    def __init__(self, *, token: str, api: str, secret: str, reception: Reception) -> None:
        self._secret = secret
        self._reception = reception
        request = HTTPXRequest(
            connection_pool_size=64, connect_timeout=5, read_timeout=10, write_timeout=5, pool_timeout=10
        )
        # A pool of one stalls for hours behind a flaky proxy: a dead poll keeps the only connection.
        polling = HTTPXRequest(connection_pool_size=8, connect_timeout=5, read_timeout=POLL_SECONDS + 10)
        self._bot = _Bot(
            token,
            base_url=f"{api}/bot",
            base_file_url=f"{api}/file/bot",
            request=request,
            get_updates_request=polling,
        )
        self._chores: set[asyncio.Task[None]] = set()
        self.routes = [Route("/telegram/webhook", self.webhook, methods=["POST"])]

    # In

    async def webhook(self, request: Request) -> Response:
        """Record the update, then 200 with an empty body: a JSON body could be run as a call to the Bot API."""
        given = request.headers.get("x-telegram-bot-api-secret-token", "")
        if not hmac.compare_digest(given.encode(), self._secret.encode()):
            return _refused("wrong_secret", 403)
        try:
            body = await body_of(request)
        except TooLarge:
            return _refused("too_large", 413)
        except HungUp:
            return _refused("hung_up", 400)
        try:
            self._take(read(body))
        except SQLAlchemyError as error:
            # Not recorded: Telegram keeps it and tries again for a day.
            log.error("telegram.database_down", error=type(error).__name__)
            return Response(status_code=503, headers={"retry-after": "2"})
        return Response(status_code=200)

    def _take(self, incoming: Incoming) -> None:
        self._reception.take(incoming)
        if incoming.kind == "tap":
            # The button spins on the guest's phone until this is called.
            chore = asyncio.create_task(self._stop_spinning(incoming.tap_id))
            self._chores.add(chore)
            chore.add_done_callback(self._chores.discard)

    async def _stop_spinning(self, query_id: str) -> None:
        try:
            await self._bot.answer_callback_query(query_id)
        except TelegramError as error:  # too old to answer, or the network: only the spinner suffers
            log.info("telegram.tap_not_acknowledged", reason=type(error).__name__)

    async def poll(self) -> None:
        """Fetch updates for ever. An update is confirmed to Telegram only by asking for the next, after recording."""
        offset: int | None = None
        failures = 0
        while True:
            try:
                for update in await self._bot.raw_updates(offset):
                    following = int(update["update_id"]) + 1
                    self._take(read(json.dumps(update).encode()))
                    offset = following
                failures = 0
            except (TelegramError, SQLAlchemyError, *MALFORMED) as error:
                failures += 1
                log.warning("telegram.poll_failed", error=type(error).__name__, failures=failures)
                await asyncio.sleep(min(2**failures, 30))

    # Out

    async def send(self, words: Outgoing) -> str:
        """See `bot.channel.Channel`. Plain text: nothing a guest or a phrase contains can be taken for markup."""
        try:
            sent = await self._bot.send_message(
                chat_id=int(words.address), text=words.text, reply_markup=keyboard(words.choices)
            )
        except TelegramError as error:
            raise send_error(error) from None
        return str(sent.message_id)

    async def arrived(self, words: Outgoing, *, after: str, newest: str) -> str | None:
        """Ask for each message id that ours may have got: an edit that changes nothing is refused as just that.

        Such an edit shows nothing to the guest. Ids behind `after` in this chat are the guest's, or ours in doubt.
        """
        if not after.isdecimal():
            return None
        known = int(newest) if newest.isdecimal() else int(after)
        last = min(max(known, int(after)) + PROBES, int(after) + MOST_PROBES)
        for candidate in range(int(after) + 1, last + 1):
            try:
                await self._bot.edit_message_text(
                    words.text,
                    chat_id=int(words.address),
                    message_id=candidate,
                    reply_markup=keyboard(words.choices),
                )
            except BadRequest as error:
                if "not modified" in error.message:
                    return str(candidate)
            except TelegramError as error:
                raise send_error(error) from None
            else:
                # Another message of ours, or a platform that says yes to anything: no proof, and no more of this.
                log.warning("telegram.edited_in_search", chat_known_after=after, found=candidate)
                return None
        return None

    # Life

    async def open(self, public_url: str, *, webhook: bool) -> None:
        """Connect, and tell Telegram where updates go; a webhook without a public address is set by hand.

        Raises a `SendError`.
        """
        try:
            await self._bot.initialize()
            if webhook and public_url:
                await self._bot.set_webhook(
                    f"{public_url}/telegram/webhook",
                    secret_token=self._secret,
                    allowed_updates=UPDATES_WANTED,
                    max_connections=40,
                )
            elif not webhook:
                await self._bot.delete_webhook()
        except TelegramError as error:
            raise send_error(error) from None

    async def close(self) -> None:
        """Let go of connections. The webhook stays: another process may be taking over right now."""
        for chore in self._chores:
            chore.cancel()
        await self._bot.shutdown()


def keyboard(choices: tuple[tuple[str, str], ...]) -> InlineKeyboardMarkup | None:
    """One choice a row, readable on a narrow phone."""
    if not choices:
        return None
    return InlineKeyboardMarkup(
        [
            [InlineKeyboardButton(title, callback_data=BUTTON + payload.lstrip("/"))]
            for title, payload in choices
        ]
    )


def send_error(error: TelegramError) -> SendError:
    """What the Bot API's refusal means to us. The order matters: a `BadRequest` is a `NetworkError` too."""
    if isinstance(error, RetryAfter):
        after = error.retry_after
        return TooFast(after=after if isinstance(after, (int, float)) else after.total_seconds())
    if isinstance(error, Forbidden):
        return GuestGone()
    if isinstance(error, InvalidToken):
        return NotAllowed("ZHIKE_TELEGRAM_TOKEN is refused")
    if isinstance(error, BadRequest):
        if "chat not found" in error.message.lower():
            return GuestGone("chat not found")
        # Behind a colon Telegram may quote what it could not read.
        return Rejected(error.message.partition(":")[0])
    if isinstance(error, ChatMigrated):
        return Rejected(f"the group is now chat {error.new_chat_id}: set ZHIKE_TELEGRAM_STAFF_CHAT to that")
    if isinstance(error.__cause__, (httpx.ConnectTimeout, httpx.PoolTimeout)):
        return Unreachable("no connection in time")
    if isinstance(error, TimedOut):
        return Uncertain("no answer in time")
    if isinstance(error, NetworkError) and not error.message.startswith(NEVER_LEFT):
        return Uncertain("the connection broke or a gateway answered")
    return Unreachable(type(error).__name__)


def _refused(reason: str, status: int) -> Response:
    metrics.REFUSED.labels(NAME, reason).inc()
    log.warning("telegram.refused", reason=reason)
    return Response(status_code=status)
