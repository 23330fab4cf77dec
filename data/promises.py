"""Words on their way out: promised under a key, claimed by one sender, settled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, case, or_, select, update
from sqlalchemy.orm import Session

from data.db import insert_once, run_prepared
from data.messages import ENDED, HOLD, IS_OPEN, Direction, Message, State, changed

TOLD_TO_WAIT = "too_fast"  # outcome of a send that the platform itself asked us to delay


@dataclass(frozen=True)
class Draft:
    """Words to promise: text in the guest's language, and the choices offered with it."""

    text: str
    choices: tuple[tuple[str, str], ...] = ()  # (title the guest sees, payload that comes back)


def replies_to(db: Session, message_id: int) -> Sequence[Message]:
    """What was promised in answer to an incoming message, in order."""
    return db.scalars(select(Message).where(Message.answers_id == message_id).order_by(Message.id)).all()


def promise(
    db: Session,
    draft: Draft,
    *,
    contact_id: int,
    channel: str,
    key: str,
    now: datetime,
    answers_id: int | None = None,
) -> int | None:
    """Promise words to a contact under a key. None if that promise was made before."""
    return insert_once(
        db,
        Message,
        direction=Direction.outgoing.value,
        channel=channel,
        contact_id=contact_id,
        key=key,
        kind="text",
        text=draft.text,
        payload={"choices": [list(choice) for choice in draft.choices]},
        state=State.promised.value,
        answers_id=answers_id,
        via="",
        platform_id="",
        outcome="",
        attempts=0,
        due_at=now,
        held_by="",
        created_at=now,
    )


def claim_next(
    db: Session, contact_id: int, *, by: str, via: str, now: datetime, hurry: bool = False
) -> Message | None:
    """Claim the oldest open message to a contact, if it is due and nobody holds it.

    Only the oldest is ever considered: what is promised first arrives first. With `hurry` a message need not wait
    out our own pause after a failure, only one the platform asked for. The message comes detached: it is a copy of
    its row at that moment.
    """
    values = {"contact": contact_id, "now": now, "way": via, "holder": by, "until": now + HOLD}
    row = run_prepared(db, _CLAIM_SOON if hurry else _CLAIM_DUE, values).one_or_none()
    return None if row is None else Message(**row._mapping)


def claim(db: Session, message_id: int, *, by: str, via: str, now: datetime) -> Message | None:
    """Claim this very message, out of turn. None if it is not waiting any more."""
    values = {"message": message_id, "way": via, "holder": by, "until": now + HOLD}
    row = run_prepared(db, _CLAIM_THIS, values).one_or_none()
    return None if row is None else Message(**row._mapping)


def next_due_at(db: Session, contact_id: int) -> datetime | None:
    """When the oldest open message to a contact may next be tried; None if nothing waits.

    For one that is being sent that is when its holder counts as dead.
    """
    found: datetime | None = run_prepared(db, _HEAD_DUE_AT, {"contact": contact_id}).scalar()
    return found


def last_platform_id(db: Session, contact_id: int) -> str:
    """The platform's id of the latest message known in a conversation, in or out; "" if none is a number."""
    return _highest(db, Message.contact_id == contact_id)


def newest_platform_id(db: Session, channel: str) -> str:
    """The platform's id of the latest message known on a channel, whoever's; "" if none is a number."""
    return _highest(db, Message.channel == channel)


def _highest(db: Session, where: ColumnElement[bool]) -> str:
    latest = db.scalars(
        select(Message.platform_id)
        .where(where, Message.platform_id != "")
        .order_by(Message.id.desc())
        .limit(20)
    )
    return str(max((int(each) for each in latest if each.isdecimal()), default=""))


def settle_outgoing(
    db: Session, message_id: int, state: State, *, platform_id: str = "", outcome: str = "", now: datetime
) -> bool:
    """Record how a claimed send ended: sent or failed. False if somebody else settled it."""
    values = {"message": message_id, "ended": state.value, "platform": platform_id, "why": outcome, "at": now}
    return changed(run_prepared(db, _SETTLE_OUTGOING, values))


def put_off(db: Session, message_id: int, *, due_at: datetime, outcome: str) -> bool:
    """Give a claimed send back, to be tried again at `due_at`."""
    return changed(
        db.execute(
            update(Message)
            .where(Message.id == message_id, Message.state == State.sending.value)
            .values(
                state=State.promised.value,
                via="",
                due_at=due_at,
                outcome=outcome,
                held_by="",
                held_until=None,
            )
        )
    )


# The statements of every turn. Written once, SQLAlchemy knows them again without taking them apart.
_T: Table = Message.__table__  # type: ignore[assignment]
_HEAD = (
    select(_T.c.id, _T.c.due_at)
    .where(_T.c.contact_id == bindparam("contact"), _T.c.direction == Direction.outgoing.value, IS_OPEN)
    .order_by(_T.c.id)
    .limit(1)
)
_HEAD_DUE_AT = _HEAD.with_only_columns(
    case((_T.c.state == State.sending.value, _T.c.held_until), else_=_T.c.due_at)
)
_CLAIMED: dict[str, Any] = {
    "state": State.sending.value,
    "via": bindparam("way"),
    "held_by": bindparam("holder"),
    "held_until": bindparam("until"),
    "attempts": _T.c.attempts + 1,
}
_WAITING = update(_T).where(_T.c.state == State.promised.value).values(**_CLAIMED).returning(*_T.c)
_CLAIM_THIS = _WAITING.where(_T.c.id == bindparam("message"))
_CLAIM_HEAD = _WAITING.where(_T.c.id == _HEAD.with_only_columns(_T.c.id).scalar_subquery())
_CLAIM_DUE = _CLAIM_HEAD.where(_T.c.due_at <= bindparam("now"))
_CLAIM_SOON = _CLAIM_HEAD.where(or_(_T.c.due_at <= bindparam("now"), _T.c.outcome != TOLD_TO_WAIT))
_SETTLE_OUTGOING = (
    update(_T)
    .where(_T.c.id == bindparam("message"), _T.c.state == State.sending.value)
    .values(**ENDED, platform_id=bindparam("platform"))
)
