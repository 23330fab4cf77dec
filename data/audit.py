"""The audit log: who did what to whose record, append-only, without personal data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from data.db import Base, RowId, UtcDateTime


class AuditEntry(Base):
    """One deed. Triggers in the database refuse to change or delete a row. `facts` names fields, never values."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_subject", "subject", "id"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(64))  # api:<key name>, staff:<name>, guest, import, job:<name>
    deed: Mapped[str] = mapped_column(String(32))  # member.enrolled, member.erased, key.issued, …
    subject: Mapped[str] = mapped_column(String(48))  # member:17, stay:203
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)


def record(db: Session, deed: str, subject: str, *, actor: str, now: datetime, **facts: Any) -> None:
    """Write that `actor` did `deed` to `subject`, in the transaction of the deed itself."""
    db.add(AuditEntry(at=now, actor=actor, deed=deed, subject=subject, facts=facts))
