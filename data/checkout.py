"""Folio lines and checkout: what a stay was charged, and what follows once the guest has left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import audit, folio_points, programme_versions, referrals, tier_moves
from data.booking import lock_stay, owner_of, refuse_overlap
from data.folio_points import Rules
from data.folio_rules import NewLine, check_charge, check_line, check_refund
from data.folios import FolioLine
from data.ledger import Posted
from data.ledger_rows import Kind, PointEntry
from data.members import Member
from data.refusals import BadInput, Conflict, Unknown
from data.stay_rules import STATES, check_nights, may_move, today_at
from data.stays import Stay, StayStatus

__all__ = ["Charged", "CheckedOut", "NewLine", "charge", "check_out"]


@dataclass(frozen=True)
class Charged:
    """The line; `again` if it was there already. `entry`: what it gave or took back after checkout, if anything."""

    line: FolioLine
    again: bool
    entry: Posted | None = None


@dataclass(frozen=True)
class CheckedOut:
    """The stay; `again` if it was checked out already. `entries`: what its lines earned at checkout, in their order."""

    stay: Stay
    again: bool
    entries: tuple[Posted, ...]


def charge(db: Session, stay_id: int, line: NewLine, *, actor: str, now: datetime) -> Charged:
    """Put a line on a stay's folio, from booking (a deposit) until long after checkout; again changes nothing.

    Before checkout a line earns nothing yet, and a refund lessens what its charge will earn. After it a charge earns
    at once and a refund takes its share of the points back, both by the rules of the checkout. A line is in the
    hotel's currency or in one the programme has a rate for. Raises `BadInput`, `Conflict`, `Unknown`.
    """
    check_line(line)
    stay, member = lock_stay(db, stay_id)
    first = _line(db, stay, line.line)
    original = None if line.refunds is None else _line(db, stay, line.refunds)
    if first is not None:
        return _charged_before(db, stay, first, line, original)
    if stay.status == StayStatus.cancelled.value:
        raise Conflict("stay", "it is cancelled.", STATES[StayStatus.cancelled].remedy)
    if line.refunds is None:
        check_charge(stay, line, programme_versions.in_force(db, now=now).programme)
    elif original is None:
        raise Unknown("refunds", "this stay has no such line.", "Name the line that is refunded.")
    else:
        left = original.amount_minor - folio_points.refunded_minor(db, original)
        check_refund(stay, line, original, left_minor=left, now=now)
    row = FolioLine(
        stay_id=stay.id,
        line=line.line,
        outlet=line.outlet,
        day=line.day,
        amount_minor=line.amount_minor,
        currency=line.currency,
        refunds_id=original.id if original else None,
    )
    db.add(row)
    deed = "folio.refunded" if original else "folio.charged"
    audit.record(db, deed, f"stay:{stay.id}", actor=actor, now=now, line=line.line)
    db.flush()
    if stay.status != StayStatus.checked_out.value:
        return Charged(row, again=False)
    return Charged(row, again=False, entry=_post_late(db, member, stay, row, actor=actor, now=now))


def check_out(
    db: Session, stay_id: int, *, departure: date | None = None, actor: str, now: datetime
) -> CheckedOut:
    """The guest has left, on `departure` (None: as booked): every charge earns, and what follows from it.

    Each charge earns on what is left of it after refunds, in an entry of its own, by the programme in force now and
    the tier the member has now; only then may the stay move them to another tier, and reward whoever referred them.
    A member who has left or was erased earns nothing. Again gives what the first time gave. Raises `BadInput`,
    `Conflict`, `Unknown`.
    """
    if (known := db.get(Stay, stay_id)) is not None:
        # All accounts that will be written to, before the stay itself.
        referrals.lock_both(db, owner_of(db, known))
    stay, member = lock_stay(db, stay_id)
    left_on = stay.departure if departure is None else departure
    if not may_move(stay, StayStatus.checked_out):
        if left_on != stay.departure:
            raise Conflict("departure", f"the stay ended on {stay.departure}.", "Leave it as it is recorded.")
        return CheckedOut(stay, again=True, entries=_earned_at_checkout(db, stay))
    _check_departure(db, member, stay, left_on, now)
    stay.departure, stay.status, stay.checked_out_at = left_on, StayStatus.checked_out.value, now
    rules = _rules(db, member, stay, now)
    lines = db.scalars(select(FolioLine).where(FolioLine.stay_id == stay.id).order_by(FolioLine.id))
    given = [
        folio_points.earn(
            db, member, stay, line, net_minor=net, rules=rules, late=False, actor=actor, now=now
        )
        for line, net in folio_points.net_charges(lines)
    ]
    tier_moves.settle(db, member.id, cause=_cause(stay), actor=actor, now=now)
    referrals.reward(db, member.id, rules=rules.in_force, actor=actor, now=now)
    audit.record(
        db, "stay.checked_out", f"stay:{stay.id}", actor=actor, now=now, programme=rules.in_force.version
    )
    db.flush()
    return CheckedOut(stay, again=False, entries=tuple(posted for posted in given if posted))


def _post_late(
    db: Session, member: Member, stay: Stay, row: FolioLine, *, actor: str, now: datetime
) -> Posted | None:
    """What a line that comes after checkout gives or takes back."""
    rules = _rules(db, member, stay, now)
    if row.refunds_id is not None:
        return folio_points.take_back(db, member, stay, row, rules=rules, actor=actor, now=now)
    net = row.amount_minor
    posted = folio_points.earn(
        db, member, stay, row, net_minor=net, rules=rules, late=True, actor=actor, now=now
    )
    tier_moves.settle(db, member.id, cause=_cause(stay), actor=actor, now=now)
    return posted


def _rules(db: Session, member: Member, stay: Stay, now: datetime) -> Rules:
    moment = stay.checked_out_at or now  # stays that were carried over may not know it
    rules = programme_versions.in_force(db, now=moment)
    tier = tier_moves.tier_before(db, member, moment=moment, cause=_cause(stay))
    if tier not in {each.code for each in rules.programme.tiers}:  # a later version may name its tiers anew
        tier = rules.programme.entry_tier.code
    return Rules(rules, tier)


def _cause(stay: Stay) -> str:
    return f"stay:{stay.confirmation}"


def _earned_at_checkout(db: Session, stay: Stay) -> tuple[Posted, ...]:
    earned = select(PointEntry).where(PointEntry.stay_id == stay.id, PointEntry.kind == Kind.earn.value)
    entries = db.scalars(earned.order_by(PointEntry.id))
    return tuple(_posted(entry) for entry in entries if not _came_late(entry))


def _posted(entry: PointEntry) -> Posted:
    return Posted(entry.id, entry.member_id, entry.seq, entry.amount, entry.balance_after, again=True)


def _line(db: Session, stay: Stay, number: str) -> FolioLine | None:
    return db.scalars(
        select(FolioLine).where(FolioLine.stay_id == stay.id, FolioLine.line == number)
    ).one_or_none()


def _charged_before(
    db: Session, stay: Stay, first: FolioLine, line: NewLine, original: FolioLine | None
) -> Charged:
    told = {name: getattr(line, name) for name in ("outlet", "day", "amount_minor", "currency")}
    recorded = {name: getattr(first, name) for name in told}
    told["refunds"], recorded["refunds"] = (original.id if original else line.refunds), first.refunds_id
    for name, value in told.items():
        if recorded[name] != value:
            raise Conflict(
                name,
                f"line {first.line} is recorded with another.",
                "Refund it and charge a new line instead.",
            )
    key = folio_points.key_of(stay, first.line)
    entry = db.scalars(select(PointEntry).where(PointEntry.key == key)).one_or_none()
    late = entry is not None and (entry.kind == Kind.reverse.value or _came_late(entry))
    return Charged(first, again=True, entry=_posted(entry) if entry and late else None)


def _came_late(entry: PointEntry) -> bool:
    return bool(entry.facts.get("late"))


def _check_departure(db: Session, member: Member, stay: Stay, departure: date, now: datetime) -> None:
    check_nights(stay.arrival, departure, now=now)
    today = today_at(stay.hotel, now)
    if departure > today:
        raise BadInput(
            "departure", f"is still to come; at the hotel it is {today}.", "Send the day the guest left."
        )
    if departure != stay.departure:
        refuse_overlap(db, member.id, stay.arrival, departure, but=stay.id)
