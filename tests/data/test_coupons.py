"""Coupons: given once under a key, seen in the wallet, used once, and withdrawn."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from data import codes, coupons, db
from data.coupon_descriptions import NewCoupon
from data.coupons import Coupon
from data.desk_codes import (
    CodeNotYet,
    CodeOfAnother,
    CodeOver,
    CodeUnknown,
    CodeUsedBefore,
    CodeVoid,
    CouponCurrency,
)
from data.ledger import KeyUsedOtherwise
from data.members import Member
from data.refusals import BadInput, Conflict, Unknown
from tests.conftest import NOW
from tests.data.conftest import everything
from tests.data.reward_scenes import BY, deeds, new_guest, new_stay, open_house

NEXT_MONTH = NOW + timedelta(days=30)
BLINK = timedelta(microseconds=1)


@pytest.fixture
def guest(database: str) -> int:
    open_house()
    return new_guest("ZK900001")


def coupon(**other: Any) -> NewCoupon:
    plain: dict[str, Any] = {
        "benefit": "dining",
        "reason": "birthday",
        "percent": 20,
        "valid_until": NEXT_MONTH,
    }
    return NewCoupon(**(plain | other))


def give(member_id: int, new: NewCoupon | None = None, *, key: str = "birthday:2026", **by: Any) -> Coupon:
    with db.transaction() as session:
        return coupons.give(session, member_id, new or coupon(), key=key, **(BY | by))


def use(code: str, **other: Any) -> Coupon:
    with db.transaction() as session:
        return coupons.use(session, code, **(BY | other))


def withdraw(coupon_id: int, why: str = "mistake") -> Coupon:
    with db.transaction() as session:
        return coupons.withdraw(session, coupon_id, why=why, **BY)


def wallet(member_id: int, *, now: datetime = NOW) -> list[int]:
    with db.reading() as session:
        return [each.id for each in coupons.wallet(session, member_id, now=now)]


def test_a_coupon_is_given_once_for_its_key(guest: int) -> None:
    first = give(guest)
    assert codes.read_code(first.code) == first.code
    assert (first.percent, first.valid_from, first.valid_until) == (20, NOW, NEXT_MONTH)
    before = everything()
    assert give(guest, now=NOW + timedelta(days=1)).id == first.id
    # Even when its time is over or the member has left.
    assert give(guest, now=NEXT_MONTH).id == first.id
    assert everything() == before


def test_other_content_under_the_key_is_refused(guest: int) -> None:
    give(guest)
    other = new_guest("ZK900002")
    before = everything()
    for member_id, new in (
        (other, coupon()),
        (guest, coupon(percent=21)),
        (guest, coupon(benefit="spa")),
        (guest, coupon(valid_until=NEXT_MONTH + BLINK)),
        (guest, coupon(valid_from=NOW + BLINK)),
        (guest, coupon(percent=None, amount_minor=2000, currency="CNY")),
    ):
        with pytest.raises(KeyUsedOtherwise):
            give(member_id, new)
        assert everything() == before


BAD_COUPONS: list[tuple[dict[str, Any], str]] = [
    ({"benefit": "Free beer"}, "benefit"),
    ({"reason": ""}, "reason"),
    ({"percent": 0}, "percent"),
    ({"percent": 101}, "percent"),
    ({"percent": 12.5}, "percent"),
    ({"percent": True}, "percent"),
    ({"amount_minor": 5000, "currency": "CNY"}, "percent"),
    ({"percent": None, "amount_minor": 0, "currency": "CNY"}, "amount_minor"),
    ({"percent": None, "amount_minor": 2**31, "currency": "CNY"}, "amount_minor"),
    ({"percent": None, "amount_minor": 5000}, "currency"),
    ({"currency": "CNY"}, "currency"),
    ({"percent": None, "amount_minor": 5000, "currency": "ABC"}, "currency"),
    ({"valid_from": NEXT_MONTH}, "valid_until"),
    ({"valid_until": NEXT_MONTH.replace(tzinfo=None)}, "valid_until"),
]


@pytest.mark.parametrize(("other", "field"), BAD_COUPONS)
def test_a_coupon_that_makes_no_sense_names_the_field(other: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as bad:
        coupon(**other)
    assert bad.value.field == field


def test_what_cannot_be_given(guest: int) -> None:
    gone = new_guest("ZK900002")
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == gone).values(status="left"))
    before = everything()
    for member_id, new, key, kind, field in (
        (guest, coupon(valid_until=NOW), "k", BadInput, "valid_until"),
        (guest, coupon(), "", BadInput, "key"),
        (guest, coupon(), "k" * 129, BadInput, "key"),
        (gone, coupon(), "k", Conflict, "member"),
        (404, coupon(), "k", Unknown, "member"),
    ):
        with pytest.raises(kind) as bad:
            give(member_id, new, key=key)
        assert bad.value.field == field
        assert everything() == before


def test_the_wallet_holds_what_can_still_be_used(guest: int) -> None:
    late = give(guest, key="late").id
    soon = give(guest, coupon(valid_until=NOW + timedelta(days=1)), key="soon").id
    later = give(guest, coupon(valid_from=NOW + timedelta(days=2)), key="later").id
    used, withdrawn = give(guest, key="used"), give(guest, key="withdrawn")
    give(new_guest("ZK900002"), key="another's")
    use(used.code)
    withdraw(withdrawn.id)
    assert wallet(guest) == [soon, late, later]
    assert wallet(guest, now=NOW + timedelta(days=1)) == [late, later]
    assert wallet(guest, now=NEXT_MONTH) == []


def test_a_coupon_is_used_once(guest: int) -> None:
    new_stay(guest, "HLSH-1")
    given = give(guest)
    spelt = f" {given.code[:4].lower()}-{given.code[4:].lower()} "
    used = use(spelt, stay="HLSH-1")
    assert (used.id, used.used_at) == (given.id, NOW)
    assert used.used_on_stay_id is not None
    before = everything()
    with pytest.raises(CodeUsedBefore) as no:
        use(given.code, now=NOW + timedelta(hours=1))
    assert no.value.values == {"at": NOW}
    assert no.value.values["at"].tzinfo == ZoneInfo("Asia/Shanghai")
    with pytest.raises(Conflict):
        withdraw(given.id)
    assert everything() == before
    assert deeds(f"coupon:{given.id}") == ["coupon.given", "coupon.used"]


def test_why_a_coupon_cannot_be_used(guest: int) -> None:
    new_stay(guest, "HLSH-1")
    new_stay(guest, "HLLN-1", hotel="HLLN")
    new_stay(guest, "HLSH-2", status="cancelled")
    new_stay(new_guest("ZK900002"), "HLSH-3")
    yuan = give(guest, coupon(percent=None, amount_minor=10_000, currency="CNY"), key="yuan").code
    later = give(guest, coupon(valid_from=NOW + BLINK), key="later").code
    void = give(guest, key="void")
    withdraw(void.id)
    before = everything()
    for code, other, kind, values in (
        (yuan, {"stay": "HLLN-1"}, CouponCurrency, {"currency": "CNY"}),
        (yuan, {"stay": "HLSH-3"}, CodeOfAnother, {}),
        (yuan, {"stay": "HLSH-1", "now": NEXT_MONTH}, CodeOver, {"at": NEXT_MONTH - BLINK}),
        (later, {"stay": "HLSH-1"}, CodeNotYet, {"at": NOW + BLINK}),
        (void.code, {}, CodeVoid, {}),
        (codes.new_code(), {}, CodeUnknown, {}),
        ("no code", {}, CodeUnknown, {}),
    ):
        with pytest.raises(kind) as no:
            use(code, **other)
        assert no.value.values == values
    with pytest.raises(Conflict):
        use(yuan, stay="HLSH-2")
    with pytest.raises(Unknown):
        use(yuan, stay="HLXX-1")
    assert everything() == before
    assert use(yuan, stay="HLSH-1", now=NEXT_MONTH - BLINK).used_at == NEXT_MONTH - BLINK
    assert use(later, now=NOW + BLINK).used_on_stay_id is None


def test_withdrawing_twice_and_for_a_reason(guest: int) -> None:
    given = give(guest)
    assert withdraw(given.id).withdrawn_at == NOW
    before = everything()
    assert withdraw(given.id).withdrawn_at == NOW
    for coupon_id, why in ((given.id, "Because!"), (404, "mistake")):
        with pytest.raises(BadInput):
            withdraw(coupon_id, why)
    assert everything() == before


def test_a_code_that_is_taken_is_drawn_again(guest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter("222222222222223333333")
    monkeypatch.setattr("secrets.choice", lambda alphabet: next(draws))
    first, second = give(guest, key="1"), give(guest, key="2")
    assert (first.code[:7], second.code[:7]) == ("2222222", "3333333")
