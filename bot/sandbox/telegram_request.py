"""Reading the arguments of a Bot API call: query, JSON, form and multipart bodies alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl


class ApiError(Exception):
    """A refusal in the Bot API's own words."""

    def __init__(self, code: int, description: str, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = dict(parameters or {})


def bad_request(reason: str) -> ApiError:
    return ApiError(400, f"Bad Request: {reason}")


@dataclass(frozen=True)
class Arguments:
    """The named arguments of a call; values are strings, or what JSON held."""

    values: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def number(self, name: str, default: int = 0) -> int:
        """A whole number. As the real server does, anything unreadable counts as absent."""
        try:
            return int(self.text(name).strip())
        except ValueError:
            return default

    def flag(self, name: str) -> bool:
        return self.text(name).strip().lower() in ("true", "yes", "1")

    def json(self, name: str, what: str) -> Any:
        """A JSON-serialised argument, None when absent. Raises `ApiError`."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {what} JSON object") from None

    def __contains__(self, name: str) -> bool:
        return name in self.values


def read_arguments(query: str, content_type: str, body: bytes) -> Arguments:
    """The arguments of one HTTP request. Raises `ApiError` on a body that is not what it says it is."""
    values: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    kind = content_type.split(";")[0].strip().lower()
    if not body:
        return Arguments(values)
    if kind == "application/json":
        values.update(_json_object(body))
    elif kind == "application/x-www-form-urlencoded":
        values.update(parse_qsl(_decoded(body), keep_blank_values=True))
    elif kind == "multipart/form-data":
        fields, files = _multipart(content_type, body)
        return Arguments({**values, **fields}, files)
    return Arguments(values)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(_decoded(body))
    except ValueError:
        raise bad_request("can't parse request body as JSON") from None
    if not isinstance(given, dict):
        raise bad_request("can't parse request body as JSON: object expected")
    return given


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise bad_request("strings must be encoded in UTF-8") from None


def _multipart(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    whole = message_from_bytes(head + body, policy=HTTP)
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    if not whole.is_multipart():
        raise bad_request("can't parse multipart request body")
    for part in whole.iter_parts():
        name = _disposition(part, "name")
        content = part.get_payload(decode=True)
        if not name or not isinstance(content, bytes):
            continue
        if _disposition(part, "filename"):
            files[name] = content
        else:
            fields[name] = _decoded(content)
    return fields, files


def _disposition(part: Message[str, str], name: str) -> str:
    value = part.get_param(name, "", header="content-disposition")
    return value if isinstance(value, str) else ""
