"""What the brain remembers: the latest turns, in order, of one conversation."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from data import db, dialogues
from data.dialogues import DialogueTurn
from tests.conftest import NOW


def remember(conversation: str, *turns: int) -> None:
    with db.transaction() as session:
        for turn in turns:
            events = [{"event": "user", "text": f"第{turn}句"}]
            session.add(DialogueTurn(conversation=conversation, before={"turn": turn}, events=events, at=NOW))
            session.flush()


def last(conversation: str, limit: int) -> list[int]:
    with db.reading() as session:
        return [turn.before["turn"] for turn in dialogues.last_turns(session, conversation, limit=limit)]


def test_last_turns_are_the_newest_oldest_first(database: str) -> None:
    remember("a", 1, 2)
    remember("b", 100)
    remember("a", 3, 4, 5)
    assert last("a", 3) == [3, 4, 5]
    assert last("a", 99) == [1, 2, 3, 4, 5]
    assert last("a", 1) == [5]
    assert last("a", 0) == []
    assert last("b", 3) == [100]
    assert last("nobody", 3) == []


def test_all_turns_and_conversations(database: str) -> None:
    remember("a", 1)
    remember("b", 9)
    remember("a", 2)
    with db.reading() as session:
        assert [turn.before["turn"] for turn in dialogues.all_turns(session, "a")] == [1, 2]
        assert dialogues.all_turns(session, "nobody") == []
        assert sorted(dialogues.conversations(session)) == ["a", "b"]


def test_events_come_back_as_they_were(database: str) -> None:
    events: list[dict[str, Any]] = [
        {"event": "slot", "value": None, "n": 1.5, "deep": {"emoji": "🛁", "half": "\ud83d"}},
        {"event": "user", "text": '"quoted" \\ \u0000 你好'},
    ]
    with db.transaction() as session:
        session.add(DialogueTurn(conversation="a", before={"slots": {}}, events=events, at=NOW))
    with db.reading() as session:
        turn = dialogues.last_turns(session, "a", limit=1)[0]
        assert (turn.before, turn.events, turn.at) == ({"slots": {}}, events, NOW)


def test_last_turns_read_only_what_they_give(sqlite_database: str) -> None:
    asked: list[tuple[str, Any]] = []
    event.listen(db.engine(), "before_cursor_execute", lambda *seen: asked.append((seen[2], seen[3])))
    last("a", 5)
    (query, given) = asked[-1]
    with db.reading() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", given)
        steps = " ".join(row[-1] for row in plan)
    assert "ix_dialogue_turns_conversation (conversation=?)" in steps
    assert "TEMP B-TREE" not in steps, "sorting would mean reading them all"
