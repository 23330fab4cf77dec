"""Messages: taken once, sent in order, claimed by one, settled once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from data import db, messages, promises
from data.messages import HOLD, Message, State
from data.promises import Draft
from tests.conftest import NOW
from tests.data import rivals as deeds
from tests.data.conftest import new_contact
from tests.data.rivals import Rivals

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def contact_id(database: str) -> int:
    return new_contact("700001")


def receive(key: str = "42", **other: Any) -> int | None:
    given: dict[str, Any] = {"contact_id": None, "kind": "text", "text": "你好", "payload": {}}
    given |= {"by": "p1", "now": NOW}
    with db.transaction() as session:
        return messages.receive(session, channel="telegram", key=key, **(given | other))


def promise(contact_id: int, key: str, **other: Any) -> int | None:
    given: dict[str, Any] = {"channel": "telegram", "now": NOW}
    with db.transaction() as session:
        return promises.promise(
            session, Draft(f"words of {key}"), contact_id=contact_id, key=key, **(given | other)
        )


def claim(contact_id: int, *, by: str = "p1", now: Any = NOW) -> Message | None:
    with db.transaction() as session:
        return promises.claim_next(session, contact_id, by=by, via="api", now=now)


def claimed(contact_id: int, **other: Any) -> int | None:
    message = claim(contact_id, **other)
    return message.id if message else None


def settle(message_id: int | None, state: State, **other: Any) -> bool:
    assert message_id is not None
    with db.transaction() as session:
        return promises.settle_outgoing(session, message_id, state, **({"now": NOW} | other))


def stored(message_id: int | None) -> Message:
    with db.reading() as session:
        return session.get_one(Message, message_id)


def test_redelivery_is_noticed(database: str, contact_id: int) -> None:
    first = receive(contact_id=contact_id, payload={"update_id": 9})
    assert first is not None
    assert receive(contact_id=contact_id, text="another text", by="p2") is None
    kept = stored(first)
    assert (kept.text, kept.held_by, kept.state) == ("你好", "p1", "received")
    assert (kept.payload, kept.held_until, kept.settled_at) == ({"update_id": 9}, NOW + HOLD, None)
    with db.reading() as session:
        found = messages.by_key(session, "telegram:42")
        assert found is not None
        assert found.id == first
        assert messages.by_key(session, "wechat:42") is None


def test_same_platform_id_on_another_channel_is_another_message(database: str) -> None:
    with db.transaction() as session:
        ids = {
            messages.receive(
                session,
                channel=channel,
                key="42",
                contact_id=None,
                kind="text",
                text="",
                payload={},
                by="p",
                now=NOW,
            )
            for channel in ("telegram", "wechat")
        }
    assert len(ids - {None}) == 2


def test_what_wants_no_answer_is_noted_and_not_open(database: str) -> None:
    noted = receive(kind="edit", wants_answer=False)
    assert (stored(noted).state, stored(noted).settled_at) == ("noted", NOW)
    with db.reading() as session:
        assert messages.open_messages(session) == []


def test_two_processes_receive_the_same_deliveries(rivals: Rivals, database: str) -> None:
    a, b = rivals.race(deeds.receive, database, [str(number) for number in range(20)])
    assert all((ours is None) != (theirs is None) for ours, theirs in zip(a, b, strict=True))


def test_promise_is_made_once_and_remembers_its_choices(database: str, contact_id: int) -> None:
    draft = Draft("积分？", choices=(("好", "/affirm"), ("不", "/deny")))
    with db.transaction() as session:
        question = messages.receive(
            session,
            channel="telegram",
            key="1",
            contact_id=contact_id,
            kind="text",
            text="",
            payload={},
            by="p",
            now=NOW,
        )
        first = promises.promise(
            session, draft, contact_id=contact_id, channel="telegram", key="r1", now=NOW, answers_id=question
        )
    assert promise(contact_id, "r1") is None
    second = promise(contact_id, "r2", answers_id=question)
    with db.reading() as session:
        replies = promises.replies_to(session, question or 0)
        assert [reply.id for reply in replies] == [first, second]
        assert replies[0].text == "积分？"
        assert replies[0].payload == {"choices": [["好", "/affirm"], ["不", "/deny"]]}


def test_only_the_head_is_claimed_in_the_order_of_promises(database: str, contact_id: int) -> None:
    other = new_contact("700002")
    first, second, third = (promise(contact_id, key) for key in ("a", "b", "c"))
    elsewhere = promise(other, "d")
    assert claimed(contact_id) == first
    assert claimed(contact_id) is None, "a held head blocks"
    assert claimed(other) == elsewhere, "but only its own guest"
    assert settle(first, State.sent)
    assert claimed(contact_id) == second
    assert settle(second, State.failed, outcome="rejected")
    assert claimed(contact_id) == third
    assert settle(third, State.sent)
    assert claimed(contact_id) is None


def test_claim_says_who_holds_it_how_and_how_long(database: str, contact_id: int) -> None:
    promise(contact_id, "a")
    message = claim(contact_id, by="p9", now=LATER)
    assert message is not None
    for seen in (message, stored(message.id)):
        assert (seen.state, seen.via, seen.held_by, seen.attempts) == ("sending", "api", "p9", 1)
        assert seen.held_until == LATER + HOLD


def test_nothing_leaves_before_it_is_due(database: str, contact_id: int) -> None:
    first, second = promise(contact_id, "a", now=LATER), promise(contact_id, "b")
    assert claimed(contact_id, now=LATER - timedelta(microseconds=1)) is None, "nor does the second overtake"
    with db.reading() as session:
        assert promises.next_due_at(session, contact_id) == LATER
    assert claimed(contact_id, now=LATER) == first
    assert settle(first, State.sent)
    assert claimed(contact_id, now=LATER) == second


def test_a_send_put_off_keeps_its_place(database: str, contact_id: int) -> None:
    first, second = promise(contact_id, "a"), promise(contact_id, "b")
    assert claimed(contact_id) == first
    with db.transaction() as session:
        assert promises.put_off(session, first or 0, due_at=LATER, outcome="too_fast")
        assert not promises.put_off(session, first or 0, due_at=LATER, outcome="too_fast"), "no longer held"
        assert not promises.put_off(session, second or 0, due_at=LATER, outcome="too_fast"), "never held"
    waiting = stored(first)
    assert (waiting.state, waiting.held_by, waiting.held_until) == ("promised", "", None)
    assert (waiting.due_at, waiting.outcome, waiting.attempts) == (LATER, "too_fast", 1)
    assert claimed(contact_id) is None
    again = claim(contact_id, now=LATER)
    assert again is not None
    assert (again.id, again.attempts) == (first, 2)


def test_hurry_overrides_the_hour_but_neither_order_nor_holder(database: str, contact_id: int) -> None:
    def hurried() -> int | None:
        with db.transaction() as session:
            message = promises.claim_next(session, contact_id, by="p1", via="passive", now=NOW, hurry=True)
            return message.id if message else None

    first, second = promise(contact_id, "a", now=LATER), promise(contact_id, "b", now=LATER)
    assert hurried() == first
    assert hurried() is None, "the head is held"
    assert settle(first, State.sent)
    assert hurried() == second


def test_last_platform_id_is_the_highest_number_of_the_conversation(database: str, contact_id: int) -> None:
    other = new_contact("700002")

    def last() -> str:
        with db.reading() as session:
            return promises.last_platform_id(session, contact_id)

    assert last() == ""
    for contact, key, platform_id in (
        (contact_id, "a", "99"),
        (contact_id, "b", "100"),  # higher, though not as text
        (contact_id, "c", "x²"),
        (contact_id, "d", "²"),
        (contact_id, "e", ""),
        (other, "f", "500"),
    ):
        message_id = promise(contact, key)
        assert claimed(contact) == message_id
        assert settle(message_id, State.sent, platform_id=platform_id)
    assert last() == "100"
    receive(contact_id=contact_id, platform_id="101")
    assert last() == "101"


def test_a_send_is_settled_once(database: str, contact_id: int) -> None:
    message_id = promise(contact_id, "a")
    assert not settle(message_id, State.sent), "only what is being sent"
    claim(contact_id)
    assert settle(message_id, State.sent, platform_id="555", now=LATER)
    assert not settle(message_id, State.failed, outcome="rejected")
    kept = stored(message_id)
    assert (kept.state, kept.platform_id, kept.outcome, kept.settled_at) == ("sent", "555", "", LATER)
    assert (kept.held_by, kept.held_until) == ("", None)
    with db.reading() as session:
        assert promises.next_due_at(session, contact_id) is None


def test_a_turn_is_settled_once(database: str) -> None:
    message_id = receive() or 0
    with db.transaction() as session:
        assert messages.settle_incoming(session, message_id, State.answered, now=LATER)
    with db.transaction() as session:
        assert not messages.settle_incoming(session, message_id, State.failed, outcome="broke", now=LATER)
    assert (stored(message_id).state, stored(message_id).settled_at) == ("answered", LATER)


def test_open_messages_are_all_that_is_owed_oldest_first(database: str, contact_id: int) -> None:
    question = receive(contact_id=contact_id)
    promised, sending = promise(contact_id, "a"), promise(new_contact("700002"), "b")
    done = receive("43", contact_id=contact_id)
    with db.transaction() as session:
        messages.settle_incoming(session, done or 0, State.answered, now=NOW)
    with db.reading() as session:
        assert [message.id for message in messages.open_messages(session)] == [question, promised, sending]
        assert messages.count_open(session) == {"received": 1, "promised": 2}


def test_a_dead_holders_message_is_taken_over_once(database: str, contact_id: int) -> None:
    question = receive(by="dead") or 0
    with db.transaction() as session:
        assert not messages.take_over(session, question, was="somebody", by="p2", now=LATER)
        assert messages.take_over(session, question, was="dead", by="p2", now=LATER)
        assert not messages.take_over(session, question, was="dead", by="p3", now=LATER)
    assert (stored(question).held_by, stored(question).held_until) == ("p2", LATER + HOLD)
    with db.transaction() as session:
        messages.settle_incoming(session, question, State.answered, now=LATER)
        assert not messages.take_over(session, question, was="p2", by="p3", now=LATER), "closed is closed"


def test_two_processes_claim_the_same_messages(rivals: Rivals, database: str) -> None:
    contacts = [new_contact(str(700100 + number)) for number in range(20)]
    promised = [promise(contact, f"r{contact}") for contact in contacts]
    a, b = rivals.race(deeds.claim, database, contacts)
    assert sorted(a + b) == promised, "each is claimed by exactly one"
    held = {number: stored(number).held_by for number in a + b}
    assert held == {**dict.fromkeys(a, "a"), **dict.fromkeys(b, "b")}
    assert {stored(number).attempts for number in a + b} == {1}


def test_two_processes_take_over_from_the_same_dead_one(rivals: Rivals, database: str) -> None:
    left = [receive(str(number), by="dead") for number in range(20)]
    a, b = rivals.race(deeds.take_over, database, left)
    assert all(ours != theirs for ours, theirs in zip(a, b, strict=True))


def test_looking_for_work_does_not_read_the_whole_past(sqlite_database: str) -> None:
    contact_id = new_contact("700001")
    asked: list[tuple[str, Any]] = []
    event.listen(db.engine(), "before_cursor_execute", lambda *seen: asked.append((seen[2], seen[3])))
    claim(contact_id)
    with db.reading() as session:
        promises.next_due_at(session, contact_id)
        messages.open_messages(session)
        messages.count_open(session)
    looked = [(query, given) for query, given in asked if "FROM messages" in query]
    assert len(looked) == 4
    with db.reading() as session:
        for query, given in looked:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", given).all()
            steps = " ".join(row[-1] for row in plan)
            assert "ix_messages_open" in steps, (query, steps)


def test_looking_for_work_does_not_read_the_whole_past_on_postgres(postgres_database: str) -> None:
    contact_id = new_contact("700001")
    with db.transaction() as session:
        session.execute(
            text(
                "INSERT INTO messages (direction, channel, contact_id, key, kind, text, payload, state, via,"
                " platform_id, outcome, attempts, due_at, held_by, created_at)"
                " SELECT 'out', 'telegram', :contact, 'old' || n, 'text', '', '{}', 'sent', 'api', '', '', 1,"
                " now(), '', now() FROM generate_series(1, 5000) n"
            ),
            {"contact": contact_id},
        )
        session.execute(text("ANALYZE messages"))
    asked: list[tuple[str, Any]] = []
    event.listen(db.engine(), "before_cursor_execute", lambda *seen: asked.append((seen[2], seen[3])))
    claim(contact_id)
    query, given = next((query, given) for query, given in asked if "FROM messages" in query)
    with db.reading() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN {query}", given).all()
    assert "ix_messages_open" in " ".join(row[0] for row in plan)
