"""Drawing the membership numbers that are printed on cards."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from data.members import Member

SERIES = "ZK"  # what the numbers we draw begin with
FIRST = 100_001  # they have six digits at least


def free(db: Session) -> Iterator[str]:
    """Numbers to try one after the other, the next only if a unique key says that the one before is taken.

    They follow the row ids, which never come again: the number of an erased member stays nobody's. There are gaps.
    """
    number = FIRST + (db.scalar(select(func.max(Member.id))) or 0)
    while True:
        yield f"{SERIES}{number}"
        number = _above(db, number + 1)


def _above(db: Session, number: int) -> int:
    """The first from `number` on that is above all numbers with as many digits."""
    while True:
        digits = len(str(number))
        highest = db.scalars(
            select(Member.number)
            .where(
                Member.number.between(f"{SERIES}{'0' * digits}", f"{SERIES}{'9' * digits}"),
                Member.number.regexp_match(f"^{SERIES}[0-9]{{{digits}}}$"),
            )
            .order_by(Member.number.desc())
            .limit(1)
        ).one_or_none()
        if highest is None or int(highest.removeprefix(SERIES)) < number:
            return number
        number = int(highest.removeprefix(SERIES)) + 1
