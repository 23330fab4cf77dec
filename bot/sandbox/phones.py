"""The page with two phones: WeChat and Telegram, in the hand of the member one chooses to be."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bot.sandbox.people import Person
from bot.sandbox.words import SUGGESTIONS, WORDS

_HERE = Path(__file__).parent
# Everything comes from this server, and nothing may be loaded from elsewhere.
_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; frame-ancestors 'none'"
)


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True)


def phone_routes(
    people: Callable[[], Sequence[Person]], hotel: str, meet_people: Callable[[], None]
) -> list[BaseRoute]:
    """`/` is the page, `/people` who one may be, `/static` what the page is made of."""

    async def page(request: Request) -> Response:
        language = page_language(
            request.query_params.get("lang", ""), request.headers.get("accept-language", "")
        )
        html = (
            _templates()
            .get_template("phones.html")
            .render(hotel=hotel, language=language, words=WORDS[language], suggestions=SUGGESTIONS)
        )
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})

    async def list_people(request: Request) -> Response:
        meet_people()
        return JSONResponse({"people": [person.as_json() for person in people()]})

    return [
        Route("/", page, methods=["GET"]),
        Route("/people", list_people, methods=["GET"]),
        Mount("/static", app=StaticFiles(directory=_HERE / "static")),
    ]


def page_language(wanted: str, accepted: str) -> str:
    """`zh` or `en`: what the page was asked for, else the first of the two that the browser accepts."""
    if wanted in ("zh", "en"):
        return wanted
    for tag in accepted.lower().replace(" ", "").split(","):
        if tag.startswith(("zh", "en")):
            return tag[:2]
    return "en"
