"""Reading what was sent into a struct; what does not fit is told by its place, never by its value."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from bot.api import problems
from bot.api.bodies import Body
from bot.api.problems import Refused

B = TypeVar("B", bound=Body)

SEE = "See this field in openapi.json."

_AT = re.compile(r" - at (?:`key` in )?`(?P<at>\$[^`]*)`$")
_A_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")

# msgspec's messages: those that quote what was sent are told without the quotation.
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_WRONG: Sequence[tuple[re.Pattern[str], str, str]] = (
    (re.compile(r"Expected `([\w |-]+)`, got `([\w-]+)`"), r"is of type \2.", r"Send it as \1."),
    (re.compile(r"Expected `(\w+)` (of length [<>=]+ \d+)"), "is too long or too short.", r"Send it as \1 \2."),
    (re.compile(r"Expected `(\w+)` ([<>=]+ -?\d+)"), "is out of bounds.", r"Send it as \1 \2."),
    (re.compile(r"Expected `str` matching regex '(.*)'"), "is not written as it should be.", r"It must match \1"),
    (re.compile(r"Expected `datetime` with a timezone.*"), "has no time zone.", "Write 2026-03-14T09:00:00+08:00."),
    (re.compile(r"Invalid RFC3339 encoded datetime"), "is no moment.", "Write 2026-03-14T09:00:00+08:00."),
    (re.compile(r"Invalid RFC3339 encoded date"), "is no day.", "Write 2026-03-14."),
    (re.compile(r"Invalid enum value .*", re.DOTALL), "is none of the values it may have.", SEE),
)  # fmt: skip


def body(raw: bytes, into: type[B]) -> B:
    """The JSON body as this struct. Raises `Refused`, naming the field as a JSON path."""
    try:
        told: B = _decoder(into).decode(raw)
    except msgspec.ValidationError as error:
        raise _does_not_fit(str(error), "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise problems.refuse(
            "malformed", "The body is not JSON.", field="$", remedy="Send JSON (RFC 8259) in UTF-8."
        ) from None
    return told


def query(pairs: Sequence[tuple[str, str]], into: type[B]) -> B:
    """The query as this struct. Raises `Refused`, naming the parameter as `query.<name>`."""
    told = dict(pairs)
    if len(told) < len(pairs):
        raise problems.refuse(
            "does_not_fit", "query: a parameter comes twice.", field="query", remedy="Send each once."
        )
    try:
        return msgspec.convert(told, into, strict=False)
    except msgspec.ValidationError as error:
        raise _does_not_fit(str(error), "query") from None


@functools.lru_cache(maxsize=64)
def _decoder(into: type[Body]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(into)


def _does_not_fit(message: str, root: str) -> Refused:
    at = _AT.search(message)
    place, said = root, message
    if at is not None:
        place, said = root + at["at"][1:], message[: at.start()]
    field, problem, remedy = _told(said, place)
    return problems.refuse("does_not_fit", f"{field}: {problem}", field=field, remedy=remedy)


def _told(said: str, place: str) -> tuple[str, str, str]:
    """The field, what is wrong with it, and what to do."""
    if match := _MISSING.fullmatch(said):
        return f"{place}.{match['name']}", "is missing.", "Send it."
    if match := _UNKNOWN.fullmatch(said):
        # A name we know nothing of may be anything, a guest's phone even.
        name = match["name"]
        field = f"{place}.{name}" if _A_NAME.fullmatch(name) else place
        problem = "is not known here." if field != place else "holds a name that is not known here."
        return field, problem, "Leave it out, or correct its spelling."
    for pattern, problem, remedy in _WRONG:
        if match := pattern.fullmatch(said):
            return place, match.expand(problem), match.expand(remedy)
    return place, "does not fit.", SEE


def canonical(told: Any) -> bytes:
    """The same for whatever says the same: JSON of the struct, its fields in order, defaults filled in."""
    return msgspec.json.encode(told, order="deterministic")
