"""Merging two memberships of one person: only with proof, undone by nobody, and once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from data import (
    db,
    details,
    holds,
    merging,
)
from data.details import MemberChanges
from data.members import Member
from data.merging import DocumentSeen
from data.refusals import BadInput, Conflict, Unknown
from tests.conftest import NOW
from tests.data.conftest import everything
from tests.data.people import SHEN, open_hotels
from tests.data.rivals import Rivals
from tests.data.two_memberships import (
    DAY,
    SEEN,
    credit,
    is_sound,
    join,
    join_both,
    many,
    merge,
    merge_or_spend,
    merge_rival,
    spendable,
)


@pytest.fixture
def pair(database: str) -> tuple[int, int]:
    return join_both()


def refuses(keep: int, gone: int, match: str, kind: type[BadInput] = Conflict, **other: Any) -> None:
    before = everything()
    with pytest.raises(kind, match=match) as refused:
        merge(keep, gone, **other)
    assert everything() == before
    assert SHEN.name not in str(refused.value)
    assert "12345678" not in str(refused.value)
    assert "1992" not in str(refused.value)


@pytest.mark.parametrize(
    ("proof", "match"),
    [
        (DocumentSeen(numbers=(), birthday="1992-02-29"), "document of ZK200001 was not seen"),
        (DocumentSeen(numbers=("E99999999",), birthday="1992-02-29"), "document of ZK200001 was not seen"),
        (
            DocumentSeen(numbers=("E12345678",), birthday="1992-02-28"),
            "has another birthday",
        ),
        # 1 January 1990, while both records say otherwise.
        (DocumentSeen(numbers=("E12345678", "110105199001010010"), birthday="1992-02-29"), "identity card"),
    ],
)
def test_proof_that_does_not_hold(pair: tuple[int, int], proof: DocumentSeen, match: str) -> None:
    refuses(*pair, match, proof=proof)
    refuses(*reversed(pair), match, proof=proof)


@pytest.mark.parametrize(
    ("proof", "match"),
    [
        (DocumentSeen(numbers=("?",), birthday="1992-02-29"), "documents"),
        (DocumentSeen(numbers=("E12345678",), birthday="--02-29"), "birthday"),
        (DocumentSeen(numbers=("E12345678",), birthday=""), "birthday"),
    ],
)
def test_proof_that_is_none(pair: tuple[int, int], proof: DocumentSeen, match: str) -> None:
    refuses(*pair, match, BadInput, proof=proof)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (MemberChanges(birthday="1992-03-01"), "record of ZK200002 has another birthday"),
        (MemberChanges(birthday="--02-29"), "record of ZK200002 has another birthday"),
        (MemberChanges(birthday=None), "record of ZK200002 has no birthday"),
        (MemberChanges(name="沈知", latin_name="Shen Zhi"), "different names"),
        (MemberChanges(name="沈知", latin_name=None), "different names"),
        (MemberChanges(document="G7654321"), "document of ZK200002 was not seen"),
    ],
)
def test_records_that_disagree(pair: tuple[int, int], changes: MemberChanges, match: str) -> None:
    keep, gone = pair
    with db.transaction() as session:
        details.change(session, gone, changes, via="desk", actor="desk", now=NOW)
    refuses(keep, gone, match)
    refuses(gone, keep, match)


def test_without_any_document_on_record_nothing_is_proved(database: str) -> None:
    open_hotels()
    refuses(join(number="ZK200003", phone=None), join(), "neither record has a document")


@pytest.mark.parametrize(
    ("name", "latin_name"),
    [
        ("沈知微", None),
        ("沈 知微", None),
        ("SHEN ZHIWEI", None),
        ("Zhiwei Shen", None),
        ("shén, zhíwēi", None),
        ("Wei", "ZHIWEI SHEN"),
    ],
)
def test_names_that_are_the_same(pair: tuple[int, int], name: str, latin_name: str | None) -> None:
    keep, gone = pair
    with db.transaction() as session:
        changes = MemberChanges(name=name, latin_name=latin_name)
        details.change(session, gone, changes, via="desk", actor="desk", now=NOW)
    assert not merge(keep, gone).again


def test_both_documents_in_hand(pair: tuple[int, int]) -> None:
    keep, gone = pair
    with db.transaction() as session:
        details.change(session, gone, MemberChanges(document="G7654321"), via="desk", actor="desk", now=NOW)
    both = DocumentSeen(numbers=("E12345678", "g 7654321"), birthday=SEEN.birthday)
    assert not merge(keep, gone, proof=both).again


@pytest.mark.parametrize("who", [0, 1])
def test_refused_under_running_holds(pair: tuple[int, int], who: int) -> None:
    credit(pair[who], 100, key="had")
    with db.transaction() as session:
        holds.hold(session, pair[who], 60, reason="r", key="h", actor="guest", now=NOW, lasts=DAY)
    refuses(*pair, "on hold")
    merge(*pair, now=NOW + DAY)
    assert spendable(pair[0], NOW + DAY) == 100
    is_sound(NOW + DAY)


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("status", ["left", "erased"])
def test_only_active_members_are_merged(pair: tuple[int, int], who: int, status: str) -> None:
    with db.transaction() as session:
        session.execute(update(Member).where(Member.id == pair[who]).values(status=status))
    refuses(*pair, "ended|erased")


def test_one_and_the_same(pair: tuple[int, int]) -> None:
    refuses(pair[0], pair[0], "same membership", BadInput)


def test_nobody(pair: tuple[int, int]) -> None:
    refuses(pair[0], 404, "no member", Unknown)


def test_again_is_harmless(pair: tuple[int, int]) -> None:
    keep, gone = pair
    credit(gone, 10, key="had")
    merge(keep, gone)
    before = everything()
    assert merge(keep, gone, now=NOW + DAY).again
    # Even if the proof does not hold any more.
    assert merge(keep, gone, proof=DocumentSeen(numbers=(), birthday="")).again
    assert everything() == before
    refuses(gone, keep, "was merged")
    third = join(number="ZK200003", phone=None)
    refuses(third, gone, "was merged")


def test_again_after_who_lived_on_was_merged_too(pair: tuple[int, int]) -> None:
    keep, gone = pair
    last = join(number="ZK200003", phone=None)
    merge(keep, gone)
    merge(last, keep)
    assert merge(keep, gone).again
    assert merge(last, gone).again


class Crash(Exception):
    """The process died before its transaction was committed."""


def test_a_merge_that_is_cut_off_never_was(pair: tuple[int, int]) -> None:
    keep, gone = pair
    credit(gone, 10, key="had")
    before = everything()

    def merge_and_die() -> None:
        with db.transaction() as session:
            merging.merge(session, keep_id=keep, gone_id=gone, proof=SEEN, actor="staff:wu", now=NOW)
            raise Crash

    with pytest.raises(Crash):
        merge_and_die()
    assert everything() == before


def test_two_desks_merge_the_same_pair(rivals: Rivals, database: str) -> None:
    pairs = many(5)
    both = [{"a": pair, "b": pair} for pair in pairs]
    for a, b in zip(*rivals.race(merge_rival, database, both), strict=True):
        assert {a, b} == {"merged", "again"}
    assert [spendable(keep) for keep, _, _ in pairs] == [110] * 5
    is_sound()


def test_two_desks_merge_a_pair_in_opposite_ways(rivals: Rivals, database: str) -> None:
    """One of them wins; they do not wait for each other for ever."""
    pairs = many(5)
    crossed = [{"a": (keep, gone, doc), "b": (gone, keep, doc)} for keep, gone, doc in pairs]
    for a, b in zip(*rivals.race(merge_rival, database, crossed), strict=True):
        assert sorted((a, b)) in (["keep", "merged"], ["gone", "merged"])
    assert [spendable(keep) + spendable(gone) for keep, gone, _ in pairs] == [110] * 5
    is_sound()


def test_points_are_spent_or_carried_over_but_not_both(rivals: Rivals, database: str) -> None:
    pairs = many(8)
    merged, spent = rivals.race(merge_or_spend, database, pairs)
    assert all(merged)
    for (keep, gone, _), was_spent in zip(pairs, spent, strict=True):
        assert spendable(keep) == (100 if was_spent else 110)
        assert spendable(gone) == 0
    is_sound()
