"""Appending one entry to a member's chain: under the account's lock, once under its key, with what it does to lots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import structlog
from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.orm import Session

from data import chain, points, reasons
from data.db import insert_once, run_prepared
from data.ledger_rows import Kind, PointAccount, PointAllocation, PointEntry, PointLot
from data.members import Member
from data.refusals import BadInput, Unknown

log = structlog.get_logger(__name__)

_ACCOUNTS: Table = PointAccount.__table__  # type: ignore[assignment]
_ENTRIES: Table = PointEntry.__table__  # type: ignore[assignment]
_LOTS: Table = PointLot.__table__  # type: ignore[assignment]
_ALLOCATIONS: Table = PointAllocation.__table__  # type: ignore[assignment]


class KeyUsedOtherwise(BadInput):
    """The key of this entry was used before for something else; the first stays, this one is refused."""


@dataclass
class Account:
    """The head of a member's ledger as it is now, locked; `write` keeps it up to date."""

    member_id: int
    entries: int
    balance: int
    owed: int
    head: str


@dataclass(frozen=True)
class Cause:
    """Why points change and who changed them.

    `key` names the business event, and is unique: the same event again changes nothing. `facts` explain the
    amount; they are kept for ever, so they hold no personal data. `text_key`: of the phrase
    that tells the guest why; it follows from the reason where it is not given.
    """

    kind: Kind
    reason: str
    key: str
    actor: str
    channel: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    text_key: str = ""
    stay_id: int | None = None
    hold_id: int | None = None
    reverses_id: int | None = None


@dataclass(frozen=True)
class Terms:
    """When a lot's points can be spent: from `available_at` on, and no more at `expires_at` (None: for good)."""

    available_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Posted:
    """The ledger row a command led to; `again` if an earlier attempt had already written it."""

    entry_id: int
    member_id: int
    seq: int
    amount: int
    balance_after: int
    again: bool = False


def lock(db: Session, member_id: int) -> Account:
    """The member's account, locked until the transaction ends, so that check-then-spend is not overtaken.

    Whoever locks several does so in the order of their member ids. Raises `Unknown`.
    """
    row = run_prepared(db, _LOCKED, {"member": member_id}).one_or_none()
    if row is None:
        if db.get(Member, member_id) is None:
            raise Unknown("member", f"there is no member with id {member_id}.", "Use the id of a member.")
        insert_once(db, PointAccount, member_id=member_id, entries=0, balance=0, owed=0, head=chain.START)
        row = run_prepared(db, _LOCKED, {"member": member_id}).one()
    return Account(**row._mapping)


# Not FOR UPDATE: rows elsewhere that refer to the account need not wait. SQLite's writers take turns anyway.
_LOCKED = (
    select(_ACCOUNTS).where(_ACCOUNTS.c.member_id == bindparam("member")).with_for_update(key_share=True)
)


def posted_before(db: Session, member_id: int, cause: Cause, amount: int | None) -> Posted | None:
    """What an earlier attempt under this key wrote, if there was one; the caller has the account locked.

    `amount` None: the amount follows from the account's state, so it is not compared. Raises `KeyUsedOtherwise`.
    """
    entry = run_prepared(db, _BY_KEY, {"key": cause.key}).one_or_none()
    if entry is None:
        return None
    before = (entry.member_id, entry.kind, entry.reason, entry.reverses_id, entry.hold_id)
    wanted = (member_id, cause.kind, cause.reason, cause.reverses_id, cause.hold_id)
    same = before == wanted and amount in (None, entry.amount)
    if not same or entry.facts.get("asked") != cause.facts.get("asked"):
        log.warning("ledger.key_used_otherwise", entry=entry.id, member=member_id)
        problem = f"this key belongs to entry {entry.id}, which says something else."
        raise KeyUsedOtherwise("key", problem, "Use a key of its own.")
    return Posted(entry.id, entry.member_id, entry.seq, entry.amount, entry.balance_after, again=True)


_BY_KEY = select(
    *(_ENTRIES.c[name] for name in ("id", "member_id", "seq", "kind", "amount", "balance_after")),
    *(_ENTRIES.c[name] for name in ("reason", "facts", "reverses_id", "hold_id")),
).where(_ENTRIES.c.key == bindparam("key"))


