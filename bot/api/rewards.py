"""Rewards as a property system sees them: the catalogue, and a code that is handed in at a desk."""

from __future__ import annotations

from msgspec import UNSET
from sqlalchemy.orm import Session

from bot.api import answers
from bot.api.bodies import Handover, RewardsQuery
from bot.api.operations import Answer, Call, Operation, any_of
from data import membership, offers, settling
from data.api_keys import Scope
from data.hotels import Hotel
from data.members import Member


def catalogue(db: Session, call: Call[RewardsQuery]) -> Answer:
    told = call.told
    hotel = None if told.hotel is UNSET else told.hotel
    return Answer(
        answers.Catalogue(
            rewards=[
                answers.Reward(
                    code=offer.code,
                    kind=offer.kind,
                    name=offer.name,
                    details=offer.details,
                    points=offer.points,
                    list_points=offer.list_points,
                    cash_minor=offer.cash_minor,
                    currency=offer.currency,
                    hotel=offer.hotel,
                    extra=offer.extra,
                    left=offer.left,
                    available_until=offer.available_until,
                    why_not=offer.why_not.why if offer.why_not else None,
                )
                for offer in offers.catalogue(db, None, now=call.now, locale=told.locale, hotel=hotel)
            ]
        )
    )


def fulfil(db: Session, call: Call[Handover]) -> Answer:
    done = settling.fulfil(db, call.path["code"], hotel=call.told.hotel, actor=call.actor, now=call.now)
    member = membership.living(db, db.get_one(Member, done.member_id))
    assert done.settled_at is not None
    return Answer(
        answers.HandedOver(
            reward=done.reward.code,
            names=done.reward.names,
            quantity=done.quantity,
            member=member.number,
            hotel=db.get_one(Hotel, done.hotel_id).code,
            at=done.settled_at,
        )
    )


OPERATIONS = any_of(
    Operation(
        id="listRewards",
        method="GET",
        path="/rewards",
        summary="The catalogue: what is offered now or will be",
        scope=Scope.rewards_read,
        takes=RewardsQuery,
        gives={200: answers.Catalogue},
        deed=catalogue,
    ),
    Operation(
        id="fulfilRedemption",
        method="POST",
        path="/redemptions/{code}/fulfil",
        summary="Hand a reward over for the code a guest shows",
        description=(
            "Once: of two desks with the same code the second is refused, and told when and where it was used. The "
            "code may be typed in any case and spacing."
        ),
        scope=Scope.rewards_fulfil,
        takes=Handover,
        gives={200: answers.HandedOver},
        deed=fulfil,
        places={"code": "path.code"},
        refuses="path.code",
    ),
)
