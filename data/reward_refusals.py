"""Why a guest cannot have a reward, or not undo one: the refusals, each with its phrase."""

from __future__ import annotations

from typing import ClassVar

from data.refusals import Refusal


class Unavailable(Refusal):
    """This member cannot have this reward now. `why` is a code for machines."""

    why: ClassVar[str]


class RewardNotNow(Unavailable):
    """It is not offered at the moment: withdrawn, or its time is over."""

    utter = "utter_reward_not_now"
    why = "window"


class RewardNotYet(RewardNotNow):
    """Its time has not come. Value: `day`, the first one, by the hotel's calendar."""

    utter = "utter_reward_not_yet"


class RewardForTier(Unavailable):
    """It is for a higher tier. Value: `tier`, the lowest that may have it, by its name."""

    utter = "utter_reward_for_tier"
    why = "tier"


class RewardLimit(Unavailable):
    """The member would have more of it than one may. Value: `most`."""

    utter = "utter_reward_limit"
    why = "limit"


class RewardGone(Unavailable):
    """None is left."""

    utter = "utter_reward_gone"
    why = "stock"


class RewardTooFew(RewardGone):
    """Some are left, but fewer than wished for. Value: `left`."""

    utter = "utter_reward_too_few"


class MembershipNotActive(Refusal):
    """The membership was ended or closed, so nothing can be redeemed with it."""

    utter = "utter_membership_not_active"


class AlreadyFulfilled(Refusal):
    """The guest has had the reward, so it cannot be cancelled."""

    utter = "utter_reward_already_had"


class ExtraFulfilled(Refusal):
    """The guest has had what came along with the reward, so neither can be cancelled."""

    utter = "utter_reward_extra_had"
