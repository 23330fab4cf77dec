"""What a member's record says about the person, in one spelling, and how it is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import partial

from msgspec import UNSET, UnsetType
from sqlalchemy.orm import Session

from data import audit, identifiers, identities, membership, programme_versions
from data.hotels import Hotel, hotel_by_code
from data.identifiers import IdentifierKind
from data.members import Member
from data.refusals import BadInput

COLUMNS = ("name", "latin_name", "locale", "time_zone", "birthday")  # fields that are columns of `members`
SPELT = (*COLUMNS, *(kind.value for kind in IdentifierKind))  # fields that have a spelling of ours


@dataclass(frozen=True, kw_only=True)
class MemberChanges:
    """What to change of a member; UNSET leaves it as it is, None removes it. Spellings as in `NewMember`."""

    name: str | UnsetType = field(default=UNSET, repr=False)
    latin_name: str | UnsetType | None = field(default=UNSET, repr=False)
    locale: str | UnsetType = UNSET
    time_zone: str | UnsetType | None = UNSET
    birthday: str | UnsetType | None = field(default=UNSET, repr=False)
    home_hotel: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = field(default=UNSET, repr=False)
    email: str | UnsetType | None = field(default=UNSET, repr=False)
    document: str | UnsetType | None = field(default=UNSET, repr=False)


def spelt(told: Mapping[str, str], *, today: date, hotel: Hotel | None) -> dict[str, str]:
    """The fields that are told, in our spelling; `hotel` says where a phone number is dialled. Raises `BadInput`."""
    region = identities.region_of(hotel.time_zone if hotel else None)
    spellings: dict[str, Callable[[str], str]] = {
        "name": identities.person_name,
        "latin_name": partial(identities.person_name, field="latin_name"),
        "locale": identities.locale,
        "time_zone": identities.time_zone,
        "birthday": partial(identities.birthday, today=today),
        "phone": partial(identities.phone, region=region),
        "email": identities.email,
        "document": identities.document,
    }
    return {name: spellings[name](text) for name, text in told.items()}


def change(
    db: Session, member_id: int, changes: MemberChanges, *, via: str, actor: str, now: datetime
) -> Member:
    """Change what is told and leave the rest; what is so already changes nothing.

    A new phone, address or document takes the place of the old one and is not verified yet. Raises `BadInput`,
    `Conflict` for a member who is not active, `BelongsToAnother`, `Unknown`.
    """
    told = {each.name: getattr(changes, each.name) for each in fields(changes)}
    told = {name: value for name, value in told.items() if value is not UNSET}
    for name in ("name", "locale"):
        if told.get(name, "") is None:
            raise BadInput(name, "cannot be removed.", "Send the new one, or leave it out.")
    member = membership.active(db, member_id)
    hotel = _home(db, member, told)
    today = programme_versions.in_force(db, now=now).programme.today(now)
    said = {name: value for name, value in told.items() if name in SPELT and value is not None}
    wanted = told | spelt(said, today=today, hotel=hotel)
    with db.begin_nested():
        changed: list[str] = [
            kind.value
            for kind in IdentifierKind
            if kind.value in wanted
            and identifiers.hold_alone(db, member_id, kind, wanted[kind.value], source=via, now=now)
        ]
        changed += _set_columns(member, wanted, hotel)
        if changed:
            audit.record(
                db, "member.changed", f"member:{member_id}", actor=actor, now=now, via=via, fields=changed
            )
    return member


def _home(db: Session, member: Member, told: Mapping[str, str | None]) -> Hotel | None:
    """The member's home hotel as it will be."""
    if "home_hotel" in told:
        code = told["home_hotel"]
        return None if code is None else hotel_by_code(db, code, field="home_hotel")
    return None if member.home_hotel_id is None else db.get_one(Hotel, member.home_hotel_id)


def _set_columns(member: Member, wanted: Mapping[str, str | None], hotel: Hotel | None) -> list[str]:
    """Write what differs, and say what that was. What is equal is not sealed anew."""
    changed = [name for name in COLUMNS if name in wanted and getattr(member, name) != wanted[name]]
    for name in changed:
        setattr(member, name, wanted[name])
    if "birthday" in changed:
        member.birthday_index = identifiers.birthday_index(member.birthday)
    home_id = hotel.id if hotel else None
    if member.home_hotel_id != home_id:
        member.home_hotel_id = home_id
        changed.append("home_hotel")
    return changed
