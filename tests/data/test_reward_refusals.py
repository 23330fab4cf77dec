"""Every no about rewards, redemptions and coupons can be said in every language with the values it carries."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from data import desk_codes, reward_refusals
from data.holds import HoldOver
from data.ledger import NotEnoughPoints
from data.refusals import Refusal
from data.reward_refusals import Unavailable
from nlu.language import LOCALES
from nlu.phrasebook import Phrasebook
from tests.conftest import NOW

VALUES: dict[type[Refusal], dict[str, Any]] = {
    NotEnoughPoints: {"needed": 11_727, "points": 400},
    reward_refusals.RewardNotYet: {"day": date(2026, 9, 18)},
    reward_refusals.RewardForTier: {"tier": "Gold"},
    reward_refusals.RewardLimit: {"most": 2},
    reward_refusals.RewardTooFew: {"left": 1},
    desk_codes.CodeUsed: {"at": NOW, "hotel": "HLSH"},
    desk_codes.CodeUsedBefore: {"at": NOW},
    desk_codes.CodeOver: {"at": NOW},
    desk_codes.CodeNotYet: {"at": NOW},
    desk_codes.CodeElsewhere: {"hotel": "HLSH"},
    desk_codes.CouponCurrency: {"currency": "CNY"},
}


def refusals() -> list[type[Refusal]]:
    ours = [
        each
        for module in (reward_refusals, desk_codes)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Refusal) and each.__module__ == module.__name__
    ]
    return [*(each for each in ours if each is not Unavailable), NotEnoughPoints, HoldOver]


@pytest.mark.parametrize("locale", LOCALES)
def test_every_refusal_is_said_with_its_values(locale: str) -> None:
    book = Phrasebook.load()
    said = {book.say(no.utter, locale, VALUES.get(no, {})).text for no in refusals()}
    assert len(said) == len(refusals()) == 20
    assert not [text for text in said if "{" in text]
    if locale != "en":
        # A phrase that lost a blank in translation would be said in English.
        assert not [text for text in said if " the " in text or " is " in text]
    assert set(VALUES) <= set(refusals())
