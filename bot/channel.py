"""The one shape every channel's messages take, and the ways a send can fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from data.promises import TOLD_TO_WAIT

Kind = Literal["text", "tap", "hello", "goodbye", "wordless", "edit", "overheard", "unreadable"]


@dataclass(frozen=True)
class Incoming:
    """What a guest sent, whichever door it came through."""

    channel: str
    key: str  # the platform's own id for this delivery: makes a redelivery harmless
    kind: Kind
    address: str = ""  # where to answer: a chat id, an openid; "" only for an unreadable delivery
    text: str = ""
    pressed: str = ""  # the payload of a choice we offered (kind "tap")
    language: str = ""  # what the platform says the guest's language is, as an IETF tag
    reference: str = ""  # the platform's id of the guest's message, where it has one
    tap_id: str = ""  # what the platform wants to be told when a tap has been heard
    raw: str = ""  # the delivery itself, kept only when it could not be read

    @property
    def wants_answer(self) -> bool:
        """Edits, farewells and unreadable deliveries are kept, not answered."""
        return self.kind in ("text", "tap", "hello", "wordless")


@dataclass(frozen=True)
class Outgoing:
    """Words on their way to one address."""

    address: str
    text: str
    choices: tuple[tuple[str, str], ...] = ()  # (title, payload)


class Channel(Protocol):
    """What the outbox asks of a channel."""

    name: str

    async def send(self, words: Outgoing) -> str:
        """Send, and return the platform's id of the message. Raises a `SendError`."""

    async def arrived(self, words: Outgoing, *, after: str, newest: str) -> str | None:
        """The platform's id of this very message, whose sending was cut off, if it did arrive. Raises a `SendError`.

        `after` is the platform's id of the last message known in this conversation, `newest` of the last on the
        whole channel, "" if none. None when it did not arrive, or the platform cannot tell: the message is then
        sent again, since twice is better than silence.
        """


class SendError(Exception):
    """A send that failed; each kind knows what is to be done. The text carries no guest data and no secret."""

    outcome: ClassVar[str]
    retry: ClassVar[bool] = False
    tell_staff: ClassVar[bool] = False

    def __init__(self, reason: str = "", *, after: float | None = None) -> None:
        super().__init__(reason or self.outcome)
        self.after = after  # seconds the platform asked us to wait


class Unreachable(SendError):
    """No answer, or not a sensible one: the network, a gateway, or the platform itself."""

    outcome = "unreachable"
    retry = True


class Uncertain(Unreachable):
    """The connection broke after we had spoken: the message may have arrived. The next attempt asks first."""

    outcome = "uncertain"


class TooFast(SendError):
    """The platform asks us to slow down."""

    outcome = TOLD_TO_WAIT
    retry = True


class GuestGone(SendError):
    """The guest blocked or left us; nothing more may be sent there."""

    outcome = "guest_gone"


class OutOfWindow(SendError):
    """The platform lets us write only after the guest has written; the allowance is used up or too old."""

    outcome = "out_of_window"


class Rejected(SendError):
    """The platform will never take this message as it is: our mistake, so staff should know."""

    outcome = "rejected"
    tell_staff = True


class NotAllowed(SendError):
    """A secret or a permission is wrong; an operator must mend it, then the message can go."""

    outcome = "not_allowed"
    retry = True
    tell_staff = True
