"""The hotels of the group and their stays."""

from __future__ import annotations

import enum
from datetime import date

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from data.db import Base


class Hotel(Base):
    """One house of the group. `names` maps a locale (`en`, `zh_CN`, `zh_TW`) to the hotel's name in it."""

    __tablename__ = "hotels"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(16), unique=True)
    names: Mapped[dict[str, str]] = mapped_column(JSON)
    city: Mapped[str] = mapped_column(String(64))
    time_zone: Mapped[str] = mapped_column(String(64))  # an IANA name, as in zoneinfo
    currency: Mapped[str] = mapped_column(String(3))  # ISO 4217


class StayStatus(str, enum.Enum):
    booked = "booked"
    in_house = "in_house"
    checked_out = "checked_out"
    cancelled = "cancelled"


class Stay(Base):
    """A guest's nights in one hotel; dates are the hotel's own calendar days."""

    __tablename__ = "stays"
    __table_args__ = (CheckConstraint("departure > arrival", name="stay_has_a_night"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    confirmation: Mapped[str] = mapped_column(String(32), unique=True)  # the property system's own number
    hotel_id: Mapped[int] = mapped_column(ForeignKey("hotels.id"), index=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"), index=True)
    room_type: Mapped[str] = mapped_column(String(32))
    arrival: Mapped[date]
    departure: Mapped[date]
    status: Mapped[str] = mapped_column(String(16))

    hotel: Mapped[Hotel] = relationship()
