"""Personal data at rest: AES-256-GCM columns, with keys that can be renewed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import String, TypeDecorator
from sqlalchemy.engine import Dialect

KEY_BYTES = 32
NONCE_BYTES = 12  # the size NIST SP 800-38D recommends for GCM
REMEDY = (
    "Set ZHIKE_KEYS to what `openssl rand -base64 32` prints; "
    "several keys are joined by commas, newest first."
)


class BadKeys(ValueError):
    """ZHIKE_KEYS is missing or not made of 32-byte base64 keys."""


class CannotOpen(ValueError):
    """A sealed value that none of our keys opens: a key is missing, or the value was tampered with."""


@dataclass(frozen=True)
class KeyRing:
    """Keys by their public id, newest first; the newest seals, all of them open."""

    keys: dict[str, bytes] = field(repr=False)

    @classmethod
    def read(cls, text: str) -> KeyRing:
        """`text`: base64 keys of 32 bytes joined by commas. Raises `BadKeys`."""
        keys: dict[str, bytes] = {}
        for part in (part.strip() for part in text.split(",")):
            try:
                key = base64.b64decode(part, validate=True)
            except ValueError:
                key = b""
            if len(key) != KEY_BYTES:
                raise BadKeys(f"ZHIKE_KEYS holds a key that is not {KEY_BYTES} bytes of base64. {REMEDY}")
            keys[hashlib.sha256(key).hexdigest()[:8]] = key
        return cls(keys)

    def seal(self, text: str, context: str) -> str:
        """Encrypt `text`; it opens only with the same `context` (the column it belongs to)."""
        name = self.newest
        key = self.keys[name]
        nonce = os.urandom(NONCE_BYTES)
        # surrogatepass: JSON may smuggle in half a character, and even that is kept as it came.
        plain = text.encode("utf-8", "surrogatepass")
        box = nonce + AESGCM(key).encrypt(nonce, plain, context.encode())
        return f"v1.{name}.{base64.b64encode(box).decode()}"

    @property
    def newest(self) -> str:
        """The public id of the key that seals; a sealed value begins with `v1.<id>.`, a blind one with `<id>.`."""
        return next(iter(self.keys))

    def blinds(self, text: str, context: str) -> tuple[str, ...]:
        """What `text` may stand as in a blind index: under the newest key first, then under each older one.

        A keyed digest, so that whoever copies the database cannot try all phone numbers against it.
        """
        return tuple(
            f"{name}.{hmac.digest(_index_key(key), f'{context}:{text}'.encode(), 'sha256')[:16].hex()}"
            for name, key in self.keys.items()
        )

    def open(self, sealed: str, context: str) -> str:
        """The text that was sealed. Raises `CannotOpen`."""
        try:
            version, name, box64 = sealed.split(".", 2)
            if version != "v1":
                raise ValueError(version)
            box = base64.b64decode(box64, validate=True)
            plain = AESGCM(self.keys[name]).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], context.encode())
            return plain.decode("utf-8", "surrogatepass")
        except (KeyError, ValueError, InvalidTag):
            raise CannotOpen(
                f"A value in {context} does not open with the keys in ZHIKE_KEYS. "
                "Was a key taken away, or was the row changed by hand?"
            ) from None


def _index_key(key: bytes) -> bytes:
    # RFC 5869: the key that seals does nothing else, and the index tells nothing about it.
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"zhike blind index").derive(key)


def blind(text: str, context: str) -> str:
    """What to write into a blind index for `text`, under the newest key."""
    return ring().blinds(text, context)[0]


def blinds(text: str, context: str) -> tuple[str, ...]:
    """What to look for: `column.in_(blinds(…))` finds the row whichever of our keys indexed it."""
    return ring().blinds(text, context)


_ring: KeyRing | None = None


def use_keys(text: str) -> None:
    """Seal and open with these keys from now on. Raises `BadKeys`."""
    global _ring
    _ring = KeyRing.read(text)


def ring() -> KeyRing:
    """The keys of this process, read from `ZHIKE_KEYS` on first use. Raises `BadKeys`."""
    if _ring is None:
        text = os.environ.get("ZHIKE_KEYS", "")
        if not text:
            raise BadKeys(f"ZHIKE_KEYS is not set. {REMEDY}")
        use_keys(text)
        assert _ring is not None
    return _ring


def keys_beside(database: Path) -> str:
    """The key file next to an embedded database, made with owner-only rights if it is not there yet.

    It appears whole or not at all, and whoever comes second gets the first one's keys.
    """
    path = database.with_suffix(".keys")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
        try:
            with os.fdopen(handle, "w") as file:
                file.write(base64.b64encode(os.urandom(KEY_BYTES)).decode() + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was quicker
                os.link(fresh, path)
        finally:
            os.unlink(fresh)
        _keep_folder(path.parent)
    return path.read_text().strip()


def _keep_folder(folder: Path) -> None:
    # Without this a power cut could lose the file's name, and with it everything the keys sealed.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class SealedText(TypeDecorator[str]):
    """Text that is encrypted in the database and plain in the program."""

    impl = String
    cache_ok = True

    def __init__(self, context: str) -> None:
        super().__init__()
        self.context = context

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else ring().seal(value, self.context)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else ring().open(value, self.context)
