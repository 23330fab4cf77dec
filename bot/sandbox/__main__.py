"""`python -m bot.sandbox`: the stand-ins in a process of their own, for tests and benchmarks."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from bot.sandbox.house import Sandbox, Secrets
from bot.sandbox.people import Person, read_person
from bot.server import Server

log = logging.getLogger("sandbox")


class _Server(Server):
    """Says when it is ready, and where."""

    def __init__(self, config: uvicorn.Config, sandbox: Sandbox) -> None:
        # A server waits for open connections before it stops: the pages' event streams end first.
        super().__init__(config, before_stopping=sandbox.hang_up)
        self._where = f"{sandbox.base_url}/sandbox/"

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        log.info("ready %s", json.dumps({"sandbox": self._where}))


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bot.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--door", default="http://127.0.0.1:8000", help="where the house listens")
    parser.add_argument("--pace", type=float, default=1.0, help="scales every wait of the platforms")
    parser.add_argument("--people", type=Path, help="JSON list of members, with the fields of Person")
    parser.add_argument("--hotel", default="知客 Zhike", help="name on the phones")
    for field in dataclasses.fields(Secrets):
        # The same variables as the house reads, so one environment serves both; else random.
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", default=os.environ.get(f"ZHIKE_{field.name.upper()}", "")
        )
    return parser.parse_args(given)


def _secrets(arguments: argparse.Namespace) -> Secrets:
    given = {f.name: getattr(arguments, f.name) for f in dataclasses.fields(Secrets)}
    return dataclasses.replace(Secrets.random(), **{name: value for name, value in given.items() if value})


def _people(path: Path | None) -> list[Person]:
    return [read_person(person) for person in json.loads(path.read_text())] if path else []


def make(arguments: argparse.Namespace) -> tuple[Sandbox, Starlette]:
    """The sandbox and the application that serves it under `/sandbox`."""
    people = _people(arguments.people)
    sandbox = Sandbox(
        f"http://{arguments.host}:{arguments.port}",
        _secrets(arguments),
        clock=lambda: datetime.now(timezone.utc),
        pace=arguments.pace,
        people=lambda: people,
        door=arguments.door,
        hotel=arguments.hotel,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await sandbox.start()
        yield
        await sandbox.stop()

    return sandbox, Starlette(routes=[Mount("/sandbox", routes=sandbox.routes)], lifespan=lifespan)


def main(given: Sequence[str] | None = None) -> None:
    arguments = _arguments(given)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    sandbox, app = make(arguments)
    config = uvicorn.Config(
        app,
        arguments.host,
        arguments.port,
        ws="none",  # the websockets release that Rasa pins is too old for uvicorn, and we need none
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
    )
    _Server(config, sandbox).run()


if __name__ == "__main__":
    main()
