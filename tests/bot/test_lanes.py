"""Lanes: order within a key, side by side across keys, and an end that is one."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.lanes import Lanes

WORK = st.tuples(
    st.sampled_from("abc"),  # key
    st.integers(0, 3),  # how often the job lets others run
    st.booleans(),  # whether it fails at the end
    st.integers(0, 2),  # how long until the next job is added
)


async def until_empty(lanes: Lanes) -> None:
    while lanes._tasks:
        await asyncio.wait(set(lanes._tasks), timeout=5)
        await asyncio.sleep(0)


@settings(deadline=None)
@given(st.lists(WORK, max_size=30))
def test_jobs_of_a_key_run_in_order_one_at_a_time_whatever_fails(
    work: list[tuple[str, int, bool, int]],
) -> None:
    begun: dict[str, list[int]] = defaultdict(list)
    ended: dict[str, list[int]] = defaultdict(list)

    async def job(key: str, number: int, pauses: int, fails: bool) -> None:
        assert begun[key] == ended[key], "another job of this key is still running"
        begun[key].append(number)
        for _ in range(pauses):
            await asyncio.sleep(0)
        ended[key].append(number)
        if fails:
            raise ValueError("this job fails")

    async def run() -> None:
        lanes = Lanes()
        for number, (key, pauses, fails, gap) in enumerate(work):
            assert lanes.add(key, partial(job, key, number, pauses, fails))
            assert lanes.busy(key)
            for _ in range(gap):
                await asyncio.sleep(0)
        await until_empty(lanes)
        assert not lanes._waiting, "an idle lane must leave nothing behind"
        assert not any(lanes.busy(key) for key in "abc")

    with capture_logs() as logs:
        asyncio.run(run())
    assert len(logs) == sum(fails for _, _, fails, _ in work), "a job that failed is in the log"
    for key in "abc":
        assert ended[key] == [number for number, each in enumerate(work) if each[0] == key]


async def test_keys_run_side_by_side() -> None:
    lanes, met = Lanes(), asyncio.Event()

    async def waits() -> None:
        await asyncio.wait_for(met.wait(), 5)

    async def comes() -> None:
        met.set()

    lanes.add("slow", waits)
    lanes.add("quick", comes)
    await until_empty(lanes)
    assert met.is_set()


async def test_close_lets_the_running_job_finish_and_starts_no_other() -> None:
    lanes, begun, go_on = Lanes(), asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def first() -> None:
        begun.set()
        await go_on.wait()
        done.append("first")

    async def second() -> None:
        done.append("second")

    lanes.add("a", first)
    lanes.add("a", second)
    await begun.wait()
    closing = asyncio.create_task(lanes.close(5))
    await asyncio.sleep(0)
    go_on.set()
    assert await closing is True
    assert done == ["first"]
    assert lanes.add("a", second) is False
    assert lanes.add("b", second) is False
    await asyncio.sleep(0)
    assert done == ["first"]


async def test_close_cuts_off_what_does_not_end() -> None:
    lanes = Lanes()
    cut: list[bool] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut.append(True)
            raise

    lanes.add("a", endless)
    await asyncio.sleep(0)
    assert await lanes.close(0.02) is False
    assert cut == [True]


async def test_close_of_idle_lanes_is_immediate() -> None:
    assert await Lanes().close(1000) is True
