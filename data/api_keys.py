"""Keys of the property-management systems: shown once, stored hashed, each with its scopes."""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from data import audit
from data.db import Base, RowId, UtcDateTime, insert_once
from data.refusals import BadInput, Conflict, Unknown
from data.sealed import SealedText

SECRET_BYTES = 32
PREFIX_BYTES = 4
KEPT = timedelta(hours=24)  # for so long the same request gets the same answer

# `api:<name>` is written into columns of 32 characters.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,27}")
_KEY = re.compile(r"zk_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")


class Scope(str, enum.Enum):
    """What a key opens."""

    members_read = "members:read"  # names, phones, documents, points
    members_write = "members:write"
    stays_read = "stays:read"
    stays_write = "stays:write"  # bookings, folio lines, checkout: what earns points
    rewards_read = "rewards:read"
    rewards_fulfil = "rewards:fulfil"


class ApiKey(Base):
    """One client's key. Of the secret only a digest is kept; `prefix` tells keys apart in a list."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(32), unique=True)
    prefix: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiRequest(Base):
    """The answer to a request under its Idempotency-Key: the same request again gets the same answer."""

    __tablename__ = "api_requests"
    __table_args__ = (UniqueConstraint("api_key_id", "key"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    api_key_id: Mapped[int] = mapped_column(ForeignKey("api_keys.id"))
    key: Mapped[str] = mapped_column(String(128))
    fingerprint: Mapped[str] = mapped_column(String(48))  # blind: of method, path and body
    status: Mapped[int]
    body: Mapped[str] = mapped_column(SealedText("api_requests.body"))
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


@dataclass(frozen=True)
class Issued:
    """A new key. `text` is what the client sends, and is to be had only now."""

    name: str
    text: str = field(repr=False)
    scopes: tuple[Scope, ...]


@dataclass(frozen=True)
class Caller:
    """Who calls: a key that is good, and what it opens."""

    key_id: int
    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """As the audit log and the ledger name it."""
        return f"api:{self.name}"


def issue(db: Session, name: str, scopes: Collection[Scope], *, actor: str, now: datetime) -> Issued:
    """Make a key. Raises `Conflict` for a name that was ever used, `BadInput`.

    The secret is 256 bits from the operating system: nobody can try them all, so a plain SHA-256 of it is enough
    and a slow hash would only make every request slow.
    """
    if not _NAME.fullmatch(name):
        raise BadInput("name", "is no name of a key.", "Use 1 to 28 small letters, digits, dots and dashes.")
    if not scopes:
        raise BadInput("scope", "is missing.", f"Name at least one of {', '.join(Scope)}.")
    allowed = tuple(scope for scope in Scope if scope in scopes)
    prefix = secrets.token_hex(PREFIX_BYTES)
    text = f"zk_{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
    key_id = insert_once(
        db,
        ApiKey,
        name=name,
        prefix=prefix,
        digest=_digest(text),
        scopes=[scope.value for scope in allowed],
        made_at=now,
        revoked_at=None,
    )
    if key_id is None:
        raise Conflict("name", "there is or was a key of this name.", "Use another, such as the next number.")
    audit.record(
        db, "key.issued", f"key:{key_id}", actor=actor, now=now, scopes=[scope.value for scope in allowed]
    )
    return Issued(name, text, allowed)


def revoke(db: Session, name: str, *, actor: str, now: datetime) -> bool:
    """Let a key open nothing any more, for good; False if it was revoked before. Raises `Unknown`."""
    revoked = db.execute(
        update(ApiKey)
        .where(ApiKey.name == name, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(ApiKey.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    if revoked is not None:
        audit.record(db, "key.revoked", f"key:{revoked}", actor=actor, now=now)
        return True
    if db.scalar(select(ApiKey.id).where(ApiKey.name == name)) is None:
        raise Unknown("name", "there is no key of this name.", "See `zhike keys list`.")
    return False


def all_keys(db: Session) -> Sequence[ApiKey]:
    """Every key that was ever issued, oldest first."""
    return db.scalars(select(ApiKey).order_by(ApiKey.id)).all()


def caller(db: Session, presented: str) -> Caller | None:
    """Whose key this is; None for one that we never issued, or have revoked."""
    match = _KEY.fullmatch(presented)
    if match is None:
        return None
    digest = _digest(presented)
    # Found by the part that is no secret; how long the comparison takes tells nothing about the rest.
    for key in db.scalars(select(ApiKey).where(ApiKey.prefix == match[1])):
        if hmac.compare_digest(key.digest, digest) and key.revoked_at is None:
            return Caller(key.id, key.name, frozenset(key.scopes))
    return None


def forget_old(db: Session, *, now: datetime) -> int:
    """Forget answers to requests that are older than `KEPT`; how many there were. For the nightly job."""
    done: Any = db.execute(
        delete(ApiRequest).where(ApiRequest.at < now - KEPT).execution_options(synchronize_session=False)
    )
    return int(done.rowcount)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
