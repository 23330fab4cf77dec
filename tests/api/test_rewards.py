"""Rewards over the API: the catalogue in the caller's language, and one code at one desk, once."""

from __future__ import annotations

import httpx

from data import api_keys, db, settling
from tests.api.conftest import Client, Clock, done, refused
from tests.conftest import NOW
from tests.data.reward_scenes import bought, new_guest, put, row


def test_the_catalogue_in_two_languages_for_one_hotel(pms: Client) -> None:
    everywhere = done(pms.get("/rewards"))["rewards"]
    london = done(pms.get("/rewards", hotel="HLLN", locale="zh_TW"))["rewards"]
    assert [each["points"] for each in everywhere] == sorted(each["points"] for each in everywhere)
    here = {each["code"]: each for each in london}
    assert set(here) < {each["code"] for each in everywhere}
    assert {each["hotel"] for each in london} == {None, "HLLN"}
    english = next(each for each in everywhere if each["code"] == "breakfast")
    assert english["name"] != here["breakfast"]["name"]
    assert "cost_minor" not in english, "what it costs the hotel is nobody's business"


def test_what_is_gone_says_why(pms: Client) -> None:
    put("nothing_left", stock=0)
    offered = {each["code"]: each for each in done(pms.get("/rewards"))["rewards"]}
    assert (offered["nothing_left"]["why_not"], offered["nothing_left"]["left"]) == ("stock", 0)
    assert offered["breakfast"]["why_not"] is None


def test_a_catalogue_that_cannot_be(pms: Client) -> None:
    refused(pms.get("/rewards", hotel="XX"), 422, "unknown_reference", "query.hotel")
    refused(pms.get("/rewards", locale="fr"), 422, "does_not_fit", "query.locale")


def test_a_code_is_handed_in_once(pms: Client) -> None:
    redemption = bought(new_guest("ZK100001", 9000), "breakfast")
    assert redemption.code is not None
    typed = f"{redemption.code[:4].lower()}%20-%20{redemption.code[4:]}"
    given = done(pms.post(f"/redemptions/{typed}/fulfil", {"hotel": "HLSH"}))
    assert given == {
        "reward": "breakfast",
        "names": {"en": "Breakfast for one", "zh_CN": "单人早餐", "zh_TW": "單人早餐"},
        "quantity": 1,
        "member": "ZK100001",
        "hotel": "HLSH",
        "at": "2026-03-14T01:59:26.535897Z",
    }
    assert row(redemption.id).settled_by == "api:pms"
    no = refused(pms.post(f"/redemptions/{typed}/fulfil", {"hotel": "HLLN"}), 409, "code_used")
    assert "HLSH" in no["detail"]
    assert "{" not in no["detail"]


def test_why_a_code_is_of_no_use(pms: Client, clock: Clock) -> None:
    member_id = new_guest("ZK100001", 90_000)
    elsewhere, void, over = (
        bought(member_id, reward, key=reward) for reward in ("upgrade_shanghai", "breakfast", "late_checkout")
    )
    with db.transaction() as session:
        settling.cancel(session, void.id, why="guest", actor="test", now=NOW)

    def at_london(code: str | None) -> httpx.Response:
        return pms.post(f"/redemptions/{code}/fulfil", {"hotel": "HLLN"})

    refused(at_london(elsewhere.code), 409, "code_elsewhere")
    refused(at_london(void.code), 409, "code_void")
    refused(at_london("222222"), 404, "code_unknown", "path.code")
    clock.move(days=91)
    refused(at_london(over.code), 409, "code_over")
    hotel = pms.post(f"/redemptions/{over.code}/fulfil", {"hotel": "XX"})
    refused(hotel, 422, "unknown_reference", "$.hotel")


def test_answers_are_forgotten_after_a_day(pms: Client, clock: Clock) -> None:
    done(pms.post("/members", {"name": "Min", "locale": "en"}), 201)
    clock.move(hours=2)
    done(pms.post("/members", {"name": "Lin", "locale": "en"}), 201)
    with db.transaction() as session:
        assert api_keys.forget_old(session, now=NOW + api_keys.KEPT) == 0
    with db.transaction() as session:
        assert api_keys.forget_old(session, now=clock.now + api_keys.KEPT) == 1
