"""Folio lines and checkout: what a stay was charged, and the points that come of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from msgspec import structs
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.api import answers
from bot.api.bodies import Checkout, NewFolioLine, NewFolioLines, Nothing
from bot.api.operations import Answer, Call, Link, Operation, any_of
from bot.api.stays import CONFIRMATION, in_full, leads
from data import booking, checkout, folio_points, referrals
from data.api_keys import Scope
from data.booking import StayChanges
from data.checkout import Charged
from data.folios import FolioLine
from data.ledger_rows import PointEntry, PointLot
from data.members import Member
from data.refusals import BadInput
from data.stay_rules import STATES
from data.stays import Stay, StayStatus


def charge(db: Session, call: Call[NewFolioLines]) -> Answer:
    stay = booking.stay_by_confirmation(db, call.path["confirmation"])
    charged = _charge_all(db, stay, call.told.lines, call)
    lines = [each.line for each in charged]
    return Answer(_folio(db, stay, lines), 200 if all(each.again for each in charged) else 201)


def lines(db: Session, call: Call[Nothing]) -> Answer:
    stay = booking.stay_by_confirmation(db, call.path["confirmation"])
    rows = db.scalars(select(FolioLine).where(FolioLine.stay_id == stay.id).order_by(FolioLine.id)).all()
    return Answer(_folio(db, stay, rows))


def check_out(db: Session, call: Call[Checkout]) -> Answer:
    told = call.told
    stay = booking.stay_by_confirmation(db, call.path["confirmation"])
    # As checkout itself does: all accounts that will be written to, before the stay.
    referrals.lock_both(db, booking.owner_of(db, stay))
    stay, _ = booking.lock_stay(db, stay.id)
    if told.lines and told.departure is not None and STATES[StayStatus(stay.status)].may_become:
        # First the real departure: a line must be of a day of the stay, and the guest may have stayed longer.
        changes = StayChanges(departure=told.departure)
        booking.change_stay(db, stay.id, changes, actor=call.actor, now=call.now)
    charged = _charge_all(db, stay, told.lines, call)
    done = checkout.check_out(db, stay.id, departure=told.departure, actor=call.actor, now=call.now)
    late = [each.entry for each in charged if each.entry is not None]
    return Answer(_checked_out(db, done.stay, [each.entry_id for each in (*done.entries, *late)]))


def _charge_all(
    db: Session, stay: Stay, told: Sequence[NewFolioLine], call: Call[NewFolioLines] | Call[Checkout]
) -> list[Charged]:
    charged = []
    for place, line in enumerate(told):
        with _at_line(place):
            new = checkout.NewLine(**structs.asdict(line))
            charged.append(checkout.charge(db, stay.id, new, actor=call.actor, now=call.now))
    return charged


@contextlib.contextmanager
def _at_line(place: int) -> Iterator[None]:
    """Let a refusal name the line it is about."""
    try:
        yield
    except BadInput as error:
        if error.field in NewFolioLine.__struct_fields__:
            error.field = f"lines[{place}].{error.field}"
        raise


def _folio(db: Session, stay: Stay, rows: Sequence[FolioLine]) -> answers.Folio:
    keys = {row.id: folio_points.key_of(stay, row.line) for row in rows}
    posted = select(PointEntry.key, PointEntry.amount).where(PointEntry.key.in_(keys.values()))
    points = {key: amount for key, amount in db.execute(posted).tuples()}
    numbers = {
        number: line
        for number, line in db.execute(
            select(FolioLine.id, FolioLine.line).where(FolioLine.stay_id == stay.id)
        ).tuples()
    }
    return answers.Folio(
        stay=stay.confirmation,
        lines=[
            answers.FolioLine(
                line=row.line,
                outlet=row.outlet,
                day=row.day,
                amount_minor=row.amount_minor,
                currency=row.currency,
                refunds=None if row.refunds_id is None else numbers[row.refunds_id],
                points=points.get(keys[row.id], 0),
            )
            for row in rows
        ],
    )


def _checked_out(db: Session, stay: Stay, entry_ids: Sequence[int]) -> answers.CheckedOut:
    entries = db.scalars(select(PointEntry).where(PointEntry.id.in_(entry_ids)).order_by(PointEntry.id)).all()
    member = db.get_one(Member, booking.owner_of(db, stay))
    lot = _first_lot(db, entries)
    return answers.CheckedOut(
        stay=in_full(db, stay),
        tier=member.tier,
        points=sum(entry.amount for entry in entries),
        ripen_at=lot.available_at if lot else None,
        expire_at=lot.expires_at if lot else None,
        earned=[
            answers.Earned(line=entry.facts["line"], points=entry.amount, explanation=entry.facts)
            for entry in entries
        ],
    )


def _first_lot(db: Session, entries: Sequence[PointEntry]) -> PointLot | None:
    """The lot of the first credit: all that a stay earns ripens and ends together."""
    credit = next((entry for entry in entries if entry.amount > 0), None)
    return db.get(PointLot, (credit.member_id, credit.seq)) if credit is not None else None


def _within(part: str, link: Link) -> Link:
    """A link from an answer that holds the other answer as its part."""
    return Link(to=link.to, path={name: f"{part}/{place}" for name, place in link.path.items()})


OPERATIONS = any_of(
    Operation(
        id="chargeStay",
        method="POST",
        path="/stays/{confirmation}/folio-lines",
        summary="Put lines on a stay's folio: all of them or none",
        description=(
            "From booking (a deposit) until long after checkout. A refund is a line of its own, with a negative "
            "amount, that names the line it refunds. Before checkout nothing is earned yet; after it a charge earns "
            "at once, and a refund takes its share of the points back. 200: all of it was there before."
        ),
        scope=Scope.stays_write,
        takes=NewFolioLines,
        gives={201: answers.Folio, 200: answers.Folio},
        deed=charge,
        places=CONFIRMATION,
        links=(
            Link(to="listFolioLines", path={"confirmation": "stay"}),
            Link(to="checkOut", path={"confirmation": "stay"}),
        ),
    ),
    Operation(
        id="listFolioLines",
        method="GET",
        path="/stays/{confirmation}/folio-lines",
        summary="All lines of a stay's folio, with the points of each",
        scope=Scope.stays_read,
        takes=Nothing,
        gives={200: answers.Folio},
        deed=lines,
        places=CONFIRMATION,
    ),
    Operation(
        id="checkOut",
        method="POST",
        path="/stays/{confirmation}/check-out",
        summary="The guest has left: every charge earns its points",
        description=(
            "`departure` may be earlier or later than booked. `lines` is what is still missing on the folio. The "
            "answer tells what was earned and when it ripens. Again gives what the first time gave."
        ),
        scope=Scope.stays_write,
        takes=Checkout,
        gives={200: answers.CheckedOut},
        deed=check_out,
        places={**CONFIRMATION, "arrival": "$.departure"},
        links=(
            *(_within("stay", link) for link in leads("getStay", "chargeStay", "listFolioLines")),
            Link(to="getPoints", path={"number": "stay/member"}),
        ),
    ),
)
