"""Fuller members, hotels and stays; folio lines, identifiers, consent, tiers, programme, audit, API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in a plain INTEGER column.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)

TABLES = (
    "programme_versions",
    "identifiers",
    "consents",
    "preferences",
    "folio_lines",
    "tier_changes",
    "referral_codes",
    "referrals",
    "audit_entries",
    "api_keys",
    "api_requests",
)

# A hotel of version 0001 had no languages: these are the ones Zhike speaks.
LANGUAGES = '["zh_CN", "en", "zh_TW"]'

APPEND_ONLY = ("audit_entries", "programme_versions")


def upgrade() -> None:
    _widen_hotels()
    _widen_members()
    _widen_stays()
    _make_programme_versions()
    _make_identifiers()
    _make_consents()
    _make_preferences()
    _make_folio_lines()
    _make_tier_changes()
    _make_referral_codes()
    _make_referrals()
    _make_audit_entries()
    _make_api_keys()
    _make_api_requests()
    for table in APPEND_ONLY:
        _make_append_only(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)  # its indexes and triggers go with it
    if op.get_bind().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(f"DROP FUNCTION {table}_refuse()")
    with op.batch_alter_table("stays") as stays:
        stays.drop_constraint(op.f("ck_stays_stay_has_a_guest"), type_="check")
        for column in ("adults", "children", "checked_out_at"):
            stays.drop_column(column)
    with op.batch_alter_table("members") as members:
        members.drop_index("ix_members_birthday_index")
        members.drop_constraint(op.f("fk_members_merged_into_id"), type_="foreignkey")
        for column in MEMBER_COLUMNS:
            members.drop_column(column)
    with op.batch_alter_table("hotels") as hotels:
        hotels.drop_column("languages")


MEMBER_COLUMNS = (
    "latin_name", "time_zone", "birthday", "birthday_index", "tier_valid_until", "status", "merged_into_id",
)  # fmt: skip


def _widen_hotels() -> None:
    with op.batch_alter_table("hotels") as hotels:
        hotels.add_column(sa.Column("languages", sa.JSON(), nullable=False, server_default=LANGUAGES))
    with op.batch_alter_table("hotels") as hotels:
        hotels.alter_column("languages", server_default=None)


def _widen_members() -> None:
    with op.batch_alter_table("members") as members:
        members.add_column(sa.Column("latin_name", sa.String(), nullable=True))
        members.add_column(sa.Column("time_zone", sa.String(64), nullable=True))
        members.add_column(sa.Column("birthday", sa.String(), nullable=True))
        members.add_column(sa.Column("birthday_index", sa.String(48), nullable=True))
        members.add_column(sa.Column("tier_valid_until", sa.Date(), nullable=True))
        members.add_column(sa.Column("status", sa.String(8), nullable=False, server_default="active"))
        members.add_column(sa.Column("merged_into_id", sa.Integer(), nullable=True))
        members.create_foreign_key(op.f("fk_members_merged_into_id"), "members", ["merged_into_id"], ["id"])
        members.create_index("ix_members_birthday_index", ["birthday_index"])
    with op.batch_alter_table("members") as members:
        members.alter_column("status", server_default=None)


def _widen_stays() -> None:
    with op.batch_alter_table("stays") as stays:
        stays.add_column(sa.Column("adults", sa.Integer(), nullable=False, server_default="1"))
        stays.add_column(sa.Column("children", sa.Integer(), nullable=False, server_default="0"))
        stays.add_column(sa.Column("checked_out_at", MOMENT, nullable=True))
        stays.create_check_constraint(op.f("ck_stays_stay_has_a_guest"), "adults >= 1 AND children >= 0")
    with op.batch_alter_table("stays") as stays:
        stays.alter_column("adults", server_default=None)
        stays.alter_column("children", server_default=None)


def _make_append_only(table: str) -> None:
    refusal = f"{table} is append-only"
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            bind.exec_driver_sql(
                f"""CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table}
                    BEGIN SELECT RAISE(ABORT, '{refusal}'); END"""
            )
        return
    bind.exec_driver_sql(
        f"""CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{refusal}' USING ERRCODE = 'restrict_violation'; END $$"""
    )
    bind.exec_driver_sql(
        f"""CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION {table}_refuse()"""
    )
    bind.exec_driver_sql(
        f"""CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"""
    )


