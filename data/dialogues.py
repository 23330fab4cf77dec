"""What the brain remembers of a conversation: one append-only row a turn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from data.db import Base, RowId, UtcDateTime


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


def last_turns(db: Session, conversation: str, *, limit: int) -> Sequence[DialogueTurn]:
    """The latest `limit` turns, oldest first."""
    newest = select(DialogueTurn).where(DialogueTurn.conversation == conversation)
    return db.scalars(newest.order_by(DialogueTurn.id.desc()).limit(limit)).all()[::-1]


def all_turns(db: Session, conversation: str) -> Sequence[DialogueTurn]:
    """Every turn ever, oldest first: for people to read, too long to answer from."""
    return db.scalars(
        select(DialogueTurn).where(DialogueTurn.conversation == conversation).order_by(DialogueTurn.id)
    ).all()


def conversations(db: Session) -> Sequence[str]:
    """The names of all conversations."""
    return db.scalars(select(DialogueTurn.conversation).distinct()).all()
