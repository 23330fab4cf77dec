"""Hotels, stays, members with their contacts, the points ledger, messages, and dialogues."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in a plain INTEGER column.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
OPEN = sa.text("state IN ('received', 'promised', 'sending')")

REFUSAL = "point_entries is append-only: correct a mistake with a new entry"

# One statement each: SQLite's driver takes no more at a time.
TRIGGERS = {
    "sqlite": [
        f"""CREATE TRIGGER point_entries_no_update BEFORE UPDATE ON point_entries
            BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
        f"""CREATE TRIGGER point_entries_no_delete BEFORE DELETE ON point_entries
            BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    ],
    "postgresql": [
        f"""CREATE FUNCTION point_entries_refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$""",
        """CREATE TRIGGER point_entries_no_change BEFORE UPDATE OR DELETE ON point_entries
            FOR EACH ROW EXECUTE FUNCTION point_entries_refuse()""",
        """CREATE TRIGGER point_entries_no_truncate BEFORE TRUNCATE ON point_entries
            FOR EACH STATEMENT EXECUTE FUNCTION point_entries_refuse()""",
    ],
}


def upgrade() -> None:
    _make_hotels()
    _make_members()
    _make_stays()
    _make_point_entries()
    _make_messages()
    _make_dialogue_turns()


def downgrade() -> None:
    for table in ("dialogue_turns", "messages", "point_entries", "stays", "contacts", "members", "hotels"):
        op.drop_table(table)  # its indexes and triggers go with it
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION point_entries_refuse()")


def _make_hotels() -> None:
    op.create_table(
        "hotels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(16), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("city", sa.String(64), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hotels")),
        sa.UniqueConstraint("code", name=op.f("uq_hotels_code")),
    )


def _make_members() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("locale", sa.String(8), nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("home_hotel_id", sa.Integer(), nullable=True),
        sa.Column("joined_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["home_hotel_id"], ["hotels.id"], name=op.f("fk_members_home_hotel_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
        sa.UniqueConstraint("number", name=op.f("uq_members_number")),
    )
    op.create_table(
        "contacts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("address", sa.String(128), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=True),
        sa.Column("locale", sa.String(8), nullable=False),
        sa.Column("first_heard_at", MOMENT, nullable=False),
        sa.Column("last_heard_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_contacts_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("channel", "address", name=op.f("uq_contacts_channel_address")),
    )
    op.create_index("ix_contacts_member", "contacts", ["member_id"])


def _make_stays() -> None:
    op.create_table(
        "stays",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("confirmation", sa.String(32), nullable=False),
        sa.Column("hotel_id", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("room_type", sa.String(32), nullable=False),
        sa.Column("arrival", sa.Date(), nullable=False),
        sa.Column("departure", sa.Date(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.CheckConstraint("departure > arrival", name=op.f("ck_stays_stay_has_a_night")),
        sa.ForeignKeyConstraint(["hotel_id"], ["hotels.id"], name=op.f("fk_stays_hotel_id")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_stays_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stays")),
        sa.UniqueConstraint("confirmation", name=op.f("uq_stays_confirmation")),
    )
    op.create_index("ix_stays_hotel_id", "stays", ["hotel_id"])
    op.create_index("ix_stays_member_id", "stays", ["member_id"])


def _make_point_entries() -> None:
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
    bind = op.get_bind()
    for statement in TRIGGERS[bind.dialect.name]:
        bind.exec_driver_sql(statement)


def _make_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("direction", sa.String(3), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=True),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answers_id", ROW_ID, nullable=True),
        sa.Column("via", sa.String(8), nullable=False),
        sa.Column("platform_id", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("held_by", sa.String(64), nullable=False),
        sa.Column("held_until", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["answers_id"], ["messages.id"], name=op.f("fk_messages_answers_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_messages_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("key", name=op.f("uq_messages_key")),
    )
    op.create_index("ix_messages_contact", "messages", ["contact_id", "id"])
    op.create_index("ix_messages_answers", "messages", ["answers_id"])
    op.create_index(
        "ix_messages_open", "messages", ["contact_id", "id"], sqlite_where=OPEN, postgresql_where=OPEN
    )


def _make_dialogue_turns() -> None:
    op.create_table(
        "dialogue_turns",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("conversation", sa.String(64), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dialogue_turns")),
    )
    op.create_index("ix_dialogue_turns_conversation", "dialogue_turns", ["conversation", "id"])
