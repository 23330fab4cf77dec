"""Tables in CSV files: any encoding, separator and line end is read the same, and damage is named with its line."""

from __future__ import annotations

import codecs
import csv
import io
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import csv_cells, csv_encoding, csv_files
from data.csv_files import BadFile, Column, Line, open_csv
from data.refusals import BadInput

COLUMNS = (
    Column("number", ("卡号", "card number"), True),
    Column("name", ("姓名",), True),
    Column("phone", ("手机", "mobile")),
)
TABLE = [
    ["number", "name", "phone"],
    ["ZK1", "沈知微", "13800138000"],
    ["ZK2", "朱镕基", ""],
    ["ZK3", "喆", "1"],
]
CELLS = [
    (2, {"number": "ZK1", "name": "沈知微", "phone": "13800138000"}),
    (3, {"number": "ZK2", "name": "朱镕基"}),
    (4, {"number": "ZK3", "name": "喆", "phone": "1"}),
]

File = Callable[[bytes], Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    def write(content: bytes) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(content)
        return path

    return write


def as_csv(rows: list[list[str]], **dialect: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows(rows)
    return text.getvalue()


def lines(path: Path) -> list[Line]:
    return list(open_csv(path, COLUMNS).lines())


def read(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Numbers and cells of the lines, all of which must be good."""
    found = lines(path)
    assert [line.fault for line in found if line.fault] == []
    return [(line.number, dict(line.cells)) for line in found]


def refusal(path: Path) -> BadFile:
    with pytest.raises(BadFile) as refused:
        lines(path)
    return refused.value


# Encodings, separators, line ends

ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "gbk": "GB18030",
    "gb18030": "GB18030",
}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_read_the_same_however_it_is_written(
    file: File, encoding: str, separator: str, line_end: str
) -> None:
    path = file(as_csv(TABLE, delimiter=separator, lineterminator=line_end).encode(encoding))
    assert read(path) == CELLS
    opened = open_csv(path, COLUMNS)
    assert (opened.examined.name, opened.separator) == (ENCODINGS[encoding], separator)


def test_utf_16_of_the_other_byte_order(file: File) -> None:
    assert read(file(codecs.BOM_UTF16_BE + as_csv(TABLE).encode("utf-16-be"))) == CELLS


def test_without_a_last_line_end(file: File) -> None:
    assert read(file(as_csv(TABLE).rstrip().encode())) == CELLS


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff", exclude_categories=["Cs", "Cn"]))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(TEXTS, min_size=3, max_size=3), max_size=6),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    separator=st.sampled_from(sorted(csv_files.SEPARATORS)),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_is_in_a_field_the_lines_keep_their_numbers(
    file: File, rows: list[list[str]], encoding: str, separator: str, line_end: str
) -> None:
    dialect = {"delimiter": separator, "lineterminator": line_end, "quoting": csv.QUOTE_ALL}
    text, expected = as_csv([list("abc")], **dialect).replace('"a"', "number").replace('"b"', "name"), []
    text = text.replace('"c"', "phone")
    for row in rows:
        number = len(io.StringIO(text, newline="").readlines()) + 1
        written = as_csv([row], **dialect)
        cells = {name: cell.strip() for name, cell in zip(("number", "name", "phone"), row, strict=True)}
        forced = any(cell.startswith("=") for cell in cells.values())
        if any(cells.values()) and not forced and len(io.StringIO(written, newline="").readlines()) <= 10:
            expected.append((number, {name: cell for name, cell in cells.items() if cell}))
            text += written
    assert read(file(text.encode(encoding))) == expected


def test_a_field_over_several_lines_and_empty_ones(file: File) -> None:
    path = file(b'number,name\r\nZK1,"a\r\n\r\nb"\r\n\r\n , \r\nZK2,c\r\n')
    assert read(path) == [
        (2, {"number": "ZK1", "name": "a\r\n\r\nb"}),
        (7, {"number": "ZK2", "name": "c"}),
    ]


@pytest.mark.parametrize(
    ("header", "separator"),
    [
        ("number,name", ","),
        ("sep=;\nnumber;name", ";"),
        ("sep=\t\r\nnumber\tname", "\t"),
        ("NUMBER;Name", ";"),
        (" 卡号 , 姓 名 ", ","),
        ("Card_Number\t姓名", "\t"),
        ("ｃａｒｄ　ｎｕｍｂｅｒ,name", ","),
        ('"card-number";"name"', ";"),
        ("number,name,,", ","),
        ("\nnumber,name", ","),
    ],
)
def test_headers(file: File, header: str, separator: str) -> None:
    path = file(f"{header}\nZK1{separator}a;b\n".replace("a;b", '"a;b"').encode())
    opened = open_csv(path, COLUMNS)
    assert (opened.separator, opened.columns) == (separator, ("number", "name"))
    assert [dict(line.cells) for line in opened.lines()] == [{"number": "ZK1", "name": "a;b"}]


def test_text_that_was_forced_on_a_spreadsheet(file: File) -> None:
    assert read(file(b'number,name,phone\n="00123",a,"=""0138"""\n')) == [
        (2, {"number": "00123", "name": "a", "phone": "0138"})
    ]


def test_header_alone(file: File) -> None:
    assert read(file(b"number,name\n")) == []


# Damage to the file

WESTERN = "number,name\nZK1,Zoë\nZK2,Müller\nZK3,José\n".encode("cp1252")
UTF8 = as_csv(TABLE, lineterminator="\n").encode()
GBK = as_csv(TABLE, lineterminator="\n").encode("gbk")
DAMAGED_FILES = [
    (b"", "file", "empty"),
    (b"\xef\xbb\xbf\n\n", "file", "empty"),
    (b"PK\x03\x04\0\0", "file", "Excel"),
    (b"\xd0\xcf\x11\xe0\xa1", "file", "Excel"),
    (WESTERN, "line 2", "neither UTF-8 nor GB18030"),
    (UTF8 + b"ZK4,\xb2\x88,\n" + UTF8, "line 5", "not UTF-8"),
    (UTF8 + "沈".encode()[:2], "line 5", "not UTF-8"),
    (GBK + b"ZK4,\xff,\n" + GBK, "line 5", "neither"),
    (GBK + b"\x81", "line 5", "neither"),
    (UTF8 + b"ZK4,a\0,\n", "line 5", "zero"),
    (as_csv(TABLE).encode("utf-16-le"), "line 1", "zero"),
    ("number,name\nZK1,a\n".encode("utf-16") + b"\x00\xd8", "line 3", "UTF-16"),
    (UTF8 + b'ZK4,"a,\nZK5,b,\n', "line 5", "not closed"),
    (UTF8 + b'ZK4,"a,\nZK5,b"c,\nZK6,d,\n', "line 5", "not closed"),
    (UTF8 + b'ZK4,"a' + b"\nZK5,b,1" * 20 + b'",\n', "line 5", "not closed"),
    (b'"number,name\n', "line 1", "not closed"),
    (b'"nu"mber,name\n', "header", "quote"),
    (UTF8 + b"x" * 100_001, "line 5", "longer"),
    (b"Bob,Ann,1\nZK1,a,b\n", "header", "none of our columns"),
    (b"number,name,shoe size\n", "header", "shoe size"),
    (b"number,,name\n", "header", "(no name)"),
    (b"number,phone\n", "header", "name is missing"),
    ("number,name,姓名\n".encode(), "header", "twice"),
]


@pytest.mark.parametrize(("content", "where", "said"), DAMAGED_FILES)
def test_damage_to_the_file_is_named(file: File, content: bytes, where: str, said: str) -> None:
    error = refusal(file(content))
    assert error.field == where
    assert said in error.problem
    assert error.remedy


def test_no_word_of_a_line_that_may_be_a_guest_is_repeated(file: File) -> None:
    assert "沈知微" not in str(refusal(file("沈知微,13800138000\n".encode())))


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
@pytest.mark.parametrize(
    ("content", "where", "said"), [each for each in DAMAGED_FILES if len(each[0]) < 1000]
)
def test_damage_is_found_wherever_blocks_end(
    file: File, monkeypatch: pytest.MonkeyPatch, content: bytes, where: str, said: str, block: int
) -> None:
    monkeypatch.setattr(csv_encoding, "BLOCK", block)
    test_damage_to_the_file_is_named(file, content, where, said)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.integers(0, 40),
    after=st.integers(0, 40),
    block=st.integers(1, 200),
    line_end=st.sampled_from("\r\n"),
)
def test_the_line_of_the_first_bad_byte(
    file: File, before: int, after: int, block: int, line_end: str
) -> None:
    good = f"ZK1,沈知微,1{line_end}".encode()
    header = f"number,name,手机{line_end}".encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_encoding, "BLOCK", block)
        error = refusal(file(header + good * before + b"ZK2,\xff," + line_end.encode() + good * after))
    assert error.field == f"line {before + 2}"


