"""The fields that several bodies and paths share: what they are like, and what they mean."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=80, description="A name, as its bearer writes it.")]
Number = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9][A-Za-z0-9-]{2,14}[A-Za-z0-9]$",
        description="A membership number, as printed on the card.",
    ),
]
# With a slash or a percent sign it is sent in a path as %2F, %25. A lone dot would be taken for a folder there.
Confirmation = Annotated[
    str,
    Meta(
        pattern="^(?![.]{1,2}$)[!-~]{1,32}$",
        description="The property system's own number of the stay: 1 to 32 letters, digits and signs, no spaces.",
    ),
]
LineNumber = Annotated[
    str,
    Meta(
        pattern="^[!-~]{1,32}$",
        description="The property system's own number of the line, unique within the stay.",
    ),
]
RedemptionCode = Annotated[
    str, Meta(min_length=1, max_length=32, description="As the guest shows it, in any case and spacing.")
]
HotelCode = Annotated[
    str, Meta(pattern="^[A-Za-z][A-Za-z0-9_-]{0,15}$", description="A hotel of the group, by its code.")
]
RoomType = Annotated[str, Meta(min_length=1, max_length=32, description="As the property system calls it.")]
Adults = Annotated[int, Meta(ge=1, le=20)]
Children = Annotated[int, Meta(ge=0, le=20)]
Locale = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z]{2,3}([_-][A-Za-z0-9]{1,8}){0,4}$",
        description="The guest's language: en, zh_CN or zh_TW, or a BCP 47 tag of English or Chinese.",
    ),
]
Phone = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=32,
        description="With + and the country's code; without, it is read as dialled at the home hotel.",
    ),
]
Email = Annotated[str, Meta(min_length=3, max_length=254)]
Document = Annotated[
    str, Meta(min_length=5, max_length=40, description="The number of a passport or an identity card.")
]
Birthday = Annotated[
    str,
    Meta(
        pattern="^([0-9]{4}-|--)[0-9]{2}-[0-9]{2}$",
        description="YYYY-MM-DD, or --MM-DD from a guest who keeps the year to themselves.",
    ),
]
TimeZone = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9_+/-]{1,64}$",
        description="Where the guest lives, by its IANA name; without, as the home hotel.",
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
TierCode = Annotated[
    str,
    Meta(
        pattern="^[a-z][a-z0-9_]{0,15}$",
        description="Of the programme; without, the entry tier. For members who come from elsewhere.",
    ),
]
