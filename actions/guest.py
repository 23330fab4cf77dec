"""The base of every action: it opens the transaction, catches refusals, speaks, and clears the slots it used."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher
from sqlalchemy.orm import Session

from data.db import reading, transaction
from data.refusals import NotLinked, Refusal

Words = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Guest:
    """Who speaks in this turn, as reception found them, and when.

    `turn` is the same again if the turn is run again; `now` is not.
    """

    member_id: int | None
    contact_id: int | None
    channel: str
    locale: str
    turn: str
    now: datetime

    @classmethod
    def of(cls, tracker: Tracker) -> Guest:
        """The facts that came with the latest message; under stock Rasa there are none, and the guest is unknown."""
        facts = tracker.latest_message.get("metadata") or {}
        return cls(
            member_id=facts.get("member_id"),
            contact_id=facts.get("contact_id"),
            channel=facts.get("channel", ""),
            locale=facts.get("locale", ""),
            turn=facts.get("turn", ""),
            now=datetime.fromisoformat(facts["at"]) if "at" in facts else datetime.now(timezone.utc),
        )

    def member(self) -> int:
        """The member's id. Raises `NotLinked` for a contact that belongs to nobody yet."""
        if self.member_id is None:
            raise NotLinked
        return self.member_id


class GuestAction(Action, ABC):
    """One deed. A subclass writes `act`; its name is that of the class: `PointsBalance` is `action_points_balance`."""

    reads: ClassVar[bool] = False  # says yes if `act` only looks: then nobody waits for it
    uses: ClassVar[tuple[str, ...]] = ()  # slots that arrive as arguments and are forgotten afterwards

    def name(self) -> str:
        return "action_" + re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @abstractmethod
    def act(self, db: Session, guest: Guest, *args: Any, **used: Any) -> Words:
        """Do the deed inside one transaction and say what to utter, with its values. A `Refusal` undoes it."""

    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        used = {slot: tracker.get_slot(slot) for slot in self.uses}
        try:
            with reading() if self.reads else transaction() as db:
                utter, values = self.act(db, Guest.of(tracker), **used)
        except Refusal as no:
            utter, values = no.utter, no.values
        dispatcher.utter_message(response=utter, **{name: _plain(value) for name, value in values.items()})
        return [SlotSet(slot, None) for slot in self.uses]


def _plain(value: Any) -> Any:
    """What a phrase's blank is given: it travels as JSON, and the phrasebook reads days and moments from text."""
    return value.isoformat() if isinstance(value, date) else value
