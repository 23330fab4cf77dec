"""The points of a folio: what its lines earn, what refunds take back, and what they count towards a tier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from data import earning, ledger, merged_points
from data.folios import FolioLine
from data.ledger import Cause, Posted, Terms
from data.ledger_rows import Kind, PointEntry
from data.members import Member, MemberStatus
from data.programme import Programme
from data.programme_versions import InForce
from data.stays import Stay

REASON_EARNED = "stay"
REASON_REFUNDED = "refund"


@dataclass(frozen=True)
class Rules:
    """By what a stay earns: the programme in force at its checkout, and the member's tier just before it."""

    in_force: InForce
    tier: str


def key_of(stay: Stay, line: str) -> str:
    """The ledger's key for what a folio line gave or took back."""
    # A colon within the line becomes a space, which neither number has, so the last colon parts them.
    return f"folio:{stay.confirmation}:{line.replace(':', ' ')}"


def net_charges(lines: Iterable[FolioLine]) -> list[tuple[FolioLine, int]]:
    """Every charge among the lines, with what is left of it after its refunds, in minor units."""
    nets: dict[int, int] = {}
    charges = []
    for line in lines:
        if line.refunds_id is None:
            charges.append(line)
        root = line.refunds_id or line.id
        nets[root] = nets.get(root, 0) + line.amount_minor
    return [(charge, nets[charge.id]) for charge in charges]


def base_points(programme: Programme, hotel: str, line: FolioLine, net_minor: int) -> int:
    """What a charge counts as spend towards a tier, in base points; 0 in a currency that has no rate."""
    if line.currency not in programme.earn.rates:
        return 0
    tier = programme.entry_tier.code
    got = _earned(programme, hotel, line, net_minor, tier)
    return got.base_points if got else 0


def earn(
    db: Session,
    member: Member,
    stay: Stay,
    line: FolioLine,
    *,
    net_minor: int,
    rules: Rules,
    late: bool,
    actor: str,
    now: datetime,
) -> Posted | None:
    """Credit what a charge of a checked-out stay earns on `net_minor`; None if nothing.

    A member who is not active earns nothing, nor does a currency that has no rate. `late`: it came after checkout.
    """
    programme = rules.in_force.programme
    if member.status != MemberStatus.active.value or line.currency not in programme.earn.rates:
        return None
    got = _earned(programme, stay.hotel.code, line, net_minor, rules.tier)
    if got is None:
        return None
    facts: dict[str, Any] = {
        **got.facts(),
        "programme": rules.in_force.version,
        "line": line.line,
        "late": late,
    }
    facts |= {"hotel": stay.hotel.code, "day": line.day.isoformat()}
    if net_minor != line.amount_minor:
        facts["refunded_minor"] = line.amount_minor - net_minor
    zone = ZoneInfo(stay.hotel.time_zone)
    terms = Terms(
        earning.ripens_at(stay.departure, zone, programme.earn.ripens_days),
        earning.expires_at(stay.departure, zone, programme.earn.expires_months),
    )
    key = key_of(stay, line.line)
    cause = Cause(Kind.earn, REASON_EARNED, key, actor, facts=facts, stay_id=stay.id)
    return ledger.credit(db, member.id, got.points, cause=cause, now=now, terms=terms)


def take_back(
    db: Session, member: Member, stay: Stay, refund: FolioLine, *, rules: Rules, actor: str, now: datetime
) -> Posted | None:
    """Claw back the share of its points that a refund after checkout is of its line; None if there is none.

    Shares are of what the line earned on, that is without what was refunded before checkout, and of all refunds
    since: parts never come to more than the line earned, and a full refund takes all of it.
    """
    line = db.get_one(FolioLine, refund.refunds_id)
    entry = db.scalars(select(PointEntry).where(PointEntry.key == key_of(stay, line.line))).one_or_none()
    if entry is None:
        return None
    points, base_minor = entry.facts["points"], entry.facts["base_minor"]
    since_checkout = refunded_minor(db, line) - (line.amount_minor - base_minor)
    before = earning.share(points, base_minor, since_checkout + refund.amount_minor)
    due = earning.share(points, base_minor, since_checkout) - before
    if not due:
        return None
    cause = Cause(
        Kind.reverse,
        REASON_REFUNDED,
        key_of(stay, refund.line),
        actor,
        facts={
            "programme": rules.in_force.version,
            "line": refund.line,
            "refunds": line.line,
            "points": points,
            "base_minor": base_minor,
            "refunded_minor": since_checkout,
            "taken_before": before,
        },
    )
    owe = rules.in_force.programme.earn.claw_back == "owe" and member.status == MemberStatus.active.value
    # From the account that lives on, if the one it was given to was merged meanwhile.
    return merged_points.claw_back(db, entry.id, due, cause=cause, now=now, owe=owe)


def refunded_minor(db: Session, line: FolioLine) -> int:
    """All that was refunded of a charge so far, in minor units."""
    refunds = select(func.coalesce(func.sum(FolioLine.amount_minor), 0)).where(
        FolioLine.stay_id == line.stay_id, FolioLine.refunds_id == line.id
    )
    return -int(db.scalar(refunds) or 0)


def _earned(
    programme: Programme, hotel: str, line: FolioLine, net_minor: int, tier: str
) -> earning.Earned | None:
    return earning.earned(
        programme,
        tier=tier,
        hotel=hotel,
        outlet=line.outlet,
        day=line.day,
        amount_minor=net_minor,
        currency=line.currency,
    )
