"""Kept answers to the property systems' requests, and forgetting those that mention a person."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from data.api_keys import ApiRequest

# A shorter text is looked for only as the whole of a value: a name of two letters is part of many words.
LONG = 6

PAGE = 500


def forget_answers(db: Session, traces: Collection[str]) -> int:
    """Delete every kept answer in which one of these texts stands; how many there were.

    They are sealed, so all have to be opened; they are kept for a short time only. A client that sends such a request
    once more is answered anew: what it did is recognised by its own keys.
    """
    kept = select(ApiRequest.id, ApiRequest.body).execution_options(yield_per=PAGE)
    gone = [row.id for row in db.execute(kept) if _mentions(row.body, traces)]
    for start in range(0, len(gone), PAGE):
        db.execute(delete(ApiRequest).where(ApiRequest.id.in_(gone[start : start + PAGE])))
    return len(gone)


def _mentions(body: str, traces: Collection[str]) -> bool:
    try:
        said = list(_texts(json.loads(body)))  # JSON may spell any letter as a number
    except ValueError:
        said = [body]
    return any(trace == each or (len(trace) >= LONG and trace in each) for each in said for trace in traces)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)
