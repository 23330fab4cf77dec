"""What a property system sends: the bodies and queries of the API, field by field."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from bot.api.fields import (
    Adults,
    Birthday,
    Children,
    Confirmation,
    Document,
    Email,
    HotelCode,
    LineNumber,
    Locale,
    Moment,
    Name,
    Number,
    Phone,
    RoomType,
    TierCode,
    TimeZone,
)
from data.identifiers import IdentifierKind


class Body(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is sent: nothing that is not described here is taken."""


class Nothing(Body, frozen=True, kw_only=True):
    """No field at all."""


class Consents(Body, frozen=True, kw_only=True):
    """What the guest agreed to (true) or refused (false), purpose by purpose; left out: they were not asked."""

    offers: Annotated[bool, Meta(description="Promotions and news.")] | UnsetType = UNSET
    birthday: Annotated[bool, Meta(description="The birthday greeting.")] | UnsetType = UNSET
    surveys: bool | UnsetType = UNSET
    preferences: Annotated[bool, Meta(description="Remembering what they like.")] | UnsetType = UNSET


class NewMember(Body, frozen=True, kw_only=True):
    """A person who joins."""

    name: Name
    locale: Locale
    number: Number | None = None
    latin_name: Name | None = None
    tier: TierCode | None = None
    phone: Phone | None = None
    email: Email | None = None
    document: Document | None = None
    birthday: Birthday | None = None
    home_hotel: HotelCode | None = None
    time_zone: TimeZone | None = None
    joined_at: Moment | None = None
    referral_code: (
        Annotated[str, Meta(min_length=1, max_length=32, description="Of the friend who brought them.")]
        | None
    ) = None
    consents: Consents = Consents()
    welcome_gift: Annotated[
        bool, Meta(description="false for members who joined elsewhere long ago: no points for that.")
    ] = True


class MemberChanges(Body, frozen=True, kw_only=True):
    """What is to be different: a field left out stays, null removes it."""

    name: Name | UnsetType = UNSET
    latin_name: Name | UnsetType | None = UNSET
    locale: Locale | UnsetType = UNSET
    time_zone: TimeZone | UnsetType | None = UNSET
    birthday: Birthday | UnsetType | None = UNSET
    home_hotel: HotelCode | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    document: Document | UnsetType | None = UNSET
    consents: Consents = Consents()


class Search(Body, frozen=True, kw_only=True):
    """One phone, address or document to look for, exactly, however it is spelt."""

    kind: IdentifierKind
    value: Annotated[str, Meta(min_length=3, max_length=254)]
    hotel: (
        Annotated[
            str,
            Meta(
                pattern="^[A-Za-z][A-Za-z0-9_-]{0,15}$",
                description="Where a phone number without a country is dialled; without, mainland China.",
            ),
        ]
        | None
    ) = None


class EntriesPage(Body, frozen=True, kw_only=True):
    """Which part of a statement."""

    before: (
        Annotated[
            int,
            Meta(
                ge=1, le=2_147_483_647, description="`next_before` of the page before; without, the newest."
            ),
        ]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=100, description="How many entries.")] = 20


class NewStay(Body, frozen=True, kw_only=True):
    """A stay as it was booked. `in_house` is for a guest who walked in."""

    confirmation: Confirmation
    member: Number
    hotel: HotelCode
    room_type: RoomType
    arrival: date
    departure: date
    adults: Adults = 1
    children: Children = 0
    status: Literal["booked", "in_house"] = "booked"


class StayChanges(Body, frozen=True, kw_only=True):
    """What is to be different: a field left out stays. Another member or hotel is another stay."""

    room_type: RoomType | UnsetType = UNSET
    arrival: date | UnsetType = UNSET
    departure: date | UnsetType = UNSET
    adults: Adults | UnsetType = UNSET
    children: Children | UnsetType = UNSET


class NewFolioLine(Body, frozen=True, kw_only=True):
    """One charge, or with a negative amount the refund of one."""

    line: LineNumber
    outlet: Annotated[
        str,
        Meta(
            pattern="^[a-z][a-z0-9_]{0,31}$",
            description="Where it was spent: room, dining, spa, minibar, laundry, tax, …; others earn as `other`.",
        ),
    ]
    day: Annotated[date, Meta(description="The hotel's business day it was charged on.")]
    amount_minor: Annotated[
        int,
        Meta(
            ge=-100_000_000,
            le=100_000_000,
            description="In the currency's smallest unit: 680.00 yuan are 68000, 680 yen are 680. Not 0.",
        ),
    ]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")]
    refunds: LineNumber | None = None


class NewFolioLines(Body, frozen=True, kw_only=True):
    """Lines of one stay, all of them taken or none."""

    lines: Annotated[list[NewFolioLine], Meta(min_length=1, max_length=100)]


class Checkout(Body, frozen=True, kw_only=True):
    """The guest has left."""

    departure: Annotated[date, Meta(description="The day they left; without, as booked.")] | None = None
    lines: Annotated[
        list[NewFolioLine], Meta(max_length=100, description="What is still missing on the folio.")
    ] = []


class Handover(Body, frozen=True, kw_only=True):
    """The desk that hands a reward over."""

    hotel: HotelCode


class RewardsQuery(Body, frozen=True, kw_only=True):
    """Which part of the catalogue, in which language."""

    hotel: HotelCode | UnsetType = UNSET
    locale: Literal["en", "zh_CN", "zh_TW"] = "en"
