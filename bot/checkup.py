"""What `zhike check` looks at: is this house ready to open?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from bot import training
from bot.settings import BadSettings, Settings
from data import db, schema


@dataclass(frozen=True)
class Finding:
    """One thing looked at, and what to do if it is not fine."""

    what: str
    state: str
    fine: bool = True
    remedy: str = ""


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Settings first; the rest only if they can be read. Calls no platform, and changes no data.

    An embedded database that is not there yet comes into being, empty, with its key file.
    """
    try:
        settings = Settings.from_environment(environment)
    except BadSettings as error:
        yield Finding("settings", "wrong", False, str(error))
        return
    yield Finding("settings", "read")
    yield from _database(settings)
    model = training.model_path(Path(settings.model_dir))
    yield Finding(
        "model",
        model.name if model.exists() else "missing",
        model.exists(),
        "" if model.exists() else "zhike train",
    )
    yield from _channels(settings)


def _database(settings: Settings) -> Iterator[Finding]:
    engine = db.connect(settings.database_url)
    try:
        current = schema.current(engine)
        ready = schema.is_current(engine)
    except DBAPIError as error:
        yield Finding(
            "database", f"does not answer ({type(error).__name__})", False, "is the server running?"
        )
        return
    yield Finding("database", engine.dialect.name)
    yield Finding("schema", current or "empty", ready, "" if ready else "zhike db upgrade")


def _channels(settings: Settings) -> Iterator[Finding]:
    if not settings.telegram_token and not settings.wechat_app_id:
        yield Finding("channels", "none", False, "set ZHIKE_TELEGRAM_TOKEN or ZHIKE_WECHAT_APP_ID")
    if settings.telegram_token:
        webhook = settings.telegram_mode == "webhook"
        lost = webhook and not settings.public_url
        yield Finding(
            "telegram",
            settings.telegram_mode,
            not lost,
            "set ZHIKE_PUBLIC_URL for the webhook" if lost else "",
        )
    if settings.wechat_app_id:
        yield Finding("wechat", "safe mode")
    if not settings.telegram_staff_chat:
        yield Finding("staff", "nobody is told of failed turns", True, "set ZHIKE_TELEGRAM_STAFF_CHAT")
