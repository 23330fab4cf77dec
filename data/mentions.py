"""Whether a text mentions a person: for finding what is sealed and not filed under their name."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

# A shorter trace is looked for only as the whole of a value: a name of two letters is part of many words.
LONG = 6


def mentions(text: str, traces: Collection[str]) -> bool:
    """Whether one of the traces stands in the text, or in a value of it where it is JSON."""
    try:
        values = [text, *_values(json.loads(text))]  # JSON may spell any letter as a number
    except (ValueError, RecursionError):
        values = [text]
    return any(trace == each or (len(trace) >= LONG and trace in each) for each in values for trace in traces)


def _values(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for name, each in content.items():
            yield name
            yield from _values(each)
    elif isinstance(content, list):
        for each in content:
            yield from _values(each)
    else:
        yield str(content)
