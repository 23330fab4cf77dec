"""The hotels of the group."""

from __future__ import annotations

import re

from sqlalchemy import JSON, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from data.db import Base
from data.refusals import Unknown

CODE = re.compile(r"[A-Za-z0-9_-]{1,16}")


class Hotel(Base):
    """One house of the group. `names` maps a locale (`en`, `zh_CN`, `zh_TW`) to the hotel's name in it."""

    __tablename__ = "hotels"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(16), unique=True)
    names: Mapped[dict[str, str]] = mapped_column(JSON)
    city: Mapped[str] = mapped_column(String(64))
    time_zone: Mapped[str] = mapped_column(String(64))  # an IANA name, as in zoneinfo
    currency: Mapped[str] = mapped_column(String(3))  # ISO 4217
    languages: Mapped[list[str]] = mapped_column(JSON)  # spoken at the desk, the house's own first


def hotel_by_code(db: Session, code: str, *, field: str = "hotel") -> Hotel:
    """The hotel with this code. Raises `Unknown`, which names the `field` it came in."""
    # Asked only for what can be a code: PostgreSQL refuses a text with a NUL in it before it looks.
    asked = select(Hotel).where(Hotel.code == code)
    hotel = db.scalars(asked).one_or_none() if CODE.fullmatch(code) else None
    if hotel is None:
        known = ", ".join(db.scalars(select(Hotel.code).order_by(Hotel.code)))
        raise Unknown(field, "no hotel has this code.", f"Use one of: {known}.")
    return hotel
