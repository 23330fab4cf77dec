"""`zhike members`: what a person may ask of us: to be forgotten, or to have one membership instead of two."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.commands.console import ACTOR, open_house, out, refused
from data import db, enrolment, erasure, merging
from data.merging import DocumentSeen
from data.refusals import BadInput

app = typer.Typer(no_args_is_help=True, help="A member's own data.")

Number = Annotated[str, typer.Argument(help="The member's card number.")]


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
