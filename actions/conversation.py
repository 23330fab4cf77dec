"""Small talk that needs to know who is speaking."""

from __future__ import annotations

from sqlalchemy.orm import Session

from actions.guest import Guest, GuestAction, Words
from data.members import Member


class Greet(GuestAction):
    """Greet a member by name, anyone else without."""

    reads = True

    def act(self, db: Session, guest: Guest) -> Words:
        member = db.get(Member, guest.member_id) if guest.member_id is not None else None
        return ("utter_greet_member", {"name": member.name}) if member else ("utter_greet", {})