def write(
    db: Session,
    account: Account,
    moves: Mapping[int, int],
    *,
    cause: Cause,
    now: datetime,
    opens: tuple[int, Terms] | None = None,
) -> Posted:
    """Append one entry that does `moves` (lot number → change) and may open a lot; the account is locked.

    Debts are paid from what becomes free. The caller has checked that the moves are allowed; a lot that
    would be overdrawn all the same breaks a constraint, and the whole transaction with it.
    """
    changes = dict(moves)
    seq = account.entries + 1
    if opens is not None:
        changes[seq] = opens[0]
    _pay_debts(db, account, changes, opens, now=now)
    changes = {lot: change for lot, change in sorted(changes.items()) if change}
    amount = sum(changes.values())
    values = {
        "member_id": account.member_id,
        "seq": seq,
        "kind": Kind(cause.kind).value,
        "amount": amount,
        "balance_after": account.balance + amount,
        "reason": cause.reason,
        "text_key": cause.text_key or reasons.phrase(cause.reason),
        "facts": dict(cause.facts),
        "key": cause.key,
        "actor": cause.actor,
        "channel": cause.channel,
        "at": now,
        "reverses_id": cause.reverses_id,
        "hold_id": cause.hold_id,
        "stay_id": cause.stay_id,
    }
    digest = chain.digest(account.head, content(values, opens[1] if opens else None, changes))
    row = run_prepared(db, _APPEND, {**values, "previous": account.head, "digest": digest})
    _move_lots(db, account.member_id, seq, changes, opens)
    account.entries, account.balance, account.head = seq, account.balance + amount, digest
    heads = {"entries": seq, "balance": account.balance, "owed": account.owed, "head": digest}
    run_prepared(db, _NEW_HEAD, {"member": account.member_id, **heads})
    return Posted(int(row.scalar_one()), account.member_id, seq, amount, account.balance)


_APPEND = insert(_ENTRIES).returning(_ENTRIES.c.id)
_NEW_HEAD = (
    update(_ACCOUNTS)
    .where(_ACCOUNTS.c.member_id == bindparam("member"))
    .values({name: bindparam(name) for name in ("entries", "balance", "owed", "head")})
)


def content(values: Mapping[str, Any], terms: Terms | None, changes: Mapping[int, int]) -> dict[str, Any]:
    """What the chain seals of an entry: every column but its id, the terms of its lot, its allocations."""
    sealed = {name: value for name, value in values.items() if value is not None}
    sealed["at"] = chain.moment(values["at"])
    sealed["allocations"] = [[lot, change] for lot, change in sorted(changes.items())]
    if terms is not None:
        sealed["terms"] = [chain.moment(terms.available_at), chain.moment(terms.expires_at)]
    return sealed


def _pay_debts(
    db: Session,
    account: Account,
    changes: dict[int, int],
    opens: tuple[int, Terms] | None,
    *,
    now: datetime,
) -> None:
    """Let usable points pay what is owed, within the entry that is being written."""
    debts = points.shortfalls(db, account.member_id) if account.owed else {}
    seq = account.entries + 1
    payers = _payers(db, account, changes, opens, now=now) if debts else {}
    for debt, owed in debts.items():
        for lot, free in payers.items():
            if part := max(min(owed, free + changes.get(lot, 0)), 0):
                changes[lot] = changes.get(lot, 0) - part
                changes[debt] = changes.get(debt, 0) + part
                account.owed -= part
                owed -= part
    if opens is not None and opens[0] < 0:
        account.owed -= changes[seq]


def _payers(
    db: Session,
    account: Account,
    changes: Mapping[int, int],
    opens: tuple[int, Terms] | None,
    *,
    now: datetime,
) -> dict[int, int]:
    """Usable lots in the order of use, with those that this entry fills: lot number → free points before it."""
    filled = [lot for lot, change in changes.items() if change > 0]
    lots = points.usable_lots(db, account.member_id, filled, now=now)
    if opens is not None and opens[0] > 0 and opens[1].available_at <= now:
        lots.append((opens[1].expires_at, account.entries + 1, 0))
    never = datetime.max.replace(tzinfo=timezone.utc)
    return {
        number: free
        for _, number, free in sorted((ends or never, number, free) for ends, number, free in lots)
    }


def _move_lots(
    db: Session, member_id: int, seq: int, changes: Mapping[int, int], opens: tuple[int, Terms] | None
) -> None:
    if opens is not None:
        lot = {"member_id": member_id, "number": seq, "amount": opens[0], "remaining": changes.get(seq, 0)}
        terms = {"available_at": opens[1].available_at, "expires_at": opens[1].expires_at}
        run_prepared(db, _OPEN, {**lot, **terms})
    for lot_number, change in changes.items():
        if lot_number != seq:
            run_prepared(db, _MOVE, {"member": member_id, "lot": lot_number, "change": change})
        run_prepared(db, _ALLOCATE, {"member_id": member_id, "seq": seq, "lot": lot_number, "amount": change})


_OPEN = insert(_LOTS)
_MOVE = (
    update(_LOTS)
    .where(_LOTS.c.member_id == bindparam("member"), _LOTS.c.number == bindparam("lot"))
    .values(remaining=_LOTS.c.remaining + bindparam("change"))
)
_ALLOCATE = insert(_ALLOCATIONS)
