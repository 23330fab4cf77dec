"""Renewing the keys: whatever an older key sealed or indexed is sealed and indexed anew under the newest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import String, bindparam, select, type_coerce, update
from sqlalchemy.orm import Session

from data import audit, sealed
from data.api_keys import ApiRequest
from data.db import Base
from data.identifiers import Identifier, birthday_index
from data.members import Member
from data.sealed import CannotOpen, SealedText

Begin = Callable[[], AbstractContextManager[Session]]  # opens a transaction: `data.db.transaction`
Progress = Callable[[str, int], None]  # a column, and how many of its values were renewed so far

BATCH = 500  # values renewed in one transaction: no writer waits longer than that takes
MOST_NAMED = 100

_FINGERPRINT = ApiRequest.__table__.c.fingerprint  # of a request; there is nothing to make it anew from


@dataclass(frozen=True)
class Rotated:
    """What a run did, by column (`members.name`). Single values are named `members.name 17`, at most 100 of them.

    `unopened`: no key of ours opens them. `left`: under an older key all the same: unopened, or a phone, address or
    document that two members have, one under each key (merge them), or written meanwhile by a process that does not
    know the new key. `ageing`: answers kept for a repeated request; what recognises the request cannot be made anew,
    and they are thrown away in time.
    """

    key: str
    renewed: Mapping[str, int]
    unopened: tuple[str, ...]
    left: tuple[str, ...]
    ageing: int

    @property
    def old_keys_may_go(self) -> bool:
        """Nothing needs an older key any more, provided that no process writes with one."""
        return not (self.left or self.ageing)


@dataclass(frozen=True)
class _Place:
    """A column whose values begin with the id of their key, and how one is made anew from the text of `sealed`.

    `alone`: no two rows in which these columns are the same may have the same value.
    """

    column: Any
    begins: str
    sealed: Any
    anew: Callable[[str, Any], str | None]  # from the text and the row
    alone: tuple[Any, ...] = ()


@dataclass
class _Run:
    batch: int
    progress: Progress
    renewed: dict[str, int] = field(default_factory=dict)
    unopened: list[str] = field(default_factory=list)


def rotate(
    begin: Begin, *, actor: str, now: datetime, batch: int = BATCH, progress: Progress | None = None
) -> Rotated:
    """Bring all values under the newest key, `batch` of them a transaction, while the house goes on.

    First put the new key in front of the others in ZHIKE_KEYS, and start every process with them. What was done
    stays done: after a crash another run does the rest. A value that somebody changes meanwhile is left to them.
    """
    run = _Run(batch, progress or _silent)
    places = list(_places())
    for place in places:
        _renew(begin, run, place)
    with begin() as db:
        left = [name for place in places for name in _names_of_older(db, place)]
        ageing = len(db.execute(select(_FINGERPRINT).where(_older(_FINGERPRINT, ""))).all())
        key, rows = sealed.ring().newest, sum(run.renewed.values())
        audit.record(
            db, "keys.rotated", f"key:{key}", actor=actor, now=now, rows=rows, left=len(left), ageing=ageing
        )
    return Rotated(key, run.renewed, tuple(run.unopened), tuple(left[:MOST_NAMED]), ageing)


def sealed_columns() -> Iterator[Any]:
    """Every column that holds sealed text, whichever table it is in."""
    for table in Base.metadata.sorted_tables:
        yield from (column for column in table.c if isinstance(column.type, SealedText))


def _places() -> Iterator[_Place]:
    """Sealed columns first: an index is made from what they hold."""
    for column in sealed_columns():
        context = column.type.context
        yield _Place(column, "v1.", column, partial(_seal, context))
    known, members = Identifier.__table__.c, Member.__table__.c
    yield _Place(known.index, "", known.value, _index, alone=(known.kind,))
    yield _Place(members.birthday_index, "", members.birthday, _birthday)


def _seal(context: str, text: str, _row: Any) -> str:
    return sealed.ring().seal(text, context)


def _index(value: str, row: Any) -> str:
    return sealed.blind(value, f"identifiers.{row.kind}")


def _birthday(text: str, _row: Any) -> str | None:
    return birthday_index(text)


def _raw(column: Any) -> Any:
    """The column as it lies in the database, still sealed."""
    return type_coerce(column, String)


def _older(column: Any, begins: str) -> Any:
    return _raw(column).not_like(f"{begins}{sealed.ring().newest}.%")


def _renew(begin: Begin, run: _Run, place: _Place) -> None:
    """From the lowest id up, so that a value that cannot be renewed is met only once."""
    name, last, done = str(place.column), 0, 0
    while True:
        with begin() as db:
            rows = _next_rows(db, place, after=last, most=run.batch)
            fresh = []
            for row in rows:
                try:
                    text = sealed.ring().open(row.sealed, place.sealed.type.context)
                    fresh.append({"row": row.id, "old": row.old, "fresh": place.anew(text, row)})
                except CannotOpen:
                    if len(run.unopened) < MOST_NAMED:
                        run.unopened.append(f"{name} {row.id}")
            done += _write(db, place, fresh)
        if not rows:
            run.renewed[name] = done
            return
        last = rows[-1].id
        run.progress(name, done)


def _next_rows(db: Session, place: _Place, *, after: int, most: int) -> Sequence[Any]:
    row_id = place.column.table.c.id
    columns = (row_id, _raw(place.column).label("old"), _raw(place.sealed).label("sealed"), *place.alone)
    waiting = select(*columns).where(
        row_id > after, _older(place.column, place.begins), place.sealed.is_not(None)
    )
    return db.execute(waiting.order_by(row_id).limit(most)).all()


def _write(db: Session, place: _Place, fresh: Sequence[Mapping[str, Any]]) -> int:
    """Write each value if the one that was read still stands there; how many did."""
    if not fresh:
        return 0
    table = place.column.table
    change = update(table).where(
        table.c.id == bindparam("row"), _raw(place.column) == bindparam("old", type_=String())
    )
    if place.alone:
        other = table.alias()
        same = [other.c[each.name] == table.c[each.name] for each in place.alone]
        taken = select(other.c.id).where(other.c[place.column.name] == bindparam("fresh"), *same)
        change = change.where(~taken.correlate(table).exists())
    change = change.values({place.column.name: bindparam("fresh", type_=String())})
    return int(db.connection().execute(change, list(fresh)).rowcount)


def _names_of_older(db: Session, place: _Place) -> Iterator[str]:
    row_id = place.column.table.c.id
    found = db.execute(
        select(row_id).where(_older(place.column, place.begins)).order_by(row_id).limit(MOST_NAMED)
    )
    return (f"{place.column} {row.id}" for row in found)


def _silent(_column: str, _renewed: int) -> None:
    return
