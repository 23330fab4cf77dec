"""The hash chain of a member's ledger: each entry seals its own content and everything before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

START = "0" * 64  # what the first entry of a member follows


def moment(at: datetime | None) -> str | None:
    """A moment as the chain writes it: UTC, to the microsecond, the same on every database."""
    return None if at is None else at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def digest(previous: str, content: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the previous entry's digest and this entry's content.

    The layout is fixed for ever: written ledgers are checked against it. A new column of an entry may join the
    content only where it is not None.
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
