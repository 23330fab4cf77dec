"""The command line: the house and its model, and the groups of commands in `bot/commands`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from sqlalchemy.exc import OperationalError

from bot import import_commands, key_commands, logs, training
from bot.commands import ledger, members, programme
from bot.commands.console import ACTOR, err, open_house, out, settings_here, stop
from bot.settings import BadSettings, Settings
from data import db as database
from data import rotation, schema, sealed

if TYPE_CHECKING:
    from bot.sandbox import Person, Sandbox

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Zhike 知客, a hotel group's guest assistant."
)
db_app = typer.Typer(no_args_is_help=True, help="The database: schema and demo data.")
app.add_typer(db_app, name="db")
app.add_typer(ledger.app, name="ledger")
app.add_typer(programme.app, name="programme")
app.add_typer(programme.rewards_app, name="rewards")
app.add_typer(members.app, name="members")
app.add_typer(import_commands.import_app, name="import")
app.add_typer(import_commands.export_app, name="export")
app.add_typer(key_commands.app, name="keys")

SANDBOX_DATABASE = "sqlite:///var/sandbox.db"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main() -> None:
    """Entry point of the `zhike` command. Known troubles end in one clear line and exit code 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("RASA_TELEMETRY_ENABLED", "false")
    try:
        app()
    except (BadSettings, sealed.BadKeys, schema.UnknownVersion, training.TrainingFailed) as error:
        stop(str(error))
    except OSError as error:
        stop(f"{error.strerror}: {error.filename}" if error.filename else str(error))
    except OperationalError as error:
        stop(f"The database does not answer ({type(error.orig).__name__}). Is ZHIKE_DATABASE_URL right?")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Stand-ins for both platforms, demo members, two phones.")
    ] = False,
    sandbox_database: Annotated[
        str, typer.Option(help="Where the sandbox keeps its own data.")
    ] = SANDBOX_DATABASE,
) -> None:
    """Open the doors. With --sandbox nothing leaves this machine."""
    from bot.app import application, utc_now
    from bot.database import open_database, refuse_second
    from bot.server import Server, configuration

    stand_ins = None
    if sandbox:
        settings, stand_ins = _sandbox(host, port, sandbox_database)
    else:
        settings = settings_here()
    if not settings.telegram_token and not settings.wechat_app_id:
        stop(
            "No channel is configured. Set ZHIKE_TELEGRAM_TOKEN or ZHIKE_WECHAT_APP_ID, or try `zhike serve --sandbox`."
        )
    refuse_second(settings)
    open_database(settings)
    if sandbox:
        _seed(utc_now())
        out.print(f"Sandbox: [link]http://{host}:{port}/[/link]  (ready in some seconds)")
    Server(
        configuration(application(settings, sandbox=stand_ins), host=host, port=port),
        before_stopping=stand_ins.hang_up if stand_ins is not None else _nothing,
    ).run()


def _nothing() -> None:
    return


def _sandbox(host: str, port: int, kept_in: str) -> tuple[Settings, Sandbox]:
    """A house with stand-ins for the platforms. Of the environment it takes nothing that a real house uses."""
    from bot.app import utc_now
    from bot.sandbox import Sandbox

    if host not in LOOPBACK:
        stop("The sandbox lets anybody be any guest: it listens on 127.0.0.1 only.")
    own = {"ZHIKE_DATABASE_URL": kept_in}
    own |= {name: os.environ.get(name, "") for name in ("ZHIKE_MODEL_DIR", "ZHIKE_LOG_FORMAT")}
    # A proxy would carry what the house says to its stand-ins out of this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(LOOPBACK)
    settings = Settings.from_environment(own)
    logs.configure(settings.log_format)
    stand_ins = Sandbox.create(
        f"http://127.0.0.1:{port}", clock=utc_now, people=_demo_people, hotel="鹭灯酒店 Heron Lantern"
    )
    return stand_ins.settings(settings), stand_ins


def _seed(now: datetime) -> object:
    from data import demo

    with database.transaction() as db:
        return demo.seed(db, now=now)


def _demo_people() -> list[Person]:
    from bot.app import utc_now
    from bot.sandbox import Person
    from data import demo

    with database.reading() as db:
        return [
            Person(
                member_id=each.member_id, number=each.number, name=each.name, tier=each.tier,
                locale=each.locale, points=each.points, telegram=each.telegram, wechat=each.wechat,
            )
            for each in demo.people(db, now=utc_now())
        ]  # fmt: skip