# Damage to a line

DAMAGED_LINES = [
    (b"ZK9", "1 field,"),
    (b"ZK9,a,1,2", "4 fields"),
    (b"ZK9;a;1", "1 field,"),
    (b'ZK9,"a "b" c",1', "quote within quotes"),
    (b'ZK9,"a\nb",1,2', "several lines"),
]


@pytest.mark.parametrize(("damaged", "said"), DAMAGED_LINES)
def test_damage_to_a_line_leaves_the_others(file: File, damaged: bytes, said: str) -> None:
    found = lines(file(UTF8 + damaged + b"\nZK8,b,2\n"))
    assert [line.number for line in found] == [2, 3, 4, 5, 6 + damaged.count(b"\n")]
    assert [bool(line.fault) for line in found] == [False, False, False, True, False]
    fault = found[3].fault
    assert fault is not None
    assert fault.field == "line"
    assert said in fault.problem
    assert dict(found[3].cells) == {}


def test_zero_in_utf_16(file: File) -> None:
    (bad, good) = lines(file("number,name\nZK1,a\0\nZK2,b\n".encode("utf-16")))
    assert bad.fault is not None
    assert "zero" in bad.fault.problem
    assert dict(good.cells) == {"number": "ZK2", "name": "b"}


def test_a_line_that_is_too_short_or_too_long_by_empty_fields(file: File) -> None:
    assert read(file(b"number,name,phone,,\nZK1,a,1,,\nZK2,b,2\n")) == [
        (2, {"number": "ZK1", "name": "a", "phone": "1"}),
        (3, {"number": "ZK2", "name": "b", "phone": "2"}),
    ]


