"""Whether a membership is alive: the member to act for, following a merge; leaving and coming back."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import audit, holds, ledger
from data.hotels import Hotel
from data.identities import card_number
from data.members import Member, MemberStatus
from data.programme_versions import in_force
from data.refusals import BadInput, Conflict, Unknown

_NOT_ACTIVE = {
    MemberStatus.left: ("has ended their membership.", "Let them rejoin first."),
    MemberStatus.merged: ("was merged into another member.", "Use the membership that lives on."),
    MemberStatus.erased: ("was erased at the guest's wish.", "Enrol the guest anew."),
}


def locked(db: Session, member_id: int) -> Member:
    """The member as recorded now, with their account locked until the transaction ends. Raises `Unknown`."""
    ledger.lock(db, member_id)
    return db.get_one(Member, member_id, populate_existing=True)


def active(db: Session, member_id: int, *, field: str = "member") -> Member:
    """As `locked`; raises `Conflict` for a member who is not active."""
    member = locked(db, member_id)
    refuse_if_over(member, field=field)
    return member


def refuse_if_over(member: Member, *, field: str = "member") -> None:
    """Raise `Conflict` for a member who is not active, with what to do instead."""
    if member.status != MemberStatus.active:
        problem, remedy = _NOT_ACTIVE[MemberStatus(member.status)]
        raise Conflict(field, f"{member.number} {problem}", remedy)


def member_by_number(db: Session, number: str, *, field: str = "member") -> Member:
    """The member with this number, or who lives on in their place. Raises `Unknown`."""
    try:
        spelt = card_number(number)
    except BadInput:
        spelt = None
    member = db.scalars(select(Member).where(Member.number == spelt)).one_or_none() if spelt else None
    if member is None:
        raise Unknown(field, "no member has this number.", "Enrol the guest, or correct the number.")
    return living(db, member)


def living(db: Session, member: Member) -> Member:
    """The member, or the one they were merged into, however often."""
    while member.merged_into_id is not None:
        member = db.get_one(Member, member.merged_into_id)
    return member


def leave(db: Session, member_id: int, *, via: str, actor: str, now: datetime) -> Member:
    """End a membership at the guest's wish. Again: harmless. Raises `Conflict`, `Unknown`.

    Points stay and end by their own terms; who rejoins in time finds them.
    """
    member = locked(db, member_id)
    if member.status == MemberStatus.left:
        return member
    refuse_if_over(member)
    if holds.running(db, member_id, now=now):
        remedy = "Finish or cancel the redemption that is under way, or wait until its time has run out."
        raise Conflict("member", f"{member.number} has points on hold.", remedy)
    return _become(db, member, MemberStatus.left, via=via, actor=actor, now=now)


def rejoin(db: Session, member_id: int, *, via: str, actor: str, now: datetime) -> Member:
    """Take back a member who left, with their number, tier and what points are still good; no second welcome gift.

    Again: harmless. Raises `Conflict` for one who was merged or erased, `Unknown`.
    """
    member = locked(db, member_id)
    if member.status == MemberStatus.active:
        return member
    if member.status != MemberStatus.left:
        refuse_if_over(member)
    return _become(db, member, MemberStatus.active, via=via, actor=actor, now=now)


def _become(
    db: Session, member: Member, status: MemberStatus, *, via: str, actor: str, now: datetime
) -> Member:
    member.status = status.value
    deed = "member.left" if status == MemberStatus.left else "member.rejoined"
    audit.record(db, deed, f"member:{member.id}", actor=actor, now=now, via=via)
    db.flush()
    return member


def zone(db: Session, member_id: int, *, now: datetime) -> ZoneInfo:
    """The clock a member lives by: where they said they live, else their home hotel's, else the programme's."""
    asked = select(Member.time_zone, Hotel.time_zone).outerjoin(Hotel, Hotel.id == Member.home_hotel_id)
    lives, home = db.execute(asked.where(Member.id == member_id)).tuples().one()
    return ZoneInfo(lives or home) if lives or home else in_force(db, now=now).programme.zone
