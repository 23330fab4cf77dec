"""Stays: the nights of a member in a hotel, from booking to checkout."""

from __future__ import annotations

import enum
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from data.db import Base, UtcDateTime
from data.hotels import Hotel


class StayStatus(str, enum.Enum):
    booked = "booked"
    in_house = "in_house"
    checked_out = "checked_out"
    cancelled = "cancelled"


class Stay(Base):
    """A guest's nights in one hotel; dates are the hotel's own calendar days."""

    __tablename__ = "stays"
    __table_args__ = (
        CheckConstraint("departure > arrival", name="stay_has_a_night"),
        CheckConstraint("adults >= 1 AND children >= 0", name="stay_has_a_guest"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    confirmation: Mapped[str] = mapped_column(String(32), unique=True)  # the property system's own number
    hotel_id: Mapped[int] = mapped_column(ForeignKey("hotels.id"), index=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"), index=True)
    room_type: Mapped[str] = mapped_column(String(32))
    arrival: Mapped[date]
    departure: Mapped[date]
    adults: Mapped[int] = mapped_column(default=1)
    children: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(String(16))
    checked_out_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    hotel: Mapped[Hotel] = relationship()
