"""Logs: structured, without guests' words, secrets, or the values in an exception's text."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from types import TracebackType

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# These would log guests' words, or addresses with a token in them.
QUIET = (
    "rasa", "rasa_sdk", "httpx", "httpcore", "urllib3", "wechatpy", "alembic", "asyncio", "jieba",
    "apscheduler", "matplotlib", "tensorflow", "h5py", "numba",
)  # fmt: skip


# The doors say themselves what went wrong; this one would quote the answer it could not read.
MUTE = ("telegram",)


def configure(form: str = "") -> None:
    """Send all logs to standard error: `json`, `console`, or by default whichever fits where it goes."""
    as_json = form == "json" or (form != "console" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _asyncio_without_values,
        _exception_without_words,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Ours is formatted already; any other choice here warns at each exception.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in MUTE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if not sys.warnoptions:  # what Rasa's dependencies deprecate is no news to a hotel; python -W shows it
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").setLevel(logging.ERROR)


def _asyncio_without_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """asyncio writes out the task or callback that failed, arguments and error text included; what failed is enough."""
    if event.get("logger") == "asyncio":
        event["event"] = re.split(r"[\n(]", str(event["event"]), maxsplit=1)[0].strip()
    return event


def _exception_without_words(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Where it broke and as what; an exception's own text may hold what a guest wrote."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, tuple):
        info = info[1]
    if isinstance(info, BaseException):
        event["exception"] = _outline(info)
    return event


def _outline(error: BaseException) -> str:
    parts: list[str] = []
    while True:
        parts.append(type(error).__name__ + "\n" + "".join(_frames(error.__traceback__)))
        cause = error.__cause__ or error.__context__
        if cause is None or len(parts) > 5:
            return "caused by ".join(parts)
        error = cause


def _frames(trace: TracebackType | None) -> list[str]:
    return [
        f"  {frame.filename}:{frame.lineno} in {frame.name}\n" for frame in traceback.extract_tb(trace)[-12:]
    ]
