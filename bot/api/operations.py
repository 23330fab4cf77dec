"""What an operation of the API is: its address, who may do it, what it takes and gives, and the deed itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from msgspec import structs
from sqlalchemy.orm import Session

from bot.api.answers import Reply
from bot.api.bodies import Body
from data.api_keys import Caller, Scope

B = TypeVar("B", bound=Body)

_PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Call(Generic[B]):
    """A request that was found in order: who asks, when, what the address names, and what was told."""

    caller: Caller
    now: datetime
    path: Mapping[str, str]
    told: B

    @property
    def actor(self) -> str:
        """As the audit log names the caller."""
        return self.caller.actor


@dataclass(frozen=True)
class Answer:
    """What was done. 201 says that something is there now which was not."""

    reply: Reply
    status: int = 200


@dataclass(frozen=True, kw_only=True)
class Link:
    """From an answer to an operation that goes on from it: parameters and body fields by their place in the answer."""

    to: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation(Generic[B]):
    """One row of the API's table.

    `takes` is the body of a POST or PATCH, the query of a GET; `gives` is what each status brings. The rules name
    fields in their own way: `places` says where in the request those stand that are no field of `takes`. `refuses` is
    the place that a refusal with a phrase for guests is about, "" where there is none. `changes` False: a POST that
    only looks.
    """

    id: str
    method: str
    path: str
    summary: str
    scope: Scope
    takes: type[B]
    gives: Mapping[int, type[Reply]]
    deed: Callable[[Session, Call[B]], Answer]
    description: str = ""
    places: Mapping[str, str] = field(default_factory=dict)
    location: str = ""  # of what a 201 made, with the answer's fields in braces
    links: tuple[Link, ...] = ()
    changes: bool = True
    refuses: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path's braces."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def writes(self) -> bool:
        """Whether it changes anything, and so is done once under its Idempotency-Key."""
        return self.method != "GET" and self.changes

    @property
    def has_body(self) -> bool:
        return self.method != "GET" and bool(self.takes.__struct_fields__)

    @property
    def needs_body(self) -> bool:
        """Whether nothing can be done without one."""
        needed = any(each.required for each in structs.fields(self.takes))
        return self.has_body and (needed or self.method == "PATCH")

    def place_of(self, field: str) -> str:
        """Where in the request the field stands that a rule names: `$.day`, `query.hotel`, `path.number`."""
        head = re.split(r"[.\[]", field, maxsplit=1)[0]
        if head in self.takes.__struct_fields__:
            return f"{'query' if self.method == 'GET' else '$'}.{field}"
        return self.places.get(head, field)


def any_of(*operations: Operation[Any]) -> tuple[Operation[Any], ...]:
    """Operations of different bodies, for one table."""
    return operations
