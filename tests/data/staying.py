"""What the tests of stays share: two hotels, guests, a property system's deeds, and two that do them at once."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, text

from data import Base, booking, checkout, db, ledger, points, programme, programme_versions, tier_moves
from data.booking import Booked, NewStay, StayChanges
from data.checkout import Charged, CheckedOut, NewLine
from data.hotels import Hotel
from data.ledger import Cause
from data.ledger_rows import Kind, PointEntry, PointLot
from data.members import Member
from data.refusals import BadInput
from data.stays import Stay
from data.tier_rules import Measures
from data.tiers import TierChange
from tests.data.rivals import together

SHANGHAI, LONDON = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/London")
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
UTC = timezone.utc
NOW = datetime(2026, 3, 14, 4, 0, tzinfo=timezone.utc)  # noon in Shanghai, 4 in the morning in London
RIPE = datetime(2026, 3, 17, tzinfo=SHANGHAI)  # when points of a stay that ended on 13 March can be used

_numbers = itertools.count(1)


def open_hotels() -> None:
    """HLSH in Shanghai, HLLN in London, and HLTT in Taipei, whose currency the programme has no rate for."""
    with db.transaction() as session:
        for code, city, zone, currency in (
            ("HLSH", "Shanghai", "Asia/Shanghai", "CNY"),
            ("HLLN", "London", "Europe/London", "GBP"),
            ("HLTT", "Taipei", "Asia/Taipei", "TWD"),
        ):
            names = dict.fromkeys(("en", "zh_CN", "zh_TW"), f"Heron Lantern {city}")
            session.add(
                Hotel(code=code, names=names, city=city, time_zone=zone, currency=currency, languages=["en"])
            )


def guest(number: str = "ZK900001", *, tier: str = "classic", home: str | None = None, **other: Any) -> int:
    """A member with an empty account and no stays, in a transaction of its own; gives their id."""
    with db.transaction() as session:
        hotel = session.scalar(select(Hotel.id).where(Hotel.code == home))
        columns = {"name": "沈知微", "locale": "zh_CN", "joined_at": LONG_AGO} | other
        session.add(member := Member(number=number, tier=tier, home_hotel_id=hotel, **columns))
        session.flush()
        ledger.lock(session, member.id)  # opens the account, as the welcome gift does
        return member.id


def rules(*changes: tuple[str, str], since: datetime = LONG_AGO) -> int:
    """The sample programme with lines changed, in force since then; gives its version."""
    source = programme.sample()
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    with db.transaction() as session:
        return programme_versions.load(session, source, actor="staff:wu", now=since).version


def day(offset: int, start: date = date(2026, 3, 10)) -> date:
    return start + timedelta(days=offset)


def new_stay(**other: Any) -> NewStay:
    """10 to 13 March in Shanghai for ZK900001, unless told otherwise."""
    columns: dict[str, Any] = {
        "confirmation": "SH-1",
        "member": "ZK900001",
        "hotel": "HLSH",
        "room_type": "lake view",
        "arrival": day(0),
        "departure": day(3),
    }
    return NewStay(**columns | other)


def book(*, now: datetime = NOW, **other: Any) -> Booked:
    with db.transaction() as session:
        return booking.book(session, new_stay(**other), actor="api:pms", now=now)


def booked(**other: Any) -> int:
    """The id of a new stay, as `new_stay`."""
    return book(**other).stay.id


def new_line(line: str = "1", amount_minor: int = 100_000, **other: Any) -> NewLine:
    """1,000.00 yuan for the room on 10 March, unless told otherwise."""
    columns: dict[str, Any] = {"outlet": "room", "day": day(0), "currency": "CNY"}
    return NewLine(line=line, amount_minor=amount_minor, **columns | other)


def charge(
    stay_id: int, line: str = "1", amount_minor: int = 100_000, *, now: datetime = NOW, **other: Any
) -> Charged:
    with db.transaction() as session:
        return checkout.charge(
            session, stay_id, new_line(line, amount_minor, **other), actor="api:pms", now=now
        )


def refund(stay_id: int, of: str, amount_minor: int, *, line: str | None = None, **other: Any) -> Charged:
    """A refund of so much (above zero here) of a line."""
    number = line or f"R{next(_numbers)}"
    return charge(stay_id, number, -amount_minor, refunds=of, **{"day": day(3)} | other)


def check_out(stay_id: int, *, now: datetime = NOW, departure: date | None = None) -> CheckedOut:
    with db.transaction() as session:
        return checkout.check_out(session, stay_id, departure=departure, actor="api:pms", now=now)


def stayed(
    confirmation: str, arrival: date, nights: int, *, now: datetime | None = None, **other: Any
) -> int:
    """A stay from booking to checkout at noon of its last day in UTC, with `lines` of (outlet, minor units)
    in a `currency`."""
    lines, currency = other.pop("lines", ()), other.pop("currency", "CNY")
    departure = arrival + timedelta(days=nights)
    now = now or datetime.combine(departure, datetime.min.time(), timezone.utc) + timedelta(hours=12)
    stay_id = booked(confirmation=confirmation, arrival=arrival, departure=departure, now=now, **other)
    for number, (outlet, amount) in enumerate(lines, start=1):
        charge(stay_id, str(number), amount, outlet=outlet, currency=currency, day=arrival, now=now)
    check_out(stay_id, now=now)
    return stay_id


def the(stay_id: int) -> Stay:
    with db.reading() as session:
        stay = session.get_one(Stay, stay_id)
        assert stay.hotel
        return stay


def member(member_id: int) -> Member:
    with db.reading() as session:
        return session.get_one(Member, member_id)


def entries(member_id: int) -> list[PointEntry]:
    with db.reading() as session:
        return list(
            session.scalars(
                select(PointEntry).where(PointEntry.member_id == member_id).order_by(PointEntry.seq)
            )
        )


def lots(member_id: int) -> list[PointLot]:
    with db.reading() as session:
        return list(
            session.scalars(select(PointLot).where(PointLot.member_id == member_id).order_by(PointLot.number))
        )


def spendable(member_id: int, now: datetime = NOW) -> int:
    with db.reading() as session:
        return points.balance(session, member_id, now=now)


def spend(member_id: int, amount: int, now: datetime) -> None:
    with db.transaction() as session:
        cause = Cause(Kind.redeem, "redemption", f"spend:{member_id}:{amount}:{now}", "guest")
        ledger.debit(session, member_id, amount, cause=cause, now=now)


def measured(member_id: int, window: tuple[date, date] = (date(2000, 1, 1), date(2100, 1, 1))) -> Measures:
    """What a member did in a window, by the programme in force at `NOW`."""
    with db.reading() as session:
        source = programme_versions.in_force(session, now=NOW).programme
        return tier_moves.measures(session, member_id, window, programme=source)


def moves(member_id: int) -> list[TierChange]:
    with db.reading() as session:
        return list(
            session.scalars(
                select(TierChange).where(TierChange.member_id == member_id).order_by(TierChange.id)
            )
        )


def everything() -> dict[str, list[str]]:
    """Every row of every table as the database has it, sealed text unopened."""
    with db.reading() as session:
        return {
            table.name: sorted(
                repr(tuple(row)) for row in session.execute(text(f"SELECT * FROM {table.name}"))
            )
            for table in Base.metadata.sorted_tables
        }


@contextlib.contextmanager
def changing_nothing() -> Iterator[None]:
    """Every row of every table is afterwards as it was before."""
    before = everything()
    yield
    assert everything() == before


# What each of two processes does; see `tests.data.rivals`.


def race_to_book(who: str, stays: dict[str, NewStay]) -> str:
    together()
    try:
        with db.transaction() as session:
            done = booking.book(session, stays[who], actor=f"api:{who}", now=NOW)
    except BadInput as error:
        return f"{type(error).__name__} {error.field}"
    return "again" if done.again else "booked"


def race_to_change(who: str, wanted: dict[str, tuple[int, StayChanges]]) -> str:
    together()
    stay_id, changes = wanted[who]
    try:
        with db.transaction() as session:
            booking.change_stay(session, stay_id, changes, actor=f"api:{who}", now=NOW)
    except BadInput as error:
        return f"{type(error).__name__} {error.field}"
    return "changed"


def race_to_check_out(who: str, stay_ids: list[int]) -> list[CheckedOut]:
    done = []
    for stay_id in stay_ids:
        together()
        done.append(check_out(stay_id))
    return done


def race_to_charge(who: str, stay_ids: list[int], lines: dict[str, NewLine]) -> list[str]:
    """Charge what is there for `who`, if anything, else check out."""
    done = []
    for stay_id in stay_ids:
        together()
        try:
            if who in lines:
                with db.transaction() as session:
                    charged = checkout.charge(session, stay_id, lines[who], actor=f"api:{who}", now=NOW)
                done.append("again" if charged.again else "charged")
            else:
                done.append(f"checked out, {len(check_out(stay_id).entries)} earned")
        except BadInput as error:
            done.append(f"{type(error).__name__} {error.field}")
    return done


def race_to_settle(who: str, member_ids: list[int]) -> list[bool]:
    moved = []
    for member_id in member_ids:
        together()
        with db.transaction() as session:
            moved.append(
                tier_moves.settle(session, member_id, cause="review", actor=who, now=NOW) is not None
            )
    return moved
