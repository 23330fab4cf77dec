"""Recording many stays at once: those that nothing speaks against together, the others one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Table, insert, text
from sqlalchemy.orm import Session

from data import booking, checkout
from data.audit import AuditEntry
from data.folios import FolioLine
from data.importing import ACTOR, Tally
from data.refusals import BadInput
from data.stay_lines import Known, StayLine, recorded, refuse_difference
from data.stay_rules import STATES, check_begun, said, today_at
from data.stays import Stay, StayStatus


def write(
    db: Session,
    lines: Sequence[tuple[int, StayLine]],
    *,
    earn: bool,
    now: datetime,
    refuse: Callable[[int, BadInput], None],
) -> Tally:
    """Record these stays, each whole or not at all; `earn` checks out those whose guests have left.

    A line that any rule might speak against goes through `booking.book`, alone: it says whether, and why. So what is
    looked up here for many lines at once decides nothing but the way a line takes.
    """
    _be_alone(db)
    known = Known(db, [line for _, line in lines])
    fresh: list[tuple[int, StayLine]] = []  # with the member's id
    written = again = 0
    for number, line in lines:
        member_id, before = known.members.get(line.stay.member), known.stays.get(line.stay.confirmation)
        checks_out = earn and line.status is StayStatus.checked_out
        try:
            if member_id and before and before.columns == line.columns(member_id):
                refuse_difference(line, before)
                again += 1
            elif member_id and not before and not checks_out and not known.sleeps(member_id, line):
                _check_new(line, now)
                known.add(line, member_id)
                fresh.append((member_id, line))
                written += 1
            else:
                _insert(db, fresh, now=now)
                fresh = []
                stay = _one(db, line, checks_out=checks_out, now=now)
                if stay is None:
                    again += 1
                else:
                    known.add(line, stay.member_id)
                    written += 1
        except BadInput as error:
            refuse(number, error)
    _insert(db, fresh, now=now)
    return Tally(written, again)


def _be_alone(db: Session) -> None:
    """From here to the end of the transaction nobody else books, for whichever member.

    Whoever books locks the member's account first. So many locked one by one could deadlock with others, hence all at
    once; on SQLite nobody else writes anyway.
    """
    if db.connection().dialect.name == "postgresql":
        db.execute(text("LOCK TABLE point_accounts IN EXCLUSIVE MODE"))


def _check_new(line: StayLine, now: datetime) -> None:
    """Raises `BadInput` unless the stay can be so on the day it is written; later it may be over."""
    if line.status is StayStatus.in_house:
        check_begun(line.hotel, line.stay.arrival, now)
    if STATES[line.status].may_become and line.stay.departure < today_at(line.hotel, now):
        problem = f"is in the past, but the stay is {said(line.status)}."
        raise BadInput("departure", problem, "Write the status checked_out or cancelled.")


def _one(db: Session, line: StayLine, *, checks_out: bool, now: datetime) -> Stay | None:
    """Record one stay by the rules of booking and checkout; None if it was recorded before, just so."""
    with db.begin_nested():
        booked = booking.book(db, line.stay, actor=ACTOR, now=now)
        stay = booked.stay
        if booked.again:
            refuse_difference(line, recorded(db, [stay.confirmation])[stay.confirmation])
            return None
        _check_new(line, now)
        if checks_out:
            if line.bill is not None:
                checkout.charge(db, stay.id, line.bill, actor=ACTOR, now=now)
            checkout.check_out(db, stay.id, actor=ACTOR, now=now)
        elif stay.status != line.status.value:
            stay.status = line.status.value
            db.flush()
            _insert_bills(db, [(stay.id, line)])
        return stay


def _insert(db: Session, fresh: Sequence[tuple[int, StayLine]], *, now: datetime) -> None:
    """Write stays that nothing speaks against, in the way `booking.book` writes one."""
    if not fresh:
        return
    rows = [
        {
            **line.columns(member_id),
            "confirmation": line.stay.confirmation,
            "status": line.status.value,
        }
        for member_id, line in fresh
    ]
    written = db.execute(insert(_STAYS).returning(_STAYS.c.confirmation, _STAYS.c.id), rows)
    ids = dict(written.tuples().all())
    _insert_bills(db, [(ids[line.stay.confirmation], line) for _, line in fresh])
    # One trail for every stay, whichever way it took.
    entry = {"at": now, "actor": ACTOR, "deed": "stay.booked", "facts": {}}
    db.execute(insert(_AUDIT), [entry | {"subject": f"stay:{each}"} for each in sorted(ids.values())])


def _insert_bills(db: Session, stays: Sequence[tuple[int, StayLine]]) -> None:
    bills = [
        {
            "stay_id": stay_id,
            "line": line.bill.line,
            "outlet": line.bill.outlet,
            "day": line.bill.day,
            "amount_minor": line.bill.amount_minor,
            "currency": line.bill.currency,
        }
        for stay_id, line in stays
        if line.bill is not None
    ]
    if bills:
        db.execute(insert(_FOLIO), bills)


_STAYS: Table = Stay.__table__  # type: ignore[assignment]
_AUDIT: Table = AuditEntry.__table__  # type: ignore[assignment]
_FOLIO: Table = FolioLine.__table__  # type: ignore[assignment]
