"""Walking along the hash chains: every entry of every member, each held against the one before it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Text, and_, cast, func, select
from sqlalchemy.engine import Connection

from data import chain, ledger
from data.ledger_rows import PointAllocation, PointEntry, PointLot
from data.ledger_rules import Fault

PAGE = 2000  # rows fetched at a time

Progress = Callable[[int, int], None]  # entries looked at, entries there are

# What the chain seals of a row as it stands, by the names `ledger.content` knows.
_SEALED = (
    "member_id", "seq", "kind", "amount", "balance_after", "reason", "text_key", "key", "actor", "channel",
    "reverses_id", "hold_id", "stay_id",
)  # fmt: skip
_E, _L, _A = PointEntry.__table__.c, PointLot.__table__.c, PointAllocation.__table__.c


def walk(connection: Connection, entries: int, progress: Progress) -> Iterator[Fault]:
    """Entries that do not continue their chain, or are not what their digest sealed; `entries` are there in all."""
    member, chained = None, _Chained()
    for done, (_, rows) in enumerate(groupby(_stream(connection), key=itemgetter(0)), start=1):
        # Fetched once for each allocation; all but the last two columns are the same.
        first = next(rows)
        changes = {} if first[-2] is None else {first[-2]: first[-1]}
        changes.update((row[-2], row[-1]) for row in rows)
        if first[1] != member:
            member, chained = first[1], _Chained()
        if problems := chained.problems(first, changes):
            entry_id, member_id, seq = first[:3]
            where = f"{entry_id} (member {member_id}, seq {seq})"
            yield Fault("point_entries", where, "; ".join(problems))
        if done % PAGE == 0 or done == entries:
            progress(done, entries)


class _Chained:
    """How far one member's chain was followed.

    An entry is judged by what stands in the one before it, right or wrong: so one change is told once.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.balance: int | None = 0  # None: after an entry that cannot be read
        self.digests = {chain.START}  # as it stands, and as it should be

    def problems(self, row: Any, changes: dict[Any, Any]) -> list[str]:
        """What is wrong with this entry, and on to the next."""
        _, *sealed, facts, at, lot, available_at, expires_at, previous, digest, _, _ = row
        values = dict(zip(_SEALED, sealed, strict=True))
        problems: list[str] = []
        try:
            if {type(values[name]) for name in ("seq", "amount", "balance_after")} != {int}:
                raise ValueError
            values["facts"], values["at"] = json.loads(facts), _moment(at)
            terms = lot and ledger.Terms(_moment(available_at), expires_at and _moment(expires_at))
            right = chain.digest(previous, ledger.content(values, terms, changes))
            if digest != right or previous not in self.digests or not self._adds_up(values, changes):
                problems = list(self._told(values, changes, lot, (previous, digest, right)))
            self.seq, self.balance, self.digests = values["seq"], values["balance_after"], {digest, right}
        except (
            ValueError,
            TypeError,
            RecursionError,
        ):  # only SQLite takes a value of another type than its column's
            problems = ["holds a value that cannot be read"]
            self.seq, self.balance, self.digests = self.seq + 1, None, {digest}
        return problems

    def _adds_up(self, values: dict[str, Any], changes: dict[Any, Any]) -> bool:
        amount = values["amount"]
        return bool(
            values["seq"] == self.seq + 1 and self._balances(values) and sum(changes.values()) == amount
        )

    def _balances(self, values: dict[str, Any]) -> bool:
        return self.balance is None or bool(values["balance_after"] == self.balance + values["amount"])

    def _told(
        self, values: dict[str, Any], changes: dict[Any, Any], lot: int | None, digests: tuple[str, str, str]
    ) -> Iterator[str]:
        member, seq, amount = values["member_id"], values["seq"], values["amount"]
        previous, digest, right = digests
        if seq != self.seq + 1:
            yield f"follows seq {self.seq}: what was between them is gone"
        elif previous not in self.digests:
            yield "does not continue the chain: this entry or the one before it was changed"
        if not self._balances(values):
            yield f"says a balance of {values['balance_after']}, where {self.balance} and {amount} came together"
        if sum(changes.values()) != amount:
            yield f"moves {amount}, but its allocations sum to {sum(changes.values())}"
        if digest != right:
            others = [f"point_allocations (member {member}, seq {seq}, lot {each})" for each in changes]
            if lot is not None:
                others.append(f"the terms of point_lots (member {member}, lot {lot})")
            yield f"its digest does not fit: this row was changed, or {', or '.join(others)}"


def _stream(connection: Connection) -> Iterable[Any]:
    """Every entry with the terms of the lot it opened, once for each of its allocations, in the chain's order.

    JSON and moments come as text: a value that is none must name its row, not end the check.
    """
    rows = PointEntry.__table__.outerjoin(
        PointLot.__table__, and_(_L.member_id == _E.member_id, _L.number == _E.seq)
    ).outerjoin(PointAllocation.__table__, and_(_A.member_id == _E.member_id, _A.seq == _E.seq))
    columns = (
        _E.id,
        *(_E[name] for name in _SEALED),
        cast(_E.facts, Text),
        _as_text(connection, _E.at),
        _L.number,
        _as_text(connection, _L.available_at),
        _as_text(connection, _L.expires_at),
        _E.previous,
        _E.digest,
        _A.lot,
        _A.amount,
    )
    in_order = select(*columns).select_from(rows).order_by(_E.member_id, _E.seq, _A.lot)
    return connection.execute(in_order.execution_options(yield_per=PAGE))


def _as_text(connection: Connection, moment: Any) -> Any:
    if connection.dialect.name == "sqlite":
        return cast(moment, Text)
    return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD HH24:MI:SS.US")


def _moment(stored: str) -> datetime:
    return datetime.fromisoformat(f"{stored}+00:00")
