"""The API's table: every operation there is, and the routes that lead to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from starlette.routing import BaseRoute

from bot.api import description, folios, members, points, rewards, stays
from bot.api.addresses import Address, Description, Methods, Nowhere
from bot.api.door import Door
from bot.api.limits import Limiter, TokenBuckets
from bot.api.operations import Operation
from bot.api.problems import PREFIX
from nlu.phrasebook import Phrasebook

OPERATIONS: tuple[Operation[Any], ...] = (
    *members.OPERATIONS,
    *points.OPERATIONS,
    *stays.OPERATIONS,
    *folios.OPERATIONS,
    *rewards.OPERATIONS,
)


def routes(
    clock: Callable[[], datetime], *, phrasebook: Phrasebook | None = None, limiter: Limiter | None = None
) -> list[BaseRoute]:
    """Everything at and below `bot.api.PREFIX`, which the paths hold already: a mount would look at them decoded.

    `clock` gives an aware moment; `phrasebook` says refusals.
    """
    door = Door(clock=clock, phrasebook=phrasebook or Phrasebook.load(), limiter=limiter or TokenBuckets())
    paths: dict[str, list[Operation[Any]]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, []).append(operation)
    document = msgspec.json.encode(description.document(OPERATIONS))
    return [
        Address(PREFIX + description.PATH, Description(document)),
        # Those without parameters first: /members/search is no member.
        *(
            Address(PREFIX + path, Methods(paths[path], door=door))
            for path in sorted(paths, key=lambda path: "{" in path)
        ),
        Address(PREFIX + "/{rest:path}", Nowhere()),
    ]
