"""Stays over the API, from booking to the points that a folio earns."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from data import db, referrals
from data.members import Member
from tests.api.conftest import STAY, Client, Clock, done, line, new_key, refused
from tests.api.deeds import check_out_friends
from tests.data.conftest import everything
from tests.data.rivals import Rivals

FOLIO = {"lines": [line("1", 204_000), line("2", 38_800, outlet="dining", day="2026-03-12")]}


def test_a_stay_from_booking_to_the_last_refund(pms: Client, clock: Clock, lin: str) -> None:
    booked = pms.post("/stays", STAY)
    assert booked.headers["location"] == "/api/v1/stays/SH-1"
    said = {**STAY, "children": 0, "status": "booked", "checked_out_at": None}
    assert done(booked, 201) == said == done(pms.get("/stays/SH-1"))
    assert done(pms.post("/stays/SH-1/check-in"))["status"] == "in_house"
    folio = done(pms.post("/stays/SH-1/folio-lines", FOLIO), 201)
    assert [each["points"] for each in folio["lines"]] == [0, 0], "nothing is earned before checkout"

    gone = done(pms.post("/stays/SH-1/check-out", {}))
    assert gone["stay"] == said | {"status": "checked_out", "checked_out_at": "2026-03-14T01:59:26.535897Z"}
    assert [(each["line"], each["points"]) for each in gone["earned"]] == [("1", 2040), ("2", 388)]
    assert gone["earned"][0]["explanation"]["rule"] == "earn.outlets.room"
    # Three full days after departure, at midnight in Shanghai; and through the last day of 24 months.
    assert (gone["points"], gone["ripen_at"]) == (2428, "2026-03-17T16:00:00Z")
    assert gone["expire_at"] == "2028-03-14T16:00:00Z"

    had = done(pms.get(f"/members/{lin}/points"))
    assert (had["spendable"], had["pending"]) == (500, 2428)
    assert {lot["available_at"] for lot in had["pending_lots"]} == {gone["ripen_at"]}
    clock.move(days=3, hours=15)
    assert done(pms.get(f"/members/{lin}/points"))["spendable"] == 2928

    late = {"lines": [line("3", 10_000), line("4", -102_000, refunds="1", day="2026-03-14")]}
    posted = done(pms.post("/stays/SH-1/folio-lines", late), 201)
    assert [(each["line"], each["points"], each["refunds"]) for each in posted["lines"]] == [
        ("3", 100, None),
        ("4", -1020, "1"),
    ]
    whole = done(pms.get("/stays/SH-1/folio-lines"))
    assert [each["points"] for each in whole["lines"]] == [2040, 388, 100, -1020]
    newest = done(pms.get(f"/members/{lin}/entries", limit=1))
    assert newest["entries"][0]["points"] == -1020
    assert newest["entries"][0]["stay"] == "SH-1"


def test_checkout_may_bring_the_last_lines_and_another_day(pms: Client, stay: str) -> None:
    # The guest left a day early; what the desk still has to post is posted with the checkout.
    lines = [line("1", 100_000), line("2", 5_000, day="2026-03-13")]
    gone = done(pms.post(f"{stay}/check-out", {"departure": "2026-03-13", "lines": lines}))
    assert (gone["stay"]["departure"], gone["points"]) == ("2026-03-13", 1050)
    assert done(pms.post(f"{stay}/check-out", {"departure": "2026-03-13", "lines": lines})) == gone
    assert done(pms.post(f"{stay}/check-out"))["points"] == 1050, "without a body: as it was"
    more = done(pms.post(f"{stay}/check-out", {"lines": [line("3", 20_000)]}))
    assert [each["line"] for each in more["earned"]] == ["1", "2", "3"]


def test_a_guest_who_stays_longer_is_charged_for_it(pms: Client, clock: Clock, stay: str) -> None:
    clock.move(days=2)
    last = line("9", 100_000, day="2026-03-16")
    no = refused(pms.post(f"{stay}/folio-lines", {"lines": [last]}), 422, "bad_input", "$.lines[0].day")
    assert "2026-03-15" in no["remedy"]
    gone = done(pms.post(f"{stay}/check-out", {"departure": "2026-03-16", "lines": [last]}))
    assert gone["points"] == 1000


def test_a_batch_is_taken_whole_or_not_at_all(pms: Client, stay: str) -> None:
    before = everything()
    bad = {"lines": [line("1"), line("2"), line("3", -1, refunds="9")]}
    refused(pms.post(f"{stay}/folio-lines", bad), 422, "unknown_reference", "$.lines[2].refunds")
    refused(pms.post(f"{stay}/check-out", bad), 422, "unknown_reference", "$.lines[2].refunds")
    after = everything()
    assert {name for name in after if after[name] != before[name]} == {"api_requests"}


def test_lines_that_are_there_are_not_charged_again(pms: Client, stay: str) -> None:
    done(pms.post(f"{stay}/folio-lines", FOLIO), 201)
    assert len(done(pms.post(f"{stay}/folio-lines", FOLIO), 200)["lines"]) == 2
    more = {"lines": [*FOLIO["lines"], line("3")]}
    assert len(done(pms.post(f"{stay}/folio-lines", more), 201)["lines"]) == 3
    assert len(done(pms.get(f"{stay}/folio-lines"))["lines"]) == 3
    other = {"lines": [line("1", 204_001)]}
    refused(pms.post(f"{stay}/folio-lines", other), 409, "conflict", "$.lines[0].amount_minor")


def test_a_stay_is_changed_and_cancelled(pms: Client, stay: str) -> None:
    change = {"departure": "2026-03-15", "room_type": "suite", "adults": 1, "children": 1}
    assert (
        done(pms.patch(stay, change))
        == done(pms.get(stay))
        == STAY
        | change
        | {
            "status": "booked",
            "checked_out_at": None,
        }
    )
    assert done(pms.patch(stay, {})) == done(pms.get(stay))
    assert done(pms.post(f"{stay}/cancel"))["status"] == "cancelled"
    assert done(pms.post(f"{stay}/cancel"))["status"] == "cancelled"
    for path in ("/check-in", "/check-out"):
        refused(pms.post(stay + path), 409, "conflict", "path.confirmation")
    refused(pms.post(f"{stay}/folio-lines", FOLIO), 409, "conflict", "path.confirmation")


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({"confirmation": "SH-2"}, 409, "conflict", "$.arrival"),
    ({"room_type": "suite"}, 409, "conflict", "$.room_type"),
    ({"member": "ZK999999"}, 422, "unknown_reference", "$.member"),
    ({"hotel": "XX"}, 422, "unknown_reference", "$.hotel"),
    ({"departure": "2026-03-11"}, 422, "bad_input", "$.departure"),
    ({"departure": "2028-03-11"}, 422, "bad_input", "$.departure"),
    ({"arrival": "1926-03-11", "departure": "1926-03-12"}, 422, "bad_input", "$.arrival"),
    ({"room_type": "a\nb"}, 422, "bad_input", "$.room_type"),
]


def test_what_is_no_stay_is_refused_by_its_field(pms: Client, stay: str) -> None:
    before = everything()
    for change, status, code, field in REFUSED:
        refused(pms.post("/stays", STAY | change), status, code, field)
    after = everything()
    assert {name for name in after if after[name] != before[name]} == {"api_requests"}


def test_a_stay_that_begins_later_is_not_checked_in(pms: Client, lin: str) -> None:
    later = STAY | {"arrival": "2026-04-01", "departure": "2026-04-02"}
    done(pms.post("/stays", later), 201)
    refused(pms.post("/stays/SH-1/check-in"), 409, "conflict", "path.confirmation")
    refused(pms.post("/stays/SH-1/check-out"), 422, "bad_input", "$.departure")


def test_the_same_stay_again_changes_nothing(pms: Client, stay: str) -> None:
    done(pms.post(f"{stay}/check-in"))
    assert done(pms.post("/stays", STAY), 200)["status"] == "in_house"
    walked_in = STAY | {"confirmation": "SH-2", "status": "in_house", "arrival": "2026-03-14"}
    assert done(pms.post("/stays", walked_in | {"departure": "2026-03-15"}), 201)["status"] == "in_house"


def test_two_checkouts_that_reward_the_same_referrer_do_not_stop_each_other(
    pms: Client, lin: str, rivals: Rivals, house: str
) -> None:
    with db.transaction() as session:
        referrer = session.scalars(select(Member).where(Member.number == lin)).one()
        code = referrals.code_of(session, referrer.id)
    friends = 8
    for number in range(friends):
        guest = {"number": f"F{number:05}", "name": "Min", "locale": "en", "referral_code": code}
        done(pms.post("/members", guest), 201)
        for who, arrival in (("a", "2026-03-01"), ("b", "2026-03-04")):
            nights = {"arrival": arrival, "departure": arrival[:-1] + str(int(arrival[-1]) + 2)}
            own = {"confirmation": f"F{number}-{who}", "member": guest["number"]}
            done(pms.post("/stays", STAY | nights | own), 201)
    a, b = rivals.race(check_out_friends, house, new_key(name="two-desks"), friends)
    assert a + b == [200] * 2 * friends
    told = done(pms.get(f"/members/{lin}/entries", limit=100))["entries"]
    assert [entry["points"] for entry in told if entry["reason"] == "referral"] == [1000] * friends


@pytest.mark.parametrize("sent", ["2026/03%15#1", "a?b=c&d;e", "%2F", "...", "+~|\\^`", "/stays/../x"])
def test_a_property_system_numbers_stays_as_it_likes(pms: Client, lin: str, sent: str) -> None:
    answer = pms.post("/stays", STAY | {"confirmation": sent})
    done(answer, 201)
    path = answer.headers["location"].removeprefix("/api/v1")
    assert path == f"/stays/{quote(sent, safe='')}"
    assert done(pms.get(path))["confirmation"] == sent
    assert done(pms.post(f"{path}/cancel"))["confirmation"] == sent


def test_a_stay_that_is_not_here(pms: Client) -> None:
    for path in ("/stays/NO", "/stays/NO/folio-lines", "/stays/%00", "/stays/%ff", "/stays/%E4%BD%A0%0A"):
        refused(pms.get(path), 404, "not_found", "path.confirmation")
    for path in ("/check-in", "/cancel", "/check-out"):
        refused(pms.post(f"/stays/NO{path}"), 404, "not_found", "path.confirmation")