# While it is read


def test_bytes_read_and_a_file_that_changes(file: File) -> None:
    path = file(UTF8 * 1 + b"ZK7,b,\n" * 50_000)
    opened = open_csv(path, COLUMNS)
    every = opened.lines()
    seen = [every.bytes_read for _ in every]
    assert seen == sorted(seen)
    assert seen[-1] == path.stat().st_size == opened.examined.size
    path.write_bytes(path.read_bytes().replace(b"ZK7", b"ZK6"))
    with pytest.raises(BadFile, match="changed"):
        list(opened.lines())


def test_memory_stays_flat(file: File) -> None:
    """In a table of 4 MB, and in one that a quote makes a single field of."""
    table = file(UTF8 + b"ZK7,b,13800138000\n" * 250_000)
    swallowed = table.with_name("swallowed.csv")
    swallowed.write_bytes(table.read_bytes().replace(b",b,", b',"b,', 1))
    tracemalloc.start()
    try:
        assert sum(1 for _ in open_csv(table, COLUMNS).lines()) == 250_003
        assert refusal(swallowed).field == "line 5"
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


# Cells


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04",
        "2026/3/4",
        "2026.03.4",
        "20260304",
        "2026年3月4日",
        "２０２６/3/4",
        "2026/3/4 0:00",
        "2026-03-04T00:00:00",
    ],
)
def test_spellings_of_a_day(text: str) -> None:
    assert csv_cells.day(text, "arrival") == date(2026, 3, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("45365", "spreadsheet's own number"),
        ("45365.5", "spreadsheet's own number"),
        ("4.54E+04", "spreadsheet's own number"),
        ("3/4/2026", "which is the day"),
        ("04.03.26", "which is the day"),
        ("2026-02-29", "no day of the calendar"),
        ("2026-13-01", "no day of the calendar"),
        ("2026/3-4", "no day"),
        ("2026-03-04 18:00", "no day"),
        ("9999-12-31", "too far ahead"),
        ("0001-01-01", "too long ago"),
        ("tomorrow", "no day"),
    ],
)
def test_what_is_no_day(text: str, said: str) -> None:
    refused(lambda: csv_cells.day(text, "arrival"), "arrival", said)


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)))
def test_every_day_is_read_in_every_spelling(day: date) -> None:
    spellings = (day.isoformat(), f"{day:%Y%m%d}", f"{day.year}/{day.month}/{day.day}")
    assert {csv_cells.day(text, "x") for text in spellings} == {day}
    assert csv_cells.birthday(spellings[2], "x") == day.isoformat()


