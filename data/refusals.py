"""How a rule says no: an exception that carries the phrase to say."""

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
