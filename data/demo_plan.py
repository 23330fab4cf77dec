"""What the demo group's members have lived through, drawn from `demo.yml`, in days counted from today.

Nothing here knows what day it is: the same number always gets the same story, so a second seeding finds
every stay and every entry of the first one, however long ago that was.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from data.stays import StayStatus

SOURCE = Path(__file__).with_name("demo.yml")

# By tier: how long ago they may have joined, in days, and how many finished stays they may have.
JOINED = {"classic": (20, 1500), "silver": (300, 2000), "gold": (600, 2600), "platinum": (1200, 3400)}
FINISHED = {"classic": (0, 4), "silver": (2, 5), "gold": (3, 5), "platinum": (4, 5)}
SLOT = 8  # days: the longest stay with room for a redemption before the next one


@dataclass(frozen=True)
class House:
    """A hotel of the demo group; `rooms` maps a room type to the points its night earns."""

    code: str
    names: dict[str, str]
    city: str
    time_zone: str
    currency: str
    languages: list[str]
    rooms: dict[str, int]


@dataclass(frozen=True)
class Person:
    """A demo member. `ledger`, if not None, is their whole ledger in one figure."""

    number: str
    name: str
    locale: str
    tier: str
    home: str
    ledger: int | None = None
    carried: int = 0

    @property
    def telegram(self) -> str:
        """The id of their Telegram chat."""
        return f"700{self.number.removeprefix('ZK')}"

    @property
    def wechat(self) -> str:
        """Their WeChat openid."""
        return openid(self.number)


@dataclass(frozen=True)
class Group:
    """The whole of `demo.yml`. `earning`: percent of a night's points, by tier; `rewards`: cost in points."""

    houses: tuple[House, ...]
    people: tuple[Person, ...]
    welcome_gift: int
    earning: dict[str, int]
    rewards: dict[str, int]


@dataclass(frozen=True)
class PlannedStay:
    """Nights in a house; arrival and departure in days from today."""

    confirmation: str
    house: House
    room_type: str
    arrival: int
    departure: int
    status: StayStatus


@dataclass(frozen=True)
class PlannedEntry:
    """A change of points at an hour of a day, in days from today, by the clock of the member's own hotel."""

    day: int
    hour: int
    amount: int
    kind: str
    reason: str
    key: str
    actor: str
    facts: dict[str, str] = field(default_factory=dict)


@dataclass
class Story:
    """One member's past and plans. `joined`: days from today, so negative. Entries are in order of time."""

    person: Person
    joined: int
    stays: list[PlannedStay] = field(default_factory=list)
    entries: list[PlannedEntry] = field(default_factory=list)


def openid(seed: str) -> str:
    """28 characters that look like an openid; those of one Official Account begin alike."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "oHrn6t" + base64.urlsafe_b64encode(digest).decode()[:22]


@functools.cache
def group() -> Group:
    """The demo group as `demo.yml` describes it."""
    source: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return Group(
        houses=tuple(House(**house) for house in source["hotels"]),
        people=tuple(Person(**person) for person in source["members"]),
        welcome_gift=source["welcome_gift"],
        earning=source["earning"],
        rewards=source["rewards"],
    )


def story(person: Person) -> Story:
    """What this person has lived through; the same at every call."""
    # Seeded by the number alone: adding a member to the file changes nobody else's story.
    luck = random.Random(f"heron lantern {person.number}")  # noqa: S311 - a story, not a secret
    joined = -1 if person.ledger == 0 else -luck.randint(*JOINED[person.tier])
    told = Story(person, joined)
    if person.ledger is None:
        _finished_stays(told, luck)
    _other_stays(told, luck)
    _entries(told, luck)
    return told


def _book(told: Story, luck: random.Random, arrival: int, departure: int, status: StayStatus) -> None:
    houses = {house.code: house for house in group().houses}
    away = [house for house in group().houses if house.code != told.person.home]
    house = luck.choice(away) if luck.random() < 0.25 else houses[told.person.home]
    confirmation = f"{house.code}-{told.person.number.removeprefix('ZK')}-{len(told.stays) + 1}"
    room_type = luck.choice(sorted(house.rooms))
    told.stays.append(PlannedStay(confirmation, house, room_type, arrival, departure, status))


def _finished_stays(told: Story, luck: random.Random) -> None:
    """One stay in each of as many equal slots between joining and last week: they cannot overlap."""
    span = -told.joined - SLOT
    count = min(luck.randint(*FINISHED[told.person.tier]), span // SLOT)
    for slot in range(count):
        start = told.joined + span * slot // count
        end = told.joined + span * (slot + 1) // count
        arrival = luck.randint(start, end - SLOT)
        _book(told, luck, arrival, arrival + luck.randint(1, 5), StayStatus.checked_out)


def _other_stays(told: Story, luck: random.Random) -> None:
    if luck.random() < 0.15 and told.joined < -4:
        _book(told, luck, -luck.randint(1, 3), luck.randint(1, 4), StayStatus.in_house)
    if luck.random() < 0.35:
        arrival = luck.randint(10, 120)
        _book(told, luck, arrival, arrival + luck.randint(1, 6), StayStatus.booked)
    if luck.random() < 0.25:
        arrival = luck.randint(max(-40, told.joined), 90)
        _book(told, luck, arrival, arrival + luck.randint(1, 4), StayStatus.cancelled)


def _entries(told: Story, luck: random.Random) -> None:
    person, number, joined = told.person, told.person.number, told.joined
    if person.ledger is not None:
        if person.ledger:
            told.entries.append(
                PlannedEntry(
                    joined + 1, 15, person.ledger, "adjust", "goodwill", f"goodwill:{number}", "desk"
                )
            )
        return
    gift = group().welcome_gift
    told.entries.append(PlannedEntry(joined, 11, gift, "gift", "welcome", f"welcome:{number}", "programme"))
    if person.carried:
        key = f"carried:{number}"
        told.entries.append(
            PlannedEntry(joined, 12, person.carried, "adjust", "carried_over", key, "programme")
        )
    for stay in told.stays:
        if stay.status is StayStatus.checked_out:
            _earn_then_spend(told, stay, luck)


def _earn_then_spend(told: Story, stay: PlannedStay, luck: random.Random) -> None:
    night = stay.house.rooms[stay.room_type] * group().earning[told.person.tier] // 100
    earned = night * (stay.departure - stay.arrival)
    key = f"stay:{stay.confirmation}"
    told.entries.append(PlannedEntry(stay.departure, 13, earned, "earn", "stay", key, "pms"))
    balance = sum(entry.amount for entry in told.entries)
    affordable = [(reward, cost) for reward, cost in group().rewards.items() if cost <= balance]
    if affordable and luck.random() < 0.4:
        reward, cost = luck.choice(affordable)
        day = stay.departure + luck.randint(1, 2)
        key = f"redeem:{reward}:{stay.confirmation}"
        told.entries.append(
            PlannedEntry(day, 18, -cost, "redeem", "redemption", key, "guest", {"reward": reward})
        )
