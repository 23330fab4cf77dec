"""How many requests a key may make."""

from __future__ import annotations

import httpx
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from bot import api
from bot.api.limits import TokenBuckets
from tests.api.conftest import Client, Clock, done, new_key, refused
from tests.data.conftest import everything
from tests.serving import serving


class Watch:
    """A clock in seconds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@given(
    per_second=st.integers(1, 50),
    at_once=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 2, allow_nan=False), max_size=60),
)
def test_no_stretch_of_time_has_more_than_it_may(per_second: int, at_once: int, pauses: list[float]) -> None:
    watch = Watch()
    buckets = TokenBuckets(per_second=per_second, at_once=at_once, clock=watch)
    let_in = []
    for pause in pauses:
        watch.seconds += pause
        wait = buckets.wait(1)
        if wait == 0.0:
            let_in.append(watch.seconds)
        else:
            assert 0 < wait <= 1 / per_second
    for first, begin in enumerate(let_in):
        for last, end in enumerate(let_in[first:], first):
            assert last - first + 1 <= at_once + (end - begin) * per_second + 1e-6


def test_who_waits_as_long_as_told_is_let_in() -> None:
    watch = Watch()
    buckets = TokenBuckets(per_second=50, at_once=100, clock=watch)
    assert [buckets.wait(1) for _ in range(100)] == [0.0] * 100
    wait = buckets.wait(1)
    assert buckets.wait(2) == 0.0, "another key has its own bucket"
    watch.seconds += wait * 0.9
    assert buckets.wait(1) > 0
    watch.seconds += wait * 0.11
    assert buckets.wait(1) == 0.0
    watch.seconds += 3600
    assert [buckets.wait(1) > 0 for _ in range(101)].count(True) == 1, "what was not used does not pile up"


def test_too_many_requests_are_told_when_to_come_again(sqlite_database: str, clock: Clock) -> None:
    watch = Watch()
    limiter = TokenBuckets(per_second=0.25, at_once=3, clock=watch)
    key = new_key()
    with serving(Starlette(routes=api.routes(clock, limiter=limiter))) as base:
        client = Client(base, key)
        for _ in range(3):
            done(client.get("/rewards"))
        before = everything()
        no = client.post("/members", {"name": "Min", "locale": "en"}, key="k")
        refused(no, 429, "too_many_requests")
        assert no.headers["retry-after"] == "4"
        assert everything() == before
        for bad in ("Bearer x", f"Bearer {key[:-1]}x"):
            headers = {"Authorization": bad}
            unknown = httpx.get(f"{base}{api.PREFIX}/rewards", headers=headers, trust_env=False)
            refused(unknown, 401, "not_authenticated")
        watch.seconds += 4
        done(client.post("/members", {"name": "Min", "locale": "en"}, key="k"), 201)
