"""Coupons: a discount or a benefit in a member's wallet, with a code and an end; given, used once, withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, String, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from data import audit, codes, desk_codes, membership
from data.coupon_descriptions import NewCoupon
from data.db import Base, UtcDateTime, insert_once
from data.desk_codes import (
    CodeNotYet,
    CodeOfAnother,
    CodeOver,
    CodeUnknown,
    CodeUsedBefore,
    CodeVoid,
    CouponCurrency,
    last_moment,
)
from data.ledger import KeyUsedOtherwise
from data.programme_versions import in_force
from data.refusals import BadInput, Conflict, Refusal, Unknown
from data.reward_descriptions import CODE
from data.stays import Stay, StayStatus

ATTEMPTS = 10  # at drawing a code that nobody has


class Coupon(Base):
    """One coupon: `percent` off, or `amount_minor` off in `currency`, or with neither a benefit by name."""

    __tablename__ = "coupons"
    __table_args__ = (
        CheckConstraint("percent BETWEEN 1 AND 100", name="coupon_percent"),
        CheckConstraint("amount_minor > 0", name="coupon_amount"),
        Index("ix_coupons_member", "member_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    code: Mapped[str] = mapped_column(String(16), unique=True)
    benefit: Mapped[str] = mapped_column(String(32))  # dining, room, spa, …
    percent: Mapped[int | None]
    amount_minor: Mapped[int | None]
    currency: Mapped[str | None] = mapped_column(String(3))
    reason: Mapped[str] = mapped_column(String(64))  # why it was given: birthday, recovery, a campaign
    key: Mapped[str] = mapped_column(String(128), unique=True)
    actor: Mapped[str] = mapped_column(String(64))
    given_at: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_from: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_until: Mapped[datetime] = mapped_column(UtcDateTime)  # the first moment it is of no use
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_on_stay_id: Mapped[int | None] = mapped_column(ForeignKey("stays.id"))
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def give(db: Session, member_id: int, new: NewCoupon, *, key: str, actor: str, now: datetime) -> Coupon:
    """Put a coupon into an active member's wallet; the same key again finds the first.

    Raises `KeyUsedOtherwise`, `BadInput`, `Conflict` for a member who is not active, `Unknown`.
    """
    if first := _given_before(db, member_id, new, key):
        return first
    if not 0 < len(key) <= 128:
        raise BadInput("key", "does not fit here.", "Use 1 to 128 characters.")
    if new.valid_until <= now:
        raise BadInput("valid_until", "is over.", "Give a moment to come.")
    membership.active(db, member_id)
    for _ in range(ATTEMPTS):
        coupon_id = insert_once(
            db,
            Coupon,
            member_id=member_id,
            code=codes.new_code(),
            benefit=new.benefit,
            percent=new.percent,
            amount_minor=new.amount_minor,
            currency=new.currency,
            reason=new.reason,
            key=key,
            actor=actor,
            given_at=now,
            valid_from=new.valid_from or now,
            valid_until=new.valid_until,
        )
        if coupon_id is not None:
            audit.record(db, "coupon.given", f"coupon:{coupon_id}", actor=actor, now=now, reason=new.reason)
            return db.get_one(Coupon, coupon_id)
        # Either somebody gave it meanwhile under this key, or the code is taken.
        if first := _given_before(db, member_id, new, key):
            return first
    raise RuntimeError("No free code was found for a coupon; are there billions of them?")


def wallet(db: Session, member_id: int, *, now: datetime) -> Sequence[Coupon]:
    """The coupons a member can use now or later, those that end first first."""
    usable = select(Coupon).where(
        Coupon.member_id == member_id,
        Coupon.used_at.is_(None),
        Coupon.withdrawn_at.is_(None),
        Coupon.valid_until > now,
    )
    order = (Coupon.valid_until, Coupon.id)
    return db.scalars(usable.order_by(*order).execution_options(populate_existing=True)).all()


def use(db: Session, code_typed: str, *, actor: str, now: datetime, stay: str | None = None) -> Coupon:
    """Use a coupon, once, on the stay with this confirmation, or (a guest who only dines) on none.

    The code may be typed in any case, width and spacing. Raises `CodeUnknown`, `CodeVoid`, `CodeUsedBefore`,
    `CodeNotYet`, `CodeOver`, `CodeOfAnother` for a stay of another member, `CouponCurrency` for an
    amount in another currency than the hotel's; for the stay `Unknown`, and `Conflict` if it is cancelled.
    """
    on = _stay(db, stay) if stay is not None else None
    code = desk_codes.read(code_typed)
    fits = [Coupon.member_id == on.member_id, _currency_of(on)] if on is not None else []
    done = db.execute(
        update(Coupon)
        .where(
            Coupon.code == code,
            Coupon.used_at.is_(None),
            Coupon.withdrawn_at.is_(None),
            Coupon.valid_from <= now,
            Coupon.valid_until > now,
            *fits,
        )
        .values(used_at=now, used_on_stay_id=on.id if on is not None else None)
        .returning(Coupon.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    if done is None:
        raise _why_not(db, code, on, now=now)
    audit.record(db, "coupon.used", f"coupon:{done}", actor=actor, now=now, stay=stay)
    return _found(db, done)


def withdraw(db: Session, coupon_id: int, *, why: str, actor: str, now: datetime) -> Coupon:
    """Take a coupon back. Again: harmless. `why` is a code. Raises `Conflict` for one that is used, `Unknown`."""
    if not CODE.fullmatch(why):
        raise BadInput("why", "is no code.", "Use small letters, digits and _, at most 32, such as mistake.")
    done = db.execute(
        update(Coupon)
        .where(Coupon.id == coupon_id, Coupon.used_at.is_(None), Coupon.withdrawn_at.is_(None))
        .values(withdrawn_at=now)
        .returning(Coupon.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    coupon = _found(db, coupon_id)
    if done is not None:
        audit.record(db, "coupon.withdrawn", f"coupon:{coupon_id}", actor=actor, now=now, why=why)
    elif coupon.used_at is not None:
        raise Conflict(
            "coupon", f"coupon {coupon_id} has been used.", "Charge its worth to the stay instead."
        )
    return coupon


def _given_before(db: Session, member_id: int, new: NewCoupon, key: str) -> Coupon | None:
    first = db.scalars(select(Coupon).where(Coupon.key == key)).one_or_none()
    if first is None:
        return None
    asked = {name: getattr(new, name) for name in _CONTENT} | {"member_id": member_id}
    if new.valid_from is not None:
        asked["valid_from"] = new.valid_from
    if any(getattr(first, name) != value for name, value in asked.items()):
        raise KeyUsedOtherwise(
            "key", f"this key belongs to coupon {first.id}, which differs.", "Use a key of its own."
        )
    return first


_CONTENT = ("benefit", "reason", "percent", "amount_minor", "currency", "valid_until")


def _found(db: Session, coupon_id: int) -> Coupon:
    wanted = select(Coupon).where(Coupon.id == coupon_id).execution_options(populate_existing=True)
    coupon = db.scalars(wanted).one_or_none()
    if coupon is None:
        raise Unknown("coupon", f"there is no coupon {coupon_id}.", "Use the id of a coupon.")
    return coupon


def _stay(db: Session, confirmation: str) -> Stay:
    stay = db.scalars(select(Stay).where(Stay.confirmation == confirmation)).one_or_none()
    if stay is None:
        raise Unknown("stay", "there is no stay with this confirmation.", "Use one of the property system's.")
    if stay.status == StayStatus.cancelled:
        raise Conflict("stay", "this stay was cancelled.", "Use the coupon on another.")
    return stay


def _currency_of(stay: Stay) -> ColumnElement[bool]:
    return or_(Coupon.currency.is_(None), Coupon.currency == stay.hotel.currency)


def _why_not(db: Session, code: str, on: Stay | None, *, now: datetime) -> Refusal:
    """Why the coupon with this code cannot be used on this stay."""
    coupon = db.scalars(select(Coupon).where(Coupon.code == code)).one_or_none()
    if coupon is None:
        return CodeUnknown()
    zone = ZoneInfo(on.hotel.time_zone) if on is not None else in_force(db, now=now).programme.zone
    if coupon.withdrawn_at is not None:
        return CodeVoid()
    if coupon.used_at is not None:
        return CodeUsedBefore(at=coupon.used_at.astimezone(zone))
    if coupon.valid_from > now:
        return CodeNotYet(at=coupon.valid_from.astimezone(zone))
    if coupon.valid_until <= now:
        return CodeOver(at=last_moment(coupon.valid_until, zone))
    if on is not None and coupon.member_id != on.member_id:
        return CodeOfAnother()
    return CouponCurrency(currency=coupon.currency)
