"""Done once: the answer to a request is kept under its Idempotency-Key, in the transaction of the deed itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from data.api_keys import ApiRequest, Caller
from data.db import insert_once
from data.sealed import blind, blinds

CONTEXT = "api_requests.fingerprint"
PENDING = 0  # the status of a request that is being worked on; nobody but its own transaction ever sees it
LOCK_NOT_AVAILABLE = "55P03"


class StillRunning(Exception):
    """Another request with this key is being worked on."""


class KeyReused(Exception):
    """This key belongs to a request that said something else."""


@dataclass(frozen=True)
class Kept:
    """An answer as it was first given; `again` if it was kept from an earlier request."""

    status: int
    body: bytes
    again: bool


def once(
    db: Session,
    caller: Caller,
    key: str,
    *,
    told: str,
    now: datetime,
    deed: Callable[[], tuple[int, bytes]],
) -> Kept:
    """Do the deed and keep its answer; or give the one that is kept for the same key of this caller.

    `told` is all that the request says, in one spelling. The row is written before the deed: on PostgreSQL a second
    request waits at its unique key until the first one's transaction has ended, on SQLite it has not begun; then it
    finds the answer, or where the first came to nothing, does the deed. Raises `StillRunning`, `KeyReused`.
    """
    request_id = _begin(db, caller, key, told=told, now=now)
    if request_id is None:
        return _kept(db, caller, key, told=told)
    status, body = deed()
    db.execute(
        update(ApiRequest)
        .where(ApiRequest.id == request_id)
        .values(status=status, body=body.decode())
        .execution_options(synchronize_session=False)
    )
    return Kept(status, body, again=False)


def _begin(db: Session, caller: Caller, key: str, *, told: str, now: datetime) -> int | None:
    try:
        return insert_once(
            db,
            ApiRequest,
            api_key_id=caller.key_id,
            key=key,
            fingerprint=blind(told, CONTEXT),
            status=PENDING,
            body="",
            at=now,
        )
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") == LOCK_NOT_AVAILABLE:
            raise StillRunning from None
        raise


def _kept(db: Session, caller: Caller, key: str, *, told: str) -> Kept:
    row = db.scalars(
        select(ApiRequest).where(ApiRequest.api_key_id == caller.key_id, ApiRequest.key == key)
    ).one_or_none()
    if row is None:  # forgotten for its age at this very moment
        raise StillRunning
    if row.fingerprint not in blinds(told, CONTEXT):
        raise KeyReused
    return Kept(row.status, row.body.encode(), again=True)
