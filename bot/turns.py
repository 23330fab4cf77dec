"""One incoming message to be answered, and what its answering leads to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from data.members import Contact
from data.messages import State
from data.promises import Draft


@dataclass(frozen=True)
class Turn:
    """A recorded message with what is known of its sender."""

    message_id: int
    contact_id: int
    member_id: int | None
    channel: str
    address: str
    locale: str
    kind: str
    text: str
    pressed: str = ""
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, message_id: int, contact: Contact, *, kind: str, text: str, pressed: str) -> Turn:
        return cls(
            message_id=message_id,
            contact_id=contact.id,
            member_id=contact.member_id,
            channel=contact.channel,
            address=contact.address,
            locale=contact.locale,
            kind=kind,
            text=text,
            pressed=pressed,
        )

    @property
    def key(self) -> str:
        """The same when a turn is run again; deeds build their own keys from it."""
        return f"turn:{self.message_id}"

    @property
    def conversation(self) -> str:
        """One conversation per member, whichever channel they use; a stranger's is the contact's own."""
        return f"member:{self.member_id}" if self.member_id is not None else f"contact:{self.contact_id}"


def _nothing(db: Session, now: datetime) -> None:
    return


@dataclass(frozen=True)
class Outcome:
    """How a turn ended: what to say, and what else to write in the transaction that promises it."""

    replies: tuple[Draft, ...]
    state: State = State.answered
    reason: str = ""
    write: Callable[[Session, datetime], None] = _nothing
    for_staff: Draft | None = None


class NotReady(Exception):
    """There is no brain to answer with, and none is coming: the model is missing or broken."""


class Answers(Protocol):
    """Whoever answers turns."""

    async def answer(self, turn: Turn) -> Outcome:
        """Raises `NotReady`; the database's own error while that is down; anything else is a turn that failed."""