@app.command()
def train() -> None:
    """Train the model, unless nothing it is made of has changed."""
    settings = settings_here()
    started = time.monotonic()
    known = training.model_path(Path(settings.model_dir)).exists()
    path = training.train(Path(settings.model_dir))
    took = "up to date" if known else f"trained in {time.monotonic() - started:.0f} s"
    out.print(f"{path} ({took})", soft_wrap=True, highlight=False)


@app.command()
def parse() -> None:
    """Read JSON lines {"id", "text"} and print {"id", "intent", "confidence", "entities"} for each."""
    settings = settings_here()  # before the brain: a wrong setting is told at once

    from bot.brain import Brain
    from nlu.phrasebook import Phrasebook

    brain = Brain(training.train(Path(settings.model_dir)), Phrasebook.load())

    async def read_all() -> None:
        for number, line in enumerate(sys.stdin, 1):
            if not line.strip():
                continue
            try:
                asked = json.loads(line)
                text = asked["text"]
            except (ValueError, KeyError, TypeError):
                stop(f'Line {number} is not JSON of the form {{"id": …, "text": …}}.')
            read = await brain.understand(str(text))
            answer = {
                "id": asked.get("id"),
                "intent": read.intent,
                "confidence": round(read.confidence, 4),
                "entities": [dict(entity) for entity in read.entities],
            }
            sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")

    asyncio.run(read_all())


@app.command()
def chat(
    member: Annotated[
        str, typer.Option("--as", help="Member number to be; empty for a guest we do not know.")
    ] = "",
    channel: Annotated[str, typer.Option(help="telegram or wechat.")] = "telegram",
) -> None:
    """Talk in the terminal as a member on a channel; an empty line ends it."""
    from bot.terminal import UnknownMember, converse

    if channel not in ("telegram", "wechat"):
        stop("--channel is telegram or wechat.")
    settings = open_house()
    try:
        asyncio.run(converse(settings, number=member, channel=channel, console=out))
    except UnknownMember as error:
        stop(str(error))


@db_app.command()
def upgrade() -> None:
    """Bring the database to today's schema."""
    settings = settings_here()
    sealed.use_keys(settings.sealing_keys())
    engine = database.connect(settings.database_url)
    schema.upgrade(engine)
    out.print(f"The schema is at {schema.current(engine)}.")


@db_app.command()
def seed(
    demo: Annotated[
        bool, typer.Option("--demo", help="The demo hotel group: invented hotels and members.")
    ] = False,
) -> None:
    """Fill the database with the demo hotel group. Running it again adds nothing."""
    if not demo:
        stop("Say --demo: it puts invented hotels and members into the database.")
    from bot.app import utc_now

    open_house()
    out.print(_seed(utc_now()))


@db_app.command("rotate-keys")
def rotate_keys() -> None:
    """Bring everything that is encrypted under the newest key of ZHIKE_KEYS; safe to run again, and while serving."""
    from bot.app import utc_now

    open_house()
    with err.status("renewing …") as status:
        done = rotation.rotate(
            database.transaction, actor=ACTOR, now=utc_now(),
            progress=lambda column, count: status.update(f"{column}: {count:,}"),
        )  # fmt: skip
    for column, count in done.renewed.items():
        if count:
            out.print(f"{column}: {count:,} renewed", highlight=False)
    for name in done.left:
        out.print(f"{name}: still under an older key", style="yellow", highlight=False)
    if done.old_keys_may_go:
        out.print("Everything is under the newest key; the older ones may be taken out of ZHIKE_KEYS.")
        return
    if done.ageing:
        out.print(f"{done.ageing} kept answers still need an older key; run this again in a day.")
    raise typer.Exit(1)


@app.command()
def check() -> None:
    """Look at settings, database, schema, model and channels; exit code 1 if something is wrong."""
    from bot.checkup import examine

    table = Table("what", "state", "remedy", show_edge=False)
    healthy = True
    for finding in examine(os.environ):
        healthy &= finding.fine
        table.add_row(finding.what, ("[green]" if finding.fine else "[red]") + finding.state, finding.remedy)
    out.print(table)
    if not healthy:
        raise typer.Exit(1)
