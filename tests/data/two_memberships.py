"""What the tests of merging share: a person with two memberships, and what they do with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from data import (
    db,
    ledger,
    ledger_check,
    merging,
    points,
)
from data.ledger import Cause, Posted, Terms
from data.ledger_rows import Kind, PointAccount
from data.merging import DocumentSeen, Merged
from data.points import LotShare
from data.refusals import BadInput
from tests.conftest import NOW
from tests.data.people import SHEN, enrol, open_hotels
from tests.data.rivals import together

DAY = timedelta(days=1)
SEEN = DocumentSeen(numbers=("e 1234-5678",), birthday="1992-02-29")
TWIN = replace(
    SHEN, number="ZK200002", tier=None, phone="13700000002", email=None, document=None, home_hotel=None,
    time_zone=None, consents={}, joined_at=None,
)  # fmt: skip


def join(new: Any = TWIN, *, welcome: bool = False, **told: Any) -> int:
    with db.transaction() as session:
        return enrol(session, replace(new, **told), welcome=welcome).member.id


def join_both() -> tuple[int, int]:
    """Shen, with a document, and Shen's second membership, with another phone; neither has points."""
    open_hotels()
    return join(SHEN), join()


def merge(keep: int, gone: int, *, proof: DocumentSeen = SEEN, now: datetime = NOW) -> Merged:
    with db.transaction() as session:
        return merging.merge(session, keep_id=keep, gone_id=gone, proof=proof, actor="staff:wu", now=now)


def credit(member: int, amount: int, *, key: str, now: datetime = NOW, terms: Terms | None = None) -> Posted:
    with db.transaction() as session:
        cause = Cause(Kind.earn, "stay", key, "pms", facts={"line": key})
        return ledger.credit(session, member, amount, cause=cause, now=now, terms=terms)


def spend(member: int, amount: int, *, key: str = "spend", now: datetime = NOW) -> Posted:
    with db.transaction() as session:
        return ledger.debit(session, member, amount, cause=Cause(Kind.redeem, "r", key, "guest"), now=now)


def take_back(
    entry: Posted, amount: int, *, owe: bool = False, key: str = "refund", now: datetime = NOW
) -> Posted | None:
    with db.transaction() as session:
        cause = Cause(Kind.reverse, "refund", key, "pms")
        return merging.claw_back(session, entry.entry_id, amount, cause=cause, now=now, owe=owe)


def spendable(member: int, now: datetime = NOW) -> int:
    with db.reading() as session:
        return points.balance(session, member, now=now)


def lots(member: int, now: datetime = NOW) -> list[LotShare]:
    with db.reading() as session:
        standing = points.standing(session, member, now=now)
        return [*standing.usable, *standing.pending]


def owed(member: int) -> int:
    with db.reading() as session:
        return session.scalar(select(PointAccount.owed).where(PointAccount.member_id == member)) or 0


def is_sound(now: datetime = NOW) -> None:
    assert ledger_check.verify(db.engine(), now=now).faults == ()


def indebted(member: int, amount: int) -> None:
    earned = credit(member, amount, key=f"{member}:owed")
    spend(member, amount, key=f"{member}:spent")
    take_back(earned, amount, owe=True, key=f"{member}:debt")
    assert owed(member) == amount


def merge_rival(who: str, pairs: list[dict[str, tuple[int, int, str]]]) -> list[str]:
    outcomes = []
    for pair in pairs:
        keep, gone, document = pair[who]
        together()
        try:
            done = merge(keep, gone, proof=DocumentSeen(numbers=(document,), birthday="1992-02-29"))
            outcomes.append("again" if done.again else "merged")
        except BadInput as refused:
            outcomes.append(refused.field)
    return outcomes


def many(number: int) -> list[tuple[int, int, str]]:
    open_hotels()
    made = []
    for each in range(number):
        keep = join(number=f"ZK3{each:05}", phone=None, document=f"D3{each:05}")
        gone = join(number=f"ZK4{each:05}", phone=None)
        credit(keep, 100, key=f"{keep}")
        credit(gone, 10, key=f"{gone}")
        made.append((keep, gone, f"D3{each:05}"))
    return made


def merge_or_spend(who: str, pairs: list[tuple[int, int, str]]) -> list[bool]:
    outcomes = []
    for keep, gone, document in pairs:
        together()
        if who == "a":
            done = merge(keep, gone, proof=DocumentSeen(numbers=(document,), birthday="1992-02-29"))
            outcomes.append(not done.again)
            continue
        try:
            spend(gone, 10, key=f"race:{gone}")
            outcomes.append(True)
        except ledger.NotEnoughPoints:
            outcomes.append(False)
    return outcomes
