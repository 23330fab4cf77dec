"""The tier of a member over time: every move with its reason and the figures it rested on."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from data.db import Base, UtcDateTime


class TierChange(Base):
    """One move, or one renewal, of a member's tier. `figures`: the nights, stays and spend that were counted."""

    __tablename__ = "tier_changes"
    __table_args__ = (UniqueConstraint("key"), Index("ix_tier_changes_member", "member_id", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    was: Mapped[str] = mapped_column(String(16))
    became: Mapped[str] = mapped_column(String(16))
    valid_until: Mapped[date | None]
    reason: Mapped[str] = mapped_column(String(32))
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    programme_version: Mapped[int | None] = mapped_column(ForeignKey("programme_versions.version"))
    key: Mapped[str] = mapped_column(String(128))
    actor: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
