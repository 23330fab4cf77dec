"""What a line of a table of stays says, and what is recorded that it may meet, looked up for many lines at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from data import membership
from data.booking import NewStay
from data.folio_rules import NewLine
from data.folios import FolioLine
from data.hotels import Hotel
from data.members import Member, MemberStatus
from data.refusals import Conflict
from data.stay_rules import STATES, said
from data.stays import Stay, StayStatus

BILL = "import"  # the line number of an imported bill

# What must be the same in a stay that is recorded already.
FIXED = ("member_id", "hotel_id", "room_type", "arrival", "departure", "adults", "children")


@dataclass(frozen=True)
class StayLine:
    """One line of a table: the stay as it is booked, what has become of it, and its bill.

    `bill` None with `bill_told`: it came to nothing; without: nothing is said of it.
    """

    stay: NewStay
    hotel: Hotel
    status: StayStatus
    bill: NewLine | None
    bill_told: bool

    def columns(self, member_id: int) -> dict[str, Any]:
        """`FIXED` of this stay, if it is this member's."""
        stay = self.stay
        return {
            "member_id": member_id,
            "hotel_id": self.hotel.id,
            "room_type": stay.room_type,
            "arrival": stay.arrival,
            "departure": stay.departure,
            "adults": stay.adults,
            "children": stay.children,
        }


@dataclass(frozen=True)
class Recorded:
    """A stay as it is recorded: `FIXED`, its state, and an imported bill in minor units with its currency."""

    columns: dict[str, Any]
    status: StayStatus
    bill: tuple[int, str] | None


class Known:
    """What some lines may meet: active members by number, stays by confirmation, and the nights these members sleep.

    What is written meanwhile is added.
    """

    def __init__(self, db: Session, lines: Sequence[StayLine]) -> None:
        self.members = _active_members(db, {line.stay.member for line in lines})
        self.stays = recorded(db, [line.stay.confirmation for line in lines])
        self._nights: defaultdict[int, list[tuple[date, date]]] = defaultdict(list)
        if lines:
            self._look_up_nights(db, lines)

    def sleeps(self, member_id: int, line: StayLine) -> bool:
        """Whether the member sleeps elsewhere in the nights of this stay."""
        arrival, departure = line.stay.arrival, line.stay.departure
        return line.status is not StayStatus.cancelled and any(
            first < departure and last > arrival for first, last in self._nights[member_id]
        )

    def add(self, line: StayLine, member_id: int) -> None:
        """Know this stay from now on."""
        bill = (line.bill.amount_minor, line.bill.currency) if line.bill else None
        self.stays[line.stay.confirmation] = Recorded(line.columns(member_id), line.status, bill)
        if line.status is not StayStatus.cancelled:
            self._nights[member_id].append((line.stay.arrival, line.stay.departure))

    def _look_up_nights(self, db: Session, lines: Sequence[StayLine]) -> None:
        nights = select(Stay.member_id, Stay.arrival, Stay.departure).where(
            Stay.member_id.in_(self.members.values()),
            Stay.status != StayStatus.cancelled.value,
            Stay.arrival < max(line.stay.departure for line in lines),
            Stay.departure > min(line.stay.arrival for line in lines),
        )
        for member_id, arrival, departure in db.execute(nights):
            self._nights[member_id].append((arrival, departure))


def recorded(db: Session, confirmations: Iterable[str]) -> dict[str, Recorded]:
    """The stays with these confirmations that there are."""
    rows = db.execute(
        select(Stay.confirmation, Stay.status, FolioLine.amount_minor, FolioLine.currency, *_FIXED)
        .outerjoin(FolioLine, and_(FolioLine.stay_id == Stay.id, FolioLine.line == BILL))
        .where(Stay.confirmation.in_(confirmations))
    )
    return {
        confirmation: Recorded(
            dict(zip(FIXED, fixed, strict=True)),
            StayStatus(status),
            None if amount_minor is None else (amount_minor, currency),
        )
        for confirmation, status, amount_minor, currency, *fixed in rows
    }


_FIXED = [getattr(Stay, name) for name in FIXED]


def refuse_difference(line: StayLine, known: Recorded) -> None:
    """Raises `Conflict` if what has become of the stay is not what is told or may follow on it, or the bill differs."""
    if known.status is not line.status and known.status not in _may_follow(line.status):
        problem = f"stay {line.stay.confirmation} is recorded as {said(known.status)}."
        raise Conflict("status", problem, STATES[known.status].remedy)
    told = (line.bill.amount_minor, line.bill.currency) if line.bill else None
    if line.bill_told and told != known.bill:
        problem = f"is not the bill that was imported for stay {line.stay.confirmation}, if one was."
        raise Conflict("total", problem, "Leave it empty; charge or refund a line of the stay instead.")


def _may_follow(status: StayStatus) -> set[StayStatus]:
    """All that may become of a stay in this state, sooner or later."""
    after = set(STATES[status].may_become)
    return after.union(*(_may_follow(each) for each in after))


def _active_members(db: Session, numbers: Iterable[str]) -> dict[str, int]:
    """Ids of those who are active, or live on in one who is, by the number that was asked for."""
    rows = db.execute(select(Member.number, Member.id, Member.status).where(Member.number.in_(numbers))).all()
    found = {number: member_id for number, member_id, status in rows if status == MemberStatus.active.value}
    for number, member_id, status in rows:
        if status == MemberStatus.merged.value:
            lives_on = membership.living(db, db.get_one(Member, member_id))
            if lives_on.status == MemberStatus.active.value:
                found[number] = lives_on.id
    return found
