"""A process that dies between any two statements of a deed: nothing is left of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from data import (
    confirming,
    db,
    programme,
    programme_versions,
    redeeming,
    redemptions,
    settling,
)
from tests.conftest import NOW
from tests.data.conftest import everything
from tests.data.reward_scenes import (
    BY,
    bought,
    new_guest,
    open_house,
    wish,
)


@pytest.fixture
def guest(database: str) -> int:
    """A gold member with 50,000 points in two lots, in an open house."""
    open_house()
    return new_guest("ZK900001", 20_000, 30_000)


class PowerCut(Exception):
    """The process is gone."""


def cut_before(session: Session, statement: int) -> None:
    """Break the session off before the statement with this number."""
    numbers = itertools.count(1)

    def count(*_: Any) -> None:
        if next(numbers) == statement:
            raise PowerCut

    event.listen(session.connection(), "before_cursor_execute", count)


def _begins(session: Session, member_id: int, held: int, taken: int) -> None:
    redeeming.begin(session, member_id, "paper_lantern", key="new", channel="telegram", **BY)


def _confirms(session: Session, member_id: int, held: int, taken: int) -> None:
    confirming.confirm(session, held, **BY)


def _cancels(session: Session, member_id: int, held: int, taken: int) -> None:
    settling.cancel(session, taken, why="guest", **BY)


def _hands_over(session: Session, member_id: int, held: int, taken: int) -> None:
    settling.fulfil(session, redemptions.found(session, taken).code or "", hotel="HLSH", **BY)


@pytest.mark.parametrize("deed", [_begins, _confirms, _cancels, _hands_over])
def test_a_deed_that_breaks_off_anywhere_leaves_nothing(guest: int, deed: Callable[..., None]) -> None:
    named = programme.sample().replace("extra: late_checkout", "extra: tea_caddy")
    with db.transaction() as session:
        programme_versions.load(session, named, actor="test", now=NOW)
    taken = bought(guest, "paper_lantern", key="taken").id
    held = wish(guest, "free_night", key="held", quantity=2).id
    before = everything()
    for statement in itertools.count(1):
        try:
            with db.transaction() as session:
                cut_before(session, statement)
                deed(session, guest, held, taken)
        except PowerCut:
            assert everything() == before
        else:
            break
    assert statement > 5, "nothing was ever cut"
    assert everything() != before
