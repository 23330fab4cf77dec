"""How the API says no: `application/problem+json` (RFC 9457), one table of kinds, never a value that was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
PREFIX = "/api/v1"  # where the API stands in the house
TYPE = "urn:problem-type:zhike:"

# What is said of an answer that nobody else may keep.
PRIVATE = {"Cache-Control": "no-store"}


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its status and its title."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "idempotency_key_missing": Kind(400, "The Idempotency-Key header is missing"),
    "not_authenticated": Kind(401, "No key, or not one of ours"),
    "scope_missing": Kind(403, "The key does not open this"),
    "no_such_address": Kind(404, "There is nothing at this address"),
    "not_found": Kind(404, "What the address names is not here"),
    "method_not_allowed": Kind(405, "This address does not take this method"),
    "conflict": Kind(409, "It contradicts what is recorded"),
    "refused": Kind(409, "The rules of the programme say no"),
    "still_running": Kind(409, "The same request is still being worked on"),
    "too_large": Kind(413, "The body is too large"),
    "not_json": Kind(415, "The body is not declared as JSON"),
    "malformed": Kind(422, "The body is not JSON"),
    "does_not_fit": Kind(422, "The request does not fit its description"),
    "bad_input": Kind(422, "A value cannot be taken"),
    "unknown_reference": Kind(422, "A value names something that is not here"),
    "idempotency_key_reused": Kind(422, "This Idempotency-Key belongs to another request"),
    "too_many_requests": Kind(429, "Too many requests"),
    "fault": Kind(500, "A fault of ours"),
    "not_available": Kind(503, "The database does not answer"),
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not done. `code` is for machines, `detail` and `remedy` for those who mend them."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | UnsetType = UNSET
    remedy: str | UnsetType = UNSET


class Refused(Exception):
    """A request that ends with this problem, and these headers."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.headers = headers or {}


def problem(
    kind: str, detail: str, *, code: str | None = None, field: str | None = None, remedy: str | None = None
) -> Problem:
    """A problem of this kind. `code` names it more exactly; `field` is a place in the request: `$.day`."""
    code = code or kind
    return Problem(
        type=f"{TYPE}{code}",
        title=KINDS[kind].title,
        status=KINDS[kind].status,
        code=code,
        detail=detail,
        field=field or UNSET,
        remedy=remedy or UNSET,
    )


def refuse(
    kind: str,
    detail: str,
    *,
    field: str | None = None,
    remedy: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Refused:
    """What to raise."""
    return Refused(problem(kind, detail, field=field, remedy=remedy), headers)


def response(said: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as an HTTP response."""
    return Response(
        msgspec.json.encode(said), said.status, headers={**PRIVATE, **(headers or {})}, media_type=MEDIA_TYPE
    )
