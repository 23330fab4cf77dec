"""Stays until the guest leaves: booked, changed, checked in or cancelled by a property system."""

from __future__ import annotations

from msgspec import UNSET, structs
from sqlalchemy.orm import Session

from bot.api import answers
from bot.api.bodies import NewStay, Nothing, StayChanges
from bot.api.operations import Answer, Call, Link, Operation, any_of
from data import booking
from data.api_keys import Scope
from data.members import Member
from data.stays import Stay, StayStatus

CONFIRMATION = {"stay": "path.confirmation", "confirmation": "path.confirmation"}


def book(db: Session, call: Call[NewStay]) -> Answer:
    told = structs.asdict(call.told)
    new = booking.NewStay(**told | {"status": StayStatus(call.told.status)})
    done = booking.book(db, new, actor=call.actor, now=call.now)
    return Answer(in_full(db, done.stay), 200 if done.again else 201)


def get(db: Session, call: Call[Nothing]) -> Answer:
    return Answer(in_full(db, booking.stay_by_confirmation(db, call.path["confirmation"])))


def change(db: Session, call: Call[StayChanges]) -> Answer:
    stay = booking.stay_by_confirmation(db, call.path["confirmation"])
    told = {name: value for name, value in structs.asdict(call.told).items() if value is not UNSET}
    changes = booking.StayChanges(**told)
    return Answer(in_full(db, booking.change_stay(db, stay.id, changes, actor=call.actor, now=call.now)))


def check_in(db: Session, call: Call[Nothing]) -> Answer:
    stay = booking.stay_by_confirmation(db, call.path["confirmation"])
    return Answer(in_full(db, booking.check_in(db, stay.id, actor=call.actor, now=call.now)))


def cancel(db: Session, call: Call[Nothing]) -> Answer:
    stay = booking.stay_by_confirmation(db, call.path["confirmation"])
    return Answer(in_full(db, booking.cancel(db, stay.id, actor=call.actor, now=call.now)))


def in_full(db: Session, stay: Stay) -> answers.Stay:
    """A stay as it is answered."""
    return answers.Stay(
        confirmation=stay.confirmation,
        member=db.get_one(Member, booking.owner_of(db, stay)).number,
        hotel=stay.hotel.code,
        room_type=stay.room_type,
        arrival=stay.arrival,
        departure=stay.departure,
        adults=stay.adults,
        children=stay.children,
        status=StayStatus(stay.status),
        checked_out_at=stay.checked_out_at,
    )


def leads(*ids: str) -> tuple[Link, ...]:
    """Links from a stay to what can be done with it, and to its member."""
    on = tuple(Link(to=id, path={"confirmation": "confirmation"}) for id in ids)
    return (*on, Link(to="getMember", path={"number": "member"}))


OPERATIONS = any_of(
    Operation(
        id="bookStay",
        method="POST",
        path="/stays",
        summary="Record a stay of a member",
        description=(
            "201: recorded. 200: this stay is recorded just so, and nothing was changed. A member sleeps in one place: "
            "nights that overlap another stay of theirs are refused; a second room belongs to the membership of the "
            "guest who sleeps in it."
        ),
        scope=Scope.stays_write,
        takes=NewStay,
        gives={201: answers.Stay, 200: answers.Stay},
        deed=book,
        location="/stays/{confirmation}",
        links=leads(
            "getStay", "changeStay", "checkIn", "cancelStay", "chargeStay", "checkOut", "listFolioLines"
        ),
    ),
    Operation(
        id="getStay",
        method="GET",
        path="/stays/{confirmation}",
        summary="Read a stay",
        scope=Scope.stays_read,
        takes=Nothing,
        gives={200: answers.Stay},
        deed=get,
        places=CONFIRMATION,
        links=leads("changeStay", "checkIn", "checkOut", "listFolioLines"),
    ),
    Operation(
        id="changeStay",
        method="PATCH",
        path="/stays/{confirmation}",
        summary="Other dates, another room type or party, until the guest has left",
        scope=Scope.stays_write,
        takes=StayChanges,
        gives={200: answers.Stay},
        deed=change,
        places=CONFIRMATION,
        links=leads("getStay"),
    ),
    Operation(
        id="checkIn",
        method="POST",
        path="/stays/{confirmation}/check-in",
        summary="The guest has arrived",
        description="From the day before arrival on, by the hotel's calendar. Again changes nothing.",
        scope=Scope.stays_write,
        takes=Nothing,
        gives={200: answers.Stay},
        deed=check_in,
        places={**CONFIRMATION, "arrival": "path.confirmation"},
        links=leads("getStay", "chargeStay", "checkOut"),
    ),
    Operation(
        id="cancelStay",
        method="POST",
        path="/stays/{confirmation}/cancel",
        summary="The guest will not come",
        description="Only a stay that is booked can be cancelled. Again changes nothing.",
        scope=Scope.stays_write,
        takes=Nothing,
        gives={200: answers.Stay},
        deed=cancel,
        places=CONFIRMATION,
        links=leads("getStay"),
    ),
)
