"""The OpenAPI 3.1 description, made of the table of operations: nothing in it is written twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from bot.api import described_problems, fields
from bot.api.described_problems import REFS
from bot.api.examples import EXAMPLES
from bot.api.operations import Link, Operation
from bot.api.problems import PREFIX, Problem
from data.api_keys import Scope

PATH = "/openapi.json"
_JSON = "application/json"

# What the parameters of paths are like; a code is read forgivingly.
_IN_PATH: Mapping[str, Any] = {
    "number": fields.Number,
    "confirmation": fields.Confirmation,
    "code": fields.RedemptionCode,
}
_IN_PATH_EXAMPLES = {"number": "ZK100123", "confirmation": "HLSH-26031101", "code": "7KQ2-M9XD"}

_ABOUT = """
Members, stays and folio lines from a property-management system; points and rewards back to it.

Every request but for this description has `Authorization: Bearer zk_…`, a key that `zhike keys issue` gives, and is
answered in JSON. Days are the hotel's own calendar days; moments are UTC; money is in the currency's smallest unit.
Whole numbers are written without a fraction: 7, not 7.0.

**Done once.** Every change has an `Idempotency-Key`, a new one for each thing to be done. The same request with the
same key gets the answer that was given first, with `Idempotency-Replayed: true`, for at least 24 hours: after a
time-out simply send it again. What did not fit this description (400, 413, 415, and 422 of the codes malformed and
does_not_fit) is not kept; what the rules said is, and wants a new key once the cause is mended. The order of fields,
and whether defaults are spelt out, do not matter.

**No** is said as `application/problem+json` (RFC 9457): `code` for machines, `field` is the place in the request
(`$.lines[1].day`, `path.number`, `query.limit`, `header.Idempotency-Key`), `remedy` is what to do.
""".strip()

_REPLAYED: Mapping[str, Any] = {
    "Idempotency-Replayed": {
        "description": "The answer was kept from an earlier request with this Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    }
}
_LOCATION: Mapping[str, Any] = {
    "Location": {"required": True, "schema": {"type": "string", "format": "uri-reference"}}
}


def document(operations: Sequence[Operation[Any]]) -> dict[str, Any]:
    """The whole description, ready to be written as JSON."""
    structs = sorted(_structs(operations), key=lambda struct: struct.__name__)
    _, schemas = msgspec.json.schema_components(structs, ref_template=REFS)
    paths: dict[str, dict[str, Any]] = {PATH: {"get": _of_itself()}}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Zhike for property-management systems", "version": "1", "description": _ABOUT},
        "servers": [{"url": PREFIX}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"Scopes: {', '.join(scope.value for scope in Scope)}.",
                }
            },
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _structs(operations: Iterable[Operation[Any]]) -> set[type[Struct]]:
    given: set[type[Struct]] = {Problem}
    for operation in operations:
        given.update(operation.gives.values())
        if operation.has_body:
            given.add(operation.takes)
    return given


def _of_itself() -> dict[str, Any]:
    return {
        "operationId": "describe",
        "summary": "This description",
        "security": [],
        "responses": {
            "200": {
                "description": "OpenAPI 3.1",
                "content": {_JSON: {"schema": {"type": "object", "required": ["openapi", "paths"]}}},
            }
        },
    }


def _described(operation: Operation[Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": f"{operation.description}\n\nScope: `{operation.scope.value}`".strip(),
        "parameters": [*_path_parameters(operation), *_other_parameters(operation)],
        "responses": {
            **{
                str(status): _brings(operation, status, reply)
                for status, reply in sorted(operation.gives.items())
            },
            **described_problems.responses(operation),
        },
        "x-scope": operation.scope.value,
    }
    if operation.has_body:
        said["requestBody"] = {
            "required": operation.needs_body,
            "content": {_JSON: _content(operation.takes)},
        }
    return said


def _path_parameters(operation: Operation[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": msgspec.json.schema(_IN_PATH[name]),
            "example": _IN_PATH_EXAMPLES[name],
        }
        for name in operation.parameters
    ]


def _other_parameters(operation: Operation[Any]) -> list[dict[str, Any]]:
    if operation.method == "GET":
        _, schemas = msgspec.json.schema_components([operation.takes], ref_template=REFS)
        told = schemas[operation.takes.__name__]["properties"]
        return [{"name": name, "in": "query", "schema": schema} for name, schema in told.items()]
    if not operation.writes:
        return []
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "A new one for each thing to be done; the same one when the same request is sent again.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
        "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
    }
    return [key]


def _content(struct: type[Struct]) -> dict[str, Any]:
    return {
        "schema": {"$ref": REFS.format(name=struct.__name__)},
        "examples": {"usual": {"value": msgspec.to_builtins(EXAMPLES[struct])}},
    }


def _brings(operation: Operation[Any], status: int, reply: type[Struct]) -> dict[str, Any]:
    headers = dict(_REPLAYED) if operation.writes else {}
    if status == 201 and operation.location:
        headers.update(_LOCATION)
    said: dict[str, Any] = {"description": _first_line(reply), "content": {_JSON: _content(reply)}}
    if headers:
        said["headers"] = headers
    if operation.links:
        said["links"] = {link.to: _link(link) for link in operation.links}
    return said


def _first_line(struct: type[Struct]) -> str:
    return (struct.__doc__ or "").partition("\n")[0]


def _link(link: Link) -> dict[str, Any]:
    """A link as OpenAPI writes it."""
    said: dict[str, Any] = {"operationId": link.to}
    parameters = {f"path.{name}": _in_body(place) for name, place in link.path.items()}
    parameters |= {f"query.{name}": _in_body(place) for name, place in link.query.items()}
    if parameters:
        said["parameters"] = parameters
    if link.body:
        said["requestBody"] = {name: _in_body(place) for name, place in link.body.items()}
    return said


def _in_body(place: str) -> str:
    return f"$response.body#/{place}"
