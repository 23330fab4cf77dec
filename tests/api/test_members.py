"""Members over the API: enrolled once, read only with the right to, found without a trace in a URL, changed."""

from __future__ import annotations

from sqlalchemy import select

from data import db, membership
from data.audit import AuditEntry
from data.members import Member
from tests.api.conftest import LIN, PERSONAL, STAY, Client, done, refused
from tests.conftest import NOW
from tests.data.conftest import everything


def test_a_guest_is_enrolled_and_read(pms: Client) -> None:
    answer = pms.post("/members", LIN)
    made = done(answer, 201)
    assert answer.headers["location"] == "/api/v1/members/ZK100123"
    assert made == {
        "number": "ZK100123",
        "status": "active",
        "tier": "classic",
        "tier_valid_until": None,
        "home_hotel": "HLSH",
        "joined_at": "2026-03-14T01:59:26.535897Z",
    }
    known = done(pms.get("/members/ZK100123"))
    assert known == made | {
        "name": "林望舒",
        "latin_name": "Lin Wangshu",
        "locale": "zh_CN",
        "time_zone": None,
        "birthday": "1992-09-25",
        "identifiers": [
            {"kind": "phone", "value": "+8613917002468", "verified_at": None},
            {"kind": "email", "value": "wangshu@heron-lantern.com", "verified_at": None},
            {"kind": "document", "value": "E12345678", "verified_at": None},
        ],
        "consents": {"offers": True, "surveys": False},
    }
    assert done(pms.get("/members/ZK100123/points"))["spendable"] == 500, "the welcome gift"


def test_nothing_but_reading_a_member_tells_who_they_are(pms: Client, lin: str, stay: str) -> None:
    change = {"name": "林望舒", "phone": "+86 139 1700 2468", "birthday": "1992-09-25"}
    for answer in (
        pms.post("/members", LIN),
        pms.patch(f"/members/{lin}", change),
        pms.get(f"/members/{lin}/points"),
        pms.get(f"/members/{lin}/entries"),
        pms.get(stay),
        pms.post(f"{stay}/check-out", {"departure": "2026-03-14"}),
    ):
        done(answer)
        assert not [part for part in PERSONAL if part in answer.text]


def test_a_number_is_drawn_where_none_is_given(pms: Client) -> None:
    first, second = (done(pms.post("/members", {"name": "Min", "locale": "en"}), 201) for _ in range(2))
    assert first["number"] != second["number"]
    assert done(pms.get(f"/members/{first['number']}"))["name"] == "Min"


def test_the_same_guest_again_changes_nothing(pms: Client, lin: str) -> None:
    before = everything()
    assert done(pms.post("/members", LIN, key="k"))["number"] == lin
    after = everything()
    assert {name for name in after if after[name] != before[name]} == {"api_requests"}


def test_the_same_number_with_other_content_is_a_conflict(pms: Client, lin: str) -> None:
    no = refused(pms.post("/members", LIN | {"name": "林望月"}), 409, "conflict", "$.name")
    assert "change" in no["remedy"]
    other = {"name": "Min", "locale": "en", "phone": "+8613917002468"}
    assert lin in refused(pms.post("/members", other), 409, "conflict", "$.phone")["detail"]


def test_who_came_from_elsewhere_gets_no_gift(pms: Client) -> None:
    old = LIN | {"tier": "gold", "joined_at": "2019-05-01T10:00:00+08:00", "welcome_gift": False}
    made = done(pms.post("/members", old), 201)
    assert (made["tier"], made["joined_at"]) == ("gold", "2019-05-01T02:00:00Z")
    assert done(pms.get("/members/ZK100123/entries"))["entries"] == []


def test_a_change_changes_what_is_told_and_null_removes(pms: Client, lin: str) -> None:
    before = done(pms.get(f"/members/{lin}"))
    change = {"phone": "+44 20 7946 0958", "email": None, "home_hotel": "HLLN"}
    done(pms.patch(f"/members/{lin}", change | {"consents": {"offers": False, "birthday": True}}))
    known = done(pms.get(f"/members/{lin}"))
    phone = {"kind": "phone", "value": "+442079460958", "verified_at": None}
    assert known == before | {
        "home_hotel": "HLLN",
        "identifiers": [phone, before["identifiers"][2]],
        "consents": {"offers": False, "surveys": False, "birthday": True},
    }


