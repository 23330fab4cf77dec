"""`zhike members`: what a person may ask of us: their data, one membership out of two, to be forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bot.commands.console import ACTOR, open_house, out, refused
from data import db, dossier, enrolment, erasure, merging
from data.merging import DocumentSeen
from data.refusals import BadInput

app = typer.Typer(no_args_is_help=True, help="A member's own data.")

Number = Annotated[str, typer.Argument(help="The member's card number.")]


@app.command()
def export(
    number: Number,
    file: Annotated[
        Path | None, typer.Option("--out", help="Where to write it; left out: to the screen.")
    ] = None,
) -> None:
    """Everything we hold about a member, readable, as JSON."""
    from bot.app import utc_now

    open_house()
    try:
        with db.reading() as session:
            told = dossier.of(session, enrolment.member_by_number(session, number).id, now=utc_now())
    except BadInput as error:
        refused(error)
    text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
    if file is None:
        typer.echo(text, nl=False)
        return
    # A person's data: for the owner of the file and nobody else.
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(text, encoding="utf-8")
    out.print(f"Written to {file}.")


@app.command()
def erase(
    number: Number,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
) -> None:
    """Remove whatever says who a member is. The ledger stays, under a pseudonym. It cannot be undone."""
    from bot.app import utc_now

    open_house()
    if not yes:
        typer.confirm(f"Erase {number} for good?", abort=True)
    try:
        with db.transaction() as session:
            member = enrolment.member_by_number(session, number)
            erased = erasure.erase(session, member.id, actor=ACTOR, now=utc_now())
    except BadInput as error:
        refused(error)
    out.print(f"Erased. The ledger knows them as {erased.number}; {erased.points_ended:,} points ended.")


@app.command()
def merge(
    keep: Annotated[str, typer.Argument(help="The card number that lives on.")],
    gone: Annotated[str, typer.Argument(help="The card number that goes into it.")],
    documents: Annotated[
        str,
        typer.Option(
            prompt="Numbers of the passports and identity cards shown, joined by commas", hide_input=True
        ),
    ],
    birthday: Annotated[str, typer.Option(prompt="Birthday on them, YYYY-MM-DD", hide_input=True)],
) -> None:
    """Make one membership out of two that are the same person's, proved by documents that staff have seen."""
    from bot.app import utc_now

    open_house()
    proof = DocumentSeen(numbers=tuple(documents.split(",")), birthday=birthday)
    try:
        with db.transaction() as session:
            kept = enrolment.member_by_number(session, keep, field="keep")
            other = enrolment.member_by_number(session, gone, field="gone")
            merging.merge(session, keep_id=kept.id, gone_id=other.id, proof=proof, actor=ACTOR, now=utc_now())
    except BadInput as error:
        refused(error)
    out.print(f"{gone} lives on in {kept.number}.", highlight=False)
