"""What schemathesis is told about this API beyond its description: how invented requests come to a deed."""

from __future__ import annotations

import itertools
import os
from datetime import date, timedelta
from typing import Any

import schemathesis

_numbers = itertools.count(1)

# Stays that are there (see `test_schemathesis`), one for each way to end it.
STAYS = {
    "getStay": "S-1",
    "listFolioLines": "S-1",
    "chargeStay": "S-1",
    "checkOut": "S-1",
    "checkIn": "S-2",
    "cancelStay": "S-3",
    "changeStay": "S-4",
}
CODES = itertools.cycle(os.environ.get("CODES", "2222").split())


@schemathesis.hook
def before_call(context: Any, case: Any, **kwargs: Any) -> None:
    """Two of three requests that fit the description are made to make sense as well."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance((case.headers or {}).get("Idempotency-Key"), str):
        # The same one again would only be replayed.
        case.headers["Idempotency-Key"] = f"schemathesis-{next(_numbers)}"
    if next(_numbers) % 3 == 0:
        return
    id = case.operation.definition.raw.get("operationId")
    if case.meta.phase.name.value != "stateful":  # there the links say where to go
        if id in STAYS:
            case.path_parameters["confirmation"] = STAYS[id]
        if id == "fulfilRedemption":
            case.path_parameters["code"] = next(CODES)
    if isinstance(case.body, dict):
        for line in case.body.get("lines") or ():
            _make_charge(line)
        if id == "bookStay":
            _find_free_nights(case.body)
        if id == "checkOut":
            case.body.pop("departure", None)


def _make_charge(line: dict[str, Any]) -> None:
    line.pop("refunds", None)
    line |= {"amount_minor": abs(line["amount_minor"]) or 1, "currency": "CNY", "day": "2026-03-11"}


def _find_free_nights(stay: dict[str, Any]) -> None:
    """Two nights that nobody has booked yet, all of them over."""
    arrival = date(2026, 3, 1) - timedelta(days=3 * next(_numbers))
    stay |= {"arrival": str(arrival), "departure": str(arrival + timedelta(days=2)), "hotel": "HLSH"}


@schemathesis.check
def what_fits_the_description_is_read(ctx: Any, response: Any, case: Any) -> None:
    """422 is for the rules alone: nothing that fits the description may be called malformed or not fitting."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 422:
        return
    no = response.json()
    if no["detail"].endswith("is of type float."):
        return  # for JSON Schema 7.0 is an integer; here whole numbers are written as such, and it says so
    assert no["code"] in ("bad_input", "unknown_reference"), f"{no['code']} for what the description allows"