def _make_programme_versions() -> None:
    op.create_table(
        "programme_versions",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("effective_at", MOMENT, nullable=False),
        sa.Column("loaded_at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_programme_versions")),
    )


def _make_identifiers() -> None:
    op.create_table(
        "identifiers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("index", sa.String(48), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("verified_at", MOMENT, nullable=True),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_identifiers_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identifiers")),
        sa.UniqueConstraint("kind", "index", name=op.f("uq_identifiers_kind_index")),
    )
    op.create_index("ix_identifiers_member", "identifiers", ["member_id"])


def _make_consents() -> None:
    op.create_table(
        "consents",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("via", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_consents_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_member", "consents", ["member_id", "purpose", "id"])


def _make_preferences() -> None:
    op.create_table(
        "preferences",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_preferences_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preferences")),
        sa.UniqueConstraint("member_id", "kind", "value", name=op.f("uq_preferences_member_id_kind_value")),
    )


def _make_folio_lines() -> None:
    op.create_table(
        "folio_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stay_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.String(32), nullable=False),
        sa.Column("outlet", sa.String(32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("refunds_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_folio_lines_line_charges_something")),
        sa.ForeignKeyConstraint(["refunds_id"], ["folio_lines.id"], name=op.f("fk_folio_lines_refunds_id")),
        sa.ForeignKeyConstraint(["stay_id"], ["stays.id"], name=op.f("fk_folio_lines_stay_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folio_lines")),
        sa.UniqueConstraint("stay_id", "line", name=op.f("uq_folio_lines_stay_id_line")),
    )


def _make_tier_changes() -> None:
    op.create_table(
        "tier_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("was", sa.String(16), nullable=False),
        sa.Column("became", sa.String(16), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=True),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_tier_changes_member_id")),
        sa.ForeignKeyConstraint(
            ["programme_version"],
            ["programme_versions.version"],
            name=op.f("fk_tier_changes_programme_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_changes")),
        sa.UniqueConstraint("key", name=op.f("uq_tier_changes_key")),
    )
    op.create_index("ix_tier_changes_member", "tier_changes", ["member_id", "id"])


def _make_referral_codes() -> None:
    op.create_table(
        "referral_codes",
        sa.Column("member_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("code", sa.String(16), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_referral_codes_member_id")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_referral_codes")),
        sa.UniqueConstraint("code", name=op.f("uq_referral_codes_code")),
    )


def _make_referrals() -> None:
    op.create_table(
        "referrals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("referrer_id", sa.Integer(), nullable=False),
        sa.Column("friend_id", sa.Integer(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("rewarded_at", MOMENT, nullable=True),
        sa.CheckConstraint("referrer_id <> friend_id", name=op.f("ck_referrals_nobody_refers_themselves")),
        sa.ForeignKeyConstraint(["friend_id"], ["members.id"], name=op.f("fk_referrals_friend_id")),
        sa.ForeignKeyConstraint(["referrer_id"], ["members.id"], name=op.f("fk_referrals_referrer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referrals")),
        sa.UniqueConstraint("friend_id", name=op.f("uq_referrals_friend_id")),
    )
    op.create_index("ix_referrals_referrer", "referrals", ["referrer_id"])


def _make_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("deed", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(48), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_subject", "audit_entries", ["subject", "id"])


def _make_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
    )


def _make_api_requests() -> None:
    op.create_table(
        "api_requests",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("api_key_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("fingerprint", sa.String(48), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_keys.id"], name=op.f("fk_api_requests_api_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_requests")),
        sa.UniqueConstraint("api_key_id", "key", name=op.f("uq_api_requests_api_key_id_key")),
    )
    op.create_index(op.f("ix_api_requests_at"), "api_requests", ["at"])
