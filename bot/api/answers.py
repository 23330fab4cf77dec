"""What a property system is answered, field by field. Only `Member` holds personal data."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from bot.api.bodies import Consents
from data.identifiers import IdentifierKind
from data.ledger_rows import Kind
from data.members import MemberStatus
from data.stays import StayStatus

Points = Annotated[int, Meta(description="Whole points.")]
Explanation = Annotated[
    dict[str, Any],
    Meta(description="Why this many: rule, base amount, rate, multipliers, version of the programme, …"),
]
UsableFrom = Annotated[datetime, Meta(description="The points can be spent from this moment on.")]
GoneAt = Annotated[datetime, Meta(description="The first moment at which they cannot be spent any more.")]


class Reply(Struct, frozen=True, kw_only=True):
    """What is answered."""


class Membership(Reply, frozen=True, kw_only=True):
    """A membership without anything that tells who the guest is."""

    number: str
    status: MemberStatus
    tier: str
    tier_valid_until: date | None
    home_hotel: str | None
    joined_at: datetime


class Identifier(Reply, frozen=True, kw_only=True):
    """What a guest can be found by, in our spelling."""

    kind: IdentifierKind
    value: str
    verified_at: datetime | None


class Member(Membership, frozen=True, kw_only=True):
    """A member with their personal data. After a merge, the membership that lives on."""

    name: str
    latin_name: str | None
    locale: str
    time_zone: str | None
    birthday: str | None
    identifiers: list[Identifier]
    consents: Consents


class Found(Reply, frozen=True, kw_only=True):
    """The one member who was looked for, or none."""

    members: Annotated[list[Member], Meta(max_length=1)]


class Lot(Reply, frozen=True, kw_only=True):
    """Points that came together and end together."""

    lot: Annotated[int, Meta(description="The `seq` of the entry that brought them.")]
    points: Points
    held: Annotated[int, Meta(description="Besides, on hold for a redemption that is under way.")]
    available_at: UsableFrom
    expires_at: GoneAt | None
    reason: str
    explanation: Explanation


class PointsStanding(Reply, frozen=True, kw_only=True):
    """A balance told as lots, in the order in which they will be used."""

    member: str
    at: datetime
    spendable: Annotated[int, Meta(description="The points of `lots`, less what is owed.")]
    held: Points
    owed: Annotated[
        int, Meta(description="Taken back for refunds after they were spent; the next points pay.")
    ]
    pending: Annotated[int, Meta(description="The points of `pending_lots`.")]
    lots: list[Lot]
    pending_lots: Annotated[
        list[Lot], Meta(description="Not ripe yet: they can be used from `available_at`.")
    ]


class Entry(Reply, frozen=True, kw_only=True):
    """One change of a member's points."""

    seq: int
    at: datetime
    kind: Kind
    points: Annotated[int, Meta(description="Given, or with a minus taken.")]
    balance_after: int
    reason: str
    stay: Annotated[str, Meta(description="Confirmation of the stay it came from.")] | None
    explanation: Explanation


class Entries(Reply, frozen=True, kw_only=True):
    """A part of a statement, newest first."""

    member: str
    entries: list[Entry]
    next_before: Annotated[int, Meta(description="Send it as `before` for the next page.")] | None


class Stay(Reply, frozen=True, kw_only=True):
    """A stay. `member` is whoever it belongs to by now."""

    confirmation: str
    member: str
    hotel: str
    room_type: str
    arrival: date
    departure: date
    adults: int
    children: int
    status: StayStatus
    checked_out_at: datetime | None


class FolioLine(Reply, frozen=True, kw_only=True):
    """A line of a folio."""

    line: str
    outlet: str
    day: date
    amount_minor: int
    currency: str
    refunds: str | None
    points: Annotated[int, Meta(description="Given or taken back for it so far; before checkout 0.")]


class Folio(Reply, frozen=True, kw_only=True):
    """Lines of a stay, in the order in which they came."""

    stay: str
    lines: list[FolioLine]


class Earned(Reply, frozen=True, kw_only=True):
    """What a line of the folio earned."""

    line: str
    points: Points
    explanation: Explanation


class CheckedOut(Reply, frozen=True, kw_only=True):
    """A checkout, and what the guest has earned with the stay."""

    stay: Stay
    tier: Annotated[str, Meta(description="The member's, after this stay.")]
    points: Points
    ripen_at: UsableFrom | None
    expire_at: GoneAt | None
    earned: list[Earned]


class Reward(Reply, frozen=True, kw_only=True):
    """What points can be turned into; `cash_minor` is paid at the hotel besides."""

    code: str
    kind: str
    name: str
    details: str
    points: Annotated[int, Meta(description="The price by the programme's ladder.")]
    list_points: int
    cash_minor: int
    currency: str
    hotel: Annotated[str, Meta(description="null: at every hotel.")] | None
    extra: Annotated[str, Meta(description="Code of what comes along for nothing.")] | None
    left: Annotated[int, Meta(description="null: as many as are wanted.")] | None
    available_until: datetime | None
    why_not: Annotated[str, Meta(description="Why nobody can have it now: stock, window.")] | None


class Catalogue(Reply, frozen=True, kw_only=True):
    """The rewards, cheapest first."""

    rewards: list[Reward]


class HandedOver(Reply, frozen=True, kw_only=True):
    """A reward that was handed over, so its code is of no more use."""

    reward: str
    names: Annotated[dict[str, str], Meta(description="Of the reward, by language.")]
    quantity: int
    member: str
    hotel: str
    at: datetime
