"""Bringing in a table from a CSV file: the whole of it or nothing, or its good lines; as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from data import audit, csv_cells, programme_versions
from data.csv_files import Column, CsvFile, Line, open_csv
from data.db import reading, transaction
from data.hotels import Hotel
from data.programme import Programme
from data.refusals import BadInput, Unknown

ACTOR = "import"
LINES_AT_ONCE = 1_000  # at most, in a look-up, and in a transaction where each is kept by itself

T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """Why a line was not taken: its number in the file, the column (or `line`), what is wrong, what to do."""

    line: int
    column: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Premises:
    """What all lines of one import are held against."""

    hotels: Mapping[str, Hotel]  # by code
    programme: Programme
    now: datetime
    digest: str  # of the file

    def hotel(self, code: str, field: str) -> Hotel:
        """The hotel with this code. Raises `Unknown`."""
        hotel = self.hotels.get(code)
        if hotel is None:
            known = ", ".join(sorted(self.hotels)) or "none yet"
            raise Unknown(field, "no hotel has this code.", f"Use one of: {known}.")
        return hotel


@dataclass(frozen=True)
class Tally:
    """What became of good lines: written now, or recorded before with the same content."""

    written: int = 0
    again: int = 0


class Table(Protocol[T]):
    """What the lines of a file are: members, or stays."""

    name: str
    columns: tuple[Column, ...]
    columns_of: Mapping[str, str]  # fields of the rules that have another name in the file
    at_once: int  # lines that are written in half a second

    def read(self, cells: Mapping[str, str], premises: Premises) -> T:
        """What the cells of a line say, as far as that can be judged without the database. Raises `BadInput`."""

    def write(
        self,
        db: Session,
        lines: Sequence[tuple[int, T]],
        premises: Premises,
        refuse: Callable[[int, BadInput], None],
    ) -> Tally:
        """Record these lines, each whole or not at all; `refuse` is told of those that cannot be."""


@dataclass(frozen=True)
class Progress:
    """How far an import is: `checking` or `writing`, bytes of the file read, lines looked at."""

    stage: str
    bytes_read: int
    lines: int


@dataclass(frozen=True)
class Done:
    """How an import ended. `written` lines are in the database only if `kept`."""

    file: CsvFile
    lines: int
    written: int
    again: int
    refused: int
    kept: bool


def bring_in(
    table: Table[T],
    path: Path,
    *,
    now: datetime,
    skip_bad: bool = False,
    dry_run: bool = False,
    refuse: Callable[[Problem], None],
    watch: Callable[[Progress], None] = lambda _progress: None,
) -> Done:
    """Bring in the lines of a file; `refuse` hears of every line that cannot be taken, in their order.

    All or nothing: first every line is checked by itself, and if one is bad the others are not even tried. Then all
    are written in one transaction, which is rolled back if one is refused. While it runs no one else can write: on
    SQLite at all, on PostgreSQL (importing stays) no one whose stays, points or tier change. They wait, and after
    some seconds hear an apology. So run it while the house is quiet: 100,000 stays take about a minute, as many
    members, who are enrolled one by one, some twenty.

    `skip_bad` keeps the good lines, in transactions of less than a second or so: others write in between, and after a
    crash the next run goes on. `dry_run` does all of it in one transaction and rolls it back.

    A line that is recorded already with the same content is counted as `again`; with other content it is bad. A run
    that writes leaves one entry in the audit log, besides those of the records. Raises `BadFile`, before anything is
    written unless the file is changed meanwhile; `OSError`. It opens its own transactions.
    """
    file = open_csv(path, table.columns)
    with reading() as db:
        hotels = {hotel.code: hotel for hotel in db.scalars(select(Hotel))}
        programme = programme_versions.in_force(db, now=now).programme
    run = _Run(table, file, Premises(hotels, programme, now, file.examined.digest), refuse, watch)
    for chunk in run.chunks("checking"):
        if not skip_bad:
            run.read(chunk)
    if run.refused:
        return run.done(kept=False)
    if skip_bad and not dry_run:
        for chunk in run.chunks("writing"):
            with transaction() as db:
                run.write(db, chunk)
        if run.written:
            with transaction() as db:
                run.sign(db)
        return run.done(kept=True)
    with suppress(_NotKept), transaction() as db:
        for chunk in run.chunks("writing"):
            run.write(db, chunk)
        if dry_run or run.refused:
            raise _NotKept
        if run.written:
            run.sign(db)
        return run.done(kept=True)
    return run.done(kept=False)


class _NotKept(Exception):
    """Rolls the transaction back."""


class _Run(Generic[T]):
    """One import under way: what it has seen and done so far."""

    def __init__(
        self,
        table: Table[T],
        file: CsvFile,
        premises: Premises,
        refuse: Callable[[Problem], None],
        watch: Callable[[Progress], None],
    ) -> None:
        self._table = table
        self._file = file
        self._premises = premises
        self._refuse = refuse
        self._watch = watch
        self.lines = self.written = self.again = self.refused = 0

    def chunks(self, stage: str) -> Iterator[list[Line]]:
        """The file from its start, some lines at a time."""
        lines = self._file.lines()
        each = iter(lines)
        self.lines = 0
        while chunk := list(islice(each, min(LINES_AT_ONCE, self._table.at_once))):
            self.lines += len(chunk)
            yield chunk
            self._watch(Progress(stage, lines.bytes_read, self.lines))

    def read(self, chunk: Sequence[Line]) -> None:
        """Check lines by themselves."""
        self._report(self._read(chunk)[1])

    def write(self, db: Session, chunk: Sequence[Line]) -> None:
        """Record the good lines among these."""
        good, bad = self._read(chunk)
        tally = self._table.write(
            db, good, self._premises, lambda number, error: bad.append(self._problem(number, error))
        )
        self.written += tally.written
        self.again += tally.again
        self._report(bad)

    def sign(self, db: Session) -> None:
        """Leave a trace of the whole run."""
        audit.record(
            db,
            f"{self._table.name}.imported",
            f"import:{self._file.examined.digest[:16]}",
            actor=ACTOR,
            now=self._premises.now,
            file=self._file.path.name,
            sha256=self._file.examined.digest,
            lines=self.lines,
            written=self.written,
            again=self.again,
            refused=self.refused,
        )

    def done(self, *, kept: bool) -> Done:
        return Done(self._file, self.lines, self.written, self.again, self.refused, kept)

    def _read(self, chunk: Sequence[Line]) -> tuple[list[tuple[int, T]], list[Problem]]:
        good, bad = [], []
        for line in chunk:
            try:
                if line.fault is not None:
                    raise line.fault
                csv_cells.refuse_damage(line.cells)
                good.append((line.number, self._table.read(line.cells, self._premises)))
            except BadInput as error:
                bad.append(self._problem(line.number, error))
        return good, bad

    def _report(self, bad: list[Problem]) -> None:
        self.refused += len(bad)
        for problem in sorted(bad, key=lambda each: each.line):
            self._refuse(problem)

    def _problem(self, number: int, error: BadInput) -> Problem:
        column = self._table.columns_of.get(error.field, error.field)
        return Problem(number, column, error.problem, error.remedy)
