"""The hotel's memory and rules; it leans on no other room of the house."""

# Tables refer to each other by name: whichever is asked for first, all of them must be known.
from data import dialogues, hotels, members, messages, points
from data.db import Base

__all__ = ["Base", "dialogues", "hotels", "members", "messages", "points"]
