"""Why points change: the phrase that tells a guest the reason of an entry."""

from __future__ import annotations

# By the reason code of an entry. What has none here was entered by a person, for a reason of the house.
PHRASES = {
    "stay": "utter_entry_stay",
    "refund": "utter_entry_refund",
    "welcome": "utter_entry_welcome",
    "birthday": "utter_entry_birthday",
    "referral": "utter_entry_referral",
    "referred": "utter_entry_referred",
    "redemption": "utter_entry_redemption",
    "redemption_cancelled": "utter_entry_redemption_cancelled",
    "expiry": "utter_entry_expiry",
    "inactivity": "utter_entry_inactivity",
    "goodwill": "utter_entry_goodwill",
    "carried_over": "utter_entry_carried_over",
    "merge": "utter_entry_merge",
    "gift_twice": "utter_entry_gift_twice",
    "erasure": "utter_entry_erasure",
}
OTHER = "utter_entry_other"


def phrase(reason: str) -> str:
    """The name of the phrase."""
    return PHRASES.get(reason, OTHER)
