"""The WeChat door: the handshake, pushes in safe mode, and the passive reply within WeChat's five seconds."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

import structlog
import xmltodict
from sqlalchemy.exc import SQLAlchemyError
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException
from wechatpy.replies import TextReply

from bot import metrics
from bot.channel import Incoming
from bot.doors import HungUp, TooLarge, body_of
from bot.outbox import Clock, outgoing
from bot.passive import DELIVERIES
from bot.reception import Reception, Taken
from bot.wechat_client import render
from data.messages import Message
from nlu import language
from nlu.phrasebook import Phrasebook

log = structlog.get_logger(__name__)

NAME = "wechat"
FRESH_SECONDS = 300
# WeChat hangs up after 5 s; the answer still has to travel.
REPLY_WITHIN = 4.0
RECORD_WITHIN = 3.5
# Longer than WeChat waits: a delivery we could not record must come again, and only a time-out brings it again.
HANG_UP_AFTER = 5.5
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
# What wechatpy and the parser under it raise on a body that is not what it should be.
MALFORMED = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, ExpatError, RecursionError,
    InvalidAppIdException,
)  # fmt: skip


class Refused(Exception):
    """A request that WeChat did not send, or not to us."""

    def __init__(self, reason: str, status: int = 403) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


@dataclass(frozen=True)
class WeChatIdentity:
    """What the account's server configuration says."""

    app_id: str
    token: str
    aes_key: str
    account: str  # gh_…


class WeChatDoor:
    """One Official Account, in safe mode only."""

    def __init__(
        self, identity: WeChatIdentity, *, reception: Reception, phrasebook: Phrasebook, clock: Clock
    ) -> None:
        self._identity = identity
        self._crypto = WeChatCrypto(identity.token, identity.aes_key, identity.app_id)
        self._reception = reception
        self._phrasebook = phrasebook
        self._clock = clock
        self._unrecorded: OrderedDict[str, int] = OrderedDict()  # deliveries we could not record, by key
        self.routes = [
            Route("/wechat", self.handshake, methods=["GET"]),
            Route("/wechat", self.push, methods=["POST"]),
        ]

    async def handshake(self, request: Request) -> Response:
        """WeChat checks that this address is ours: give back `echostr`, as plain text."""
        query = request.query_params
        try:
            self._check(query.get("signature"), query.get("timestamp"), query.get("nonce"))
        except Refused as refused:
            return _refuse(refused)
        return PlainTextResponse(query.get("echostr", ""))

    async def push(self, request: Request) -> Response:
        """One message or event. Answers the passive reply, or `success` once it is recorded."""
        until = asyncio.get_running_loop().time() + REPLY_WITHIN
        try:
            xml = await self._open(request)
        except Refused as refused:
            return _refuse(refused)
        except TooLarge:
            return _refuse(Refused("too_large", 413))
        except HungUp:
            return _refuse(Refused("hung_up", 400))
        incoming = self._read(xml)
        taken = await self._take(incoming)
        if taken is None:
            return await self._not_recorded(incoming, request)
        reply = await self._reply(incoming, taken, until)
        if reply is None:
            return PlainTextResponse("success")
        if await request.is_disconnected():
            self._reception.passive.unheard(reply, incoming.address)
            return PlainTextResponse("success")
        return self._spoken(
            render(reply.text, outgoing(reply, incoming.address).choices),
            incoming.address,
            request,
            BackgroundTask(self._heard, reply, incoming.address),
        )

    # Checking and opening

    def _check(self, given: str | None, timestamp: str | None, nonce: str | None, *more: str) -> None:
        """The signature over token, timestamp, nonce and `more`, and that it is fresh. Raises `Refused`."""
        # `isdigit` would let through what `int` refuses: "²".
        if not given or not nonce or not timestamp or not re.fullmatch("[0-9]{1,12}", timestamp):
            raise Refused("signature_missing")
        parts = sorted([self._identity.token, timestamp, nonce, *more])
        expected = hashlib.sha1("".join(parts).encode()).hexdigest()  # noqa: S324 - WeChat's own scheme
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise Refused("signature_wrong")
        if abs(self._clock().timestamp() - int(timestamp)) > FRESH_SECONDS:
            raise Refused("stale")

    async def _open(self, request: Request) -> str:
        """The decrypted XML of a push. Raises `Refused`, `TooLarge`."""
        query = request.query_params
        if query.get("encrypt_type") != "aes":
            # In plain mode the signature does not cover the body: one old query string would forge any guest.
            raise Refused("not_safe_mode")
        body = await body_of(request)
        try:
            encrypted = _xml(body.decode())["Encrypt"]
        except MALFORMED:
            raise Refused("not_an_envelope", 400) from None
        if not isinstance(encrypted, str):
            raise Refused("not_an_envelope", 400)
        timestamp, nonce = query.get("timestamp"), query.get("nonce")
        self._check(query.get("msg_signature"), timestamp, nonce, encrypted)
        try:
            return str(
                self._crypto.decrypt_message({"Encrypt": encrypted}, query["msg_signature"], timestamp, nonce)
            )
        except MALFORMED as error:
            log.error(
                "wechat.does_not_open", error=type(error).__name__,
                remedy="compare ZHIKE_WECHAT_AES_KEY and ZHIKE_WECHAT_APP_ID with the account's configuration",
            )  # fmt: skip
            raise Refused("does_not_open") from None

    def _read(self, xml: str) -> Incoming:
        """A decrypted push in our own shape; what cannot be read is kept as such."""
        try:
            return incoming_of(CONTROL.sub("", xml), self._identity.account)
        except MALFORMED as error:
            log.warning("wechat.unreadable", error=type(error).__name__, size=len(xml))
        return Incoming(
            NAME,
            f"bad:{hashlib.sha256(xml.encode(errors='replace')).hexdigest()}",
            "unreadable",
            raw=CONTROL.sub("", xml),
        )

    # Answering

    async def _take(self, incoming: Incoming) -> Taken | None:
        """Record; while the database is away, try again for as long as WeChat waits. None: not recorded."""
        give_up = asyncio.get_running_loop().time() + RECORD_WITHIN
        while True:
            try:
                return self._reception.take(incoming)
            except SQLAlchemyError as error:
                if asyncio.get_running_loop().time() >= give_up:
                    log.error("wechat.database_down", error=type(error).__name__)
                    return None
            await asyncio.sleep(0.25)

    async def _reply(self, incoming: Incoming, taken: Taken, until: float) -> Message | None:
        """What to say in answer to this push, if it comes before the loop's clock says `until`."""
        if not incoming.wants_answer:
            return None
        if not taken.fresh:
            said = self._reception.passive.again(taken.message_id)
            if said is not None or not self._reception.in_hand(taken.message_id):
                return said
        left = max(until - asyncio.get_running_loop().time(), 0)  # recording may have taken some of it
        return await self._reception.passive.wait(taken.message_id, seconds=left)

    async def _not_recorded(self, incoming: Incoming, request: Request) -> Response:
        """WeChat brings an unanswered message again, twice; the last time the guest is asked to repeat it."""
        times = self._unrecorded.pop(incoming.key, 0) + 1
        if times >= DELIVERIES and incoming.wants_answer:
            locale = language.spoken(incoming.text, "zh_CN")
            said = self._phrasebook.say("utter_try_again", locale, {}, turn=incoming.key)
            return self._spoken(said.text, incoming.address, request)
        self._unrecorded[incoming.key] = times
        while len(self._unrecorded) > 10_000:
            self._unrecorded.popitem(last=False)
        await asyncio.sleep(HANG_UP_AFTER - RECORD_WITHIN)
        return Response(status_code=503)

    def _spoken(
        self, text: str, address: str, request: Request, background: BackgroundTask | None = None
    ) -> Response:
        """An encrypted passive reply."""
        now = int(self._clock().timestamp())
        # wechatpy puts the text into CDATA as it is; this keeps it from ending there.
        content = CONTROL.sub("", text).replace("]]>", "]]]]><![CDATA[>")
        reply = TextReply(source=self._identity.account, target=address, time=now, content=content)
        envelope = self._crypto.encrypt_message(
            reply.render(), request.query_params.get("nonce", ""), timestamp=str(now)
        )
        return Response(envelope, media_type="application/xml", background=background)

    async def _heard(self, reply: Message, address: str) -> None:
        self._reception.passive.handed_over(reply, address)


