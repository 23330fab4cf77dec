"""What a rule's refusal becomes for a property system: its status, its words, its place in the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.api.operations import Operation
from bot.api.problems import Problem, problem
from data.desk_codes import CodeUnknown
from data.refusals import BadInput, Conflict, Refusal, Unknown
from nlu.phrasebook import Phrasebook

# Refusals with a phrase that are not simply 409, by kind of problem.
_REFUSALS: Mapping[type[Refusal], str] = {CodeUnknown: "not_found"}


def of_input(error: BadInput, operation: Operation[Any]) -> Problem:
    """404 where the address names what is not here, 409 for a contradiction, else 422."""
    place = operation.place_of(error.field)
    if isinstance(error, Unknown):
        kind = "not_found" if place.startswith("path.") else "unknown_reference"
    else:
        kind = "conflict" if isinstance(error, Conflict) else "bad_input"
    name = place.rpartition(".")[2]
    return problem(kind, f"{name}: {error.problem}", field=place, remedy=error.remedy)


def of_refusal(refusal: Refusal, operation: Operation[Any], phrasebook: Phrasebook) -> Problem:
    """The phrase a guest would hear, in English, with its name as the code."""
    code = refusal.utter.removeprefix("utter_")
    words = phrasebook.say(refusal.utter, "en", refusal.values).text
    return problem(_REFUSALS.get(type(refusal), "refused"), words, code=code, field=operation.refuses)
