"""Merging two memberships that are one person's: with proof, refused under running holds, harmless when repeated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import (
    audit,
    holds,
    ledger,
    membership,
    merge_proof,
    merged_points,
    merged_records,
    persons,
    tier_moves,
)
from data.ledger import Cause
from data.ledger_rows import Kind, PointEntry
from data.members import Member, MemberStatus
from data.merge_proof import DocumentSeen, Proof
from data.merged_points import Carried, claw_back, lot_now
from data.persons import survivor
from data.programme_versions import InForce, in_force
from data.refusals import BadInput, Conflict

# Who looks for what a merge means to a later deed looks here first.
__all__ = ["Carried", "DocumentSeen", "Merged", "Proof", "claw_back", "lot_now", "merge", "survivor"]

GIFT_TWICE = "gift_twice"  # reason of what takes back a gift that one person gets once


@dataclass(frozen=True)
class Merged:
    """The membership that lives on, the one that does not, and what was carried over. `again`: it was done before.

    `clawed_back`: points of gifts that one person gets once and had got twice.
    """

    keep_id: int
    gone_id: int
    carried: Carried
    clawed_back: int
    again: bool


def merge(db: Session, *, keep_id: int, gone_id: int, proof: Proof, actor: str, now: datetime) -> Merged:
    """Let `gone` live on in `keep`: points lot by lot, debts, contacts, identifiers, stays, likings, coupons, rewards.

    The higher tier counts, and all stays together may reach a higher one still; the stricter consent counts; who
    joined first did. Whatever names the old number or code later is followed to the one who lives on. Old entries,
    holds, consents and tier changes stay in the record of `gone`, which keeps its name: history is not rewritten.

    Raises `Conflict` if the proof does not hold, points of either are on hold, or either is not active; `BadInput`
    for one and the same member; `Unknown`.
    """
    if keep_id == gone_id:
        raise BadInput("gone", "is the same membership.", "Name the two that are to become one.")
    for each in sorted((keep_id, gone_id)):
        ledger.lock(db, each)
    if keep_id in _heirs(db, gone_id):
        return Merged(keep_id, gone_id, Carried(0, 0, 0), 0, again=True)
    keep, gone = _checked(db, keep_id, gone_id, proof, now=now)
    rules = in_force(db, now=now)
    families = persons.family(db, keep_id), persons.family(db, gone_id)
    gifts = merged_points.given_twice(db, *families, programme=rules.programme)
    carried = merged_points.carry_over(db, gone_id, keep_id, actor=actor, now=now)
    own = merged_records.move(db, keep, gone, rules=rules, actor=actor, now=now)
    gone.status, gone.merged_into_id = MemberStatus.merged.value, keep_id
    db.flush()
    clawed_back = _claw_back(db, gifts, own, gone_id=gone_id, rules=rules, actor=actor, now=now)
    tier_moves.settle(db, keep_id, cause=f"merge:{gone_id}", actor=actor, now=now)
    facts = {"keep": keep_id, "gone": gone_id, "proof": merge_proof.kind_of(proof), "own_referrals": own}
    for each in (keep_id, gone_id):
        audit.record(db, "member.merged", f"member:{each}", actor=actor, now=now, **facts)
    db.flush()
    return Merged(keep_id, gone_id, carried, clawed_back, again=False)


def _checked(
    db: Session, keep_id: int, gone_id: int, proof: Proof, *, now: datetime
) -> tuple[Member, Member]:
    """Both members, who may be merged on this proof."""
    keep = db.get_one(Member, keep_id, populate_existing=True)
    gone = db.get_one(Member, gone_id, populate_existing=True)
    for field, member in (("keep", keep), ("gone", gone)):
        membership.refuse_if_over(member, field=field)
        if holds.running(db, member.id, now=now):
            remedy = "Let the redemption be confirmed or cancelled, or wait until its time has run out."
            raise Conflict(field, f"{member.number} has points on hold.", remedy)
    merge_proof.check(db, keep, gone, proof)
    return keep, gone


def _heirs(db: Session, member_id: int) -> set[int]:
    """In whom a member lives on by now, over however many merges; nobody for one who was not merged."""
    heirs: set[int] = set()
    member = db.get_one(Member, member_id, populate_existing=True)
    while member.merged_into_id is not None:
        heirs.add(member.merged_into_id)
        member = db.get_one(Member, member.merged_into_id, populate_existing=True)
    return heirs


def _claw_back(
    db: Session,
    gifts: list[PointEntry],
    own: list[int],
    *,
    gone_id: int,
    rules: InForce,
    actor: str,
    now: datetime,
) -> int:
    """Take back gifts given twice, and the thanks for having brought oneself; how many points they were."""
    keys = [f"referral:{referral}:{side}" for referral in own for side in ("referrer", "friend")]
    thanks = db.scalars(select(PointEntry).where(PointEntry.key.in_(keys)).order_by(PointEntry.id))
    owe = rules.programme.earn.claw_back == "owe"
    taken = 0
    for gift in (*gifts, *thanks):
        cause = Cause(Kind.reverse, GIFT_TWICE, f"merge:{gone_id}:gift:{gift.id}", actor)
        posted = claw_back(db, gift.id, gift.amount, cause=cause, now=now, owe=owe)
        taken -= posted.amount if posted else 0
    return taken
