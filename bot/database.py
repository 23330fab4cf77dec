"""Opening the database of this process: its keys, its schema, and on SQLite the lock of the one who serves."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from bot.settings import BadSettings, Settings
from data import db, schema, sealed

# A process that serves guests waits no longer for another's lock: WeChat hangs up after five seconds.
LOCK_PATIENCE = 2.0


def embedded_file(url: str) -> Path | None:
    """The file of an embedded database, None for a server's."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def lock_embedded(settings: Settings) -> IO[str] | None:
    """The lock of the one process that serves an embedded database; None for a server's.

    Raises `BadSettings` while another process has it.
    """
    path = embedded_file(settings.database_url)
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = open(path.with_suffix(".serving"), "w")  # noqa: SIM115 - held as long as the process lives
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise BadSettings(
            f"Another process already serves {path}. SQLite is for one process; for several, "
            "set ZHIKE_DATABASE_URL to a PostgreSQL database."
        ) from None
    return lock


def refuse_second(settings: Settings) -> None:
    """Raise `BadSettings` if another process serves this embedded database, before anything is changed in it."""
    lock = lock_embedded(settings)
    if lock is not None:
        lock.close()


def open_database(settings: Settings) -> None:
    """Connect, and bring an embedded database to today's schema. Raises `BadSettings` for a server's that is not."""
    sealed.use_keys(settings.sealing_keys())
    engine = db.connect(settings.database_url, patience=LOCK_PATIENCE)
    if embedded_file(settings.database_url) is not None:
        schema.upgrade(engine)
        return
    try:
        current = schema.is_current(engine)
    except SQLAlchemyError as error:
        raise BadSettings(
            f"The database in ZHIKE_DATABASE_URL does not answer ({type(error).__name__}). Is it running?"
        ) from None
    if not current:
        raise BadSettings("The database is not at today's schema. Run `zhike db upgrade` first.")
