"""How a rule says no: to a guest with a phrase, to a machine or a clerk with the field and the remedy."""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """A deed that may not be done. Chat, staff desk and jobs say `utter`, each in the listener's language."""

    utter: ClassVar[str]

    def __init__(self, **values: Any) -> None:
        super().__init__(self.utter)
        self.values = values


class NotLinked(Refusal):
    """This contact belongs to no member yet, so there is nothing of theirs to show."""

    utter = "utter_not_linked"


class BadInput(ValueError):
    """What a machine, a file or a clerk sent cannot be taken. Nothing was changed.

    `field` is the name the sender knows (`stay.departure`, a column), `problem` says what is wrong with it,
    `remedy` what to send instead. None of them repeats personal data.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem} {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy


class Conflict(BadInput):
    """It contradicts what is recorded already; the record stays as it is."""


class Unknown(BadInput):
    """It names something that is not here: a member, a hotel, a reward."""
