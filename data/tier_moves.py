"""Moving members between tiers: what they did is counted, judged by the programme, and each move is recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from data import audit, folio_points, membership, programme_versions, tier_rules
from data.folios import FolioLine
from data.hotels import Hotel
from data.members import Member, MemberStatus
from data.programme import Programme
from data.programme_versions import InForce
from data.refusals import BadInput
from data.stay_rules import today_at
from data.stays import Stay, StayStatus
from data.tier_rules import Measures
from data.tiers import TierChange

BY_HAND = "by_hand"
HAND_ENDED = "hand_ended"  # a tier given by hand has ended; what was earned besides counts again
TIER_GONE = "tier_gone"  # the programme no longer has the member's tier
LONGEST_BY_HAND = timedelta(days=3 * 366)

_MOVES = ("promoted", "renewed", "demoted")
_A_REASON = re.compile(r"[a-z][a-z0-9_]{0,31}")


def measures(db: Session, member_id: int, window: tuple[date, date], *, programme: Programme) -> Measures:
    """What a member did in checked-out stays whose departure lies in the window, both days included.

    Spend is counted in base points by this programme, line by line, on what is left after refunds.
    """
    stays = db.scalars(
        select(Stay).where(
            Stay.member_id == member_id,
            Stay.status == StayStatus.checked_out.value,
            Stay.departure.between(*window),
        )
    ).all()
    hotels = {stay.id: stay.hotel.code for stay in stays}
    lines = db.scalars(select(FolioLine).where(FolioLine.stay_id.in_(list(hotels)))).all()
    return Measures(
        nights=sum((stay.departure - stay.arrival).days for stay in stays),
        stays=len(stays),
        spend=sum(
            folio_points.base_points(programme, hotels[line.stay_id], line, net)
            for line, net in folio_points.net_charges(lines)
        ),
    )


def today_of(db: Session, member: Member, *, programme: Programme, now: datetime) -> date:
    """The member's calendar day: that of their home hotel, without one the programme's."""
    if member.home_hotel_id is None:
        return programme.today(now)
    return today_at(db.get_one(Hotel, member.home_hotel_id), now)


def settle(db: Session, member_id: int, *, cause: str, actor: str, now: datetime) -> TierChange | None:
    """Judge an active member by the programme in force, and record the move if there is one.

    Settling again moves nothing. `cause` is kept with the figures: `stay:<confirmation>`, `review`. A tier that was
    given by hand and has ended counts no more: the member is judged as if it had never been. Raises `Unknown`.
    """
    member = membership.locked(db, member_id)
    if member.status != MemberStatus.active.value:
        return None
    rules = programme_versions.in_force(db, now=now)
    programme = rules.programme
    today = today_of(db, member, programme=programme, now=now)
    tier, until, special = _held(db, member, programme, today)
    window = tier_rules.window(programme, today, until)
    # A hotel farther east may have seen a guest off on what is tomorrow at home.
    done = measures(db, member_id, (window[0], window[1] + timedelta(days=1)), programme=programme)
    verdict = tier_rules.judge(programme, tier=tier, valid_until=until, measures=done, today=today)
    if special is None and verdict.reason not in _MOVES:
        return None
    figures = {**verdict.facts(), "window": [day.isoformat() for day in window], "cause": cause}
    return _move(
        db,
        member,
        tier=verdict.tier,
        until=verdict.valid_until,
        reason=special or verdict.reason,
        figures=figures,
        rules=rules,
        actor=actor,
        now=now,
    )


def due_for_review(db: Session, today: date) -> list[int]:
    """Ids of active members whose tier's period has ended by `today`, for the nightly job: `settle` each.

    Those still in their time of grace are among them: whoever has earned the tier again is to keep it at once.
    """
    ended = select(Member.id).where(
        Member.status == MemberStatus.active.value, Member.tier_valid_until < today
    )
    return list(db.scalars(ended.order_by(Member.id)))


def set_by_hand(
    db: Session,
    member_id: int,
    tier: str,
    *,
    until: date | None,
    why: str,
    actor: str,
    now: datetime,
) -> TierChange:
    """Give a member a tier until a day of their calendar, that day included; only the entry tier has no end.

    `why` is a short code (`goodwill`, `status_match`). What the member earned is kept beside it, unless it is higher,
    and counts again once the day is over. Until then a higher tier is still reached at once. The same again changes
    nothing. Raises `BadInput`, `Conflict` for a member who is not active, `Unknown`.
    """
    member = membership.active(db, member_id)
    rules = programme_versions.in_force(db, now=now)
    today = today_of(db, member, programme=rules.programme, now=now)
    rank = rules.programme.rank(tier)
    _check_by_hand(rank, until, why, today)
    last = _last_change(db, member)
    if last is not None and (last.reason, last.became, last.valid_until) == (BY_HAND, tier, until):
        return last
    earned_tier, earned_until, _ = _held(db, member, rules.programme, date.max)
    if rules.programme.rank(earned_tier) > rank:
        earned_tier, earned_until = rules.programme.entry_tier.code, None
    kept = {"tier": earned_tier, "valid_until": earned_until.isoformat() if earned_until else None}
    return _move(
        db,
        member,
        tier=tier,
        until=until,
        reason=BY_HAND,
        figures={"why": why, "earned": kept},
        rules=rules,
        actor=actor,
        now=now,
    )


def tier_before(db: Session, member: Member, *, moment: datetime, cause: str) -> str:
    """The tier a member had at `moment`, before what `cause` moved then; today's if nothing moved since."""
    since = (
        select(TierChange)
        .where(TierChange.member_id == member.id, TierChange.at >= moment)
        .order_by(TierChange.id)
    )
    for change in db.scalars(since):
        if change.at > moment or change.figures.get("cause") == cause:
            return change.was
    return member.tier


