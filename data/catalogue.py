"""The catalogue as a file that a hotel edits, and how it comes into the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from babel.numbers import get_currency_precision
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.orm import Session

from data import rewards
from data.plain_yaml import read_as
from data.programme_sections import Code, Currency, HotelCode, Names, Section, TierCode, check_different
from data.refusals import BadInput, Conflict
from data.reward_descriptions import LIMITS, LONGEST_DETAIL, NewReward, RewardChanges
from data.rewards import Reward

SAMPLE = Path(__file__).with_name("rewards.yml")

Kind = Literal[
    "room_night", "upgrade", "late_checkout", "breakfast", "dining", "spa", "gift", "cashback", "service"
]
Detail = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_DETAIL, pattern=r"\S", description="one or two sentences")
]
Price = Annotated[int, Meta(ge=LIMITS["points"][0], le=LIMITS["points"][1])]
Stock = Annotated[int, Meta(ge=LIMITS["stock"][0], le=LIMITS["stock"][1])]
PerMember = Annotated[int, Meta(ge=LIMITS["per_member"][0], le=LIMITS["per_member"][1])]


class Details(Section, frozen=True):
    """What a guest gets, in the three languages guests are answered in."""

    en: Detail
    zh_CN: Detail
    zh_TW: Detail


class Listed(Section, frozen=True):
    """One reward as the file has it: money as a guest would read it, days of the calendar."""

    code: Code
    kind: Kind
    names: Names
    details: Details
    points: Price
    currency: Currency
    cash: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    stock: Stock | None = None
    per_member: PerMember | None = None
    min_tier: TierCode | None = None
    hotel: HotelCode | None = None
    first_day: date | None = msgspec.field(name="from", default=None)
    last_day: date | None = msgspec.field(name="until", default=None)

    def __post_init__(self) -> None:
        self.reward()

    def reward(self) -> NewReward:
        """The same as the catalogue takes it. Raises `BadInput`."""
        try:
            return NewReward(
                code=self.code,
                kind=self.kind,
                names=msgspec.to_builtins(self.names),
                details=msgspec.to_builtins(self.details),
                points=self.points,
                currency=self.currency,
                cash_minor=_minor("cash", self.cash, self.currency),
                cost_minor=_minor("cost", self.cost, self.currency),
                stock=self.stock,
                per_member=self.per_member,
                min_tier=self.min_tier,
                hotel=self.hotel,
                first_day=self.first_day,
                last_day=self.last_day,
            )
        except BadInput as error:
            raise BadInput(_IN_FILE.get(error.field, error.field), error.problem, error.remedy) from None


# What the file calls otherwise than the struct.
_IN_FILE = {"cash_minor": "cash", "cost_minor": "cost", "first_day": "from", "last_day": "until"}


class Catalogue(Section, frozen=True):
    """The whole file."""

    rewards: Annotated[tuple[Listed, ...], Meta(min_length=1, max_length=1000)]

    def __post_init__(self) -> None:
        check_different("rewards", [reward.code for reward in self.rewards], ".code")


@dataclass(frozen=True)
class Loaded:
    """Codes of what a file added, changed and found as it was; `withdrawn`: in the file, but not offered."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    withdrawn: tuple[str, ...]


def read_catalogue(text: str) -> list[NewReward]:
    """The rewards a file lists. Raises `BadInput`; its field is a path such as `rewards[2].points`."""
    return [listed.reward() for listed in read_as(text, Catalogue).rewards]


def sample() -> str:
    """The text of a catalogue to begin with, commented for whoever will edit it."""
    return SAMPLE.read_text(encoding="utf-8")


def load(db: Session, listed: Sequence[NewReward], *, actor: str, now: datetime) -> Loaded:
    """Bring the catalogue to what a file lists, by code; the same file again changes nothing.

    A new reward comes with its stock. For one that is there, the file's stock is only what it began with: what is left
    stays as it is, and `restock` is the way to change it. A reward that the file does not list stays too, and one that
    was withdrawn stays withdrawn. Raises `BadInput`, `Unknown`, and `Conflict` where the one is counted and the other
    not; then nothing is changed.
    """
    # All at once and by id: two who load, or a sweeper, would else wait for each other.
    codes = [new.code for new in listed]
    known = select(Reward).where(Reward.code.in_(codes)).order_by(Reward.id).with_for_update(key_share=True)
    here = {reward.code: reward for reward in db.scalars(known.execution_options(populate_existing=True))}
    done: dict[str, list[str]] = {"added": [], "changed": [], "unchanged": [], "withdrawn": []}
    for number, new in enumerate(listed):
        try:
            done[_brought(db, here.get(new.code), new, actor=actor, now=now)].append(new.code)
        except BadInput as error:
            field = f"rewards[{number}].{_IN_FILE.get(error.field, error.field)}"
            raise type(error)(field, error.problem, error.remedy) from None
        if new.code in here and here[new.code].withdrawn_at is not None:
            done["withdrawn"].append(new.code)
    return Loaded(**{outcome: tuple(codes) for outcome, codes in done.items()})


def _brought(db: Session, reward: Reward | None, new: NewReward, *, actor: str, now: datetime) -> str:
    if reward is None:
        rewards.add(db, new, actor=actor, now=now)
        return "added"
    if (reward.stock is None) != (new.stock is None):
        was = "not counted" if reward.stock is None else "counted"
        remedy = "Write it as it was, or list it under another code and withdraw this one."
        raise Conflict("stock", f"{new.code} is {was} since it was added.", remedy)
    changes = RewardChanges(**{field.name: getattr(new, field.name) for field in fields(RewardChanges)})
    before = rewards.described(db, reward, now=now)
    rewards.change(db, reward.id, changes, actor=actor, now=now)
    return "unchanged" if rewards.described(db, reward, now=now) == before else "changed"


def _minor(field: str, amount: Decimal, currency: str) -> int:
    """An amount of money in the currency's smallest unit."""
    minor = amount.scaleb(get_currency_precision(currency))
    if minor != minor.to_integral_value():
        raise BadInput(field, f"{amount} is finer than {currency} can be paid.", "Leave out the last digits.")
    return int(minor)
