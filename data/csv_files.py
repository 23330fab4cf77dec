"""Tables in CSV files: which separator and columns a file has, and its lines one by one in little memory."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from data import csv_encoding
from data.csv_encoding import BadFile, Examined
from data.refusals import BadInput

__all__ = ["BadFile", "Column", "CsvFile", "Line", "Lines", "open_csv"]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
LONGEST_LINE = 100_000  # characters; more is no line of a table
MOST_LINES_IN_ONE = 10  # that a quoted field may run over; more is a quote that was never closed

_SAYS_SEPARATOR = re.compile(r'"?sep=([,;\t])"?')  # a line with which Excel tells itself
_FORCED_TEXT = re.compile(
    r'="(.*)"', re.DOTALL
)  # how some systems keep Excel from reading digits as a number
_QUOTES = BadInput(
    "line", "has a quote within quotes.", "Double the quotes within a field, or leave them out."
)
_NUL = BadInput("line", "holds a character of zero.", "Take it out.")
_UNIMPORTANT = re.compile(r"[\s_\-./()*]+")


@dataclass(frozen=True)
class Column:
    """One column: the `name` rules know it by, which heads it in a file as well as each of `headings` does."""

    name: str
    headings: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Line:
    """One line of the table: the number of its first line in the file, and its cells that are not empty.

    With a `fault` it is not a line of this table, and has no cells.
    """

    number: int
    cells: Mapping[str, str] = field(repr=False, default_factory=dict)
    fault: BadInput | None = None


@dataclass(frozen=True)
class CsvFile:
    """A file that was examined; `columns` are the names of its columns in their order."""

    path: Path
    examined: Examined
    separator: str
    columns: tuple[str, ...]
    header_line: int

    def lines(self) -> Lines:
        """Read it from the start."""
        return Lines(self)


class Lines:
    """The lines of a file's table. Raises `BadFile` where a quote is not closed, or the file has changed meanwhile."""

    def __init__(self, file: CsvFile) -> None:
        self._file = file
        self.bytes_read = 0

    def __iter__(self) -> Iterator[Line]:
        with _Watched(self._file.path) as raw:
            text = io.TextIOWrapper(io.BufferedReader(raw), self._file.examined.encoding, newline="")
            for number, cells in _records(text, self._file.separator):
                self.bytes_read = raw.count
                if number > self._file.header_line:
                    line = self._line(number, cells)
                    if line is not None:
                        yield line
            self.bytes_read = raw.count
            if raw.digest.hexdigest() != self._file.examined.digest:
                raise BadFile("file", "was changed while it was read.", "Import it again.")

    def _line(self, number: int, cells: Sequence[str] | BadInput) -> Line | None:
        """None for a line of empty cells, as spreadsheets leave behind."""
        if isinstance(cells, BadInput):
            return Line(number, fault=cells)
        columns = self._file.columns
        plain = [_plain(cell) for cell in cells]
        if not any(plain):
            return None
        if len(plain) < len(columns) or any(plain[len(columns) :]):
            problem = f"has {len(plain)} field{'s' * (len(plain) != 1)}, the header {len(columns)}"
            if any("\n" in cell or "\r" in cell for cell in cells):
                problem += "; one of them runs over several lines"
            remedy = "Put quotes around a field that holds the separator or a line end, and close them."
            return Line(number, fault=BadInput("line", f"{problem}.", remedy))
        return Line(number, {name: cell for name, cell in zip(columns, plain, strict=False) if cell})


def open_csv(path: Path, columns: Sequence[Column]) -> CsvFile:
    """Examine a file that is to have these columns. Raises `BadFile`, `OSError`."""
    examined = csv_encoding.examine(path)
    with path.open(encoding=examined.encoding, newline="") as text:
        first = text.readline(LONGEST_LINE)
        said = _SAYS_SEPARATOR.fullmatch(first.strip("\r\n"))
        begins = 2 if said else 1
        heading = text.readline(LONGEST_LINE) if said else first
    separator = said[1] if said else _separator(heading, columns)
    with path.open(encoding=examined.encoding, newline="") as text:
        for number, cells in _records(text, separator):
            if number >= begins and not isinstance(cells, BadInput) and any(cells):
                return CsvFile(path, examined, separator, _columns(cells, columns), number)
            if isinstance(cells, BadInput):
                raise BadFile("header", cells.problem, cells.remedy)
    raise BadFile("file", "is empty.", _expected(columns))


