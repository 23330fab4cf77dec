"""What follows a person when two memberships become one: records, consents, likings, tiers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, update

from data import (
    consents,
    coupons,
    db,
    identifiers,
    membership,
    preferences,
    referrals,
    tier_moves,
)
from data.consents import Consent, Purpose
from data.coupon_descriptions import NewCoupon
from data.coupons import Coupon
from data.identifiers import IdentifierKind
from data.members import Contact, Member, MemberStatus, contact_at
from data.merging import DocumentSeen
from data.preferences import Preference
from data.referrals import Referral, ReferralCode
from data.stays import Stay
from data.tiers import TierChange
from tests.conftest import NOW
from tests.data.people import SHEN, stayed
from tests.data.two_memberships import (
    DAY,
    SEEN,
    join,
    join_both,
    merge,
)

ENDS = date(2027, 3, 1)  # of a tier


@pytest.fixture
def pair(database: str) -> tuple[int, int]:
    return join_both()


def test_records_follow(pair: tuple[int, int]) -> None:
    keep, gone = pair
    with db.transaction() as session:
        contact_at(session, "telegram", "700", now=NOW).member_id = gone
        stayed(session, gone)
        coupon = NewCoupon(benefit="dining", percent=10, reason="birthday", valid_until=NOW + DAY)
        coupons.give(session, gone, coupon, key="c", actor="job", now=NOW)
        code = referrals.code_of(session, gone)
        session.execute(update(Member).where(Member.id == gone).values(joined_at=NOW - 900 * DAY))
    merge(keep, gone)
    with db.reading() as session:
        for table in (Contact, Stay, Coupon, ReferralCode):
            assert session.scalars(select(table.member_id)).all() == [keep], table.__name__
        assert set(identifiers.of(session, keep, IdentifierKind.phone)) == {
            "+8613601876543",
            "+8613700000002",
        }
        assert identifiers.of(session, gone, IdentifierKind.phone) == {}
        member = session.get_one(Member, gone)
        assert (member.status, member.merged_into_id, member.name) == (MemberStatus.merged, keep, SHEN.name)
        assert session.get_one(Member, keep).joined_at == NOW - 900 * DAY
        assert membership.member_by_number(session, "ZK200002").id == keep
        assert referrals.referrer_by_code(session, code).id == keep


def test_what_keep_does_not_know_it_learns(pair: tuple[int, int]) -> None:
    shen, twin = pair
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == twin).values(latin_name=None))
    merge(twin, shen)
    with db.reading() as session:
        member = session.get_one(Member, twin)
        home = session.scalar(select(Member.home_hotel_id).where(Member.id == shen))
        assert (member.latin_name, member.time_zone, member.home_hotel_id) == (
            "Shen Zhiwei",
            "Asia/Tokyo",
            home,
        )


def test_both_codes_stay_good(pair: tuple[int, int]) -> None:
    keep, gone = pair
    with db.transaction() as session:
        codes = [referrals.code_of(session, each) for each in pair]
    merge(keep, gone)
    with db.reading() as session:
        assert [referrals.referrer_by_code(session, code).id for code in codes] == [keep, keep]


def test_who_brought_the_older_membership_brought_the_person(pair: tuple[int, int]) -> None:
    friend = join(number="ZK200021", phone=None)
    keep, gone = pair
    with db.transaction() as session:
        code = referrals.code_of(session, friend)
        referrals.refer(session, gone, code, actor="guest", now=NOW)
        session.execute(update(Member).where(Member.id == gone).values(joined_at=NOW + DAY))
    merge(keep, gone)
    with db.reading() as session:
        assert session.scalars(select(Referral.friend_id)).all() == [gone], "nobody brought a member of old"
    older, younger = (
        join(number="ZK200022", phone=None),
        join(number="ZK200023", phone=None, document="P7654321"),
    )
    with db.transaction() as session:
        referrals.refer(session, older, code, actor="guest", now=NOW)
    merge(younger, older, proof=DocumentSeen(numbers=("P7654321",), birthday=SEEN.birthday))
    with db.transaction() as session:
        stayed(session, younger, "S9")
        assert [each.member_id for each in referrals.reward(session, younger, now=NOW)] == [friend, younger]


@pytest.mark.parametrize("kept", [None, True, False])
@pytest.mark.parametrize("gone_said", [None, True, False])
def test_the_stricter_word_counts_until_they_decide_anew(
    pair: tuple[int, int], kept: bool | None, gone_said: bool | None
) -> None:
    keep, gone = pair
    with db.transaction() as session:
        for member, said in ((keep, kept), (gone, gone_said)):
            if said is not None:
                consents.decide(session, member, Purpose.birthday, said, via="desk", actor="desk", now=NOW)
        history = session.scalars(select(Consent.id).where(Consent.member_id == gone)).all()
    merge(keep, gone)
    words = {kept, gone_said} - {None}
    with db.transaction() as session:
        assert consents.allowed(session, keep, Purpose.birthday) is (words == {True})
        assert session.scalars(select(Consent.id).where(Consent.member_id == gone)).all() == history
        consents.decide(session, keep, Purpose.birthday, True, via="desk", actor="desk", now=NOW)
        assert consents.allowed(session, keep, Purpose.birthday)


@pytest.mark.parametrize(
    ("kept", "gone_likes", "after"),
    [
        ({("floor", "high"): True}, {("floor", "low"): False}, {("floor", "high"): True}),
        ({("floor", "high"): False}, {("floor", "low"): True}, {("floor", "low"): True}),
        ({("floor", "high"): True}, {("floor", "low"): True}, {("floor", "low"): True}),  # the later
        ({("floor", "high"): False}, {("floor", "high"): True}, {("floor", "high"): True}),
        (
            {("pillow", "soft"): False},
            {("pillow", "firm"): True, ("pillow", "soft"): True},
            {("pillow", "firm"): True, ("pillow", "soft"): True},
        ),
        ({}, {("diet", "vegan"): True}, {("diet", "vegan"): True}),
        (
            {("gone_kind", "x"): True},
            {("gone_kind", "y"): False},
            {("gone_kind", "x"): True, ("gone_kind", "y"): False},
        ),
    ],
)
def test_the_better_known_liking_wins(
    pair: tuple[int, int], kept: Mapping[Any, bool], gone_likes: Mapping[Any, bool], after: Mapping[Any, bool]
) -> None:
    keep, gone = pair
    with db.transaction() as session:
        for member, likes, at in ((keep, kept, NOW), (gone, gone_likes, NOW + DAY)):
            for (kind, value), confirmed in likes.items():
                row = Preference(member_id=member, kind=kind, value=value, source="chat", confirmed=confirmed)
                row.recorded_at = at
                session.add(row)
    merge(keep, gone, now=NOW + DAY)
    with db.reading() as session:
        assert {(each.kind, each.value): each.confirmed for each in preferences.of(session, keep)} == after
        assert preferences.of(session, gone) == []


@pytest.mark.parametrize(
    ("kept", "gone_has", "after"),
    [
        (("silver", ENDS), ("gold", ENDS), ("gold", ENDS)),
        (("gold", ENDS), ("silver", ENDS + DAY), ("gold", ENDS)),
        (("gold", ENDS), ("gold", ENDS + DAY), ("gold", ENDS + DAY)),
        (("gold", ENDS), ("gold", None), ("gold", None)),
        (("classic", None), ("classic", None), ("classic", None)),
        (("classic", None), ("amber", ENDS), ("classic", None)),  # a tier the programme no longer has
    ],
)
def test_the_higher_tier_counts(pair: tuple[int, int], kept: Any, gone_has: Any, after: Any) -> None:
    keep, gone = pair
    with db.transaction() as session:
        for member, (tier, until) in ((keep, kept), (gone, gone_has)):
            session.execute(
                update(Member).where(Member.id == member).values(tier=tier, tier_valid_until=until)
            )
        moves = session.query(TierChange).count()
    merge(keep, gone)
    with db.reading() as session:
        member = session.get_one(Member, keep)
        assert (member.tier, member.tier_valid_until) == after
        assert session.query(TierChange).count() == moves + (after != kept)


def test_stays_of_both_count_together(pair: tuple[int, int]) -> None:
    keep, gone = pair
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == keep).values(tier="classic", tier_valid_until=None))
        for member, start in ((keep, 1), (gone, 20)):
            stayed(session, member, f"S{start}")
            stay = session.scalars(select(Stay).where(Stay.confirmation == f"S{start}")).one()
            stay.arrival, stay.departure = date(2026, 2, start), date(2026, 2, start + 5)
    merge(keep, gone)
    with db.reading() as session:
        assert session.get_one(Member, keep).tier == "silver"


def test_a_tier_given_by_hand_stays_one_given_by_hand(pair: tuple[int, int]) -> None:
    keep, gone = pair
    until = NOW.date() + 30 * DAY
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == keep).values(tier="silver", tier_valid_until=ENDS))
        tier_moves.set_by_hand(
            session, gone, "platinum", until=until, why="goodwill", actor="staff:wu", now=NOW
        )
    merge(keep, gone)
    with db.transaction() as session:
        member = session.get_one(Member, keep)
        assert (member.tier, member.tier_valid_until) == ("platinum", until)
        tier_moves.settle(session, keep, cause="review", actor="job", now=NOW + 40 * DAY)
        assert (member.tier, member.tier_valid_until) == ("silver", ENDS), "what was earned counts again"
