"""The description: complete, true to its own schemas, and in step with what the rules know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest

from bot import api
from bot.api import bodies, description
from bot.api.examples import EXAMPLES, PROBLEMS
from bot.api.problems import KINDS
from bot.api.table import OPERATIONS
from data.api_keys import Scope
from data.consents import Purpose
from data.stays import StayStatus

DOCUMENT: dict[str, Any] = json.loads(json.dumps(description.document(OPERATIONS)))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body and answer, with where it stands."""
    for path, method, operation in operations():
        if "requestBody" in operation:
            yield f"{method} {path}", operation["requestBody"]["content"]["application/json"]
        for status, response in operation["responses"].items():
            for content in response["content"].values():
                yield f"{method} {path} {status}", content


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    whole = schema | {"components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def test_it_is_served_to_anybody_as_it_is(server: str) -> None:
    answer = httpx.get(f"{server}{api.PREFIX}/openapi.json", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT


def test_every_operation_says_all_there_is_to_say() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids) == len(OPERATIONS) + 1
    known = {each.id: each for each in OPERATIONS}
    for path, method, operation in operations():
        assert operation["summary"]
        each = known.get(operation["operationId"])
        if each is None:
            assert (path, operation["security"]) == ("/openapi.json", [])
            continue
        assert "security" not in operation, "then the key is asked for, as for all"
        assert Scope(operation["x-scope"]) is each.scope
        said = {(one["in"], one["name"]) for one in operation["parameters"]}
        assert {name for place, name in said if place == "path"} == set(each.parameters)
        assert (("header", "Idempotency-Key") in said) is (method != "get" and each.id != "findMembers")
        assert {"401", "403", "422", "429", "500", "503"} <= set(operation["responses"])
        assert ("404" in operation["responses"]) is ("{" in path)
        assert {str(status) for status in each.gives} <= set(operation["responses"])
    assert DOCUMENT["security"] == [{"key": []}]
    assert DOCUMENT["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_every_example_fits_its_schema() -> None:
    tried = 0
    for where, content in contents():
        check = validator(content["schema"])
        for example in content.get("examples", {}).values():
            errors = [error.message for error in check.iter_errors(example["value"])]
            assert not errors, (where, errors)
            tried += 1
    assert tried > len(OPERATIONS)
    for _, _, operation in operations():
        for parameter in operation.get("parameters", ()):
            if "example" in parameter:
                assert validator(parameter["schema"]).is_valid(parameter["example"])


def test_every_body_and_answer_has_an_example() -> None:
    for where, content in contents():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        if name not in ("Problem", ""):
            assert content["examples"], where
    assert {type(each) for each in EXAMPLES.values()} == set(EXAMPLES)
    assert all(KINDS[name].status == each.status for name, each in PROBLEMS.items())


def test_every_schema_is_one() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        validator(schema)  # refuses a pattern or a keyword that is none
        struct = getattr(bodies, name, None)
        if struct is not None and issubclass(struct, bodies.Body):
            assert schema["additionalProperties"] is False


def test_every_link_leads_somewhere_and_starts_from_something() -> None:
    by_id = {operation["operationId"]: operation for _, _, operation in operations()}
    found = 0
    for path, method, operation in operations():
        for status, response in operation["responses"].items():
            for link in response.get("links", {}).values():
                target = by_id[link["operationId"]]
                takes = {f"{one['in']}.{one['name']}" for one in target["parameters"]}
                assert set(link.get("parameters", {})) <= takes
                schema = response["content"]["application/json"]["schema"]
                for place in (*link.get("parameters", {}).values(), *link.get("requestBody", {}).values()):
                    assert _leads(schema, place), (method, path, status, place)
                found += 1
    assert found > 20


def _leads(schema: dict[str, Any], place: str) -> bool:
    start, _, pointer = place.partition("#/")
    assert start == "$response.body"
    for part in pointer.split("/"):
        if "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if part not in schema["properties"]:
            return False
        schema = schema["properties"][part]
    return True


def test_the_description_tells_of_every_kind_of_problem() -> None:
    text = json.dumps(DOCUMENT)
    # Of the last two nobody asks in advance: they are about addresses and methods that are not described.
    assert [kind for kind in KINDS if f":{kind}`" not in text] == ["no_such_address", "method_not_allowed"]


def test_bodies_keep_step_with_the_rules() -> None:
    assert set(bodies.Consents.__struct_fields__) == {purpose.value for purpose in Purpose}
    status = DOCUMENT["components"]["schemas"]["NewStay"]["properties"]["status"]["enum"]
    assert set(status) < {each.value for each in StayStatus}


@pytest.mark.parametrize("struct", sorted(EXAMPLES, key=lambda struct: struct.__name__))
def test_examples_hold_what_the_description_shows(struct: type[Any]) -> None:
    properties = DOCUMENT["components"]["schemas"][struct.__name__]["properties"]
    assert set(properties) == set(struct.__struct_fields__)
