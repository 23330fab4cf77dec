"""`zhike keys`: issue, list and revoke the keys of property-management systems."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bot.commands.console import ACTOR, err, open_house, refused
from data import api_keys, db
from data.api_keys import Scope
from data.refusals import BadInput

app = typer.Typer(no_args_is_help=True, help="Keys for property-management systems.")


@app.command()
def issue(
    name: Annotated[str, typer.Argument(help="What the key is called in logs and lists, such as opera-sh.")],
    scope: Annotated[list[Scope], typer.Option(help="What it opens; may be given several times.")],
) -> None:
    """Make a key and print it, once: it cannot be shown again."""
    from bot.app import utc_now

    open_house()
    try:
        with db.transaction() as session:
            issued = api_keys.issue(session, name, scope, actor=ACTOR, now=utc_now())
    except BadInput as error:
        refused(error)
    err.print(f"{issued.name} opens {', '.join(each.value for each in issued.scopes)}.", highlight=False)
    err.print(
        "Keep it where you keep passwords. Only a digest stays here: who loses it issues another.",
        soft_wrap=True,
    )
    # Alone on standard output, and whole: it may be piped into a file.
    typer.echo(issued.text)


@app.command("list")
def list_all() -> None:
    """Every key that was ever issued, without the secrets."""
    open_house()
    table = Table("name", "begins with", "opens", "issued", "revoked", show_edge=False)
    with db.reading() as session:
        for key in api_keys.all_keys(session):
            revoked = f"{key.revoked_at:%Y-%m-%d %H:%M} UTC" if key.revoked_at else ""
            table.add_row(
                key.name,
                f"zk_{key.prefix}_…",
                " ".join(key.scopes),
                f"{key.made_at:%Y-%m-%d %H:%M} UTC",
                revoked,
            )
    Console().print(table)  # as wide as the terminal is now


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="As in `zhike keys list`.")]) -> None:
    """Let a key open nothing any more, from this moment on."""
    from bot.app import utc_now

    open_house()
    try:
        with db.transaction() as session:
            news = api_keys.revoke(session, name, actor=ACTOR, now=utc_now())
    except BadInput as error:
        refused(error)
    typer.echo(f"{name} {'opens nothing any more' if news else 'was revoked before'}.")
