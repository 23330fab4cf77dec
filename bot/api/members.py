"""Members: enrolled, found, read and changed by a property system."""

from __future__ import annotations

from msgspec import UNSET, structs
from sqlalchemy.orm import Session

from bot.api import answers
from bot.api.bodies import Consents, MemberChanges, NewMember, Nothing, Search
from bot.api.operations import Answer, Call, Link, Operation, any_of
from data import consents, details, enrolment, identifiers, identities, membership
from data.api_keys import Scope
from data.consents import Purpose
from data.hotels import Hotel, hotel_by_code
from data.identifiers import IdentifierKind
from data.members import Member, MemberStatus

NUMBER = {"number": "path.number", "member": "path.number"}


def enrol(db: Session, call: Call[NewMember]) -> Answer:
    told = structs.asdict(call.told)
    welcome = told.pop("welcome_gift")
    new = enrolment.NewMember(**told | {"consents": _decisions(call.told.consents)})
    done = enrolment.enrol(db, new, via=call.actor, actor=call.actor, now=call.now, welcome=welcome)
    return Answer(_membership(db, done.member), 200 if done.again else 201)


def get(db: Session, call: Call[Nothing]) -> Answer:
    return Answer(_in_full(db, _named(db, call)))


def change(db: Session, call: Call[MemberChanges]) -> Answer:
    told = structs.asdict(call.told)
    told.pop("consents")
    member = _named(db, call)
    # Who has left may still take a consent back, so that alone does not ask for an active member.
    if any(value is not UNSET for value in told.values()):
        changes = details.MemberChanges(**told)
        member = details.change(db, member.id, changes, via=call.actor, actor=call.actor, now=call.now)
    for purpose, given in _decisions(call.told.consents).items():
        consents.decide(db, member.id, purpose, given, via=call.actor, actor=call.actor, now=call.now)
    return Answer(_membership(db, member))


def search(db: Session, call: Call[Search]) -> Answer:
    told = call.told
    hotel = None if told.hotel is None else hotel_by_code(db, told.hotel)
    region = identities.region_of(hotel.time_zone if hotel else None)
    found = identifiers.find(db, told.kind, told.value, region=region)
    return Answer(answers.Found(members=[] if found is None else [_in_full(db, found)]))


def _named(db: Session, call: Call[Nothing] | Call[MemberChanges]) -> Member:
    return membership.member_by_number(db, call.path["number"], field="number")


def _decisions(told: Consents) -> dict[Purpose, bool]:
    return {Purpose(name): said for name, said in structs.asdict(told).items() if said is not UNSET}


def _membership(db: Session, member: Member) -> answers.Membership:
    hotel = db.get(Hotel, member.home_hotel_id) if member.home_hotel_id else None
    return answers.Membership(
        number=member.number,
        status=MemberStatus(member.status),
        tier=member.tier,
        tier_valid_until=member.tier_valid_until,
        home_hotel=hotel.code if hotel else None,
        joined_at=member.joined_at,
    )


def _in_full(db: Session, member: Member) -> answers.Member:
    said = {decision.purpose: decision.given for decision in consents.history(db, member.id)}
    return answers.Member(
        **structs.asdict(_membership(db, member)),
        name=member.name,
        latin_name=member.latin_name,
        locale=member.locale,
        time_zone=member.time_zone,
        birthday=member.birthday,
        identifiers=[
            answers.Identifier(kind=kind, value=value, verified_at=row.verified_at)
            for kind in IdentifierKind
            for value, row in identifiers.of(db, member.id, kind).items()
        ],
        consents=Consents(**said),
    )


GOES_ON = tuple(
    Link(to=to, path={"number": "number"}) for to in ("getMember", "changeMember", "getPoints", "listEntries")
)
BOOKS = Link(to="bookStay", body={"member": "number", "hotel": "home_hotel"})

OPERATIONS = any_of(
    Operation(
        id="enrolMember",
        method="POST",
        path="/members",
        summary="Enrol a guest as a member",
        description=(
            "201: a new member, with the programme's welcome gift. 200: this number is recorded with this very "
            "content, and nothing was changed. The answer tells nothing of who the guest is: read the member for that."
        ),
        scope=Scope.members_write,
        takes=NewMember,
        gives={201: answers.Membership, 200: answers.Membership},
        deed=enrol,
        location="/members/{number}",
        links=(*GOES_ON, BOOKS),
    ),
    Operation(
        id="findMembers",
        method="POST",
        path="/members/search",
        summary="Find the member with a phone, an e-mail address or a document",
        description=(
            "Exactly, however it is spelt. A POST, so that nobody's phone number ends in an access log; it changes "
            "nothing and needs no Idempotency-Key."
        ),
        scope=Scope.members_read,
        takes=Search,
        gives={200: answers.Found},
        deed=search,
        places={kind.value: "$.value" for kind in IdentifierKind},
        changes=False,
    ),
    Operation(
        id="getMember",
        method="GET",
        path="/members/{number}",
        summary="Read a member, with their personal data",
        description="The number of a member who was merged into another gives the one who lives on.",
        scope=Scope.members_read,
        takes=Nothing,
        gives={200: answers.Member},
        deed=get,
        places=NUMBER,
        links=(*GOES_ON[1:], BOOKS),
    ),
    Operation(
        id="changeMember",
        method="PATCH",
        path="/members/{number}",
        summary="Change what is recorded of a member",
        description="A new phone, address or document takes the place of the old one, and is not verified yet.",
        scope=Scope.members_write,
        takes=MemberChanges,
        gives={200: answers.Membership},
        deed=change,
        places=NUMBER,
        links=GOES_ON[:1],
    ),
)
