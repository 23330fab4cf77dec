"""`zhike programme` and `zhike rewards`: the files a hotel manager edits, checked and brought into force."""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy import select

from bot.commands.console import ACTOR, err, open_house, out, refused, stop, text_of
from data import catalogue, db, offers, programme, programme_versions
from data.programme_versions import ProgrammeVersion
from data.refusals import BadInput

app = typer.Typer(no_args_is_help=True, help="The loyalty programme: tiers, points, promotions, gifts.")
rewards_app = typer.Typer(no_args_is_help=True, help="The reward catalogue.")

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A YAML file.")]


@app.command()
def check(file: File) -> None:
    """Read a programme file and say what is wrong with it; change nothing."""
    try:
        read = programme.read(text_of(file))
    except BadInput as error:
        refused(error)
    out.print(f"{read.name}: {len(read.tiers)} tiers, {len(read.promotions)} promotions. It can be loaded.")


@app.command()
def load(
    file: File,
    day: Annotated[
        str, typer.Option("--from", help="First day it is in force, YYYY-MM-DD; left out: from now on.")
    ] = "",
) -> None:
    """Check a programme file and make it the next version. What was earned before stays as it is."""
    from bot.app import utc_now

    open_house()
    text, now = text_of(file), utc_now()
    try:
        starts = None
        if day:
            zone = programme.read(text).zone
            starts = datetime.combine(datetime.strptime(day, "%Y-%m-%d").date(), time(), tzinfo=zone)  # noqa: DTZ007
        with db.transaction() as session:
            version = programme_versions.load(session, text, actor=ACTOR, now=now, effective_at=starts)
    except BadInput as error:
        refused(error)
    except ValueError:
        stop("--from is a day, written as 2026-05-01.")
    out.print(f"Version {version.version} is in force from {version.effective_at:%Y-%m-%d %H:%M} UTC.")


@app.command()
def show(
    version: Annotated[int, typer.Option(help="Which version; left out: the one in force.")] = 0,
) -> None:
    """Print a programme file as it was loaded, ready to be edited. Before any was loaded: the one to begin with."""
    from bot.app import utc_now

    open_house()
    with db.reading() as session:
        wanted = version or programme_versions.in_force(session, now=utc_now()).version
        text = session.scalar(select(ProgrammeVersion.text).where(ProgrammeVersion.version == wanted))
    if version and text is None:
        stop(f"There is no version {version}. `zhike programme list` names them all.")
    typer.echo(text or programme.sample(), nl=False)


@app.command("list")
def list_all() -> None:
    """Every version that was ever loaded, and from when it counts."""
    open_house()
    table = Table("version", "in force from", "loaded", "by", show_edge=False)
    with db.reading() as session:
        for row in session.scalars(select(ProgrammeVersion).order_by(ProgrammeVersion.version)):
            table.add_row(
                str(row.version),
                f"{row.effective_at:%Y-%m-%d %H:%M} UTC",
                f"{row.loaded_at:%Y-%m-%d %H:%M} UTC",
                row.actor,
            )
    out.print(table)


@rewards_app.command("check")
def check_rewards(file: File) -> None:
    """Read a catalogue file and say what is wrong with it; change nothing."""
    try:
        listed = catalogue.read_catalogue(text_of(file))
    except BadInput as error:
        refused(error)
    out.print(f"{len(listed)} rewards. They can be loaded.")


@rewards_app.command("load")
def load_rewards(file: File) -> None:
    """Bring the catalogue to what a file lists; stock that is left stays as it is."""
    from bot.app import utc_now

    open_house()
    try:
        with db.transaction() as session:
            loaded = catalogue.load(
                session, catalogue.read_catalogue(text_of(file)), actor=ACTOR, now=utc_now()
            )
    except BadInput as error:
        refused(error)
    for what, codes in (
        ("added", loaded.added),
        ("changed", loaded.changed),
        ("as they were", loaded.unchanged),
        ("withdrawn before, and not offered", loaded.withdrawn),
    ):
        if codes:
            out.print(f"{what}: {', '.join(codes)}", highlight=False)


@rewards_app.command("sample")
def sample_rewards() -> None:
    """Print a catalogue file to begin with."""
    typer.echo(catalogue.sample(), nl=False)


@rewards_app.command("list")
def list_rewards() -> None:
    """What is offered today, and how many are left."""
    from bot.app import utc_now

    open_house()
    table = Table("code", "name", "points", "left", show_edge=False)
    with db.reading() as session:
        for offer in offers.catalogue(session, None, now=utc_now(), locale="en"):
            table.add_row(
                offer.code, offer.name, f"{offer.points:,}", "" if offer.left is None else str(offer.left)
            )
    if not table.row_count:
        err.print("No reward is offered. `zhike rewards sample` prints a file to begin with.")
    out.print(table)
