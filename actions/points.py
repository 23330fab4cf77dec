"""Points errands."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from actions.guest import Guest, GuestAction, Words
from data import membership, points
from data.points import LotShare

# An end that is further away is no news yet.
SOON = timedelta(days=183)
MOMENT = timedelta(microseconds=1)


class PointsBalance(GuestAction):
    """Tell a member how many points they have, which end soon, and which are still to come."""

    reads = True

    def act(self, db: Session, guest: Guest) -> Words:
        member_id = guest.member()
        told = points.standing(db, member_id, now=guest.now)
        if told.spendable < 0:
            return "utter_points_owed", {"owed": -told.spendable}
        zone = membership.zone(db, member_id, now=guest.now)
        ending = _ending(told.usable, zone, guest.now) if told.spendable and not told.owed else {}
        pending = _pending(told.pending, zone)
        if not told.spendable:
            return ("utter_points_only_pending", pending) if pending else ("utter_no_points_yet", {})
        return _TOLD[bool(ending), bool(pending)], {"points": told.spendable, **ending, **pending}


_TOLD = {  # whether some end soon, whether some are to come
    (False, False): "utter_points_balance",
    (True, False): "utter_points_balance_ending",
    (False, True): "utter_points_balance_pending",
    (True, True): "utter_points_balance_ending_pending",
}


def _ending(lots: tuple[LotShare, ...], zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    """The day on which the first points end, if that is soon, and how many: they are used first."""
    ends = [(_last_day(lot.expires_at, zone), lot.points) for lot in lots if lot.expires_at is not None]
    if not ends or ends[0][0] > (now + SOON).astimezone(zone).date():
        return {}
    first = ends[0][0]
    return {"last_day": first, "ending": sum(part for day, part in ends if day == first)}


def _pending(lots: tuple[LotShare, ...], zone: ZoneInfo) -> dict[str, Any]:
    """The day on which the next points ripen, and how many will have by then."""
    if not lots:
        return {}
    first = min(lot.available_at.astimezone(zone).date() for lot in lots)
    ready = sum(lot.points for lot in lots if lot.available_at.astimezone(zone).date() == first)
    return {"ready_day": first, "pending": ready}


def _last_day(expires_at: datetime, zone: ZoneInfo) -> date:
    # A lot ends at the midnight after its last day.
    return (expires_at - MOMENT).astimezone(zone).date()
