"""What a text file is written in, judged over the whole of it in little memory: UTF-8, UTF-16 or GB18030."""

from __future__ import annotations

import codecs
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.refusals import BadInput

BLOCK = 1 << 20  # bytes read at a time

_REMEDY = 'Save it as "CSV UTF-8" and import that.'
# How other files begin that are taken for text by mistake.
_NO_TEXT = {
    b"PK\x03\x04": "is an Excel workbook, or another archive.",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook.",
    b"%PDF": "is a PDF.",
}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Chinese in GB18030 is pairs of such bytes and more, hardly ever one alone; é in Windows-1252 is one alone.
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
_ASCII, _BEYOND = bytes(range(128)), bytes(range(128, 256))


class BadFile(BadInput):
    """The file itself cannot be read, so none of its lines is taken. `field`: `file`, `header` or `line <number>`."""


@dataclass(frozen=True)
class Examined:
    """A file that can be read: `encoding` for Python, its `name` for people, bytes, and SHA-256 in hex."""

    encoding: str
    name: str
    size: int
    digest: str


def examine(path: Path) -> Examined:
    """Find out the encoding: by its mark, else strict UTF-8, else strict GB18030, of which GBK is a part.

    Raises `BadFile`, which names the line of the first byte that cannot be; `OSError`.
    """
    size, digest, zero_at = 0, hashlib.sha256(), None
    begins = b""
    for block in _blocks(path):
        begins = (begins + block[:4])[:4]
        digest.update(block)
        if zero_at is None and b"\0" in block:
            zero_at = size + block.index(b"\0")
        size += len(block)
    problem = next((what for mark, what in _NO_TEXT.items() if begins.startswith(mark)), None)
    if problem is not None:
        raise BadFile("file", problem, _REMEDY)
    found = _utf16(path) if begins.startswith(_UTF_16) else _of_bytes(path, zero_at)
    return Examined(*found, size, digest.hexdigest())


def _utf16(path: Path) -> tuple[str, str]:
    wrong_at = _first_wrong(path, "utf-16")
    if wrong_at is not None:
        line = _line_at(path, wrong_at, "utf-16")
        raise BadFile(f"line {line}", "is not UTF-16, though the file says it is.", _REMEDY)
    return "utf-16", "UTF-16"


def _of_bytes(path: Path, zero_at: int | None) -> tuple[str, str]:
    """Encoding and name of a file without a mark, or with that of UTF-8."""
    if zero_at is not None:
        line = _line_at(path, zero_at, "latin-1")
        raise BadFile(f"line {line}", "holds a byte of zero, so this is no text as we read it.", _REMEDY)
    wrong_at = _first_wrong(path, "utf-8")
    if wrong_at is None:
        return "utf-8-sig", "UTF-8"
    if _is_damaged_utf8(path):
        # Much of it would pass for GB18030, as other characters than were written.
        line = _line_at(path, wrong_at, "utf-8")
        problem = "holds a byte that is not UTF-8, though the rest of the file is."
        raise BadFile(f"line {line}", problem, _REMEDY)
    if not _is_western(path):
        wrong_at = _first_wrong(path, "gb18030")
        if wrong_at is None:
            return "gb18030", "GB18030"
    line = _line_at(path, wrong_at, "gb18030")
    raise BadFile(f"line {line}", "holds a byte that is neither UTF-8 nor GB18030.", _REMEDY)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _first_wrong(path: Path, encoding: str) -> int | None:
    """The place of the first byte that does not decode, from 0; None if all of them do."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    read = waiting = 0
    try:
        for block in _blocks(path):
            waiting = len(decoder.getstate()[0])
            decoder.decode(block)
            read += len(block)
        waiting = len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return read - waiting + error.start
    return None


def _line_at(path: Path, place: int, encoding: str) -> int:
    """The number of the line that the byte at `place` (from 0) lies in."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)("replace"), translate=True)
    line, left = 1, place
    for block in _blocks(path):
        line += decoder.decode(block[:left]).count("\n")
        left -= len(block)
        if left <= 0:
            break
    return line


def _is_damaged_utf8(path: Path) -> bool:
    """Whether more characters beyond ASCII are right in UTF-8 than are wrong."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    beyond = wrong = 0
    for block in _blocks(path):
        text = decoder.decode(block)
        beyond += len(text) - (len(block) - len(block.translate(None, _ASCII)))
        wrong += text.count("\ufffd")
    return beyond - wrong > wrong


def _is_western(path: Path) -> bool:
    """Whether most bytes beyond ASCII stand alone, as accented letters do in a Western encoding."""
    runs = alone = 0
    rest = b""
    for block in _blocks(path):
        text = rest + block
        ended = len(text.rstrip(_BEYOND))
        for run in _HIGH_BYTES.finditer(text, 0, ended):
            runs += 1
            alone += run.end() - run.start() == 1
        # It may go on in the next block; whether it is one byte or more is all that counts.
        rest = text[ended : ended + 2]
    return (alone + (len(rest) == 1)) * 2 > runs + (len(rest) > 0)
