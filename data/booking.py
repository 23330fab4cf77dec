"""A stay until the guest leaves: booked, changed, checked in or cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import audit, membership
from data.db import insert_once
from data.hotels import hotel_by_code
from data.members import Member
from data.refusals import BadInput, Conflict, Unknown
from data.stay_rules import (
    STATES,
    check_begun,
    check_nights,
    check_number,
    check_room,
    is_number,
    may_change,
    may_move,
)
from data.stays import Stay, StayStatus


@dataclass(frozen=True, kw_only=True)
class NewStay:
    """A stay as a property system or a file tells it; `member` is a card number, `hotel` a hotel's code.

    `status` is `booked`, or `in_house` for a guest who walked in.
    """

    confirmation: str
    member: str
    hotel: str
    room_type: str
    arrival: date
    departure: date
    adults: int = 1
    children: int = 0
    status: StayStatus = StayStatus.booked


@dataclass(frozen=True, kw_only=True)
class StayChanges:
    """What is to be different; None stays as it is. Another member or hotel is another stay: cancel and book."""

    room_type: str | None = None
    arrival: date | None = None
    departure: date | None = None
    adults: int | None = None
    children: int | None = None


@dataclass(frozen=True)
class Booked:
    """The stay; `again` if it was there already, just so."""

    stay: Stay
    again: bool


def book(db: Session, new: NewStay, *, actor: str, now: datetime) -> Booked:
    """Record a stay. The same stay again changes nothing, whatever has become of it since.

    A member sleeps in one place: nights that overlap another stay of theirs, in any hotel, are refused unless that
    stay is cancelled. A second room belongs to the membership of the guest who sleeps in it. The day of one
    departure may be the day of the next arrival. Raises `BadInput`, `Conflict`, `Unknown`.
    """
    _check_new(new, now)
    hotel, member = hotel_by_code(db, new.hotel), membership.member_by_number(db, new.member)
    told = {
        "member_id": member.id,
        "hotel_id": hotel.id,
        "room_type": new.room_type,
        "arrival": new.arrival,
        "departure": new.departure,
        "adults": new.adults,
        "children": new.children,
    }
    if again := _booked_before(db, new.confirmation, told):
        return again
    # Two who book overlapping nights for one member take turns here, and the second one looks again.
    member = membership.locked(db, member.id)
    if again := _booked_before(db, new.confirmation, told):
        return again
    membership.refuse_if_over(member)
    if new.status is StayStatus.in_house:
        check_begun(hotel, new.arrival, now)
    refuse_overlap(db, member.id, new.arrival, new.departure)
    stay_id = insert_once(db, Stay, confirmation=new.confirmation, status=new.status.value, **told)
    if stay_id is None:
        # Booked this very moment for another member, whose account we did not lock; by now it can be read.
        return book(db, new, actor=actor, now=now)
    audit.record(db, "stay.booked", f"stay:{stay_id}", actor=actor, now=now)
    return Booked(db.get_one(Stay, stay_id), again=False)


def stay_by_confirmation(db: Session, confirmation: str, *, field: str = "stay") -> Stay:
    """The stay with the property system's own number. Raises `Unknown`, which names the `field` it came in."""
    stay = _confirmed(db, confirmation) if is_number(confirmation) else None
    if stay is None:
        raise Unknown(field, "no stay has this confirmation.", "Book the stay first.")
    return stay


def change_stay(db: Session, stay_id: int, changes: StayChanges, *, actor: str, now: datetime) -> Stay:
    """Other dates, another room type or party, until the guest has left. The same change again changes nothing.

    Raises `BadInput`, `Conflict` for a stay that is over or overlaps another, `Unknown`.
    """
    stay, member = lock_stay(db, stay_id)
    wanted = {name: value for name, value in asdict(changes).items() if value is not None}
    wanted = {name: value for name, value in wanted.items() if value != getattr(stay, name)}
    if not wanted:
        return stay
    may_change(stay)
    arrival, departure = wanted.get("arrival", stay.arrival), wanted.get("departure", stay.departure)
    check_nights(arrival, departure, now=now)
    check_room(
        **{name: wanted.get(name, getattr(stay, name)) for name in ("room_type", "adults", "children")}
    )
    if stay.status == StayStatus.in_house.value:
        check_begun(stay.hotel, arrival, now)
    if (arrival, departure) != (stay.arrival, stay.departure):
        refuse_overlap(db, member.id, arrival, departure, but=stay.id)
    for name, value in wanted.items():
        setattr(stay, name, value)
    audit.record(db, "stay.changed", f"stay:{stay.id}", actor=actor, now=now, fields=sorted(wanted))
    db.flush()
    return stay


