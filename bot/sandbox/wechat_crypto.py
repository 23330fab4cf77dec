"""WeChat's signatures and safe-mode encryption, written from the document and strict about everything."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 32  # WeChat pads to 32 bytes, although AES has blocks of 16


class BadCipher(ValueError):
    """A body that was not encrypted for us, or not as the document says."""


def signature(*parts: str) -> str:
    """Lower-case hex SHA-1 of the parts, sorted and joined."""
    return hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare signatures in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


@dataclass(frozen=True)
class Envelope:
    """Encrypts and opens for one account. `aes_key` is the 43 characters of EncodingAESKey.

    Raises `ValueError` for a key of any other form.
    """

    aes_key: str
    app_id: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9+/]{43}", self.aes_key):
            raise ValueError("EncodingAESKey must be 43 characters of A-Z a-z 0-9 + /.")

    def _cipher(self) -> Cipher[modes.CBC]:
        key = base64.b64decode(self.aes_key + "=")
        return Cipher(algorithms.AES(key), modes.CBC(key[:16]))

    def seal(self, plain: bytes, *, salt: bytes | None = None) -> str:
        """Base64 of AES-256-CBC over 16 random bytes (or `salt`), the length, `plain` and the AppID."""
        salt = secrets.token_bytes(16) if salt is None else salt
        whole = salt + len(plain).to_bytes(4, "big") + plain + self.app_id.encode()
        pad = _BLOCK - len(whole) % _BLOCK
        work = self._cipher().encryptor()
        return base64.b64encode(work.update(whole + bytes([pad]) * pad) + work.finalize()).decode()

    def open(self, sealed: str) -> bytes:
        """The inner text. Raises `BadCipher`."""
        try:
            cipher = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise BadCipher("not base64") from None
        if not cipher or len(cipher) % 16:
            raise BadCipher("not whole blocks")
        work = self._cipher().decryptor()
        return self._unpacked(_unpadded(work.update(cipher) + work.finalize()))

    def _unpacked(self, whole: bytes) -> bytes:
        if len(whole) < 20:
            raise BadCipher("too short")
        end = 20 + int.from_bytes(whole[16:20], "big")
        if end > len(whole):
            raise BadCipher("length beyond the end")
        if whole[end:] != self.app_id.encode():
            raise BadCipher("another account's AppID")
        return whole[20:end]


def _unpadded(whole: bytes) -> bytes:
    pad = whole[-1]
    if not 1 <= pad <= _BLOCK or len(whole) % _BLOCK or whole[-pad:] != bytes([pad]) * pad:
        raise BadCipher("padding is not PKCS7 with blocks of 32")
    return whole[:-pad]
