"""Real HTTP servers for tests, on a free port of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

_STARTS_WITHIN = 30.0


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def server(app: Any, port: int) -> uvicorn.Server:
    """A server that is not running yet."""
    # The websockets release that Rasa pins is too old for uvicorn; nothing here speaks them.
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            ws="none",
            log_config=None,  # it would take uvicorn's records away from whoever tests what is logged
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )


@contextlib.contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """Serve `app` in a thread with a loop of its own; the base URL. Do not touch the app's own objects meanwhile."""
    port = port or free_port()
    running = server(app, port)
    thread = threading.Thread(target=running.run, name=f"server-{port}", daemon=True)
    thread.start()
    deadline = time.monotonic() + _STARTS_WITHIN
    while not running.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        thread.join(10)


@contextlib.asynccontextmanager
async def serving_here(app: Any, port: int = 0) -> AsyncIterator[str]:
    """Serve `app` on the test's own loop, so that the test may use its objects too; the base URL."""
    port = port or free_port()
    running = server(app, port)
    # Signals stay with pytest.
    running.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.get_running_loop().create_task(running.serve())
    deadline = time.monotonic() + _STARTS_WITHIN
    while not running.started:
        if task.done() or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        await task
