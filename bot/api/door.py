"""The API's door: what every request meets on its way to a deed, and every answer on its way out."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bot.api import idempotency, problems, reading, requests, saying_no
from bot.api.idempotency import Kept, KeyReused, StillRunning
from bot.api.limits import Limiter
from bot.api.operations import Call, Operation
from bot.api.problems import MEDIA_TYPE, PREFIX, PRIVATE, Refused, refuse
from bot.outbox import database_down
from data import api_keys, db
from data.api_keys import Caller
from data.refusals import BadInput, Refusal
from nlu.phrasebook import Phrasebook

T = TypeVar("T")

log = structlog.get_logger(__name__)

# Requests that are worked on at once; guests' turns have the event loop, and most of the database's connections.
WORKERS = 4

AGAIN_IN = "2"  # seconds
ONCE_MORE = "Send the same request again after a moment, with the same Idempotency-Key: it is done once."


class Door:
    """Checks key, scope, rate and body on the event loop, and does the deed in a thread of its own."""

    def __init__(self, *, clock: Callable[[], datetime], phrasebook: Phrasebook, limiter: Limiter) -> None:
        self._clock = clock
        self._phrasebook = phrasebook
        self._limiter = limiter
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="api")
        self._writing = threading.Lock()

    async def answer(self, request: Request, operation: Operation[Any]) -> Response:
        """Whatever happens, a response: never a traceback, and no value that was sent."""
        try:
            return await self._answer(request, operation)
        except Refused as no:
            return problems.response(no.problem, no.headers)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody hears it
        except Exception as error:
            # One request: whatever went wrong, the others live.
            return _trouble(error, operation)

    async def _answer(self, request: Request, operation: Operation[Any]) -> Response:
        caller = await self._in_thread(self._caller, requests.presented(request))
        self._admit(caller, operation)
        key = requests.idempotency_key(request) if operation.writes else ""
        told = await requests.told(request, operation)
        call = Call(caller, self._clock(), dict(request.path_params), told)
        if operation.writes:
            kept = await self._in_thread(self._write, operation, call, key)
        else:
            kept = Kept(*await self._in_thread(self._read, operation, call), again=False)
        return _response(kept, operation)

    async def _in_thread(self, work: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *given)

    def _caller(self, presented: str) -> Caller:
        with db.reading() as session:
            caller = api_keys.caller(session, presented)
        if caller is None:
            raise refuse(
                "not_authenticated",
                "Authorization: this key is unknown or revoked.",
                field="header.Authorization",
                remedy="Send a key that `zhike keys issue` gave.",
                headers={"WWW-Authenticate": requests.CHALLENGE + ', error="invalid_token"'},
            )
        return caller

    def _admit(self, caller: Caller, operation: Operation[Any]) -> None:
        wait = self._limiter.wait(caller.key_id)
        if wait:
            raise refuse(
                "too_many_requests",
                "This key makes more requests than it may.",
                remedy="Wait for as long as Retry-After says, and send more slowly.",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        if operation.scope.value not in caller.scopes:
            raise refuse(
                "scope_missing",
                f"This key does not have the scope {operation.scope.value}.",
                field="header.Authorization",
                remedy=f"Use a key that was issued with --scope {operation.scope.value}.",
            )

    def _read(self, operation: Operation[Any], call: Call[Any]) -> tuple[int, bytes]:
        with db.reading() as session:
            return self._do(session, operation, call)

    def _write(self, operation: Operation[Any], call: Call[Any], key: str) -> Kept:
        def deed() -> tuple[int, bytes]:
            return self._do(session, operation, call)

        with self._our_turn(), db.transaction() as session:
            try:
                return idempotency.once(
                    session, call.caller, key, told=_fingerprinted(operation, call), now=call.now, deed=deed
                )
            except StillRunning:
                raise refuse(
                    "still_running",
                    "A request with this Idempotency-Key is still being worked on.",
                    field="header.Idempotency-Key",
                    remedy="Send it again after a moment.",
                    headers={"Retry-After": AGAIN_IN},
                ) from None
            except KeyReused:
                raise refuse(
                    "idempotency_key_reused",
                    "Idempotency-Key: it was used for another request.",
                    field="header.Idempotency-Key",
                    remedy="Use a new key for every request that is not the same one sent again.",
                ) from None

    def _do(self, session: Session, operation: Operation[Any], call: Call[Any]) -> tuple[int, bytes]:
        """The deed's answer, or why it may not be done; then nothing of it is left."""
        try:
            # Not begun for who only reads: there is nothing to undo.
            with session.begin_nested() if operation.writes else contextlib.nullcontext():
                answer = operation.deed(session, call)
                return answer.status, msgspec.json.encode(answer.reply)
        except BadInput as error:
            no = saying_no.of_input(error, operation)
        except Refusal as refusal:
            no = saying_no.of_refusal(refusal, operation, self._phrasebook)
        return no.status, msgspec.json.encode(no)

    @contextlib.contextmanager
    def _our_turn(self) -> Iterator[None]:
        """On SQLite, where writers take turns, ours wait here: a guest's turn then waits for one of them at most."""
        if db.engine().dialect.name != "sqlite":
            yield
            return
        with self._writing:
            yield


def _fingerprinted(operation: Operation[Any], call: Call[Any]) -> str:
    """All that a request says, in one spelling: the order of fields and what is left out as usual do not matter."""
    said = {"operation": operation.id, "path": call.path, "told": call.told}
    return reading.canonical(said).decode()


def _response(kept: Kept, operation: Operation[Any]) -> Response:
    headers = dict(PRIVATE)
    if kept.again:
        headers["Idempotency-Replayed"] = "true"
    if kept.status == 201 and operation.location:
        headers["Location"] = _location(kept.body, operation)
    media_type = MEDIA_TYPE if kept.status >= 400 else "application/json"
    return Response(kept.body, kept.status, headers=headers, media_type=media_type)


def _location(body: bytes, operation: Operation[Any]) -> str:
    made: Mapping[str, Any] = msgspec.json.decode(body)
    return PREFIX + operation.location.format(**{name: quote(str(made[name]), safe="") for name in made})


def _trouble(error: Exception, operation: Operation[Any]) -> Response:
    """What a client hears of a database that is away, and of a mistake of ours."""
    if isinstance(error, SQLAlchemyError) and database_down(error):
        log.warning("api.no_database", operation=operation.id, error=type(error).__name__)
        said = problems.problem(
            "not_available", "Whether it was done cannot be told just now.", remedy=ONCE_MORE
        )
        return problems.response(said, {"Retry-After": AGAIN_IN})
    log.error("api.failed", operation=operation.id, error=type(error).__name__, exc_info=True)
    said = problems.problem("fault", "It was not done, and is in our log.", remedy=ONCE_MORE)
    return problems.response(said)
