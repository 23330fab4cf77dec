"""A small house to redeem in: two hotels, the catalogue of the sample, and members with points."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from data import catalogue, confirming, db, ledger, points, redeeming, redemptions, rewards, settling
from data.audit import AuditEntry
from data.hotels import Hotel
from data.ledger import Cause, Terms
from data.ledger_rows import Kind, PointEntry
from data.members import Member
from data.points import Standing
from data.redemptions import Redemption
from data.reward_descriptions import NewReward
from data.rewards import Reward
from data.stays import Stay, StayStatus
from tests.conftest import NOW

TIMES = {"HLSH": ("Shanghai", "Asia/Shanghai", "CNY"), "HLLN": ("London", "Europe/London", "GBP")}
BY = {"actor": "desk:an", "now": NOW}
LATER = NOW + timedelta(minutes=15)  # the sample programme's time to think


def open_house() -> None:
    """Both hotels and the sample catalogue."""
    with db.transaction() as session:
        for code, (city, zone, currency) in TIMES.items():
            names = {"en": city, "zh_CN": city, "zh_TW": city}
            session.add(
                Hotel(code=code, names=names, city=city, time_zone=zone, currency=currency, languages=["en"])
            )
        session.flush()
        catalogue.load(session, catalogue.read_catalogue(catalogue.sample()), **BY)


def new_guest(
    number: str, *lots: int, tier: str = "gold", locale: str = "en", home: str | None = None
) -> int:
    """A member with lots of so many points, the first of which end first; gives their id."""
    with db.transaction() as session:
        home_id = session.scalar(select(Hotel.id).where(Hotel.code == home)) if home else None
        member = Member(
            number=number, name="沈知微", locale=locale, tier=tier, joined_at=NOW, home_hotel_id=home_id
        )
        session.add(member)
        session.flush()
        for place, amount in enumerate(lots):
            cause = Cause(Kind.gift, "welcome", f"gift:{number}:{place}", actor="test")
            terms = Terms(NOW - timedelta(days=1), NOW + timedelta(days=40 + 30 * place))
            ledger.credit(session, member.id, amount, cause=cause, now=NOW, terms=terms)
        return member.id


def listed(code: str, **other: Any) -> NewReward:
    """A reward with this code, otherwise plain."""
    words = {locale: code for locale in ("en", "zh_CN", "zh_TW")}
    plain: dict[str, Any] = {
        "kind": "gift",
        "names": words,
        "details": words,
        "points": 1000,
        "currency": "CNY",
    }
    return NewReward(code=code, **(plain | other))


def put(code: str, **other: Any) -> int:
    """A reward in the catalogue, in a transaction of its own; gives its id."""
    with db.transaction() as session:
        return rewards.add(session, listed(code, **other), **BY).id


def wish(member_id: int, code: str, *, key: str = "wish", **other: Any) -> Redemption:
    """What `redeeming.begin` gives, in a transaction of its own."""
    asked: dict[str, Any] = {"channel": "telegram", "actor": "guest", "now": NOW} | other
    with db.transaction() as session:
        return redeeming.begin(session, member_id, code, key=key, **asked)


def agree(redemption_id: int, *, now: datetime = NOW) -> Redemption:
    """What `confirming.confirm` gives, in a transaction of its own."""
    with db.transaction() as session:
        return confirming.confirm(session, redemption_id, actor="guest", now=now)


def bought(member_id: int, code: str, *, key: str = "wish", **other: Any) -> Redemption:
    """A confirmed redemption."""
    return agree(wish(member_id, code, key=key, **other).id)


def stock(code: str) -> int | None:
    with db.reading() as session:
        return session.scalars(select(Reward.stock).where(Reward.code == code)).one()


def standing(member_id: int, *, now: datetime = NOW) -> Standing:
    with db.reading() as session:
        return points.standing(session, member_id, now=now)


def balance(member_id: int, *, now: datetime = NOW) -> int:
    with db.reading() as session:
        return points.balance(session, member_id, now=now)


def row(redemption_id: int) -> Redemption:
    """The redemption as the database has it."""
    with db.reading() as session:
        return session.get_one(Redemption, redemption_id)


def deeds(subject: str) -> list[str]:
    """What the audit log says was done to a subject."""
    with db.reading() as session:
        said = select(AuditEntry.deed).where(AuditEntry.subject == subject).order_by(AuditEntry.id)
        return list(session.scalars(said))


def new_stay(member_id: int, confirmation: str, hotel: str = "HLSH", status: str = "in_house") -> None:
    """A stay of two nights, in a transaction of its own."""
    with db.transaction() as session:
        hotel_id = session.scalars(select(Hotel.id).where(Hotel.code == hotel)).one()
        session.add(
            Stay(
                confirmation=confirmation,
                hotel_id=hotel_id,
                member_id=member_id,
                room_type="creek_king",
                arrival=date(2026, 3, 13),
                departure=date(2026, 3, 15),
                status=StayStatus(status).value,
            )
        )


def cancel(redemption_id: int, *, why: str = "guest", now: datetime = NOW) -> Redemption:
    with db.transaction() as session:
        return settling.cancel(session, redemption_id, why=why, actor="guest", now=now)


def hand_over(code: str | None, *, hotel: str = "HLSH", now: datetime = NOW) -> Redemption:
    assert code is not None
    with db.transaction() as session:
        return settling.fulfil(session, code, hotel=hotel, actor="desk:an", now=now)


def extra(redemption_id: int) -> Redemption | None:
    with db.reading() as session:
        return redemptions.extra_of(session, redemption_id)


def entry(entry_id: int | None) -> PointEntry:
    with db.reading() as session:
        return session.get_one(PointEntry, entry_id)
