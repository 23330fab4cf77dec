"""`zhike ledger`: prove that the points ledger says what was written."""

from __future__ import annotations

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bot.commands.console import err, open_house, out
from data import db, ledger_check
from data.ledger_check import Report

app = typer.Typer(no_args_is_help=True, help="The points ledger.")


@app.callback()
def ledger() -> None:
    """The points ledger."""


@app.command()
def verify() -> None:
    """Check every row, sum and link of the ledger, while the house goes on; exit code 1 if something is wrong."""
    from bot.app import utc_now

    open_house()
    columns = (TextColumn("entries"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("entries")

        def tell(done: int, of_all: int) -> None:
            progress.update(task, completed=done, total=of_all)

        report = ledger_check.verify(db.engine(), now=utc_now(), progress=tell)
    out.print(_table(report))
    out.print(f"The seal, to be noted elsewhere: {report.seal}", soft_wrap=True, highlight=False)
    for fault in report.faults:
        out.print(str(fault), style="red", markup=False, highlight=False, soft_wrap=True)
    if report.fault_count > len(report.faults):
        out.print(f"… and {report.fault_count - len(report.faults):,} more.")
    if not report.sound:
        raise typer.Exit(1)
    out.print("[green]Every row is as it was written.[/green]")


def _table(report: Report) -> Table:
    totals = report.totals
    table = Table("what", "how many", show_edge=False, show_header=False)
    for what, number in (
        ("members", report.members),
        ("entries", report.entries),
        ("lots", report.lots),
        ("points issued", totals.issued),
        ("points used", totals.used),
        ("points expired", totals.expired),
        ("points outstanding", totals.outstanding),
        ("points owed to us", totals.owed),
        ("faults", report.fault_count),
    ):
        table.add_row(what, f"{number:,}")
    return table
