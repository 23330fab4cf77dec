"""The problems an operation can end in, as the description tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bot.api.examples import PROBLEMS
from bot.api.operations import Operation
from bot.api.problems import KINDS, MEDIA_TYPE, TYPE

REFS = "#/components/schemas/{name}"

_RETRY_AFTER: Mapping[str, Any] = {
    "Retry-After": {
        "description": "In how many seconds to try again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_CHALLENGE: Mapping[str, Any] = {
    "WWW-Authenticate": {"required": True, "schema": {"type": "string", "pattern": "^Bearer "}}
}
_HEADERS = {401: _CHALLENGE, 409: _RETRY_AFTER, 429: _RETRY_AFTER, 503: _RETRY_AFTER}


def responses(operation: Operation[Any]) -> dict[str, Any]:
    """Status → response object, for every problem of this operation."""
    return {str(status): _response(status, kinds) for status, kinds in sorted(_problems(operation).items())}


def _problems(operation: Operation[Any]) -> dict[int, list[str]]:
    """Every problem that this operation can end in, by status."""
    kinds = [
        "not_authenticated",
        "scope_missing",
        "does_not_fit",
        "too_many_requests",
        "fault",
        "not_available",
    ]
    if operation.parameters:
        kinds.append("not_found")
    if operation.writes:
        kinds += ["idempotency_key_missing", "conflict", "still_running", "idempotency_key_reused"]
    if operation.method != "GET":
        kinds += ["too_large", "not_json", "malformed"]
    if operation.takes.__struct_fields__:
        kinds += ["bad_input", "unknown_reference"]
    if operation.refuses:
        kinds.append("refused")
    return {
        status: [name for name in KINDS if name in kinds and KINDS[name].status == status]
        for status in {KINDS[name].status for name in kinds}
    }


def _response(status: int, kinds: Sequence[str]) -> dict[str, Any]:
    examples = {
        name: {"summary": KINDS[name].title, "value": msgspec.to_builtins(PROBLEMS[name])}
        for name in kinds
        if name in PROBLEMS
    }
    content: dict[str, Any] = {"schema": {"$ref": REFS.format(name="Problem")}}
    if examples:
        content["examples"] = examples
    said: dict[str, Any] = {
        "description": "; ".join(f"{KINDS[name].title} (`{TYPE}{name}`)" for name in kinds) + ".",
        "content": {MEDIA_TYPE: content},
    }
    if status in _HEADERS:
        said["headers"] = _HEADERS[status]
    return said
