"""The ledger with lots, allocations, holds and a hash chain; what was posted before is carried over."""

from collections.abc import Iterator
from datetime import timezone
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from data import chain

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in a plain INTEGER column.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)

# In the order in which they refer to each other.
TABLES = (
    "point_holds",
    "point_entries",
    "point_lots",
    "point_allocations",
    "hold_allocations",
    "point_accounts",
)
APPEND_ONLY = ("point_entries", "point_allocations")
LOT_TERMS = ("member_id", "number", "amount", "available_at", "expires_at")

# What an entry consisted of before this version.
OLD_COLUMNS = "id, member_id, amount, kind, reason, key, actor, at"
OLD = sa.table(
    "old_point_entries",
    *(sa.column(name) for name in ("id", "member_id", "amount", "kind", "reason", "key", "actor")),
    sa.column("at", MOMENT),
)


def upgrade() -> None:
    _set_old_entries_aside()
    _make_point_holds()
    _make_point_entries()
    _make_point_lots()
    _make_point_allocations()
    _make_hold_allocations()
    _make_point_accounts()
    _carry_over()
    op.drop_table("old_point_entries")
    for table in APPEND_ONLY:
        _refuse(table, "UPDATE", "DELETE")
    _refuse("point_lots", f"UPDATE OF {', '.join(LOT_TERMS)}", "DELETE")


def downgrade() -> None:
    """Entries keep what version 0002 has columns for; lots, holds and the chain are lost."""
    op.execute(f"CREATE TABLE old_point_entries AS SELECT {OLD_COLUMNS} FROM point_entries")  # noqa: S608
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for table in (*APPEND_ONLY, "point_lots"):
            op.execute(f"DROP FUNCTION {table}_refuse()")
    _make_first_point_entries()
    op.execute(f"INSERT INTO point_entries ({OLD_COLUMNS}) SELECT {OLD_COLUMNS} FROM old_point_entries")  # noqa: S608
    op.drop_table("old_point_entries")
    _count_on("point_entries")
    _refuse("point_entries", "UPDATE", "DELETE")


def _set_old_entries_aside() -> None:
    op.execute("CREATE TABLE old_point_entries AS SELECT * FROM point_entries")
    op.drop_table("point_entries")  # its indexes and triggers go with it
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION point_entries_refuse()")


def _carry_over() -> None:
    """Member by member: each credit becomes a lot without an end, each debit takes from the oldest lots."""
    bind = op.get_bind()
    by_member = sa.select(OLD).order_by(OLD.c.member_id, OLD.c.id).execution_options(yield_per=1000)
    rows = bind.execute(by_member)
    for member_id, entries in groupby(rows, key=lambda row: row.member_id):
        account = _Account(member_id)
        for entry in entries:
            account.post(entry)
        for table, values in account.rows():
            bind.execute(sa.insert(sa.table(table, *_columns(values[0]))), values)
    _count_on("point_entries")


def _text_key(old: Any) -> str:
    known = ("stay", "welcome", "goodwill", "carried_over")
    reason = "redemption" if old.kind == "redeem" else old.reason if old.reason in known else "other"
    return f"utter_entry_{reason}"


