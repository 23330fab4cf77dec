"""One person's memberships: the one who lives on, and all that were merged into it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import ledger
from data.members import Member
from data.refusals import Unknown


def survivor(db: Session, member_id: int) -> Member:
    """The member, or who lives on in their place, over however many merges, as recorded now. Raises `Unknown`."""
    member = db.get(Member, member_id, populate_existing=True)
    if member is None:
        raise Unknown("member", f"there is no member with id {member_id}.", "Use the id of a member.")
    while member.merged_into_id is not None:
        member = db.get_one(Member, member.merged_into_id, populate_existing=True)
    return member


def family(db: Session, member_id: int) -> tuple[int, ...]:
    """The ids of a member and of all who were merged into them, over however many steps, in rising order."""
    known, newest = {member_id}, {member_id}
    while newest:
        newest = set(db.scalars(select(Member.id).where(Member.merged_into_id.in_(newest)))) - known
        known |= newest
    return tuple(sorted(known))


def lock_family(db: Session, member_id: int) -> tuple[Member, tuple[int, ...]]:
    """The member who lives on and the ids of the whole family, all their accounts locked. Raises `Unknown`."""
    while True:
        member = survivor(db, member_id)
        members = family(db, member.id)
        for each in members:
            ledger.lock(db, each)
        # Merged meanwhile with yet another one: once more, with that one's account.
        if (survivor(db, member_id).id, family(db, member.id)) == (member.id, members):
            return member, members
