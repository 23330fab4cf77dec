"""The programme file as the database keeps it: every version that was ever in force, and from when."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, Text, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from data import programme
from data.db import Base, UtcDateTime
from data.programme import Programme
from data.refusals import BadInput


class ProgrammeVersion(Base):
    """One version of the programme file, word for word; a row is never changed."""

    __tablename__ = "programme_versions"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of the text
    effective_at: Mapped[datetime] = mapped_column(UtcDateTime)
    loaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))


@dataclass(frozen=True)
class InForce:
    """The programme that counts at a moment. `version` 0 is the file that comes with Zhike."""

    version: int
    programme: Programme


def load(
    db: Session, text: str, *, actor: str, now: datetime, effective_at: datetime | None = None
) -> ProgrammeVersion:
    """Check a programme file and make it the next version, in force from `effective_at` (default: `now`).

    The text of the newest version again changes nothing. Raises `BadInput`, which names the place in the file.
    """
    programme.read(text)
    effective_at = effective_at or now
    if effective_at < now:
        raise BadInput(
            "from",
            "a programme cannot come into force in the past.",
            "What was earned stays; give a later day.",
        )
    digest = hashlib.sha256(text.encode()).hexdigest()
    newest = db.scalars(
        select(ProgrammeVersion).order_by(ProgrammeVersion.version.desc()).limit(1)
    ).one_or_none()
    if newest is not None and newest.digest == digest and newest.effective_at <= effective_at:
        return newest
    # Two who load at once: the second one's number is taken, and it is told to try again.
    version = int(db.scalar(select(func.coalesce(func.max(ProgrammeVersion.version), 0))) or 0) + 1
    row = ProgrammeVersion(
        version=version, text=text, digest=digest, effective_at=effective_at, loaded_at=now, actor=actor
    )
    db.add(row)
    db.flush()
    return row


def in_force(db: Session, *, now: datetime) -> InForce:
    """The newest version whose time has come; before any was loaded, the file that comes with Zhike."""
    row = db.execute(
        select(ProgrammeVersion.version, ProgrammeVersion.digest)
        .where(ProgrammeVersion.effective_at <= now)
        .order_by(ProgrammeVersion.version.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return InForce(0, _read(programme.sample()))
    known = _BY_DIGEST.get(row.digest)
    if known is None:
        text = db.scalars(select(ProgrammeVersion.text).where(ProgrammeVersion.version == row.version)).one()
        known = _BY_DIGEST[row.digest] = _read(text)
    return InForce(row.version, known)


# A version is read once in a process's life; its text never changes.
_BY_DIGEST: dict[str, Programme] = {}


@functools.lru_cache(maxsize=16)
def _read(text: str) -> Programme:
    return programme.read(text)
