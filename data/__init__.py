"""The hotel's memory and rules; it leans on no other room of the house."""

# Tables refer to each other by name: whichever is asked for first, all of them must be known.
from data import (
    api_keys,
    audit,
    consents,
    coupons,
    dialogues,
    folios,
    hotels,
    identifiers,
    ledger_rows,
    members,
    messages,
    preferences,
    programme_versions,
    redemptions,
    referrals,
    rewards,
    stays,
    tiers,
)
from data.db import Base

__all__ = [
    "Base",
    "api_keys",
    "audit",
    "consents",
    "coupons",
    "dialogues",
    "folios",
    "hotels",
    "identifiers",
    "ledger_rows",
    "members",
    "messages",
    "preferences",
    "programme_versions",
    "redemptions",
    "referrals",
    "rewards",
    "stays",
    "tiers",
]
