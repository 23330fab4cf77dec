"""YAML as people write it: no traps, and every refusal names the place, the line and the remedy."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.plain_yaml import LONGEST, read_as
from data.refusals import BadInput


class Dish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    price: Decimal = Decimal(1)
    served: Annotated[int, msgspec.Meta(ge=1, le=9)] | None = None

    def __post_init__(self) -> None:
        if self.price < 0:
            raise BadInput("price", "is below zero.", "Write what it costs.")


class Menu(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    day: date
    course: Literal["lunch", "supper"] = "lunch"
    dishes: tuple[Dish, ...] = ()
    prices: dict[Annotated[str, msgspec.Meta(pattern="^[A-Z]+$")], Decimal] = {}
    guests: dict[str, Dish] = {}


DAY = "day: 2026-03-14\n"


def menu(text: str) -> Menu:
    return read_as(DAY + text, Menu)


def refusal(text: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read_as(text, Menu)
    return caught.value


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("010", "010"),
        ("12:30", "12:30"),
        ("2026-03-14", "2026-03-14"),
        ("1_000x", "1_000x"),
        ("'never'", "never"),
        ("=", "="),
        ("燈火 # 夜", "燈火"),
    ],
)
def test_text_stays_as_it_was_written(written: str, read: str) -> None:
    assert menu(f"dishes:\n- name: {written}\n").dishes[0].name == read


@pytest.mark.parametrize(
    ("written", "read"),
    [("1.10", "1.10"), ("0.1", "0.1"), ("12", "12"), ("1_000", "1000"), ("0.000000000000000001", "1E-18")],
)
def test_numbers_are_exact(written: str, read: str) -> None:
    price = menu(f"dishes: [{{name: tea, price: {written}}}]").dishes[0].price
    assert (price, price.as_tuple()) == (Decimal(read), Decimal(read).as_tuple())


def test_never_is_nothing_but_a_forgotten_value_is_not() -> None:
    assert menu("dishes: [{name: tea, served: never}]").dishes[0].served is None
    assert menu("dishes: [{name: tea, served: null}]").dishes[0].served is None
    error = refusal(DAY + "dishes:\n  - name: tea\n    served:\n")
    assert error.field == "dishes[0].served"
    assert error.remedy == "Write a whole number in plain digits, at least 1 and at most 9 or never."


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_other_editors(end: str) -> None:
    text = end.join(["\ufeffday: 2026-03-14", "dishes:", "  - name: 茶", "    price: 2", ""])
    assert read_as(text, Menu).dishes == (Dish(name="茶", price=Decimal(2)),)


# What is written, the field, the line, a piece of problem and remedy.
WRONG = [
    (DAY + "day: 2026-03-15\n", "day", 2, "written twice, first in line 1"),
    (DAY + "prices:\n  CNY: 1\n  GBP: 2\n  CNY: 3\n", "prices.CNY", 5, "first in line 3"),
    (DAY + "dishes:\n- name: tea\n- {name: a, price: 1, price: 1}\n", "dishes[1].price", 4, "written twice"),
    (DAY + "dishes:\n- name: tea\n- price: 2\n", "dishes[1].name", 4, "missing"),
    ("course: lunch\n", "day", 1, "a day of the calendar"),
    (DAY + "dishes:\n- {name: tea,\n   prise: 2}\n", "dishes[0].prise", 4, "Did you mean price?"),
    (DAY + "coffee: 2\n", "coffee", 2, "Known are day, course, dishes, prices, guests."),
    ("day: 2026-02-29\n", "day", 1, "2026-02-29 does not fit"),
    ("day: 2026-02-28T10:00:00\n", "day", 1, "a day of the calendar"),
    (DAY + "course: tea\n", "course", 2, "one of lunch, supper"),
    (DAY + "dishes: tea\n", "dishes", 2, "a list in square brackets"),
    (DAY + "dishes: [tea]\n", "dishes[0]", 2, "a section with name, price, served"),
    (DAY + "dishes:\n", "dishes", 2, "Nothing does not fit"),
    (DAY + "dishes: [{name: ''}]\n", "dishes[0].name", 2, "some text"),
    (DAY + "dishes: [{name: [tea]}]\n", "dishes[0].name", 2, "A list does not fit"),
    (DAY + "dishes: [{name: tea, served: 10}]\n", "dishes[0].served", 2, "at most 9"),
    (DAY + "dishes: [{name: tea, served: 1.0}]\n", "dishes[0].served", 2, "a whole number"),
    (DAY + "dishes: [{name: tea, served: true}]\n", "dishes[0].served", 2, "a whole number"),
    (DAY + "dishes: [{name: tea, price: 1,5}]\n", "dishes[0].5", 2, "Known are name, price, served"),
    (DAY + "dishes:\n- {name: tea}\n- name: rice\n  price: -1\n", "dishes[1].price", 5, "below zero"),
    (DAY + "prices:\n  CNY: 1\n  GBP: nine\n", "prices.GBP", 4, "a number as in 1.5"),
    (DAY + "prices:\n  CNY: 1\n  yuan: 2\n", "prices.yuan", 4, "yuan does not fit"),
    (DAY + "prices:\n  CNY: 1\n  7: 2\n", "prices.7", 4, "7 does not fit"),
    (DAY + "guests:\n  ann: {name: tea}\n  bob: {price: 2}\n", "guests.bob.name", 4, "missing"),
    (DAY + "guests:\n  ann: {name: tea}\n  bob: {name: x, price: -2}\n", "guests.bob.price", 4, "below zero"),
    (DAY + "guests:\n  ann:\n    name: tea\n    served: 0\n", "guests.ann.served", 5, "at least 1"),
    (DAY + "dishes: [{[a]: b}]\n", "dishes[0]", 2, "one word"),
    ("- day\n", "file", 1, "A list does not fit"),
    ("tea\n", "file", 1, "a section with day"),
]


@pytest.mark.parametrize(("text", "field", "line", "words"), WRONG)
def test_refusal_names_field_line_and_remedy(text: str, field: str, line: int, words: str) -> None:
    error = refusal(text)
    assert error.field == field
    assert error.problem.startswith(f"(line {line}) ")
    assert words in f"{error.problem} {error.remedy}"


# What YAML itself cannot read, or we would rather not.
UNREADABLE = [
    ("", "file"),
    ("# only a comment\n", "file"),
    (DAY + "dishes: [\n", "line 3"),
    (DAY + "course：lunch\n", "line 3"),
    (DAY + "\tcourse: lunch\n", "line 2"),
    (DAY + "a: &a [1]\nb: *a\n", "line 2"),
    (DAY + "b: *a\n", "line 2"),
    (DAY + "a: !!python/object:os.system x\n", "line 2"),
    (DAY + "a: !!timestamp '2026-99-99'\n", "line 2"),
    (DAY + "---\n" + DAY, "line 2"),
    (DAY + "course: \x00\n", "file"),
    ("[" * 50_000, "file"),
    ("a" * (LONGEST + 1), "file"),
]


@pytest.mark.parametrize(("text", "field"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_is_no_plain_yaml_is_refused(text: str, field: str) -> None:
    error = refusal(text)
    assert error.field == field
    assert error.problem
    assert error.remedy


def test_references_cannot_blow_the_file_up() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20))
    assert refusal(bomb).field == "line 1"


NAMES = st.sampled_from(["course", "dishes", "prices", "guests", "name", "price", "served", "7"])
SCALARS = st.sampled_from(
    ["", "茶", "1", "1.5", "-1", "never", "lunch", "'", "2026-03-14", "~", "1e5", "nan"]
)
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=4),
    max_leaves=12,
)


def flow(tree: Any) -> str:
    """The tree as YAML on one line."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{name}: {flow(below)}" for name, below in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(flow, tree)) + "]"
    return str(tree)


def is_read_or_refused(text: str) -> None:
    try:
        read_as(text, Menu)
    except BadInput as error:
        named = (error.field, error.problem, error.remedy)
    else:
        return
    assert all(named)
    assert named[0] == "file" or named[0].startswith("line ") or named[1].startswith("(line ")


@given(tree=st.dictionaries(NAMES, TREES, max_size=4))
def test_whatever_is_written_is_read_or_refused(tree: dict[str, Any]) -> None:
    is_read_or_refused(DAY + "".join(f"{name}: {flow(below)}\n" for name, below in tree.items()))


@given(text=st.text(alphabet="day:[]{}-,#&*!|>'\"\n \t茶1.%@`?~", max_size=60))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    is_read_or_refused(DAY + text)
