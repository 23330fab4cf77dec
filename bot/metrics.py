"""What the house counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

TAKEN = Counter("zhike_messages_taken", "Deliveries taken in", ("channel", "kind"))
REPEATED = Counter("zhike_messages_repeated", "Deliveries that had been taken before", ("channel",))
REFUSED = Counter("zhike_deliveries_refused", "Deliveries turned away at the door", ("channel", "reason"))
TURNS = Counter("zhike_turns", "Turns by how they ended", ("channel", "outcome"))
TURN_SECONDS = Histogram(
    "zhike_turn_seconds",
    "From taking a message to its reply being promised",
    ("channel",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 30),
)
SENDS = Counter("zhike_sends", "Attempts to send, by outcome", ("channel", "outcome"))
PASSIVE = Counter("zhike_passive_replies", "WeChat replies given in answer to the push itself")
OPEN = Gauge("zhike_messages_open", "Messages not yet settled, by state", ("state",))


def exposition() -> bytes:
    """All metrics in the Prometheus text format."""
    return bytes(generate_latest(REGISTRY))
