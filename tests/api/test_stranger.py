"""A property-management client that knows only the OpenAPI description posts a checkout and sees points ripen."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import httpx

from tests.api.conftest import Clock, new_key


@dataclass
class Stranger:
    """Whatever it sends is made of the description: paths by operationId, bodies of the examples."""

    address: str  # of the description
    key: str
    document: dict[str, Any] = field(default_factory=dict)
    sent: int = 0

    def read(self) -> None:
        self.document = httpx.get(self.address, trust_env=False).json()

    def body(self, id: str, **own: Any) -> Any:
        """The example of an operation's body, with its own values in the place of the example's."""
        content = self._operation(id)[2]["requestBody"]["content"]["application/json"]
        example = copy.deepcopy(next(iter(content["examples"].values()))["value"])
        assert set(own) <= set(self._schema(content)["properties"])
        return example | own

    def ask(self, id: str, body: Any = None, **parameters: Any) -> tuple[int, Any]:
        """Status and JSON of an operation; the status is one of those that are described."""
        path, method, operation = self._operation(id)
        query: dict[str, Any] = {}
        headers: dict[str, str] = {}
        if operation.get("security", self.document["security"]):
            scheme = self.document["components"]["securitySchemes"]["key"]
            assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
            headers["Authorization"] = f"Bearer {self.key}"
        for parameter in operation["parameters"]:
            name = parameter["name"]
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", quote(str(parameters.pop(name)), safe=""))
            elif parameter["in"] == "header" and parameter["required"]:
                self.sent += 1
                headers[name] = f"stranger-{self.sent}"
            elif name in parameters:
                query[name] = parameters.pop(name)
        assert not parameters, "the description knows no such parameter"
        base = httpx.URL(self.address).join(self.document["servers"][0]["url"])
        answer = httpx.request(
            method, f"{base}{path}", params=query, json=body, headers=headers, trust_env=False
        )
        assert str(answer.status_code) in operation["responses"], answer.text
        return answer.status_code, answer.json()

    def follow(self, id: str, status: int, answer: Any, to: str) -> dict[str, Any]:
        """The parameters for the next operation, as the description links it to this answer."""
        link = next(
            each
            for each in self._operation(id)[2]["responses"][str(status)]["links"].values()
            if each["operationId"] == to
        )
        found = {}
        for name, place in link["parameters"].items():
            value = answer
            for part in place.removeprefix("$response.body#/").split("/"):
                value = value[part]
            found[name.partition(".")[2]] = value
        return found

    def _operation(self, id: str) -> tuple[str, str, dict[str, Any]]:
        return next(
            (path, method, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if operation["operationId"] == id
        )

    def _schema(self, content: dict[str, Any]) -> dict[str, Any]:
        name = content["schema"]["$ref"].rpartition("/")[2]
        schema: dict[str, Any] = self.document["components"]["schemas"][name]
        return schema


def test_a_stranger_posts_a_checkout_and_sees_points_ripen(house: str, server: str, clock: Clock) -> None:
    pms = Stranger(f"{server}/api/v1/openapi.json", new_key())
    pms.read()

    guest = pms.body("enrolMember", number="OP777001", name="Ada Vale", phone="+44 20 7946 0958")
    status, member = pms.ask("enrolMember", guest)
    assert status == 201
    known = pms.follow("enrolMember", status, member, "getMember")
    assert pms.ask("getMember", **known)[1]["name"] == "Ada Vale"
    assert pms.ask("enrolMember", guest)[0] == 200, "again: nothing new"

    booking = pms.body("bookStay", confirmation="OP/2026/0042", member=member["number"])
    status, stay = pms.ask("bookStay", booking)
    assert (status, stay["status"]) == (201, "booked")
    here = pms.follow("bookStay", status, stay, "checkIn")
    assert pms.ask("checkIn", **here)[1]["status"] == "in_house"
    bill = pms.body("chargeStay")
    status, folio = pms.ask("chargeStay", bill, **here)
    assert (status, len(folio["lines"])) == (201, len(bill["lines"]))

    last = pms.body("checkOut", departure=stay["departure"])
    status, gone = pms.ask("checkOut", last, **pms.follow("chargeStay", status, folio, "checkOut"))
    assert (status, gone["stay"]["status"]) == (200, "checked_out")
    spent = sum(each["amount_minor"] for each in (*bill["lines"], *last["lines"]))
    assert gone["points"] == spent // 100 == sum(each["points"] for each in gone["earned"])

    account = pms.follow("checkOut", status, gone, "getPoints")
    before = pms.ask("getPoints", **account)[1]
    assert before["pending"] == gone["points"]
    assert before["spendable"] == 500
    assert {lot["available_at"] for lot in before["pending_lots"]} == {gone["ripen_at"]}
    clock.now = datetime.fromisoformat(gone["ripen_at"].replace("Z", "+00:00")).astimezone(timezone.utc)
    ripe = pms.ask("getPoints", **account)[1]
    assert ripe["pending"] == 0
    assert ripe["spendable"] == 500 + gone["points"]

    status, told = pms.ask("listEntries", limit=2, **account)
    assert sum(entry["points"] for entry in told["entries"]) > 0
    more = pms.follow("listEntries", status, told, "listEntries")
    older = pms.ask("listEntries", **more)[1]["entries"]
    assert [entry["reason"] for entry in (*told["entries"], *older)] == ["stay", "stay", "stay", "welcome"]
