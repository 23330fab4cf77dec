"""Points given for nothing in return: welcome, birthday, referral."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from data import earning, ledger
from data.ledger import Cause, Posted, Terms
from data.ledger_rows import Kind
from data.programme_versions import InForce


def give(
    db: Session,
    member_id: int,
    points: int,
    *,
    reason: str,
    key: str,
    rule: str,
    rules: InForce,
    actor: str,
    now: datetime,
    text_key: str = "",
    channel: str = "",
) -> Posted:
    """Credit a gift, once under its key; it ends by the programme's months on the programme's own calendar.

    `rule` is the line of the programme that says how many: `gifts.welcome`.
    """
    facts = {"points": points, "rule": rule, "programme_version": rules.version}
    cause = Cause(Kind.gift, reason, key, actor, channel=channel, facts=facts, text_key=text_key)
    return ledger.credit(db, member_id, points, cause=cause, now=now, terms=terms(rules, now=now))


def terms(rules: InForce, *, now: datetime) -> Terms:
    """A gift can be used at once, through the last day of the programme's `expires_months`."""
    programme = rules.programme
    months = programme.earn.expires_months
    return Terms(now, earning.expires_at(programme.today(now), programme.zone, months))
