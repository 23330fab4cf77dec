"""What Alembic runs to apply versions: always on the connection that `data.schema` hands over."""

from typing import Any, Literal

from alembic import context

from data import Base
from data.db import UtcDateTime
from data.sealed import SealedText


def _plain_type(kind: str, item: Any, _autogen_context: Any) -> str | Literal[False]:
    # A version must not change when our own column types do: it names the database's types.
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, SealedText):
        return "sa.String()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_server_default=True,
    render_item=_plain_type,
    # SQLite alters a table by copying it; both databases can undo half a migration.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