class _Account:
    """One member's entries of before, as they stand in the new tables."""

    def __init__(self, member_id: int) -> None:
        self.member_id = member_id
        self.balance = 0
        self.head = chain.START
        self.entries: list[dict[str, Any]] = []
        self.lots: dict[int, dict[str, Any]] = {}
        self.allocations: list[dict[str, Any]] = []

    def post(self, old: Any) -> None:
        seq = len(self.entries) + 1
        changes, opened = self._changes(seq, old.amount)
        self.balance += old.amount
        entry = {
            "member_id": self.member_id, "seq": seq, "kind": old.kind, "amount": old.amount,
            "balance_after": self.balance, "reason": old.reason, "text_key": _text_key(old),
            "facts": {}, "key": old.key, "actor": old.actor, "channel": "", "at": old.at,
        }  # fmt: skip
        at = chain.moment(old.at if old.at.tzinfo else old.at.replace(tzinfo=timezone.utc))
        sealed: dict[str, Any] = {**entry, "at": at}
        sealed["allocations"] = [[lot, change] for lot, change in sorted(changes.items())]
        if opened:
            sealed["terms"] = [at, None]
            self.lots[seq] = {
                "member_id": self.member_id, "number": seq, "amount": opened, "remaining": 0,
                "available_at": old.at,
            }  # fmt: skip
        previous, self.head = self.head, chain.digest(self.head, sealed)
        self.entries.append({**entry, "id": old.id, "previous": previous, "digest": self.head})
        for lot, change in changes.items():
            self.lots[lot]["remaining"] += change
            self.allocations.append({"member_id": self.member_id, "seq": seq, "lot": lot, "amount": change})

    def _changes(self, seq: int, amount: int) -> tuple[dict[int, int], int]:
        """What the entry does to which lot, and the size of the lot it opens, if it opens one."""
        changes: dict[int, int] = {}
        left = amount
        for number, lot in self.lots.items():
            if left and lot["remaining"] * left < 0:  # a debit takes from a lot, a credit pays a shortfall
                size = min(abs(left), abs(lot["remaining"]))
                changes[number] = size if left > 0 else -size
                left -= changes[number]
        opened = amount if amount > 0 else left
        if left:
            changes[seq] = left
        return changes, opened

    def rows(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        yield "point_entries", self.entries
        yield "point_lots", list(self.lots.values())
        yield "point_allocations", self.allocations
        owed = -sum(min(lot["remaining"], 0) for lot in self.lots.values())
        account = {"entries": len(self.entries), "balance": self.balance, "owed": owed, "head": self.head}
        yield "point_accounts", [{"member_id": self.member_id, **account}]


def _columns(values: dict[str, Any]) -> Iterator[sa.ColumnClause[Any]]:
    types: dict[str, Any] = {"facts": sa.JSON(), "at": MOMENT, "available_at": MOMENT}
    for name in values:
        yield sa.column(name, types.get(name))


def _count_on(table: str) -> None:
    """Let PostgreSQL number new rows after those that were inserted with their numbers."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"  # noqa: S608 - our own names
            f" (SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
        )


def _refuse(table: str, *deeds: str) -> None:
    """Triggers that stop whoever would change what was written."""
    refusal = f"{table} is append-only: correct a mistake with a new entry"
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        # One statement each: SQLite's driver takes no more at a time.
        for deed in deeds:
            bind.exec_driver_sql(
                f"""CREATE TRIGGER {table}_no_{deed.split()[0].lower()} BEFORE {deed} ON {table}
                    BEGIN SELECT RAISE(ABORT, '{refusal}'); END"""
            )
        return
    bind.exec_driver_sql(
        f"""CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{refusal}' USING ERRCODE = 'restrict_violation'; END $$"""
    )
    bind.exec_driver_sql(
        f"""CREATE TRIGGER {table}_no_change BEFORE {" OR ".join(deeds)} ON {table}
            FOR EACH ROW EXECUTE FUNCTION {table}_refuse()"""
    )
    bind.exec_driver_sql(
        f"""CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"""
    )


def _make_first_point_entries() -> None:
    op.create_table(
        "point_entries",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_point_entries_entry_changes_something")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_point_entries_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_point_entries")),
        sa.UniqueConstraint("key", name=op.f("uq_point_entries_key")),
    )
    op.create_index("ix_point_entries_member", "point_entries", ["member_id", "amount"])


