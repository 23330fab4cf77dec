"""The HTTP server of the house: uvicorn, ending cleanly."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

import uvicorn


class Server(uvicorn.Server):
    """On SIGTERM or SIGINT it calls `before_stopping`, lets requests finish, and the process ends with code 0."""

    def __init__(self, config: uvicorn.Config, *, before_stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_stopping = before_stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would remember the signal and raise it again at the end: an asked-for stop is no failure.
        self._before_stopping()
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def configuration(app: object, *, host: str, port: int) -> uvicorn.Config:
    """uvicorn as the house runs it."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        access_log=False,  # it would write signatures
        log_config=None,
        server_header=False,
        ws="none",
        proxy_headers=False,  # nothing here asks for the caller's address
        timeout_graceful_shutdown=6,  # a WeChat push may wait four seconds for its reply
    )
