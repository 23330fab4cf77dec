"""`zhike import` and `zhike export`: tables of members and stays in, one member's data out."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from sqlalchemy.exc import OperationalError

from bot import logs
from bot.database import open_database
from bot.settings import Settings
from data import audit, db, dossier, importing, membership
from data.csv_files import SEPARATORS, BadFile
from data.importing import Done, Problem, Progress, Table
from data.importing_members import Members
from data.importing_stays import Stays
from data.refusals import BadInput

import_app = typer.Typer(
    no_args_is_help=True,
    help="Bring in members or stays from a CSV file. Exit code 0: all lines are in the database; 1: nothing of the"
    " file was written; 3: with --skip-bad, good lines were written and bad ones not.",
)
export_app = typer.Typer(no_args_is_help=True, help="Hand out what is recorded.")

out = Console()
err = Console(stderr=True)

NOTHING_WRITTEN = 1
# Not 2, which says that the command was called wrongly.
SOME_SKIPPED = 3
SHOWN = 20  # bad lines that are printed

FilePath = Annotated[
    Path, typer.Argument(metavar="FILE.csv", help="The table; its first line names columns.")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Write the good lines, leave out the bad ones.")]
Report = Annotated[
    Path | None,
    typer.Option("--report", help="Write all bad lines to this file: line, column, problem, remedy."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do all of it, then undo it.")]
Earn = Annotated[
    bool,
    typer.Option("--earn", help="Check out now the stays that are told as over: they earn points (slower)."),
]


@import_app.command()
def members(
    file: FilePath, skip_bad: SkipBad = False, report: Report = None, dry_run: DryRun = False
) -> None:
    """Bring in members: all lines or none. Run it again as often as you like: what is there already stays."""
    _bring_in(Members(), file, skip_bad=skip_bad, report=report, dry_run=dry_run)


@import_app.command()
def stays(
    file: FilePath,
    skip_bad: SkipBad = False,
    report: Report = None,
    dry_run: DryRun = False,
    earn: Earn = False,
) -> None:
    """Bring in stays: all lines or none. Run it again as often as you like: what is there already stays.

    Until it ends nobody else can write, or with --skip-bad for a moment at a time: choose a quiet hour.
    """
    _bring_in(Stays(earn=earn), file, skip_bad=skip_bad, report=report, dry_run=dry_run)


@export_app.callback()
def _export() -> None:
    """Keeps `member` a word of its own while it is the only thing to export."""


@export_app.command()
def member(
    number: Annotated[str, typer.Argument(help="The member's number.")],
    out_file: Annotated[
        Path | None, typer.Option("--out", help="A new file, for your eyes only; else standard output.")
    ] = None,
) -> None:
    """Write all that is recorded about a member, as JSON."""
    now = _open()
    try:
        with db.transaction() as session:
            found = membership.member_by_number(session, number)
            told = dossier.of(session, found.id, now=now)
            audit.record(session, "member.exported", f"member:{found.id}", actor="export", now=now)
    except BadInput as error:
        _stop(str(error))
    text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
    if out_file is None:
        sys.stdout.write(text)
        return
    with open(
        os.open(out_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as written:
        written.write(text)


def _bring_in(table: Table[Any], path: Path, *, skip_bad: bool, report: Path | None, dry_run: bool) -> None:
    now = _open()
    first: list[Problem] = []
    started = time.monotonic()
    try:
        with _reporting(report, path) as write_down, _bar(path) as watch:

            def refuse(problem: Problem) -> None:
                write_down(problem)
                if len(first) < SHOWN:
                    first.append(problem)

            done = importing.bring_in(
                table, path, now=now, skip_bad=skip_bad, dry_run=dry_run, refuse=refuse, watch=watch
            )
    except BadFile as error:
        _show(first, 0)
        _stop(f"{path}: {error}")
    except OperationalError as error:
        if not _is_busy(error):
            raise
        _stop("Another process is writing to the database. Import the file again in a quieter moment.")
    _show(first, done.refused)
    _sum_up(done, dry_run=dry_run, seconds=time.monotonic() - started)
    if done.refused:
        raise typer.Exit(SOME_SKIPPED if skip_bad else NOTHING_WRITTEN)


def _open() -> datetime:
    """Open the database; the moment of this command."""
    settings = Settings.from_environment(os.environ)
    logs.configure(settings.log_format)
    open_database(settings)
    # Opened once more: no guest waits for an import, so it can wait longer for its turn.
    db.connect(settings.database_url)
    return datetime.now(timezone.utc)


@contextlib.contextmanager
def _reporting(report: Path | None, source: Path) -> Iterator[Callable[[Problem], None]]:
    """Writes each bad line to the report, if there is to be one."""
    if report is None:
        yield lambda _problem: None
        return
    if report.exists() and source.exists() and report.samefile(source):
        _stop("--report names the file that is to be imported.")
    # With a mark, so that Excel does not take it for GBK.
    with report.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("line", "column", "problem", "remedy"))
        yield lambda problem: rows.writerow((problem.line, problem.column, problem.problem, problem.remedy))


@contextlib.contextmanager
def _bar(path: Path) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, one after the other for checking and writing; elsewhere nothing."""
    if not err.is_terminal:
        yield lambda _progress: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(
            "{task.percentage:>3.0f} %  {task.fields[lines]:,} lines, {task.fields[rate]:,.0f} a second"
        ),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=err, transient=True) as bar:
        tasks: dict[str, Any] = {}
        size = path.stat().st_size

        def watch(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bar.add_task(progress.stage, total=size, lines=0, rate=0.0)
            task = bar.tasks[tasks[progress.stage]]
            rate = progress.lines / task.elapsed if task.elapsed else 0.0
            bar.update(task.id, completed=progress.bytes_read, lines=progress.lines, rate=rate)

        yield watch


def _show(first: list[Problem], refused: int) -> None:
    for each in first:
        where = f"line {each.line}" + (f", {each.column}" if each.column != "line" else "")
        _say(f"{where}: {each.problem} {each.remedy}")
    if refused > len(first):
        _say(f"… and {refused - len(first):,} more; --report FILE lists them all.")


def _sum_up(done: Done, *, dry_run: bool, seconds: float) -> None:
    how = f"{done.file.examined.name}, separated by {SEPARATORS[done.file.separator]}"
    rate = done.lines / seconds if seconds else 0
    _tell(f"{done.file.path.name} ({how}): {done.lines:,} lines in {seconds:.1f} s, {rate:,.0f} a second.")
    counts = f"{done.written:,} written, {done.again:,} there already, {done.refused:,} refused."
    if done.kept:
        _tell(counts)
    elif dry_run and (done.written or done.again):
        _tell(f"It would be: {counts} Nothing was written, as --dry-run asks.")
    else:
        _tell(f"{done.refused:,} refused, so nothing was written.")


def _is_busy(error: OperationalError) -> bool:
    """Whether somebody else's lock was in the way, on either database."""
    return "locked" in str(error.orig) or getattr(error.orig, "sqlstate", None) == "55P03"


def _tell(text: str) -> None:
    out.print(escape(text), soft_wrap=True, highlight=False)


def _say(text: str) -> None:
    err.print(escape(text), soft_wrap=True, highlight=False)


def _stop(reason: str) -> NoReturn:
    _say(f"zhike: {reason}")
    raise typer.Exit(NOTHING_WRITTEN)
