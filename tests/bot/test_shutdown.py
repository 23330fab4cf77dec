"""SIGTERM: what is under way is finished, what is not is handed back, and nobody waits for the next process."""

from __future__ import annotations

import time
from multiprocessing.context import ForkServerProcess

from tests.bot.crashing.brain import LATE, SOON
from tests.bot.crashing.host import Host, deeds_of, describe, newcomer, ready, rows_of, settled
from tests.bot.crashing.platforms import Platforms, until

pytest_plugins = ["tests.bot.crashing.host"]

HOLD = 60.0  # as in life: nothing may have to wait for it


def started(host: Host, outside: Platforms, **pace: float) -> ForkServerProcess:
    process = host.start(hold=HOLD, **pace)  # type: ignore[arg-type]
    until(lambda: ready(outside), 20)
    return process


def stop(process: ForkServerProcess) -> float:
    """SIGTERM and wait; seconds it took. The end must be a clean one."""
    began = time.monotonic()
    process.terminate()
    process.join(15)
    assert process.exitcode == 0
    return time.monotonic() - began


def test_a_turn_in_flight_is_finished_and_its_reply_not_lost(host: Host, outside: Platforms) -> None:
    process, address = started(host, outside), newcomer("telegram")
    in_flight(outside, "telegram", address)
    stop(process)
    assert rows_of(address)[0].state == "answered"
    assert deeds_of(address) == 1
    started(host, outside)
    until(lambda: settled(address), 5, lambda: describe(host, outside, "telegram", address))
    assert outside.said("telegram", address) == [f"done: {SOON} please"]
    assert deeds_of(address) == 1


def test_whoever_waits_at_the_door_gets_the_reply_there(host: Host, outside: Platforms) -> None:
    process, address = started(host, outside), newcomer("wechat")
    in_flight(outside, "wechat", address)
    stop(process)
    assert settled(address), describe(host, outside, "wechat", address)
    assert rows_of(address)[1].via == "passive"
    assert outside.wait("wechat", address, bool) == [f"done: {SOON} please"]


def in_flight(outside: Platforms, channel: str, address: str) -> None:
    """A turn that has begun, and takes half a second."""
    outside.act(channel, "say", address=address, text=f"{SOON} please")
    until(lambda: bool(rows_of(address)), 5)
    assert rows_of(address)[0].state == "received"


def test_a_send_in_flight_is_finished(host: Host, outside: Platforms) -> None:
    process, address = started(host, outside), newcomer("telegram")
    outside.fault("telegram", "hang_next", method="sendMessage", seconds=0.6, after_accepting=False)
    outside.act("telegram", "say", address=address, text="hello")
    until(lambda: [row.state for row in rows_of(address)] == ["answered", "sending"], 5)
    stop(process)
    assert [row.state for row in rows_of(address)][1] == "promised", "it failed, and is owed still"
    assert outside.said("telegram", address) == []
    started(host, outside)
    until(lambda: settled(address), 5, lambda: describe(host, outside, "telegram", address))
    assert outside.said("telegram", address) == ["done: hello"]


def test_what_cannot_be_finished_is_handed_back_and_answered_by_the_next(
    postgres_host: Host, outside: Platforms
) -> None:
    """On PostgreSQL, where the next process cannot know that we are gone unless we say so."""
    host = postgres_host
    process, address = started(host, outside, reply_within=60.0), newcomer("telegram")
    for words in (f"{LATE} one", "two"):  # the second waits behind the first
        outside.act("telegram", "say", address=address, text=words)
    until(lambda: len(rows_of(address)) == 2, 5)
    assert stop(process) < 12
    assert [row.state for row in rows_of(address)] == ["received", "received"]
    started(host, outside, reply_within=0.1)
    until(lambda: settled(address, 2), 10, lambda: describe(host, outside, "telegram", address))
    assert outside.said("telegram", address) == [f"done: {LATE} one", "done: two"]
    assert deeds_of(address) == 2


def test_a_house_with_nothing_to_do_stops_at_once(host: Host, outside: Platforms) -> None:
    assert stop(started(host, outside)) < 3


def test_only_one_process_serves_an_embedded_database(host: Host, outside: Platforms) -> None:
    first = started(host, outside)
    second = host.start()
    second.join(15)
    assert second.exitcode not in (0, None)
    assert first.is_alive()
    assert ready(outside)
