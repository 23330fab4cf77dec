"""YAML files that people edit, read strictly into structs: a refusal names the place, the line and the remedy."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Hashable, Iterator
from datetime import date
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NoReturn,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
import yaml

from data.refusals import BadInput

LONGEST = 200_000  # characters; the largest programme we can imagine has a tenth of that

T = TypeVar("T", bound=msgspec.Struct)
Path = tuple[str | int, ...]

_PLACE = re.compile(r" - at `(?:key` in `)?\$([^`]*)`$")
_STEP = re.compile(r"\[(?P<index>\d+)\]|(?P<key>\[\.\.\.\])|\.(?P<name>[^.\[]+)")
_MISSING = re.compile(r"Object missing required field `(.+?)`")
_STRANGE = re.compile(r"Object contains unknown field `(.+?)`", re.DOTALL)


class _Loader(yaml.SafeLoader):
    """YAML without its traps: 1.5 is a Decimal, `no` and 010 are text, a day stays text until a struct wants one.

    `never` and `null` are nothing; a value that was left out is not, so that it cannot be taken for "never".
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if (
            isinstance(event, yaml.AliasEvent)
            or getattr(event, "anchor", None)
            or getattr(event, "tag", None)
        ):
            line = event.start_mark.line + 1
            raise BadInput(
                f"line {line}", "&, * and ! have a meaning of their own in YAML.", "Put the text in quotes."
            )
        node = super().compose_node(parent, index)
        if isinstance(parent, yaml.MappingNode) and index is None and isinstance(node, yaml.ScalarNode):
            node.tag = "tag:yaml.org,2002:str"  # what stands before a colon is a name, also 7 and never
        return node


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(never|null)$"), None)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(0|[1-9][0-9_]{0,17})$"), None)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^-?[0-9]{1,18}\.[0-9]{1,18}$"), None)
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: Decimal(node.value))


def read_as(text: str, kind: type[T]) -> T:
    """The struct that the text describes. Raises `BadInput`; its field is a path such as `earn.rates.GBP`."""
    root, value = _loaded(text)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        _refuse(root, *_explained(error, value, kind))


