"""Points over the API: told as lots, and as a statement that is read page by page."""

from __future__ import annotations

from data import confirming, corrections, db, ledger, redeeming
from data.ledger import Cause
from data.ledger_rows import Kind
from tests.api.conftest import Client, done, refused
from tests.conftest import NOW
from tests.data.reward_scenes import new_guest


def test_a_balance_is_told_as_lots_in_the_order_of_use(pms: Client) -> None:
    member_id = new_guest("ZK100001", 900, 4000)
    with db.transaction() as session:
        redeeming.begin(session, member_id, "breakfast", key="w", channel="telegram", actor="guest", now=NOW)
    had = done(pms.get("/members/ZK100001/points"))
    assert had["spendable"] + had["held"] == 4900
    assert had["spendable"] == sum(lot["points"] for lot in had["lots"]) > 0
    assert had["held"] > 0
    assert [lot["expires_at"] for lot in had["lots"]] == sorted(lot["expires_at"] for lot in had["lots"])
    assert (had["pending"], had["owed"], had["at"]) == (0, 0, "2026-03-14T01:59:26.535897Z")


def test_a_statement_is_read_page_by_page(pms: Client) -> None:
    member_id = new_guest("ZK100001")
    with db.transaction() as session:
        for number in range(1, 8):
            cause = Cause(Kind.gift, "test", f"g{number}", actor="test", facts={"number": number})
            ledger.credit(session, member_id, number, cause=cause, now=NOW)
    seen, before = [], None
    while True:
        query = {"limit": 3} | ({"before": before} if before else {})
        page = done(pms.get("/members/ZK100001/entries", **query))
        assert len(page["entries"]) <= 3
        seen += [entry["explanation"]["number"] for entry in page["entries"]]
        before = page["next_before"]
        if before is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert done(pms.get("/members/ZK100001/entries", limit=7))["next_before"] is None
    assert done(pms.get("/members/ZK100001/entries", before=1))["entries"] == []
    assert len(done(pms.get("/members/ZK100001/entries"))["entries"]) == 7


def test_a_redemption_stands_in_the_statement_with_its_price(pms: Client) -> None:
    member_id = new_guest("ZK100001", 9000)
    with db.transaction() as session:
        held = redeeming.begin(
            session, member_id, "breakfast", key="w", channel="wechat", actor="guest", now=NOW
        )
        confirming.confirm(session, held.id, actor="guest", now=NOW)
    newest = done(pms.get("/members/ZK100001/entries"))["entries"][0]
    assert (newest["kind"], newest["points"]) == ("redeem", -held.points)
    assert newest["explanation"]["reward"] == "breakfast"
    assert newest["balance_after"] == 9000 - held.points


def test_a_page_that_cannot_be(pms: Client) -> None:
    new_guest("ZK100001")
    for query, field in (
        ({"limit": "0"}, "query.limit"),
        ({"limit": "101"}, "query.limit"),
        ({"limit": "x"}, "query.limit"),
        ({"limit": "1.5"}, "query.limit"),
        ({"before": "0"}, "query.before"),
        ({"before": str(2**31)}, "query.before"),
        ({"before": "null"}, "query.before"),
        ({"befor": "3"}, "query.befor"),
        ({"13917002468": "3"}, "query"),
        ({"limit": ["1", "2"]}, "query"),
    ):
        no = refused(pms.get("/members/ZK100001/entries", **query), 422, "does_not_fit", field)
        assert "13917002468" not in str(no)
    refused(pms.get("/members/ZK100001", x="1"), 422, "does_not_fit", "query.x")
    refused(pms.send("POST", "/stays?x=1", {}), 422, "does_not_fit", "query")


def test_points_of_a_member_who_owes(pms: Client) -> None:
    member_id = new_guest("ZK100001", 100)
    with db.transaction() as session:
        entry = ledger.credit(session, member_id, 50, cause=Cause(Kind.earn, "stay", "e", actor="t"), now=NOW)
        ledger.debit(session, member_id, 150, cause=Cause(Kind.redeem, "r", "d", actor="t"), now=NOW)
        cause = Cause(Kind.reverse, "refund", "c", actor="t")
        corrections.claw_back(session, entry.entry_id, 50, cause=cause, now=NOW, owe=True)
    had = done(pms.get("/members/ZK100001/points"))
    assert (had["spendable"], had["owed"], had["lots"]) == (-50, 50, [])
