"""What a guest likes: room, pillow, diet. Each with its source, and whether they confirmed it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta
from sqlalchemy import ForeignKey, String, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from data import audit, consents, membership
from data.consents import Purpose
from data.db import Base, UtcDateTime
from data.plain_yaml import read_as
from data.programme_sections import Code, Names, Section
from data.refusals import Conflict, Unknown

SOURCE = Path(__file__).with_name("preferences.yml")


class Preference(Base):
    """One liking of a member; what was only inferred is never told to them as a fact."""

    __tablename__ = "preferences"
    __table_args__ = (UniqueConstraint("member_id", "kind", "value"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("members.id"))
    kind: Mapped[str] = mapped_column(String(32))  # floor, pillow, diet, …
    value: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(32))
    confirmed: Mapped[bool]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LikingKind(Section, frozen=True):
    """A matter in which guests have likings. `hold` says whether a guest has one of its values or several."""

    names: Names
    hold: Literal["one", "several"]
    values: Annotated[dict[Code, Names], Meta(min_length=1)]


class Likings(Section, frozen=True):
    """All that `data/preferences.yml` lists."""

    kinds: dict[Code, LikingKind]


@functools.lru_cache(maxsize=1)
def known() -> Mapping[str, LikingKind]:
    """The kinds of likings that can be remembered, by their codes."""
    return read_as(SOURCE.read_text(encoding="utf-8"), Likings).kinds


def remember(
    db: Session,
    member_id: int,
    kind: str,
    value: str,
    *,
    source: str,
    confirmed: bool,
    actor: str,
    now: datetime,
) -> Preference:
    """Note what a member likes; what they confirmed once stays confirmed.

    In a kind that holds one value the new one takes the old one's place, but a guess never that of a confirmed
    one, which is given back then. A guess is noted only for who agreed to it (`Purpose.preferences`); what guests
    say of their own accord needs no such consent. Raises `Conflict` without it or for a member who is not active,
    `Unknown` with the list of what is known.
    """
    _require_known(kind, value)
    membership.active(db, member_id)  # locked: of two floors at once only one remains
    if not confirmed and not consents.allowed(db, member_id, Purpose.preferences):
        remedy = "Ask the guest first; what they say themselves is sent as confirmed."
        raise Conflict("confirmed", "the member has not agreed to our remembering guesses.", remedy)
    if known()[kind].hold == "one":
        others = [each for each in of(db, member_id) if each.kind == kind and each.value != value]
        firm = next((each for each in others if each.confirmed), None)
        if firm is not None and not confirmed:
            return firm
        for other in others:
            db.delete(other)
    liking = _one(db, member_id, kind, value)
    if liking is not None:
        return _confirm(db, liking, actor=actor, now=now) if confirmed else liking
    liking = Preference(
        member_id=member_id, kind=kind, value=value, source=source, confirmed=confirmed, recorded_at=now
    )
    db.add(liking)
    _record(db, "preference.remembered", member_id, kind, actor=actor, now=now)
    return liking


def confirm(db: Session, member_id: int, kind: str, value: str, *, actor: str, now: datetime) -> Preference:
    """The guest said yes to what we had inferred. Again: harmless. Raises `Conflict`, `Unknown`."""
    membership.active(db, member_id)
    liking = _one(db, member_id, kind, value)
    if liking is None:
        raise Unknown("preference", "is not remembered of this member.", "Remember it as confirmed instead.")
    return _confirm(db, liking, actor=actor, now=now)


def forget(
    db: Session,
    member_id: int,
    kind: str | None = None,
    value: str | None = None,
    *,
    actor: str,
    now: datetime,
) -> int:
    """Forget one liking, all of a kind, or without a kind all of a member's; how many there were. Raises `Unknown`."""
    membership.locked(db, member_id)
    gone = [
        each.id for each in of(db, member_id) if kind in (None, each.kind) and value in (None, each.value)
    ]
    if gone:
        db.execute(delete(Preference).where(Preference.id.in_(gone)))
        _record(db, "preference.forgotten", member_id, kind or "all", actor=actor, now=now)
    return len(gone)


def of(db: Session, member_id: int) -> Sequence[Preference]:
    """What we remember of a member, by kind and value."""
    return db.scalars(
        select(Preference)
        .where(Preference.member_id == member_id)
        .order_by(Preference.kind, Preference.value)
    ).all()


def _require_known(kind: str, value: str) -> None:
    if kind not in known():
        raise Unknown("kind", "is no kind of preference.", f"Use one of {', '.join(known())}.")
    values = known()[kind].values
    if value not in values:
        raise Unknown("value", f"is no {kind} we know.", f"Use one of {', '.join(values)}.")


def _one(db: Session, member_id: int, kind: str, value: str) -> Preference | None:
    return next((each for each in of(db, member_id) if (each.kind, each.value) == (kind, value)), None)


def _confirm(db: Session, liking: Preference, *, actor: str, now: datetime) -> Preference:
    if not liking.confirmed:
        liking.confirmed = True
        _record(db, "preference.confirmed", liking.member_id, liking.kind, actor=actor, now=now)
    return liking


def _record(db: Session, deed: str, member_id: int, kind: str, *, actor: str, now: datetime) -> None:
    audit.record(db, deed, f"member:{member_id}", actor=actor, now=now, kind=kind)
    db.flush()