def test_a_birthday_without_its_year() -> None:
    assert csv_cells.birthday("--02-29", "birthday") == "--02-29"


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1280.5", "CNY", 128050),
        ("1280", "JPY", 1280),
        ("0.125", "KWD", 125),
        ("-3", "GBP", -300),
        ("１２.5", "CNY", 1250),
    ],
)
def test_amounts(text: str, currency: str, minor: int) -> None:
    assert csv_cells.amount_minor(text, currency, "total") == minor


@pytest.mark.parametrize(
    ("read_cell", "text", "said"),
    [
        (lambda text: csv_cells.amount_minor(text, "CNY", "x"), "1,280.00", "no amount"),
        (lambda text: csv_cells.amount_minor(text, "CNY", "x"), "1280,50", "no amount"),
        (lambda text: csv_cells.amount_minor(text, "CNY", "x"), "¥1280", "no amount"),
        (lambda text: csv_cells.amount_minor(text, "CNY", "x"), "1.28E+03", "digits are lost"),
        (lambda text: csv_cells.amount_minor(text, "CNY", "x"), "1.005", "more decimals than CNY has"),
        (lambda text: csv_cells.amount_minor(text, "JPY", "x"), "1.5", "more decimals than JPY has"),
        (lambda text: csv_cells.amount_minor(text, "CNY", "x"), "NaN", "no amount"),
        (lambda text: csv_cells.whole(text, "x"), "2,680", "no whole number"),
        (lambda text: csv_cells.whole(text, "x"), "2.5", "no whole number"),
        (lambda text: csv_cells.whole(text, "x"), "2E+3", "digits are lost"),
        (lambda text: csv_cells.whole(text, "x"), "９" * 19, "no whole number"),
        (lambda text: csv_cells.digits(text, "x"), "1.38E+10", "digits are lost"),
        (lambda text: csv_cells.digits(text, "x"), "1,38E+10", "digits are lost"),
        (lambda text: csv_cells.digits(text, "x"), "13800138000.0", "amount"),
        (lambda text: csv_cells.refuse_lost_digits(text, "x"), "310101199003070000", "last digits"),
        (lambda text: csv_cells.yes_or_no(text, "x"), "maybe", "neither"),
        (lambda text: csv_cells.refuse_damage({"x": text}), "#N/A", "error of the spreadsheet"),
        (lambda text: csv_cells.refuse_damage({"x": text}), "#value!", "error of the spreadsheet"),
        (lambda text: csv_cells.refuse_damage({"x": text}), "########", "too narrow"),
    ],
)
def test_what_spreadsheets_do(read_cell: Callable[[str], object], text: str, said: str) -> None:
    refused(lambda: read_cell(text), "x", said)


def test_cells_that_are_fine() -> None:
    assert csv_cells.whole("2680", "x") == csv_cells.whole("2680.00", "x") == 2680
    assert csv_cells.digits("13800138000", "x") == "13800138000"
    assert [csv_cells.yes_or_no(text, "x") for text in ("是", "Yes", "1", "否", "FALSE")] == [True] * 3 + [
        False
    ] * 2
    csv_cells.refuse_damage({"x": "#1 suite"})


def refused(deed: Callable[[], object], field: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        deed()
    assert error.value.field == field
    assert said in error.value.problem
    assert error.value.remedy