def incoming_of(xml: str, account: str) -> Incoming:
    """A push in our own shape. Raises one of `MALFORMED`."""
    _xml(xml)  # refuses what wechatpy's own parser would let through
    message = parse_message(xml)
    if message is None or message.target != account:
        raise ValueError("addressed to another account")
    data: dict[str, Any] = message._data
    address = _string(data["FromUserName"])
    if not re.fullmatch(r"[\w-]{1,64}", address):
        raise ValueError("no openid")
    kind = data["MsgType"].lower()
    if kind == "event":
        return _event(data, address)
    # A voice message brings its words only where the account has speech recognition switched on.
    text = _string(data.get("Content" if kind == "text" else "Recognition") or "")
    return Incoming(
        NAME, f"msg:{_number(data['MsgId'])}", "text" if text or kind == "text" else "wordless",
        address=address, text=text,
    )  # fmt: skip


def _event(data: dict[str, Any], address: str) -> Incoming:
    """Events have no id: who, when, what and which make one. Two may share a second."""
    event, which = _string(data["Event"]).lower(), _string(data.get("EventKey") or "")
    if len(event) > 32:  # the longest that WeChat knows has 27
        raise ValueError("an endless name")
    if len(which) > 64:
        which = hashlib.sha256(which.encode()).hexdigest()
    key = f"event:{address}:{_number(data['CreateTime'])}:{event}:{which}"
    if event == "click":
        return Incoming(NAME, key, "tap", address=address, pressed=f"/{which}")
    kinds: dict[str, Any] = {"subscribe": "hello", "subscribe_scan": "hello", "unsubscribe": "goodbye"}
    return Incoming(NAME, key, kinds.get(event, "overheard"), address=address)


def _string(value: object) -> str:
    """The text of an element; one that holds elements, or comes twice, has none. Raises `TypeError`."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _number(value: object) -> int:
    """A number that may become part of a key. Raises one of `MALFORMED`."""
    number = int(_string(value))
    if not 0 <= number < 2**64:
        raise ValueError("not an id")
    return number


def _xml(text: str) -> dict[str, Any]:
    """The one element of a WeChat body. Raises one of `MALFORMED`; document types are never taken."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("a document type declaration")
    root = xmltodict.parse(text)["xml"]
    if not isinstance(root, dict):
        raise TypeError("an empty element")
    return root


def _refuse(refused: Refused) -> Response:
    metrics.REFUSED.labels(NAME, refused.reason).inc()
    log.warning("wechat.refused", reason=refused.reason)
    return Response(status_code=refused.status)
