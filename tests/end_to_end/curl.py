"""What the platforms send, made from their rules alone: nothing here uses the project or its libraries."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import struct
import time
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_numbers = itertools.count(int(time.time()))


def telegram_update(chat_id: int, language: str = "", **content: Any) -> dict[str, Any]:
    """A private message as the Bot API posts it; `content` is `text`, or media with a caption."""
    sender: dict[str, Any] = {"id": chat_id, "is_bot": False, "first_name": "Guest"}
    if language:
        sender["language_code"] = language
    chat = {"id": chat_id, "first_name": "Guest", "type": "private"}
    number = next(_numbers)
    message = {
        "message_id": number % 100_000,
        "from": sender,
        "chat": chat,
        "date": int(time.time()),
        **content,
    }
    return {"update_id": number, "message": message}


@dataclass(frozen=True)
class WeChat:
    """One Official Account in safe mode, seen from the platform."""

    app_id: str
    token: str
    aes_key: str
    account: str

    @property
    def _key(self) -> bytes:
        return base64.b64decode(self.aes_key + "=")

    def _signature(self, *parts: str) -> str:
        return hashlib.sha1("".join(sorted([self.token, *parts])).encode()).hexdigest()

    def _cipher(self) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self._key), modes.CBC(self._key[:16]))

    def push(self, openid: str, inner: str) -> tuple[dict[str, str], str]:
        """Query and body of a push; `inner` is what stands between CreateTime and the end."""
        xml = (
            f"<xml><ToUserName><![CDATA[{self.account}]]></ToUserName>"
            f"<FromUserName><![CDATA[{openid}]]></FromUserName>"
            f"<CreateTime>{int(time.time())}</CreateTime>{inner}</xml>"
        ).encode()
        plain = os.urandom(16) + struct.pack(">I", len(xml)) + xml + self.app_id.encode()
        pad = 32 - len(plain) % 32
        encryptor = self._cipher().encryptor()
        sealed = base64.b64encode(
            encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()
        ).decode()
        timestamp, nonce = str(int(time.time())), str(next(_numbers))
        query = {
            "signature": self._signature(timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "openid": openid,
            "encrypt_type": "aes",
            "msg_signature": self._signature(timestamp, nonce, sealed),
        }
        body = (
            f"<xml><ToUserName><![CDATA[{self.account}]]></ToUserName>"
            f"<Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        )
        return query, body

    def text(self, openid: str, words: str) -> tuple[dict[str, str], str]:
        return self.push(
            openid,
            f"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{words}]]></Content>"
            f"<MsgId>{23_000_000_000_000_000 + next(_numbers)}</MsgId>",
        )

    def photo(self, openid: str) -> tuple[dict[str, str], str]:
        return self.push(
            openid,
            "<MsgType><![CDATA[image]]></MsgType><PicUrl><![CDATA[http://mmbiz.qpic.cn/x/0]]></PicUrl>"
            f"<MediaId><![CDATA[media]]></MediaId><MsgId>{23_000_000_000_000_000 + next(_numbers)}</MsgId>",
        )

    def passive_reply(self, answer: httpx.Response, openid: str) -> str:
        """The words in the answer to a push; signature, addressee and AppID must be right."""
        assert answer.status_code == 200, answer.text
        outer = {
            name: _field(answer.text, name) for name in ("Encrypt", "MsgSignature", "TimeStamp", "Nonce")
        }
        expected = self._signature(outer["TimeStamp"], outer["Nonce"], outer["Encrypt"])
        assert outer["MsgSignature"] == expected
        decryptor = self._cipher().decryptor()
        padded = decryptor.update(base64.b64decode(outer["Encrypt"])) + decryptor.finalize()
        plain = padded[: -padded[-1]]
        (length,) = struct.unpack(">I", plain[16:20])
        xml, app_id = plain[20 : 20 + length].decode(), plain[20 + length :].decode()
        assert app_id == self.app_id
        assert (_field(xml, "ToUserName"), _field(xml, "FromUserName")) == (openid, self.account)
        assert _field(xml, "MsgType") == "text"
        return _field(xml, "Content")


def _field(xml: str, name: str) -> str:
    found = re.search(f"<{name}>(?:<!\\[CDATA\\[)?(.*?)(?:\\]\\]>)?</{name}>", xml, re.DOTALL)
    assert found is not None, f"no {name} in {xml[:200]}"
    return found.group(1)
