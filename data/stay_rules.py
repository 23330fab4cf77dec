"""What a stay must be like: its days, its party, and what may become of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from data.hotels import Hotel
from data.refusals import BadInput, Conflict
from data.stays import Stay, StayStatus

MOST_NIGHTS = 365
FIRST_DAY = date(1970, 1, 1)
FARTHEST = timedelta(days=3 * 365)  # nobody books farther ahead; a later day is a slip of the keyboard

_A_NUMBER = re.compile(r"[!-~]{1,32}")


@dataclass(frozen=True)
class State:
    """What a stay in this state may become, and what to do instead of anything else."""

    may_become: frozenset[StayStatus]
    remedy: str


STATES: Mapping[StayStatus, State] = {
    StayStatus.booked: State(
        frozenset({StayStatus.in_house, StayStatus.checked_out, StayStatus.cancelled}),
        "Check it in, check it out, or cancel it.",
    ),
    StayStatus.in_house: State(
        frozenset({StayStatus.checked_out}), "The guest is in the house: check the stay out."
    ),
    StayStatus.checked_out: State(
        frozenset(), "The stay is over: refund what was charged wrongly, or book another stay."
    ),
    StayStatus.cancelled: State(frozenset(), "Book the stay anew, under another confirmation."),
}


def may_move(stay: Stay, to: StayStatus) -> bool:
    """Whether the stay is to be moved; False if it is there already. Raises `Conflict` where it may not."""
    status = StayStatus(stay.status)
    if status is not to and to not in STATES[status].may_become:
        raise Conflict("stay", f"it is {said(status)}, so it cannot be {said(to)}.", STATES[status].remedy)
    return status is not to


def may_change(stay: Stay) -> None:
    """Raises `Conflict` if the stay is over, one way or the other."""
    status = StayStatus(stay.status)
    if not STATES[status].may_become:
        raise Conflict("stay", f"it is {said(status)}.", STATES[status].remedy)


def said(status: StayStatus) -> str:
    """The state in words."""
    return status.value.replace("_", " ")


def today_at(hotel: Hotel, now: datetime) -> date:
    """The hotel's calendar day at an aware moment."""
    return now.astimezone(ZoneInfo(hotel.time_zone)).date()


def check_begun(hotel: Hotel, arrival: date, now: datetime) -> None:
    """Raises `Conflict` before the day before arrival: a guest who comes after midnight is no day early."""
    if today_at(hotel, now) + timedelta(days=1) < arrival:
        raise Conflict(
            "arrival",
            f"the stay begins on {arrival}.",
            "Check in from the day before on, or change the stay first.",
        )


def check_nights(arrival: date, departure: date, *, now: datetime) -> None:
    """Raises `BadInput` unless these can be the days of a stay."""
    for field, day in (("arrival", arrival), ("departure", departure)):
        check_day(field, day)
    if departure <= arrival:
        raise BadInput("departure", "is not after the arrival.", "Send the day on which the guest leaves.")
    if (departure - arrival).days > MOST_NIGHTS:
        raise BadInput(
            "departure", f"is more than {MOST_NIGHTS} nights away.", "Book a second stay for the rest."
        )
    if not FIRST_DAY <= arrival <= now.date() + FARTHEST:
        raise BadInput("arrival", "is too long ago or too far ahead.", "Check the year.")


def check_room(room_type: str, adults: int, children: int) -> None:
    """Raises `BadInput` unless this can be a room and who sleeps in it."""
    # Nothing a database cannot hold or a list cannot show.
    if not room_type.isprintable() or room_type.strip() != room_type or not 1 <= len(room_type) <= 32:
        raise BadInput("room_type", "is no name of a room type.", "Send 1 to 32 characters.")
    check_whole("adults", adults, 1, 20)
    check_whole("children", children, 0, 20)


def is_number(text: str) -> bool:
    """Whether this can be a number in a property system, of a stay or a folio line."""
    return _A_NUMBER.fullmatch(text) is not None


def check_number(field: str, number: str) -> None:
    """Raises `BadInput` unless `is_number`."""
    if not is_number(number):
        raise BadInput(field, "is no such number.", "Send 1 to 32 letters, digits or signs, without spaces.")


def check_day(field: str, day: date) -> None:
    """Raises `BadInput` for what is a moment instead of a day."""
    if isinstance(day, datetime):
        raise BadInput(field, "has a time of day.", "Send a calendar day of the hotel alone.")


def check_whole(field: str, number: int, least: int, most: int) -> None:
    """Raises `BadInput` unless this is a whole number within the limits."""
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise BadInput(field, "does not fit.", f"Send a whole number from {least:,} to {most:,}.")
