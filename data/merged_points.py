"""Points across a merge: each lot carried over with its own terms, and what is done later to what was before."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from data import closing, corrections, ledger, persons
from data.ledger import Cause, Posted, Terms
from data.ledger_rows import Kind, PointAllocation, PointEntry, PointLot
from data.members import Member
from data.programme import Programme
from data.refusals import Unknown

REASON = "merge"
OUT, IN = ":out", ":in"  # how the keys of the two entries end that carry a lot over


@dataclass(frozen=True)
class Carried:
    """What went from one account to the other: lots, the points in them, and points that were owed."""

    lots: int
    points: int
    owed: int


def carry_over(db: Session, gone_id: int, keep_id: int, *, actor: str, now: datetime) -> Carried:
    """Empty one account into another, both locked: two entries for each lot that is open, and two for what is owed.

    Debts go first, and are paid from what comes after them. A lot keeps its own terms, ripe, pending or ended.
    """
    owed = _carry_debts(db, gone_id, keep_id, actor=actor, now=now)
    lots = db.execute(
        select(PointLot.number, PointLot.remaining, PointLot.available_at, PointLot.expires_at, PointEntry)
        .join(PointEntry, and_(PointEntry.member_id == gone_id, PointEntry.seq == PointLot.number))
        .where(PointLot.member_id == gone_id, PointLot.remaining > 0)
        .order_by(PointLot.number)
    ).all()
    for lot in lots:
        opened: PointEntry = lot.PointEntry
        facts = {"lot": lot.number, "reason": opened.facts.get("reason", opened.reason)}
        out, into = _pair(db, gone_id, keep_id, lot.number, facts, actor=actor)
        ledger.close_lot(db, gone_id, lot.number, cause=out, now=now)
        into = replace(into, stay_id=opened.stay_id)
        ledger.credit(db, keep_id, lot.remaining, cause=into, now=now, terms=Terms(*lot[2:4]))
    return Carried(len(lots), sum(lot.remaining for lot in lots), owed)


def lot_now(db: Session, entry: PointEntry) -> PointEntry | None:
    """The credit that carries on the lot this entry opened: itself, or after a merge one in the account that lives on.

    None if nothing was left of the lot to be carried.
    """
    while db.get_one(Member, entry.member_id).merged_into_id is not None:
        key = db.scalars(
            select(PointEntry.key)
            .join(
                PointAllocation,
                and_(
                    PointAllocation.member_id == PointEntry.member_id, PointAllocation.seq == PointEntry.seq
                ),
            )
            .where(
                PointAllocation.member_id == entry.member_id,
                PointAllocation.lot == entry.seq,
                PointEntry.kind == Kind.merge.value,
                PointEntry.amount < 0,
            )
            .order_by(PointEntry.seq.desc())
            .limit(1)
        ).one_or_none()
        if key is None:
            return None
        entry = db.scalars(select(PointEntry).where(PointEntry.key == key.removesuffix(OUT) + IN)).one()
    return entry


def claw_back(
    db: Session, entry_id: int, amount: int, *, cause: Cause, now: datetime, owe: bool
) -> Posted | None:
    """As `corrections.claw_back`, and from the account that lives on if the one it was given to was merged.

    There it takes from what was carried over of the lot, then from the others, then as a debt. What the guest had
    used of it before the merge is clawed back like the rest. Of several merges of a lot the last one counts.
    """
    entry = db.get(PointEntry, entry_id)
    if entry is None:
        raise Unknown("entry", f"there is no entry {entry_id}.", "Use the id of an entry of the ledger.")
    heir = persons.survivor(db, entry.member_id)
    before = db.scalars(select(PointEntry.member_id).where(PointEntry.key == cause.key)).one_or_none()
    if heir.id == entry.member_id or before == entry.member_id:
        return corrections.claw_back(db, entry_id, amount, cause=cause, now=now, owe=owe)
    ledger.check_amount(amount)
    account = ledger.lock(db, heir.id)
    facts = {**cause.facts, "asked": amount}
    cause = replace(cause, kind=Kind.reverse, reverses_id=entry_id, stay_id=entry.stay_id, facts=facts)
    if first := ledger.posted_before(db, heir.id, cause, None):
        return first
    given = func.coalesce(func.sum(PointEntry.amount), 0)
    amount = min(
        amount, entry.amount + int(db.scalar(select(given).where(PointEntry.reverses_id == entry_id)) or 0)
    )
    lot = lot_now(db, entry)
    taken = ledger.choose(db, account, amount, now=now, own=lot.seq if lot else None)
    moves = {number: -part for number, part in taken.items()}
    short = amount - sum(taken.values())
    if short and owe:
        return ledger.write(db, account, moves, cause=cause, now=now, opens=(-short, Terms(now)))
    return ledger.write(db, account, moves, cause=cause, now=now) if moves else None


def given_twice(
    db: Session, one: Collection[int], other: Collection[int], *, programme: Programme
) -> list[PointEntry]:
    """Gifts that a person gets once and has had through both these sets of memberships: the later of each two.

    What a set had twice in itself was settled when it came together.
    """
    first, second = _first_gifts(db, one, programme), _first_gifts(db, other, programme)
    both = [(first[which], second[which]) for which in first.keys() & second.keys()]
    return sorted((max(pair, key=_order) for pair in both), key=_order)


def _first_gifts(db: Session, members: Collection[int], programme: Programme) -> dict[Any, PointEntry]:
    """The first welcome, and the first birthday of each year."""
    gifts = db.scalars(
        select(PointEntry)
        .where(
            PointEntry.member_id.in_(members),
            PointEntry.kind == Kind.gift.value,
            PointEntry.reason.in_(["welcome", "birthday"]),
        )
        .order_by(PointEntry.at.desc(), PointEntry.id.desc())
    )
    return {
        (gift.reason, programme.today(gift.at).year if gift.reason == "birthday" else None): gift
        for gift in gifts
    }


def _order(entry: PointEntry) -> tuple[datetime, int]:
    return entry.at, entry.id


def _carry_debts(db: Session, gone_id: int, keep_id: int, *, actor: str, now: datetime) -> int:
    out, into = _pair(db, gone_id, keep_id, "owed", {}, actor=actor)
    owed = closing.let_go(db, ledger.lock(db, gone_id), cause=out, now=now)
    if owed:
        ledger.write(db, ledger.lock(db, keep_id), {}, cause=into, now=now, opens=(-owed, Terms(now)))
    return owed


def _pair(
    db: Session, gone_id: int, keep_id: int, what: int | str, facts: dict[str, Any], *, actor: str
) -> tuple[Cause, Cause]:
    """The causes of the two entries that carry something over."""
    # A reversal may fill a lot again that was carried over: hence the entry's place in the key.
    key = f"merge:{gone_id}:{what}@{ledger.lock(db, gone_id).entries + 1}"
    facts = {"from": gone_id, "to": keep_id, **facts}
    return Cause(Kind.merge, REASON, key + OUT, actor, facts=facts), Cause(
        Kind.merge, REASON, key + IN, actor, facts=facts
    )
