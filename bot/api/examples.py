"""What bodies and answers look like, for the description: invented people, the demo group's hotels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone

from msgspec import Struct, structs

from bot.api import answers, bodies
from bot.api.problems import problem
from data.identifiers import IdentifierKind
from data.ledger_rows import Kind
from data.members import MemberStatus
from data.stays import StayStatus

_JOINED = datetime(2026, 3, 10, 6, 30, tzinfo=timezone.utc)
_LEFT = datetime(2026, 3, 14, 3, 20, tzinfo=timezone.utc)
_RIPE = datetime(2026, 3, 17, 16, 0, tzinfo=timezone.utc)
_ENDS = datetime(2028, 3, 14, 16, 0, tzinfo=timezone.utc)
_ARRIVAL, _DEPARTURE = date(2026, 3, 11), date(2026, 3, 14)

_WHY = {
    "points": 2550,
    "base_points": 2040,
    "rule": "earn.outlets.room",
    "outlet": "room",
    "base_minor": 204000,
    "minor_digits": 2,
    "currency": "CNY",
    "rate": "1",
    "outlet_factor": "1",
    "tier": "silver",
    "tier_multiplier": "1.25",
    "promotions": [],
    "stacking": "best",
    "multiplier": "1.25",
    "rounding": "down",
    "programme": 1,
    "line": "0001",
    "late": False,
    "hotel": "HLSH",
    "day": "2026-03-11",
}
_ROOM = bodies.NewFolioLine(line="0001", outlet="room", day=_ARRIVAL, amount_minor=204000, currency="CNY")
_DINNER = bodies.NewFolioLine(
    line="0002", outlet="dining", day=_ARRIVAL + timedelta(days=1), amount_minor=38800, currency="CNY"
)
_STAY = answers.Stay(
    confirmation="HLSH-26031101",
    member="ZK100123",
    hotel="HLSH",
    room_type="creek_king",
    arrival=_ARRIVAL,
    departure=_DEPARTURE,
    adults=2,
    children=0,
    status=StayStatus.booked,
    checked_out_at=None,
)
_OVER = structs.replace(_STAY, status=StayStatus.checked_out, checked_out_at=_LEFT)
_LOT = answers.Lot(
    lot=2, points=2550, held=0, available_at=_RIPE, expires_at=_ENDS, reason="stay", explanation=_WHY
)
_GIFT = answers.Lot(
    lot=1,
    points=500,
    held=0,
    available_at=_JOINED,
    expires_at=_ENDS,
    reason="welcome",
    explanation={"points": 500, "rule": "gifts.welcome", "programme_version": 1},
)
_MEMBER = answers.Member(
    number="ZK100123",
    status=MemberStatus.active,
    tier="silver",
    tier_valid_until=date(2027, 3, 10),
    home_hotel="HLSH",
    joined_at=_JOINED,
    name="林望舒",
    latin_name="Lin Wangshu",
    locale="zh_CN",
    time_zone=None,
    birthday="--09-25",
    identifiers=[
        answers.Identifier(kind=IdentifierKind.phone, value="+8613800138000", verified_at=None),
        answers.Identifier(kind=IdentifierKind.email, value="wangshu@example.com", verified_at=_JOINED),
    ],
    consents=bodies.Consents(offers=True, surveys=False),
)

EXAMPLES: Mapping[type[Struct], Struct] = {
    type(each): each
    for each in (
        bodies.NewMember(
            number="ZK100123",
            name="林望舒",
            latin_name="Lin Wangshu",
            locale="zh_CN",
            phone="+86 138 0013 8000",
            email="wangshu@example.com",
            birthday="--09-25",
            home_hotel="HLSH",
            consents=bodies.Consents(offers=True, surveys=False),
        ),
        bodies.MemberChanges(phone="+86 139 0013 9000", email=None, consents=bodies.Consents(offers=False)),
        bodies.Search(kind=IdentifierKind.phone, value="138 0013 8000"),
        bodies.NewStay(
            confirmation="HLSH-26031101",
            member="ZK100123",
            hotel="HLSH",
            room_type="creek_king",
            arrival=_ARRIVAL,
            departure=_DEPARTURE,
            adults=2,
        ),
        bodies.StayChanges(departure=_DEPARTURE + timedelta(days=1), adults=1),
        bodies.NewFolioLines(lines=[_ROOM, _DINNER]),
        bodies.Checkout(
            departure=_DEPARTURE,
            lines=[
                bodies.NewFolioLine(
                    line="0003", outlet="minibar", day=_DEPARTURE, amount_minor=4500, currency="CNY"
                )
            ],
        ),
        bodies.Handover(hotel="HLSH"),
        answers.Membership(
            number="ZK100123",
            status=MemberStatus.active,
            tier="classic",
            tier_valid_until=None,
            home_hotel="HLSH",
            joined_at=_JOINED,
        ),
        _MEMBER,
        answers.Found(members=[_MEMBER]),
        answers.PointsStanding(
            member="ZK100123",
            at=_LEFT,
            spendable=500,
            held=0,
            owed=0,
            pending=2550,
            lots=[_GIFT],
            pending_lots=[_LOT],
        ),
        answers.Entries(
            member="ZK100123",
            entries=[
                answers.Entry(
                    seq=2,
                    at=_LEFT,
                    kind=Kind.earn,
                    points=2550,
                    balance_after=3050,
                    reason="stay",
                    stay="HLSH-26031101",
                    explanation=_WHY,
                )
            ],
            next_before=2,
        ),
        _STAY,
        answers.Folio(
            stay="HLSH-26031101",
            lines=[
                answers.FolioLine(
                    line="0001",
                    outlet="room",
                    day=_ARRIVAL,
                    amount_minor=204000,
                    currency="CNY",
                    refunds=None,
                    points=0,
                )
            ],
        ),
        answers.CheckedOut(
            stay=_OVER,
            tier="silver",
            points=2550,
            ripen_at=_RIPE,
            expire_at=_ENDS,
            earned=[answers.Earned(line="0001", points=2550, explanation=_WHY)],
        ),
        answers.Catalogue(
            rewards=[
                answers.Reward(
                    code="late_checkout",
                    kind="late_checkout",
                    name="Checkout until 16:00",
                    details="On the day of departure.",
                    points=1500,
                    list_points=1500,
                    cash_minor=0,
                    currency="CNY",
                    hotel=None,
                    extra=None,
                    left=None,
                    available_until=None,
                    why_not=None,
                )
            ]
        ),
        answers.HandedOver(
            reward="late_checkout",
            names={"en": "Checkout until 16:00", "zh_CN": "延迟退房至16:00", "zh_TW": "延遲退房至16:00"},
            quantity=1,
            member="ZK100123",
            hotel="HLSH",
            at=_LEFT,
        ),
    )
}

# One problem of each kind that says more than its title.
PROBLEMS = {
    "scope_missing": problem(
        "scope_missing",
        "This key does not have the scope stays:write.",
        field="header.Authorization",
        remedy="Use a key that was issued with --scope stays:write.",
    ),
    "not_found": problem(
        "not_found",
        "number: no member has this number.",
        field="path.number",
        remedy="Enrol the guest, or correct the number.",
    ),
    "conflict": problem(
        "conflict",
        "arrival: stay HLSH-26031101 is recorded with another.",
        field="$.arrival",
        remedy="Send a change of the stay instead.",
    ),
    "refused": problem("refused", "This code has been used.", code="code_used", field="path.code"),
    "does_not_fit": problem(
        "does_not_fit", "$.lines[1].day: is no day.", field="$.lines[1].day", remedy="Write 2026-03-14."
    ),
    "bad_input": problem(
        "bad_input",
        "departure: is not after the arrival.",
        field="$.departure",
        remedy="Send the day on which the guest leaves.",
    ),
}
