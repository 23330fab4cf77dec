"""What must hold between the rows of the ledger, as questions to the database: each answer is a row at fault.

One list, and longer than a screen or two: it reads best whole, and every rule is written out in SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.engine import Connection

from data import chain
from data.db import UtcDateTime


@dataclass(frozen=True)
class Fault:
    """A row that contradicts another one or its own seal: `point_entries 4711 (member 17, seq 3): …`."""

    table: str
    row: str
    problem: str

    def __str__(self) -> str:
        return f"{self.table} {self.row}: {self.problem}"


@dataclass(frozen=True)
class Rule:
    """`sql` asks for the rows of `table` that break it; `row` and `problem` tell which and how, from its columns."""

    table: str
    row: str
    problem: str
    sql: str

    def faults(self, connection: Connection, *, now: datetime, page: int) -> Iterator[Fault]:
        """The rows that break the rule, fetched `page` at a time."""
        question = text(self.sql).execution_options(yield_per=page)
        if ":now" in self.sql:
            question = question.bindparams(bindparam("now", now, type_=UtcDateTime))
        for values in connection.execute(question).mappings():
            yield Fault(self.table, self.row.format_map(values), self.problem.format_map(values))


_ENTRY = "{id} (member {member_id}, seq {seq})"
_ACCOUNT = "(member {member_id})"
_LOT = "(member {member_id}, lot {number})"
_ALLOCATION = "(member {member_id}, seq {seq}, lot {lot})"
_HOLD = "{id} (member {member_id})"
_HELD = "(hold {hold_id}, lot {lot})"

ACCOUNTS = (
    Rule(
        "point_accounts", _ACCOUNT, "belongs to no member",
        """SELECT member_id FROM point_accounts a
           WHERE NOT EXISTS (SELECT 1 FROM members m WHERE m.id = a.member_id)""",
    ),
    Rule(
        "point_accounts", _ACCOUNT, "says {entries} entries, there are {found}",
        """SELECT * FROM (
             SELECT member_id, entries,
                    (SELECT count(*) FROM point_entries e WHERE e.member_id = a.member_id) AS found
             FROM point_accounts a) AS counted
           WHERE entries <> found""",
    ),
    Rule(
        "point_accounts", _ACCOUNT, "says a balance of {balance}, its entries sum to {found}",
        """SELECT * FROM (
             SELECT member_id, balance,
                    (SELECT coalesce(sum(amount), 0) FROM point_entries e
                     WHERE e.member_id = a.member_id) AS found
             FROM point_accounts a) AS summed
           WHERE balance <> found""",
    ),
    Rule(
        "point_accounts", _ACCOUNT, "says {owed} are owed, its lots say {found}",
        """SELECT * FROM (
             SELECT member_id, owed,
                    (SELECT coalesce(-sum(remaining), 0) FROM point_lots l
                     WHERE l.member_id = a.member_id AND l.remaining < 0) AS found
             FROM point_accounts a) AS summed
           WHERE owed <> found""",
    ),
    Rule(
        "point_accounts", _ACCOUNT, "its head is not the digest of the member's last entry",
        f"""SELECT member_id FROM point_accounts a
            WHERE head <> coalesce((SELECT digest FROM point_entries e WHERE e.member_id = a.member_id
                                    ORDER BY seq DESC LIMIT 1), '{chain.START}')""",  # noqa: S608
    ),
    Rule(
        "point_entries", _ENTRY, "its member has no account",
        """SELECT id, member_id, seq FROM point_entries e
           WHERE NOT EXISTS (SELECT 1 FROM point_accounts a WHERE a.member_id = e.member_id)""",
    ),
    Rule(
        "point_entries", _ENTRY, "names stay {stay_id}, which is not there",
        """SELECT id, member_id, seq, stay_id FROM point_entries e
           WHERE stay_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM stays s WHERE s.id = e.stay_id)""",
    ),
)  # fmt: skip

LOTS = (
    Rule(
        "point_lots", _LOT, "no entry opened it",
        """SELECT member_id, number FROM point_lots l
           WHERE NOT EXISTS (SELECT 1 FROM point_entries e
                             WHERE e.member_id = l.member_id AND e.seq = l.number)""",
    ),
    Rule(
        "point_lots", _LOT, "says {remaining} remain, its allocations leave {found}",
        """SELECT * FROM (
             SELECT member_id, number, remaining,
                    (SELECT coalesce(sum(amount), 0) FROM point_allocations x
                     WHERE x.member_id = l.member_id AND x.lot = l.number) AS found
             FROM point_lots l) AS summed
           WHERE remaining <> found""",
    ),
    Rule(
        "point_lots", _LOT, "of its {amount} cannot remain {remaining}",
        """SELECT member_id, number, amount, remaining FROM point_lots
           WHERE NOT (amount > 0 AND remaining BETWEEN 0 AND amount
                      OR amount < 0 AND remaining BETWEEN amount AND 0)""",
    ),
    Rule(
        "point_lots", _LOT, "says it began with {amount}, its entry opened it with {found}",
        # A shortfall begins with its own allocation, a courtesy lot with what came from lots that had ended, any
        # other with all that its entry brought: debts are paid after that.
        """SELECT * FROM (
             SELECT l.member_id, l.number, l.amount,
                    CASE WHEN l.amount < 0 THEN
                           (SELECT coalesce(sum(x.amount), 0) FROM point_allocations x
                            WHERE x.member_id = l.member_id AND x.seq = l.number AND x.lot = l.number)
                         WHEN e.reverses_id IS NULL THEN e.amount
                         ELSE (SELECT coalesce(-sum(x.amount), 0)
                               FROM point_entries t
                               JOIN point_allocations x ON x.member_id = t.member_id AND x.seq = t.seq
                               JOIN point_lots o ON o.member_id = x.member_id AND o.number = x.lot
                               WHERE t.id = e.reverses_id AND o.expires_at <= e.at) END AS found
             FROM point_lots l
             JOIN point_entries e ON e.member_id = l.member_id AND e.seq = l.number) AS begun
           WHERE amount <> found""",
    ),
    Rule(
        "point_allocations", _ALLOCATION, "no entry made it",
        """SELECT member_id, seq, lot FROM point_allocations x
           WHERE NOT EXISTS (SELECT 1 FROM point_entries e WHERE e.member_id = x.member_id AND e.seq = x.seq)""",
    ),
    Rule(
        "point_allocations", _ALLOCATION, "its lot is not there",
        """SELECT member_id, seq, lot FROM point_allocations x
           WHERE NOT EXISTS (SELECT 1 FROM point_lots l WHERE l.member_id = x.member_id AND l.number = x.lot)""",
    ),
)  # fmt: skip

REVERSALS = (
    Rule(
        "point_entries", _ENTRY, "reverses entry {reverses_id}, which is not there",
        """SELECT id, member_id, seq, reverses_id FROM point_entries e
           WHERE reverses_id IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM point_entries t WHERE t.id = e.reverses_id)""",
    ),
    Rule(
        "point_entries", _ENTRY, "reverses entry {reverses_id}, but both add or both take",
        """SELECT e.id, e.member_id, e.seq, e.reverses_id FROM point_entries e
           JOIN point_entries t ON t.id = e.reverses_id WHERE (e.amount > 0) = (t.amount > 0)""",
    ),
    Rule(
        "point_entries", _ENTRY, "with it entry {reverses_id} of {amount} is reversed by {given}",
        """SELECT e.id, e.member_id, e.seq, e.reverses_id, t.amount, r.given
           FROM (SELECT reverses_id, sum(amount) AS given, max(id) AS latest FROM point_entries
                 WHERE reverses_id IS NOT NULL GROUP BY reverses_id) AS r
           JOIN point_entries t ON t.id = r.reverses_id
           JOIN point_entries e ON e.id = r.latest
           WHERE abs(r.given) > abs(CAST(t.amount AS BIGINT))""",
    ),
    Rule(
        "point_entries", _ENTRY, "reverses entry {reverses_id} of member {of_member}, who does not live on here",
        """WITH RECURSIVE heirs (id, heir) AS (
             SELECT id, merged_into_id FROM members WHERE merged_into_id IS NOT NULL
             UNION
             SELECT h.id, m.merged_into_id FROM heirs h JOIN members m ON m.id = h.heir
             WHERE m.merged_into_id IS NOT NULL)
           SELECT e.id, e.member_id, e.seq, e.reverses_id, t.member_id AS of_member
           FROM point_entries e JOIN point_entries t ON t.id = e.reverses_id
           WHERE e.member_id <> t.member_id
             AND NOT EXISTS (SELECT 1 FROM heirs h WHERE h.id = t.member_id AND h.heir = e.member_id)""",
    ),
    Rule(
        "point_entries", _ENTRY, "was merged by {amount}, but its counterpart was not",
        """SELECT id, member_id, seq, amount FROM point_entries e
           WHERE kind = 'merge' AND NOT EXISTS (
             SELECT 1 FROM point_entries o
             WHERE o.kind = 'merge' AND o.amount = -CAST(e.amount AS BIGINT) AND o.member_id <> e.member_id
               AND o.key = CASE WHEN e.key LIKE '%\\:in' THEN replace(e.key, '\\:in', '\\:out')
                                ELSE replace(e.key, '\\:out', '\\:in') END)""",
    ),
)  # fmt: skip

HOLDS = (
    Rule(
        "point_holds", _HOLD, "its member has no account",
        """SELECT id, member_id FROM point_holds h
           WHERE NOT EXISTS (SELECT 1 FROM point_accounts a WHERE a.member_id = h.member_id)""",
    ),
    Rule(
        "point_holds", _HOLD, "holds {amount}, its allocations sum to {found}",
        """SELECT * FROM (
             SELECT id, member_id, amount,
                    (SELECT coalesce(sum(amount), 0) FROM hold_allocations x WHERE x.hold_id = h.id) AS found
             FROM point_holds h) AS summed
           WHERE amount <> found""",
    ),
    Rule(
        "point_holds", _HOLD, "is captured, but no entry took its points",
        """SELECT id, member_id FROM point_holds h
           WHERE state = 'captured' AND NOT EXISTS (SELECT 1 FROM point_entries e WHERE e.hold_id = h.id)""",
    ),
    Rule(
        "point_holds", _HOLD, "is {state}, which does not fit its times",
        # Captured and released come before the deadline, lapsed only from then on.
        """SELECT h.id, h.member_id, h.state FROM point_holds h LEFT JOIN point_entries e ON e.hold_id = h.id
           WHERE h.made_at > h.deadline OR h.made_at > h.resolved_at
              OR NOT CASE h.state
                   WHEN 'active' THEN h.resolved_at IS NULL
                   WHEN 'captured' THEN h.resolved_at IS NOT NULL AND h.resolved_at < h.deadline
                                        AND (e.id IS NULL OR e.at = h.resolved_at)
                   WHEN 'released' THEN h.resolved_at IS NOT NULL AND h.resolved_at < h.deadline
                   WHEN 'lapsed' THEN h.resolved_at IS NOT NULL AND h.resolved_at >= h.deadline
                   ELSE 1 = 0 END""",
    ),
    Rule(
        "point_holds", _HOLD, "is {state}, but entry {entry_id} took its points",
        """SELECT h.id, h.member_id, h.state, e.id AS entry_id FROM point_holds h
           JOIN point_entries e ON e.hold_id = h.id WHERE h.state <> 'captured'""",
    ),
    Rule(
        "point_entries", _ENTRY, "captures hold {hold_id}, which is not there or another member's",
        """SELECT id, member_id, seq, hold_id FROM point_entries e
           WHERE hold_id IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM point_holds h WHERE h.id = e.hold_id AND h.member_id = e.member_id)""",
    ),
    Rule(
        "point_entries", _ENTRY, "moves {amount} of a hold of {held}",
        """SELECT e.id, e.member_id, e.seq, e.amount, h.amount AS held
           FROM point_entries e JOIN point_holds h ON h.id = e.hold_id
           WHERE e.amount NOT BETWEEN -CAST(h.amount AS BIGINT) AND -1""",
    ),
    Rule(
        "hold_allocations", _HELD, "belongs to no hold of this member",
        """SELECT hold_id, lot FROM hold_allocations x
           WHERE NOT EXISTS (SELECT 1 FROM point_holds h WHERE h.id = x.hold_id AND h.member_id = x.member_id)""",
    ),
    Rule(
        "hold_allocations", _HELD, "its lot is not there",
        """SELECT hold_id, lot FROM hold_allocations x
           WHERE NOT EXISTS (SELECT 1 FROM point_lots l WHERE l.member_id = x.member_id AND l.number = x.lot)""",
    ),
    Rule(
        "hold_allocations", _HELD, "holds {held}, but its capture took {taken} of this lot",
        # An entry that pays debts besides may take more of a lot than was held of it.
        """SELECT * FROM (
             SELECT e.hold_id, a.lot, -CAST(a.amount AS BIGINT) AS taken,
                    (SELECT coalesce(sum(x.amount), 0) FROM hold_allocations x
                     WHERE x.hold_id = e.hold_id AND x.lot = a.lot) AS held
             FROM point_entries e JOIN point_allocations a ON a.member_id = e.member_id AND a.seq = e.seq
             WHERE e.hold_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM point_allocations p
                               WHERE p.member_id = e.member_id AND p.seq = e.seq AND p.amount > 0)) AS captured
           WHERE taken > held""",
    ),
    Rule(
        "hold_allocations", _HELD, "with it {held} are on hold of this lot, but only {remaining} remain",
        """SELECT x.latest AS hold_id, x.lot, x.held, l.remaining
           FROM (SELECT a.member_id, a.lot, sum(a.amount) AS held, max(a.hold_id) AS latest
                 FROM hold_allocations a JOIN point_holds h ON h.id = a.hold_id
                 WHERE h.state = 'active' AND h.deadline > :now GROUP BY a.member_id, a.lot) AS x
           JOIN point_lots l ON l.member_id = x.member_id AND l.number = x.lot
           WHERE x.held > l.remaining""",
    ),
)  # fmt: skip

RULES = (*ACCOUNTS, *LOTS, *REVERSALS, *HOLDS)
