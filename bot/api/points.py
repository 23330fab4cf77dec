"""A member's points as a property system sees them: the balance told as lots, and the statement."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.api import answers
from bot.api.bodies import EntriesPage, Nothing
from bot.api.members import NUMBER
from bot.api.operations import Answer, Call, Link, Operation, any_of
from data import membership, points
from data.api_keys import Scope
from data.ledger_rows import Kind, PointEntry
from data.points import LotShare
from data.stays import Stay


def standing(db: Session, call: Call[Nothing]) -> Answer:
    member = membership.member_by_number(db, call.path["number"], field="number")
    had = points.standing(db, member.id, now=call.now)
    return Answer(
        answers.PointsStanding(
            member=member.number,
            at=call.now,
            spendable=had.spendable,
            held=had.held,
            owed=had.owed,
            pending=had.pending_points,
            lots=[_lot(lot) for lot in had.usable],
            pending_lots=[_lot(lot) for lot in had.pending],
        )
    )


def entries(db: Session, call: Call[EntriesPage]) -> Answer:
    member = membership.member_by_number(db, call.path["number"], field="number")
    told = call.told
    before = None if told.before is UNSET else told.before
    # One more than asked for tells whether there is a next page.
    rows = points.statement(db, member.id, before=before, limit=told.limit + 1)
    page = rows[: told.limit]
    stays = _confirmations(db, page)
    return Answer(
        answers.Entries(
            member=member.number,
            entries=[
                answers.Entry(
                    seq=row.seq,
                    at=row.at,
                    kind=Kind(row.kind),
                    points=row.amount,
                    balance_after=row.balance_after,
                    reason=row.reason,
                    stay=stays.get(row.stay_id),
                    explanation=row.facts,
                )
                for row in page
            ],
            next_before=page[-1].seq if len(rows) > len(page) else None,
        )
    )


def _confirmations(db: Session, page: Sequence[PointEntry]) -> dict[int | None, str]:
    wanted = {row.stay_id for row in page if row.stay_id is not None}
    if not wanted:
        return {}
    return {row.id: row.confirmation for row in db.scalars(select(Stay).where(Stay.id.in_(wanted)))}


def _lot(lot: LotShare) -> answers.Lot:
    return answers.Lot(
        lot=lot.number,
        points=lot.points,
        held=lot.held,
        available_at=lot.available_at,
        expires_at=lot.expires_at,
        reason=lot.reason,
        explanation=lot.facts,
    )


OPERATIONS = any_of(
    Operation(
        id="getPoints",
        method="GET",
        path="/members/{number}/points",
        summary="What a member has, told as lots",
        description="Points of a stay ripen some days after checkout; until then they are among `pending_lots`.",
        scope=Scope.members_read,
        takes=Nothing,
        gives={200: answers.PointsStanding},
        deed=standing,
        places=NUMBER,
        links=(Link(to="listEntries", path={"number": "member"}),),
    ),
    Operation(
        id="listEntries",
        method="GET",
        path="/members/{number}/entries",
        summary="A member's statement, newest first, each entry with its explanation",
        scope=Scope.members_read,
        takes=EntriesPage,
        gives={200: answers.Entries},
        deed=entries,
        places=NUMBER,
        links=(Link(to="listEntries", path={"number": "member"}, query={"before": "next_before"}),),
    ),
)
