"""What every command does alike: read the settings, open the database, print, and end in one clear line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from bot import logs
from bot.settings import Settings
from data.refusals import BadInput

out = Console()
err = Console(stderr=True)

ACTOR = "staff:shell"  # whoever may run commands where the house runs


def stop(reason: str) -> NoReturn:
    """Say why nothing was done, and end with exit code 1."""
    err.print(f"[red]zhike:[/red] {escape(reason)}", soft_wrap=True, highlight=False)
    sys.exit(1)


def refused(error: BadInput) -> NoReturn:
    """Say which field was refused and what to do, and end with exit code 1."""
    stop(f"{error.field} {error.problem} {error.remedy}")


def settings_here() -> Settings:
    """The settings in the environment, with the log set up as they say. Raises `BadSettings`."""
    settings = Settings.from_environment(os.environ)
    logs.configure(settings.log_format)
    return settings


def open_house() -> Settings:
    """The settings, with the database open at today's schema. Raises `BadSettings`."""
    from bot.database import open_database

    settings = settings_here()
    open_database(settings)
    return settings


def text_of(file: Path) -> str:
    """A file that staff wrote, as text; whatever editor they used."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        stop(f"{file.name} is not written in UTF-8. Save it as UTF-8 and try again.")
