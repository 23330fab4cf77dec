"""Points errands."""

from __future__ import annotations

from sqlalchemy.orm import Session

from actions.guest import Guest, GuestAction, Words
from data import points


class PointsBalance(GuestAction):
    """Tell a member how many points they have."""

    reads = True

    def act(self, db: Session, guest: Guest) -> Words:
        held = points.balance(db, guest.member())
        return ("utter_points_balance", {"points": held}) if held else ("utter_no_points_yet", {})