class _Watched(io.RawIOBase):
    """A file that counts and digests what is read of it."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("rb", buffering=0)
        self.count = 0
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = self._raw.readinto(buffer) or 0
        self.digest.update(memoryview(buffer)[:count])
        self.count += count
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Supply:
    """The lines of a file for the CSV reader, not too long, and not too many for one record."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.count = 0
        self.in_record = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        if len(line) > LONGEST_LINE:
            problem = f"is longer than {LONGEST_LINE:,} characters."
            raise BadFile(f"line {self.count + 1}", problem, "Is this a table? Save it as CSV anew.")
        self.count += 1
        self.in_record += 1
        if self.in_record > MOST_LINES_IN_ONE:
            raise _not_closed(self.count - self.in_record + 1)
        return line


def _records(text: TextIO, separator: str) -> Iterator[tuple[int, list[str] | BadInput]]:
    """Each record with the number of its first line; what cannot be one as its fault. Raises `BadFile`."""
    supply = _Supply(text)
    reader = csv.reader(supply, delimiter=separator, strict=True)
    while True:
        begins, supply.in_record = supply.count + 1, 0
        try:
            yield begins, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Where more than one line was taken for a record, nobody knows at which one the next begins.
            if supply.in_record != 1 or str(error).startswith("unexpected end"):
                raise _not_closed(begins) from None
            yield begins, _NUL if "NUL" in str(error) else _QUOTES


def _not_closed(line: int) -> BadFile:
    remedy = "Close it. What was taken for one field would swallow the lines after it."
    return BadFile(f"line {line}", "has a quote that is not closed.", remedy)


def _separator(heading: str, columns: Sequence[Column]) -> str:
    """The one by which most columns are found in the header."""
    known = _by_heading(columns)

    def found(separator: str) -> int:
        cells = next(csv.reader([heading], delimiter=separator), [])
        return sum(_folded(cell) in known for cell in cells)

    return max(SEPARATORS, key=found)


def _columns(cells: Sequence[str], columns: Sequence[Column]) -> tuple[str, ...]:
    """The names of the columns in the order of the header. Raises `BadFile`."""
    headings = [_plain(cell) for cell in cells]
    while headings and not headings[-1]:  # as spreadsheets leave behind
        headings.pop()
    known = _by_heading(columns)
    found = [known.get(_folded(heading)) for heading in headings]
    if not any(found):
        # Not a word of it is repeated: what stands there may be a guest.
        raise BadFile("header", "the first line names none of our columns.", _expected(columns))
    strange = [
        heading[:40] or "(no name)" for name, heading in zip(found, headings, strict=True) if name is None
    ]
    if strange:
        problem = f"there is no column {', '.join(strange)} here."
        raise BadFile("header", problem, f"Take it out or rename it. {_expected(columns)}")
    twice = sorted({name for name in found if name is not None and found.count(name) > 1})
    if twice:
        raise BadFile("header", f"column {', '.join(twice)} is there twice.", "Leave one of them.")
    missing = [each.name for each in columns if each.required and each.name not in found]
    if missing:
        raise BadFile("header", f"column {', '.join(missing)} is missing.", _expected(columns))
    return tuple(name for name in found if name is not None)


def _expected(columns: Sequence[Column]) -> str:
    needed = ", ".join(each.name for each in columns if each.required)
    others = ", ".join(each.name for each in columns if not each.required)
    return f"The first line names the columns: {needed}; and if you like {others}."


def _by_heading(columns: Sequence[Column]) -> dict[str, str]:
    return {_folded(heading): each.name for each in columns for heading in (each.name, *each.headings)}


def _folded(heading: str) -> str:
    """A heading without what does not matter: case, width, spaces and signs."""
    return _UNIMPORTANT.sub("", unicodedata.normalize("NFKC", _plain(heading)).casefold())


def _plain(cell: str) -> str:
    cell = cell.strip("\ufeff").strip()
    forced = _FORCED_TEXT.fullmatch(cell) if cell[:1] == "=" else None
    return forced[1].strip() if forced else cell
