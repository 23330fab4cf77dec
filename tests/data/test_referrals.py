"""Referrals: one code a member, one referrer a friend, one reward for both."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from data import codes, db, programme, programme_versions, referrals
from data.ledger_rows import PointEntry
from data.members import Member
from data.points import balance
from data.referrals import Referral, ReferralCode
from data.refusals import BadInput, Conflict, Unknown
from tests.conftest import NOW
from tests.data import people
from tests.data.people import MIN, enrol, everything, join, open_hotels, stayed
from tests.data.rivals import Rivals

LATER = NOW + timedelta(days=30)


@pytest.fixture(autouse=True)
def hotels(database: str) -> None:
    open_hotels()


def code_of(member: Member) -> str:
    with db.transaction() as session:
        return referrals.code_of(session, member.id)


def befriended(name: str = "Friend") -> tuple[Member, Member]:
    """A referrer and the friend they brought."""
    referrer = join(name="Referrer")
    return referrer, join(MIN, name=name, referral_code=code_of(referrer))


def points_of(*members: Member) -> list[int]:
    with db.reading() as session:
        return [balance(session, member.id, now=LATER) for member in members]


def set_status(member: Member, status: str, into: Member | None = None) -> None:
    with db.transaction() as session:
        row = session.get_one(Member, member.id)
        row.status, row.merged_into_id = status, into.id if into else None


def test_a_member_has_one_code_that_can_be_read_aloud() -> None:
    first, second = join(), join()
    code = code_of(first)
    assert code_of(first) == code
    assert code_of(second) != code
    assert codes.read_code(f" {code[:4].lower()}-{code[4:].lower()} ") == code
    with db.transaction() as session:
        assert referrals.referrer_by_code(session, f"{code[:4].lower()} {code[4:]}").id == first.id


def test_a_code_that_was_drawn_twice_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = join(), join()
    taken, fresh = code_of(first), codes.new_code()
    draws = iter([taken, taken, fresh])
    monkeypatch.setattr(codes, "new_code", lambda: next(draws))
    assert code_of(second) == fresh


def test_both_are_thanked_once_on_the_friends_first_stay() -> None:
    referrer, friend = befriended()
    with db.transaction() as session:
        assert referrals.reward(session, friend.id, now=LATER) == ()  # no stay yet
        stayed(session, friend.id, "S0", "in_house")
        assert referrals.reward(session, friend.id, now=LATER) == ()
        stayed(session, friend.id, "S1")
        theirs, friends = referrals.reward(session, friend.id, now=LATER)
    assert (theirs.member_id, theirs.amount) == (referrer.id, 1000)
    assert (friends.member_id, friends.amount) == (friend.id, 500)
    assert points_of(referrer, friend) == [1500, 1000]
    before = everything()
    with db.transaction() as session:
        assert referrals.reward(session, friend.id, now=LATER) == ()
    assert everything() == before
    with db.transaction() as session:
        stayed(session, friend.id, "S2")
        assert referrals.reward(session, friend.id, now=LATER) == ()
    with db.reading() as session:
        row = session.scalars(select(Referral)).one()
        assert row.rewarded_at == LATER
        thanks = select(PointEntry).where(PointEntry.reason == "referral").order_by(PointEntry.id)
        entries = session.scalars(thanks).all()
        assert [entry.key for entry in entries] == [
            f"referral:{row.id}:referrer",
            f"referral:{row.id}:friend",
        ]
        assert [entry.text_key for entry in entries] == ["utter_entry_referral", "utter_entry_referred"]
        assert entries[0].facts == {"points": 1000, "rule": "gifts.referral.referrer", "programme_version": 0}


def test_the_rules_in_force_say_how_many() -> None:
    _, friend = befriended()
    text = programme.sample().replace("{referrer: 1000, friend: 500}", "{referrer: 0, friend: 70}")
    with db.transaction() as session:
        programme_versions.load(session, text, actor="staff:li", now=NOW)
        stayed(session, friend.id)
        (posted,) = referrals.reward(session, friend.id, now=LATER)
        assert (posted.member_id, posted.amount) == (friend.id, 70)


@pytest.mark.parametrize("status", ["left", "erased"])
def test_a_referrer_who_is_gone_gets_nothing(status: str) -> None:
    referrer, friend = befriended()
    set_status(referrer, status)
    with db.transaction() as session:
        stayed(session, friend.id)
        (posted,) = referrals.reward(session, friend.id, now=LATER)
    assert posted.member_id == friend.id
    assert points_of(referrer, friend) == [500, 1000]


def test_a_friend_who_is_gone_brings_nobody_anything() -> None:
    referrer, friend = befriended()
    set_status(friend, "left")
    with db.transaction() as session:
        stayed(session, friend.id)
        assert referrals.reward(session, friend.id, now=LATER) == ()
    assert points_of(referrer, friend) == [500, 500]


def test_who_came_without_a_code_brings_nobody_anything() -> None:
    loner = join()
    with db.transaction() as session:
        stayed(session, loner.id)
        assert referrals.lock_both(session, loner.id) is None
        assert referrals.reward(session, loner.id, now=LATER) == ()


def test_the_code_of_a_merged_member_is_that_of_who_lives_on() -> None:
    gone, heir = join(name="Gone"), join(name="Heir")
    code = code_of(gone)
    set_status(gone, "merged", into=heir)
    friend = join(MIN, number="ZK300001", referral_code=code)
    with db.transaction() as session:
        assert session.scalars(select(Referral.referrer_id)).one() == heir.id
        assert enrol(
            session, people.NewMember(number="ZK300001", name="Min", locale="en", referral_code=code)
        ).again
        stayed(session, friend.id)
        referrals.reward(session, friend.id, now=LATER)
    assert points_of(gone, heir, friend) == [500, 1500, 1000]


def test_a_friend_is_referred_once() -> None:
    _, friend = befriended()
    with db.transaction() as session:
        code = session.scalars(select(ReferralCode.code)).one()
    other = code_of(join(name="Other"))
    before = everything()
    with db.transaction() as session:
        referrals.refer(session, friend.id, code, actor="desk", now=LATER)  # again: harmless
        with pytest.raises(Conflict, match="another code"):
            referrals.refer(session, friend.id, other, actor="desk", now=LATER)
    assert everything() == before


def test_codes_that_cannot_be_taken() -> None:
    referrer, friend = befriended()
    lone, old = join(name="Lone"), join(name="Old")
    own, gone, friends = code_of(lone), code_of(old), code_of(friend)
    set_status(old, "left")
    with db.transaction() as session:
        stayed(session, friend.id, "S9")
    code = code_of(referrer)
    wrong: list[tuple[Member, str, type[BadInput], str]] = [
        (lone, "nonsense", Unknown, "no code"),
        (lone, codes.new_code(), Unknown, "no code"),
        (lone, own, Conflict, "own code"),
        (lone, gone, Conflict, "no longer"),
        (referrer, friends, Conflict, "whom this guest brought"),
        (old, code, Conflict, "ended"),
    ]
    before = everything()
    for member, typed, kind, problem in wrong:
        with db.transaction() as session, pytest.raises(kind, match=problem):
            referrals.refer(session, member.id, typed, actor="desk", now=LATER)
    with db.transaction() as session, pytest.raises(Conflict, match="ended"):
        referrals.code_of(session, old.id)
    assert everything() == before
    with db.transaction() as session:
        stayed(session, lone.id, "S10")
        with pytest.raises(Conflict, match="stayed with us"):
            referrals.refer(session, lone.id, code, actor="desk", now=LATER)


def test_two_processes_ask_for_the_same_codes(rivals: Rivals, database: str) -> None:
    members = [join().id for _ in range(10)]
    a, b = rivals.race(people.ask_code, database, members)
    assert a == b
    assert len(set(a)) == 10


def test_two_processes_thank_the_same_pairs(rivals: Rivals, database: str) -> None:
    """One pair after the other, the referrer now the older, now the younger member."""
    friends = []
    for number in range(10):
        older, younger = join(), join()
        referrer, friend = (older, younger) if number % 2 else (younger, older)
        with db.transaction() as session:
            referrals.refer(
                session, friend.id, referrals.code_of(session, referrer.id), actor="desk", now=NOW
            )
            stayed(session, friend.id, f"S{number}")
        friends.append(friend.id)
    a, b = rivals.race(people.reward, database, {"a": friends, "b": friends})
    assert all(sorted(map(len, pair)) == [0, 2] for pair in zip(a, b, strict=True))
    with db.reading() as session:
        assert session.scalar(select(func.count()).where(PointEntry.reason == "referral")) == 20


def test_two_who_are_each_others_friend_are_thanked_without_a_deadlock(rivals: Rivals, database: str) -> None:
    """`refer` makes no such pair, a merge might: each process locks both accounts, from its own end."""
    pairs = []
    with db.transaction() as session:
        for number in range(10):
            one, other = (enrol(session, MIN).member.id for _ in range(2))
            for who, (referrer_id, friend_id) in {"A": (one, other), "B": (other, one)}.items():
                session.add(Referral(referrer_id=referrer_id, friend_id=friend_id, made_at=NOW))
                stayed(session, friend_id, f"{who}{number}")
            pairs.append((one, other))
    mine = {"a": [one for one, _ in pairs], "b": [other for _, other in pairs]}
    a, b = rivals.race(people.reward, database, mine)
    assert all(len(posted) == 2 for posted in a + b)