def _make_point_entries() -> None:
    op.create_table(
        "point_entries",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("text_key", sa.String(64), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("reverses_id", ROW_ID, nullable=True),
        sa.Column("hold_id", ROW_ID, nullable=True),
        sa.Column("stay_id", sa.Integer(), nullable=True),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_point_entries_entry_changes_something")),
        sa.ForeignKeyConstraint(["hold_id"], ["point_holds.id"], name=op.f("fk_point_entries_hold_id")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_point_entries_member_id")),
        sa.ForeignKeyConstraint(
            ["reverses_id"], ["point_entries.id"], name=op.f("fk_point_entries_reverses_id")
        ),
        sa.ForeignKeyConstraint(["stay_id"], ["stays.id"], name=op.f("fk_point_entries_stay_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_point_entries")),
        sa.UniqueConstraint("hold_id", name=op.f("uq_point_entries_hold_id")),
        sa.UniqueConstraint("key", name=op.f("uq_point_entries_key")),
        sa.UniqueConstraint("member_id", "seq", name=op.f("uq_point_entries_member_id_seq")),
    )
    op.create_index("ix_point_entries_reverses", "point_entries", ["reverses_id"])
    op.create_index("ix_point_entries_stay", "point_entries", ["stay_id"])


def _make_point_accounts() -> None:
    op.create_table(
        "point_accounts",
        sa.Column("member_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("owed", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.CheckConstraint("owed >= 0", name=op.f("ck_point_accounts_owed_is_not_negative")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_point_accounts_member_id")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_point_accounts")),
    )


def _make_point_holds() -> None:
    op.create_table(
        "point_holds",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("deadline", MOMENT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("resolved_at", MOMENT, nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_point_holds_hold_holds_something")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_point_holds_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_point_holds")),
        sa.UniqueConstraint("key", name=op.f("uq_point_holds_key")),
    )
    op.create_index(
        "ix_point_holds_active",
        "point_holds",
        ["member_id", "deadline"],
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )


def _make_point_lots() -> None:
    op.create_table(
        "point_lots",
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=False),
        sa.Column("available_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(amount > 0 AND remaining >= 0 AND remaining <= amount)"
            " OR (amount < 0 AND remaining <= 0 AND remaining >= amount)",
            name=op.f("ck_point_lots_lot_is_not_overdrawn"),
        ),
        sa.ForeignKeyConstraint(
            ["member_id", "number"],
            ["point_entries.member_id", "point_entries.seq"],
            name=op.f("fk_point_lots_member_id_number"),
        ),
        sa.PrimaryKeyConstraint("member_id", "number", name=op.f("pk_point_lots")),
    )
    op.create_index(
        "ix_point_lots_due",
        "point_lots",
        ["expires_at"],
        sqlite_where=sa.text("remaining > 0"),
        postgresql_where=sa.text("remaining > 0"),
    )
    op.create_index(
        "ix_point_lots_expiry",
        "point_lots",
        ["member_id", "expires_at", "number"],
        sqlite_where=sa.text("remaining <> 0"),
        postgresql_where=sa.text("remaining <> 0"),
    )
    op.create_index(
        "ix_point_lots_pending",
        "point_lots",
        ["member_id", "available_at"],
        sqlite_where=sa.text("remaining <> 0"),
        postgresql_where=sa.text("remaining <> 0"),
    )


def _make_point_allocations() -> None:
    op.create_table(
        "point_allocations",
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("lot", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_point_allocations_allocation_moves_something")),
        sa.ForeignKeyConstraint(
            ["member_id", "lot"],
            ["point_lots.member_id", "point_lots.number"],
            name=op.f("fk_point_allocations_member_id_lot"),
        ),
        sa.ForeignKeyConstraint(
            ["member_id", "seq"],
            ["point_entries.member_id", "point_entries.seq"],
            name=op.f("fk_point_allocations_member_id_seq"),
        ),
        sa.PrimaryKeyConstraint("member_id", "seq", "lot", name=op.f("pk_point_allocations")),
    )
    op.create_index("ix_point_allocations_lot", "point_allocations", ["member_id", "lot"])


def _make_hold_allocations() -> None:
    op.create_table(
        "hold_allocations",
        sa.Column("hold_id", ROW_ID, nullable=False),
        sa.Column("lot", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_hold_allocations_allocation_holds_something")),
        sa.ForeignKeyConstraint(["hold_id"], ["point_holds.id"], name=op.f("fk_hold_allocations_hold_id")),
        sa.ForeignKeyConstraint(
            ["member_id", "lot"],
            ["point_lots.member_id", "point_lots.number"],
            name=op.f("fk_hold_allocations_member_id_lot"),
        ),
        sa.PrimaryKeyConstraint("hold_id", "lot", name=op.f("pk_hold_allocations")),
    )
    op.create_index("ix_hold_allocations_lot", "hold_allocations", ["member_id", "lot"])