def test_an_empty_change_changes_nothing(pms: Client, lin: str) -> None:
    before = done(pms.get(f"/members/{lin}"))
    done(pms.patch(f"/members/{lin}", {}))
    assert done(pms.get(f"/members/{lin}")) == before


def test_who_has_left_may_still_take_a_consent_back(pms: Client, lin: str) -> None:
    with db.transaction() as session:
        member_id = session.scalars(select(Member.id).where(Member.number == lin)).one()
        membership.leave(session, member_id, via="desk", actor="test", now=NOW)
    done(pms.patch(f"/members/{lin}", {"consents": {"offers": False}}))
    known = done(pms.get(f"/members/{lin}"))
    assert (known["status"], known["consents"]["offers"]) == ("left", False)
    refused(pms.patch(f"/members/{lin}", {"name": "Lin"}), 409, "conflict", "path.number")
    refused(pms.post("/stays", STAY), 409, "conflict", "$.member")


def test_a_change_that_is_half_bad_changes_nothing(pms: Client, lin: str) -> None:
    before = everything()
    done(pms.post("/members", {"name": "Min", "locale": "en", "phone": "+44 20 7946 0958"}), 201)
    with_min = everything()
    change = {"name": "林", "consents": {"offers": False}, "phone": "+44 20 7946 0958"}
    refused(pms.patch(f"/members/{lin}", change), 409, "conflict", "$.phone")
    after = everything()
    assert before["members"] != with_min["members"]
    assert {name for name in after if after[name] != with_min[name]} == {"api_requests"}


def test_a_guest_is_found_however_the_value_is_spelt(pms: Client, lin: str) -> None:
    for kind, value in (
        ("phone", "+86 (139) 1700-2468"),
        ("email", "WANGSHU@heron-lantern.COM"),
        ("document", "e-12345678"),
    ):
        found = done(pms.post("/members/search", {"kind": kind, "value": value}))
        assert [member["number"] for member in found["members"]] == [lin]
    missing = {"kind": "phone", "value": "13900139000"}
    assert done(pms.post("/members/search", missing)) == {"members": []}


def test_a_local_number_is_looked_for_where_it_is_dialled(pms: Client) -> None:
    guest = {"name": "Ada", "locale": "en-GB", "phone": "020 7946 0958", "home_hotel": "HLLN"}
    number = done(pms.post("/members", guest), 201)["number"]
    look = {"kind": "phone", "value": "020 7946 0958"}
    found = done(pms.post("/members/search", look | {"hotel": "HLLN"}))
    assert [member["number"] for member in found["members"]] == [number]
    assert done(pms.post("/members/search", look | {"hotel": "HLLN"}, key="unused")) == found
    refused(pms.post("/members/search", look | {"hotel": "XXX"}), 422, "unknown_reference", "$.hotel")
    refused(pms.post("/members/search", look | {"value": "020"}), 422, "bad_input", "$.value")


def test_a_search_leaves_no_trace(pms: Client, lin: str) -> None:
    before = everything()
    done(pms.http.post("/members/search", json={"kind": "phone", "value": "+8613917002468"}))
    assert everything() == before


def test_who_was_merged_is_answered_as_who_lives_on(pms: Client, lin: str) -> None:
    done(pms.post("/members", {"number": "ZK100777", "name": "Min", "locale": "en"}), 201)
    with db.transaction() as session:
        gone = session.scalars(select(Member).where(Member.number == "ZK100777")).one()
        alive = session.scalars(select(Member).where(Member.number == lin)).one()
        gone.status, gone.merged_into_id = "merged", alive.id
    assert done(pms.get("/members/zk100777"))["number"] == lin
    assert done(pms.get("/members/ZK100777/points"))["member"] == lin


def test_who_is_not_here_is_not_found(pms: Client) -> None:
    for path in ("/members/ZK999999", "/members/ZK999999/points", "/members/%20", "/members/x%2Fy"):
        refused(pms.get(path), 404, "not_found", "path.number")
    refused(pms.patch("/members/ZK999999", {"name": "Min"}), 404, "not_found", "path.number")


def test_every_deed_is_in_the_audit_log_under_the_name_of_the_key(pms: Client, stay: str) -> None:
    with db.reading() as session:
        deeds = {row.deed: row.actor for row in session.scalars(select(AuditEntry))}
    assert {"member.enrolled": "api:pms", "stay.booked": "api:pms"}.items() <= deeds.items()
