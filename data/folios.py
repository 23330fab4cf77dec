"""Folio lines: what was charged to a stay, outlet by outlet."""

from __future__ import annotations

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from data.db import Base
from data.stays import Stay


class FolioLine(Base):
    """One charge, or with a negative amount the refund of one. Never changed: a mistake is refunded."""

    __tablename__ = "folio_lines"
    __table_args__ = (
        UniqueConstraint("stay_id", "line"),
        CheckConstraint("amount_minor <> 0", name="line_charges_something"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    stay_id: Mapped[int] = mapped_column(ForeignKey("stays.id"))
    line: Mapped[str] = mapped_column(String(32))  # the property system's own number, unique in the stay
    outlet: Mapped[str] = mapped_column(String(32))
    day: Mapped[date]  # the hotel's business day it was charged on
    amount_minor: Mapped[int]  # in the currency's smallest unit
    currency: Mapped[str] = mapped_column(String(3))
    refunds_id: Mapped[int | None] = mapped_column(ForeignKey("folio_lines.id"))

    stay: Mapped[Stay] = relationship()
