"""What the brain remembers of a conversation: one append-only row a turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from data.db import Base, RowId, UtcDateTime, run_prepared


class DialogueTurn(Base):
    """One turn: the events it added, and the state it began from.

    `before` lets a reader start at any turn: a long conversation costs no more than a short one.
    """

    __tablename__ = "dialogue_turns"
    __table_args__ = (Index("ix_dialogue_turns_conversation", "conversation", "id"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    conversation: Mapped[str] = mapped_column(String(64))
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    events: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Remembered:
    """A turn as it was stored."""

    before: dict[str, Any]
    events: list[dict[str, Any]]
    at: datetime


def last_turns(db: Session, conversation: str, *, limit: int) -> list[Remembered]:
    """The latest `limit` turns, oldest first."""
    rows = run_prepared(db, _LATEST, {"of": conversation, "most": limit}).all()
    return [Remembered(*row) for row in reversed(rows)]


def all_turns(db: Session, conversation: str) -> list[Remembered]:
    """Every turn ever, oldest first: for people to read, too long to answer from."""
    rows = run_prepared(db, _ALL, {"of": conversation}).all()
    return [Remembered(*row) for row in rows]


def conversations(db: Session) -> Sequence[str]:
    """The names of all conversations."""
    return db.scalars(select(DialogueTurn.conversation).distinct()).all()


_TURNS = DialogueTurn.__table__
_ALL = (
    select(_TURNS.c.before, _TURNS.c.events, _TURNS.c.at)
    .where(_TURNS.c.conversation == bindparam("of"))
    .order_by(_TURNS.c.id)
)
_LATEST = _ALL.order_by(None).order_by(_TURNS.c.id.desc()).limit(bindparam("most"))