def _held(
    db: Session, member: Member, programme: Programme, today: date
) -> tuple[str, date | None, str | None]:
    """The tier to judge a member by and its end; a reason if it is not the one they have on record."""
    tier, until, reason = member.tier, member.tier_valid_until, None
    last = _last_change(db, member)
    if last is not None and last.reason == BY_HAND and until is not None and until < today:
        earned = last.figures["earned"]
        tier, reason = earned["tier"], HAND_ENDED
        until = date.fromisoformat(earned["valid_until"]) if earned["valid_until"] else None
    if tier not in {each.code for each in programme.tiers}:
        return programme.entry_tier.code, None, TIER_GONE
    return tier, until, reason


def _last_change(db: Session, member: Member) -> TierChange | None:
    """The member's last move, unless their tier was changed since in another way."""
    newest = (
        select(TierChange).where(TierChange.member_id == member.id).order_by(TierChange.id.desc()).limit(1)
    )
    last = db.scalars(newest).one_or_none()
    if last is None or (last.became, last.valid_until) != (member.tier, member.tier_valid_until):
        return None
    return last


def _move(
    db: Session,
    member: Member,
    *,
    tier: str,
    until: date | None,
    reason: str,
    figures: Mapping[str, Any],
    rules: InForce,
    actor: str,
    now: datetime,
) -> TierChange:
    """Write the move and its history; the member's account is locked."""
    before = db.scalar(select(func.max(TierChange.id)).where(TierChange.member_id == member.id)) or 0
    change = TierChange(
        member_id=member.id,
        was=member.tier,
        became=tier,
        valid_until=until,
        reason=reason,
        figures=dict(figures),
        programme_version=rules.version or None,  # 0, the file that comes with Zhike, is no row
        key=f"tier:{member.id}:after:{before}",  # two moves cannot both follow the same one
        actor=actor,
        at=now,
    )
    db.add(change)
    member.tier, member.tier_valid_until = tier, until
    audit.record(
        db, f"tier.{reason}", f"member:{member.id}", actor=actor, now=now, was=change.was, became=tier
    )
    db.flush()
    return change


def _check_by_hand(rank: int, until: date | None, why: str, today: date) -> None:
    if not _A_REASON.fullmatch(why):
        raise BadInput("why", "is no reason code.", "Write small letters, digits and _, as in goodwill.")
    if rank == 0 and until is not None:
        raise BadInput("until", "the first tier has no end.", "Leave the day out.")
    if rank and (until is None or not today <= until <= today + LONGEST_BY_HAND):
        raise BadInput(
            "until", "a tier given by hand needs its last day.", "Send a day of the next three years."
        )