def _loaded(text: str) -> tuple[yaml.Node, Any]:
    if len(text) > LONGEST:
        raise BadInput("file", "is far too long.", f"Write at most {LONGEST:,} characters.")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise BadInput("file", "is empty.", "Begin with a copy of the sample.")
        for path, again, first in _twice(root):
            problem = f"is written twice, first in line {first.start_mark.line + 1}."
            _refuse(again, path, problem, "Keep one of the two.", here=True)
        return root, loader.construct_document(root)
    except RecursionError:
        raise BadInput("file", "has lists inside lists without end.", "Look for a stray [ or {.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        field = f"line {mark.line + 1}" if mark else "file"
        remedy = "Compare it with the sample: two spaces further in for each level, a space after every colon, no tabs."
        raise BadInput(field, f"cannot be read ({error.problem or error.context}).", remedy) from None
    except yaml.YAMLError:
        raise BadInput(
            "file", "holds characters that are no text.", "Save it as plain text in UTF-8."
        ) from None


def _twice(node: yaml.Node, path: Path = ()) -> Iterator[tuple[Path, yaml.Node, yaml.Node]]:
    """Every key that its section has already: (path, second, first)."""
    if isinstance(node, yaml.SequenceNode):
        for index, each in enumerate(node.value):
            yield from _twice(each, (*path, index))
    if isinstance(node, yaml.MappingNode):
        seen: dict[Hashable, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                _refuse(
                    key, path, "has a list or a section before a colon.", "Write one word there.", here=True
                )
            if key.value in seen:
                yield (*path, key.value), key, seen[key.value]
            seen[key.value] = key
            yield from _twice(value, (*path, key.value))


def _refuse(node: yaml.Node, path: Path, problem: str, remedy: str, *, here: bool = False) -> NoReturn:
    """Raise `BadInput` with the line of the node at `path`, as far as there is one; `here`: of this very node."""
    for step in () if here else path:
        below = dict(enumerate(node.value)) if isinstance(node, yaml.SequenceNode) else {}
        if isinstance(node, yaml.MappingNode):
            below = {key.value: value for key, value in node.value}
        if step not in below:
            break
        node = below[step]
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    raise BadInput(field or "file", f"(line {node.start_mark.line + 1}) {problem}", remedy)


def _explained(error: msgspec.ValidationError, value: Any, kind: Any) -> tuple[Path, str, str]:
    """What msgspec found, in plain words: (path, problem, remedy)."""
    message = str(error)
    place = _PLACE.search(message)
    path, found, wanted = _followed(place.group(1) if place else "", value, kind)
    if isinstance(cause := error.__cause__, BadInput):
        steps = _STEP.finditer(f".{cause.field}")
        within = (int(step["index"]) if step["index"] else step["name"] for step in steps)
        return (*path, *within), cause.problem, cause.remedy
    if missing := _MISSING.match(message):
        name = missing.group(1)
        return (*path, name), "is missing.", f"Write {name}: and then {_words(_fields(wanted)[name])}."
    if strange := _STRANGE.match(message):
        name, known = strange.group(1), list(_fields(wanted))
        close = difflib.get_close_matches(name, known, n=1)
        guess = f"Did you mean {close[0]}? " if close else ""
        return (*path, name), "is not known here.", f"{guess}Known are {', '.join(known)}."
    return path, f"{_shown(found)} does not fit here.", f"Write {_words(wanted)}."


def _followed(place: str, value: Any, kind: Any) -> tuple[Path, Any, Any]:
    """Go to the place msgspec names, such as `.earn.rates[...]`: (path, the value there, what is wanted there)."""
    path: list[str | int] = []
    for step in _STEP.finditer(place):
        kind = _bare(kind)
        if step["name"]:
            path.append(step["name"])
            kind = _fields(kind)[step["name"]]
        elif step["index"]:
            path.append(int(step["index"]))
            kind = get_args(kind)[0]
        else:
            # msgspec does not say which key of the section it is.
            path.append(next(key for key in value if not _fits(value[key], get_args(kind)[1])))
            kind = get_args(kind)[1]
        value = value[path[-1]]
    if get_origin(_bare(kind)) is dict and isinstance(value, dict):
        bad = next((key for key in value if not _fits(key, get_args(_bare(kind))[0])), None)
        if bad is not None:
            return (*path, str(bad)), bad, get_args(_bare(kind))[0]
    return tuple(path), value, kind


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _bare(kind: Any) -> Any:
    """The type itself, without its limits and without "or None"."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return _bare(next(each for each in get_args(kind) if each is not types.NoneType))
    return kind


def _fields(kind: Any) -> dict[str, Any]:
    """The fields of a struct as the file calls them, with their types."""
    struct = _bare(kind)
    hints = get_type_hints(struct, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}


def _words(kind: Any) -> str:
    """What is wanted, in plain words."""
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join("never" if each is types.NoneType else _words(each) for each in get_args(kind))
    limits = get_args(kind)[1] if get_origin(kind) is Annotated else msgspec.Meta()
    if limits.description:
        return str(limits.description)
    bare = _bare(kind)
    if get_origin(bare) is Literal:
        return f"one of {', '.join(get_args(bare))}"
    if get_origin(bare) is tuple:
        bounds = (("at least", limits.min_length), ("at most", limits.max_length))
        length = " and ".join(f"{bound} {number}" for bound, number in bounds if number is not None)
        of = f" of {length}" if length else ""
        return f"a list{of} in square brackets; each of its items is {_words(get_args(bare)[0])}"
    if get_origin(bare) is dict:
        name, value = get_args(bare)
        return f"lines, each with {_words(name)}, then a colon and {_words(value)}"
    if bare is int:
        most = f" and at most {limits.le}" if limits.le is not None else ""
        return f"a whole number in plain digits, at least {limits.ge}{most}"
    if bare in _PLAIN_WORDS:
        return _PLAIN_WORDS[bare]
    return f"a section with {', '.join(_fields(bare))}"


_PLAIN_WORDS = {
    str: "some text",
    date: "a day of the calendar as in 2026-05-01",
    Decimal: "a number as in 1.5",
}


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "A list" if isinstance(value, list) else "A section"
    if value is None or value == "":
        return "Nothing" if value == "" else "never"
    return str(value) if len(str(value)) <= 40 else f"{str(value)[:40]}…"
