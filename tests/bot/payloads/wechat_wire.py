"""WeChat's side of the wire, written from its rules alone: signature, AES envelope, pushes, and reading replies."""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def signature(*parts: str) -> str:
    """SHA-1 over the sorted parts, put together without anything between."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


@dataclass(frozen=True)
class Wire:
    """The secrets of one Official Account as the platform holds them."""

    app_id: str
    token: str
    aes_key: str
    account: str

    def seal(self, plain: bytes, *, app_id: str = "", padding: bytes | None = None) -> str:
        """16 random bytes, a big-endian length, the text, the AppID; PKCS7 to 32; AES-256-CBC; base64."""
        body = (
            secrets.token_bytes(16) + struct.pack(">I", len(plain)) + plain + (app_id or self.app_id).encode()
        )
        missing = 32 - len(body) % 32
        body += bytes([missing]) * missing if padding is None else padding[:1] * missing
        encryptor = self._cipher().encryptor()
        return base64.b64encode(encryptor.update(body) + encryptor.finalize()).decode()

    def unseal(self, encrypted: str) -> tuple[bytes, str]:
        """The text and the AppID behind it; every rule of the envelope is asserted."""
        decryptor = self._cipher().decryptor()
        body = decryptor.update(base64.b64decode(encrypted, validate=True)) + decryptor.finalize()
        missing = body[-1]
        assert 1 <= missing <= 32
        assert body[-missing:] == bytes([missing]) * missing
        assert len(body) % 32 == 0
        body = body[:-missing]
        (length,) = struct.unpack(">I", body[16:20])
        return body[20 : 20 + length], body[20 + length :].decode()

    def _cipher(self) -> Cipher[modes.CBC]:
        key = base64.b64decode(self.aes_key + "=")
        assert len(key) == 32
        return Cipher(algorithms.AES(key), modes.CBC(key[:16]))

    def push(
        self, encrypted: str, *, now: int, nonce: str = "1320562132", openid: str = "oGuest"
    ) -> tuple[dict[str, str], bytes]:
        """Query and body of one push in safe mode."""
        stamp = str(now)
        query = {
            "signature": signature(self.token, stamp, nonce),
            "timestamp": stamp,
            "nonce": nonce,
            "openid": openid,
            "encrypt_type": "aes",
            "msg_signature": signature(self.token, stamp, nonce, encrypted),
        }
        to = f"<ToUserName><![CDATA[{self.account}]]></ToUserName>"
        return query, f"<xml>{to}<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()

    def read_reply(self, body: bytes, *, nonce: str = "1320562132") -> dict[str, str]:
        """The fields of an encrypted passive reply, its signature checked with our own code."""
        outer = fields(body)
        assert set(outer) == {"Encrypt", "MsgSignature", "TimeStamp", "Nonce"}
        assert outer["Nonce"] == nonce
        assert outer["MsgSignature"] == signature(
            self.token, outer["TimeStamp"], outer["Nonce"], outer["Encrypt"]
        )
        plain, app_id = self.unseal(outer["Encrypt"])
        assert app_id == self.app_id
        return fields(plain)


def fields(xml: bytes) -> dict[str, str]:
    """The texts of a flat body, each name once."""
    root = ET.fromstring(xml)
    assert root.tag == "xml"
    found = {child.tag: child.text or "" for child in root}
    assert len(found) == len(root), "a name comes twice"
    assert all(len(child) == 0 for child in root)
    return found


def message(
    account: str, kind: str, *, at: int, openid: str = "oGuest", message_id: int | None = None, **more: str
) -> bytes:
    """A message or event as WeChat writes it: texts in CDATA, numbers bare."""
    texts = {"ToUserName": account, "FromUserName": openid, "MsgType": kind, **more}
    inner = "".join(f"<{name}><![CDATA[{text}]]></{name}>" for name, text in texts.items())
    number = "" if message_id is None else f"<MsgId>{message_id}</MsgId>"
    return f"<xml>{inner}<CreateTime>{at}</CreateTime>{number}</xml>".encode()
