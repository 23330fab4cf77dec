"""Every message in and out, each in one state. What goes out is written by `data.promises`."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    CursorResult,
    ForeignKey,
    Index,
    String,
    Table,
    bindparam,
    case,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from data.db import Base, RowId, UtcDateTime, insert_once, run_prepared
from data.members import Contact
from data.sealed import SealedText

# A holder that has not settled a message by then is dead: no turn and no send may take this long.
HOLD = timedelta(seconds=60)
FAR = datetime(9999, 1, 1, tzinfo=timezone.utc)


class Direction(str, enum.Enum):
    incoming = "in"
    outgoing = "out"


class State(str, enum.Enum):
    """Where a message stands.

    Incoming: received → answered, failed or noted. Outgoing: promised → sending → sent or failed.
    """

    received = "received"  # in: taken, still owed an answer
    answered = "answered"  # in: its replies are promised
    failed = "failed"  # in: the turn broke, an apology is promised; out: given up, see `outcome`
    noted = "noted"  # in: kept, wants no answer (an edit, a block, something unreadable)
    promised = "promised"  # out: will be sent
    sending = "sending"  # out: claimed by `held_by` until `held_until`
    sent = "sent"  # out: the platform has it


OPEN = (State.received.value, State.promised.value, State.sending.value)
# The condition of the partial index, word for word: SQLite uses such an index only if the query repeats it.
IS_OPEN = text("messages.state IN ('received', 'promised', 'sending')")


class Message(Base):
    """One message. `key` is unique: a platform's redelivery, or a promise made twice, finds the first row."""

    __tablename__ = "messages"
    __table_args__ = (
        # Only what is still open is ever searched for, and that is always little.
        Index(
            "ix_messages_open",
            "contact_id",
            "id",
            sqlite_where=text("state IN ('received', 'promised', 'sending')"),
            postgresql_where=text("state IN ('received', 'promised', 'sending')"),
        ),
        Index("ix_messages_contact", "contact_id", "id"),
        Index("ix_messages_answers", "answers_id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    direction: Mapped[str] = mapped_column(String(3))
    channel: Mapped[str] = mapped_column(String(16))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    key: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(SealedText("messages.text"))  # guests write names and numbers into it
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    answers_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"))
    via: Mapped[str] = mapped_column(String(8), default="")  # out: api or passive
    platform_id: Mapped[str] = mapped_column(String(64), default="")
    outcome: Mapped[str] = mapped_column(String(64), default="")  # why it was put off or given up
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    held_by: Mapped[str] = mapped_column(String(64), default="")
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def receive(
    db: Session,
    *,
    channel: str,
    key: str,
    contact_id: int | None,
    kind: str,
    text: str,
    payload: dict[str, Any],
    by: str,
    now: datetime,
    platform_id: str = "",
    wants_answer: bool = True,
) -> int | None:
    """Take a message in under the platform's own key, held by process `by`. None if it was taken before."""
    return insert_once(
        db,
        Message,
        direction=Direction.incoming.value,
        channel=channel,
        contact_id=contact_id,
        key=f"{channel}:{key}",
        kind=kind,
        text=text,
        payload=payload,
        state=State.received.value if wants_answer else State.noted.value,
        via="",
        platform_id=platform_id,
        outcome="",
        attempts=0,
        due_at=now,
        held_by=by,
        held_until=now + HOLD,
        created_at=now,
        settled_at=None if wants_answer else now,
    )


def by_key(db: Session, key: str) -> Message | None:
    """The message under this key; an incoming one is `<channel>:<platform's id>`."""
    return db.scalar(select(Message).where(Message.key == key))


def settle_incoming(db: Session, message_id: int, state: State, *, outcome: str = "", now: datetime) -> bool:
    """Close a turn. False if it was closed before, by us or by another process: then change nothing else."""
    values = {"message": message_id, "ended": state.value, "why": outcome, "at": now}
    return changed(run_prepared(db, _SETTLE_INCOMING, values))


@dataclass(frozen=True)
class Open:
    """A message that is not settled, as far as it takes to see whether anybody is busy with it: not its words."""

    id: int
    contact_id: int
    address: str
    channel: str
    direction: str
    state: str
    via: str
    held_by: str
    held_until: datetime | None
    due_at: datetime
    created_at: datetime


def open_messages(db: Session, *, most: int = 1000) -> list[Open]:
    """What was taken but not answered, or promised but not sent, oldest first; at most `most`."""
    # Sorted here: asked for the order of ids, SQLite would walk through the whole past to have it.
    rows = run_prepared(db, _OPEN, {}).all()
    return [Open(*row) for row in sorted(rows, key=lambda row: int(row.id))[:most]]


def take_over(db: Session, message_id: int, *, was: str, by: str, now: datetime) -> bool:
    """Take a message from a holder that died. False if another process was quicker."""
    return changed(
        db.execute(
            update(Message)
            .where(Message.id == message_id, Message.held_by == was, Message.state.in_(OPEN))
            .values(
                held_by=by,
                held_until=now + HOLD,
                # How often a turn was begun; an outgoing message counts its sends itself.
                attempts=case(
                    (Message.state == State.received.value, Message.attempts + 1), else_=Message.attempts
                ),
            )
        )
    )


def still_owed(db: Session, message_id: int) -> None:
    """Forget how often a turn was begun: it ended in good order, only without an answer so far."""
    db.execute(update(Message).where(Message.id == message_id).values(attempts=0))


def release(db: Session, by: str, *, now: datetime) -> None:
    """Hand back everything a process holds, so that the next one need not wait for the hold to run out."""
    db.execute(update(Message).where(Message.held_by == by, Message.state.in_(OPEN)).values(held_until=now))


def count_open(db: Session) -> dict[str, int]:
    """How many messages stand in each open state; for the metrics."""
    rows = db.execute(select(Message.state, func.count()).where(IS_OPEN).group_by(Message.state))
    return {state: count for state, count in rows}


def changed(result: Any) -> bool:
    """Whether a statement changed its one row."""
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


_T: Table = Message.__table__  # type: ignore[assignment]
# What settling either way writes. Statements of every turn are written once: SQLAlchemy then knows them again.
ENDED: dict[str, Any] = {
    "state": bindparam("ended"),
    "outcome": bindparam("why"),
    "settled_at": bindparam("at"),
    "held_by": "",
    "held_until": None,
}
_SETTLE_INCOMING = (
    update(_T).where(_T.c.id == bindparam("message"), _T.c.state == State.received.value).values(**ENDED)
)
_OPEN = select(
    _T.c.id,
    _T.c.contact_id,
    Contact.__table__.c.address,
    _T.c.channel,
    _T.c.direction,
    _T.c.state,
    _T.c.via,
    _T.c.held_by,
    _T.c.held_until,
    _T.c.due_at,
    _T.c.created_at,
).where(IS_OPEN, _T.c.contact_id == Contact.__table__.c.id)