def check_in(db: Session, stay_id: int, *, actor: str, now: datetime) -> Stay:
    """The guest has arrived: booked → in the house, from the day before arrival on by the hotel's calendar.

    Again changes nothing. Raises `Conflict`, `Unknown`.
    """
    stay, _ = lock_stay(db, stay_id)
    if may_move(stay, StayStatus.in_house):
        check_begun(stay.hotel, stay.arrival, now)
        stay.status = StayStatus.in_house.value
        audit.record(db, "stay.checked_in", f"stay:{stay.id}", actor=actor, now=now)
        db.flush()
    return stay


def cancel(db: Session, stay_id: int, *, actor: str, now: datetime) -> Stay:
    """The guest will not come: booked → cancelled. Again changes nothing. Raises `Conflict`, `Unknown`."""
    stay, _ = lock_stay(db, stay_id)
    if may_move(stay, StayStatus.cancelled):
        stay.status = StayStatus.cancelled.value
        audit.record(db, "stay.cancelled", f"stay:{stay.id}", actor=actor, now=now)
        db.flush()
    return stay


def lock_stay(db: Session, stay_id: int) -> tuple[Stay, Member]:
    """The stay as it is now and the member it belongs to, whose account is locked until the transaction ends.

    Whoever changes a stay begins here, so the account's lock is the lock of all its member's stays. Raises `Unknown`.
    """
    while True:
        owner_id = db.scalar(select(Stay.member_id).where(Stay.id == stay_id))
        if owner_id is None:
            raise Unknown("stay", f"there is no stay {stay_id}.", "Use the id of a stay.")
        owner = db.get_one(Member, owner_id)
        member = membership.locked(db, membership.living(db, owner).id)
        stay = db.get_one(Stay, stay_id, populate_existing=True)
        # Merged with another membership while we waited for the lock: once more, with that one's account.
        if member.merged_into_id is None and owner_of(db, stay) == member.id:
            return stay, member


def owner_of(db: Session, stay: Stay) -> int:
    """The id of the member a stay belongs to, or of who lives on in their place."""
    return membership.living(db, db.get_one(Member, stay.member_id)).id


def refuse_overlap(
    db: Session, member_id: int, arrival: date, departure: date, *, but: int | None = None
) -> None:
    """Raises `Conflict` if the member has a stay in these nights, other than stay `but`; the account is locked."""
    other = db.scalars(
        select(Stay)
        .where(
            Stay.member_id == member_id,
            Stay.id != but,
            Stay.status != StayStatus.cancelled.value,
            Stay.arrival < departure,
            Stay.departure > arrival,
        )
        .order_by(Stay.arrival)
        .limit(1)
    ).one_or_none()
    if other is not None:
        raise Conflict(
            "arrival",
            f"the nights overlap stay {other.confirmation} ({other.hotel.code}, {other.arrival} to {other.departure}).",
            "Change or cancel that one; a second room belongs to the membership of the guest who sleeps in it.",
        )


def _check_new(new: NewStay, now: datetime) -> None:
    check_number("confirmation", new.confirmation)
    check_number("hotel", new.hotel)
    check_nights(new.arrival, new.departure, now=now)
    check_room(new.room_type, new.adults, new.children)
    if new.status not in (StayStatus.booked, StayStatus.in_house):
        raise BadInput(
            "status", "a stay does not begin like that.", "Book it, then check it out or cancel it."
        )


def _confirmed(db: Session, confirmation: str) -> Stay | None:
    return db.scalars(select(Stay).where(Stay.confirmation == confirmation)).one_or_none()


# Fields of a stay whose change is another stay.
_FIXED = {"member_id": "member", "hotel_id": "hotel"}


def _booked_before(db: Session, confirmation: str, told: Mapping[str, Any]) -> Booked | None:
    """The stay with this confirmation, if there is one. Raises `Conflict` if it is not the one that is told."""
    first = _confirmed(db, confirmation)
    if first is None:
        return None
    recorded = {name: getattr(first, name) for name in told} | {"member_id": owner_of(db, first)}
    state = STATES[StayStatus(first.status)]
    remedy = "Send a change of the stay instead." if state.may_become else state.remedy
    for name, value in told.items():
        if recorded[name] != value:
            raise Conflict(
                _FIXED.get(name, name),
                f"stay {confirmation} is recorded with another.",
                "Cancel it and book anew, under another confirmation." if name in _FIXED else remedy,
            )
    return Booked(first, again=True)
