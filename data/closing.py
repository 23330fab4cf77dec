"""Emptying a points account for good: what is owed is let go, what is left is taken out, by entries like any other."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import ledger, points
from data.ledger import Account, Cause, Posted
from data.ledger_rows import PointLot


def let_go(db: Session, account: Account, *, cause: Cause, now: datetime) -> int:
    """Close every shortfall of a locked account, in one entry; how many points were owed. 0 writes nothing."""
    debts = points.shortfalls(db, account.member_id)
    if debts:
        # First, else the entry that closes them would also pay them, from what the member has.
        account.owed -= sum(debts.values())
        ledger.write(db, account, debts, cause=cause, now=now)
    return sum(debts.values())


def take_out(db: Session, account: Account, *, cause: Cause, now: datetime) -> Posted | None:
    """Close every lot that holds points, ripe or not, in one entry; None if there are none.

    Nothing of the locked account may be on hold, and nothing owed: `let_go` comes first.
    """
    lots = db.execute(
        select(PointLot.number, PointLot.remaining)
        .where(PointLot.member_id == account.member_id, points.IS_OPEN, PointLot.remaining > 0)
        .order_by(PointLot.number)
    )
    moves = {lot.number: -lot.remaining for lot in lots}
    return ledger.write(db, account, moves, cause=cause, now=now) if moves else None
