"""The brain with the trained model: right answers, failures that are seen, and a memory that stays small."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from sqlalchemy import func, insert, select
from sqlalchemy.exc import OperationalError

from bot import training
from data import db, dialogues, points
from data.demo import DemoMember
from data.dialogues import DialogueTurn
from nlu.phrasebook import Phrasebook
from tests.bot.faults import database_gone
from tests.conftest import NOW, seed_demo

if TYPE_CHECKING:  # TensorFlow comes with it
    from bot.brain import Answer, Brain

pytestmark = pytest.mark.model

ASKED = {"en": "how many points do I have?", "zh_CN": "我还有多少积分？", "zh_TW": "請問我還有多少積分？"}


@pytest.fixture(scope="session")
def trained() -> Brain:
    from bot.brain import Brain

    return Brain(training.train(Path("var/models")), Phrasebook.load())


@pytest.fixture
def people(sqlite_database: str) -> list[DemoMember]:
    return seed_demo()


class Conversation:
    """One member's turns, each written as reception would."""

    def __init__(self, brain: Brain, member: DemoMember | None, locale: str = "en") -> None:
        self._brain = brain
        self._member = member
        self._locale = locale
        self.name = f"member:{member.member_id}" if member else "contact:999"
        self.turns = 0

    async def say(self, words: str) -> str:
        answer = await self.ask(words)
        with db.transaction() as session:
            answer.events.write(session, NOW)
        return "\n".join(reply.text for reply in answer.replies)

    async def ask(self, words: str) -> Answer:
        from bot.brain import Facts

        self.turns += 1
        facts = Facts(
            conversation=self.name,
            turn=f"turn:{self.turns}",
            channel="telegram",
            locale=self._locale,
            member_id=self._member.member_id if self._member else None,
            contact_id=999,
            at=NOW.isoformat(),
        )
        return await self._brain.answer(facts, words)

    def stored(self) -> list[DialogueTurn]:
        with db.reading() as session:
            rows = select(DialogueTurn).where(DialogueTurn.conversation == self.name)
            return list(session.scalars(rows.order_by(DialogueTurn.id)))


@pytest.mark.parametrize("locale", ASKED)
@pytest.mark.parametrize("words", ["asked", "/points_balance"])
async def test_the_balance_in_the_guests_language(
    trained: Brain, demo_data: list[DemoMember], locale: str, words: str
) -> None:
    member = next(each for each in demo_data if each.locale == locale and each.points >= 1000)
    said = await Conversation(trained, member, locale).say(ASKED[locale] if words == "asked" else words)
    assert f"{member.points:,}" in said
    assert {"en": "points", "zh_CN": "积分", "zh_TW": "積分"}[locale] in said


async def test_a_guest_we_do_not_know_sees_no_points(trained: Brain, people: list[DemoMember]) -> None:
    said = await Conversation(trained, None).say("how many points do I have?")
    assert said == Phrasebook.load().say("utter_not_linked", "en", {}, turn="turn:1").text


@pytest.mark.parametrize("words", ["🎉🎉🎉", "好" * 10_000, "x", "?", "\u0000\u200b", "a b " * 3000])
async def test_any_words_get_an_answer(trained: Brain, people: list[DemoMember], words: str) -> None:
    assert await Conversation(trained, people[0]).say(words)


@pytest.mark.parametrize("error", [RuntimeError("broken"), database_gone()], ids=["bug", "database"])
async def test_an_action_that_fails_fails_the_turn(
    trained: Brain, people: list[DemoMember], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from bot.brain import TurnFailed

    def broken(*given: Any, **named: Any) -> int:
        raise error

    talk = Conversation(trained, people[0])
    with monkeypatch.context() as patched:
        patched.setattr(points, "standing", broken)
        with pytest.raises(TurnFailed) as failed:
            await talk.say("how many points do I have?")
    assert failed.value.__cause__ is error, "reception asks whether it was the database"
    assert isinstance(error, OperationalError) or "broken" not in str(failed.value)
    assert talk.stored() == [], "a turn that failed leaves nothing in the dialogue"
    assert f"{people[0].points:,}" in await talk.say("how many points do I have?")


async def test_a_turn_without_words_is_a_failure(
    trained: Brain, people: list[DemoMember], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.brain import TurnFailed

    async def nothing(*given: Any, **more: Any) -> dict[str, Any]:
        return {"text": ""}

    talk = Conversation(trained, people[0])
    monkeypatch.setattr(trained._processor.nlg, "generate", nothing)
    with pytest.raises(TurnFailed):
        await talk.say("thank you")


@pytest.fixture
def parses(trained: Brain, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that went through the model's graph."""
    seen: list[str] = []
    parse = trained._processor.parse_message

    async def counted(message: Any, *given: Any, **more: Any) -> Any:
        seen.append(message.text)
        return await parse(message, *given, **more)

    monkeypatch.setattr(trained._processor, "parse_message", counted)
    trained._parsed.clear()
    return seen


async def test_the_same_text_is_read_once(
    trained: Brain, people: list[DemoMember], parses: list[str]
) -> None:
    first, second = Conversation(trained, people[0]), Conversation(trained, people[1])
    said = [await first.say("my points, please"), await second.say("my points, please")]
    said.append(await first.say("my points, please"))
    assert parses == ["my points, please"]
    assert f"{people[0].points:,}" in said[0]
    assert f"{people[1].points:,}" in said[1], "what is kept is how it reads, not what was answered"
    assert f"{people[0].points:,}" in said[2]


async def test_only_so_many_readings_are_kept(
    trained: Brain, parses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.brain.PARSES_KEPT", 2)
    for words in ("one", "two", "one", "three", "one", "two"):
        await trained.understand(words)
    assert parses == ["one", "two", "three", "two"], "the longest unused goes first"
    assert len(trained._parsed) == 2


async def test_only_the_beginning_of_a_long_text_is_read(trained: Brain, parses: list[str]) -> None:
    await trained.understand("a" * 5000)
    await trained.understand("a" * 6000)
    assert [len(words) for words in parses] == [1000]


async def test_what_is_kept_cannot_be_changed_by_a_reader(trained: Brain) -> None:
    first = await trained._parse("hello there")
    first["intent"]["name"] = "spoiled"
    first["entities"].append("spoiled")
    again = await trained._parse("hello there")
    assert again["intent"]["name"] != "spoiled"
    assert again["entities"] == []


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, int]]:
    """How many turns, and events in them, the brain has read since last asked."""
    read: list[int] = []
    last_turns, all_turns = dialogues.last_turns, dialogues.all_turns

    def counted(found: list[dialogues.Remembered]) -> list[dialogues.Remembered]:
        read.extend(len(turn.events) for turn in found)
        return found

    monkeypatch.setattr(dialogues, "last_turns", lambda *a, **k: counted(last_turns(*a, **k)))
    monkeypatch.setattr(dialogues, "all_turns", lambda *a, **k: counted(all_turns(*a, **k)))

    def since() -> tuple[int, int]:
        found = (len(read), sum(read))
        read.clear()
        return found

    return since


async def test_a_turn_costs_the_same_however_long_the_conversation(
    trained: Brain, people: list[DemoMember], rows_read: Callable[[], tuple[int, int]]
) -> None:
    talk = Conversation(trained, people[0])
    for _ in range(9):
        await talk.say("how many points do I have?")
    rows_read()
    await talk.say("how many points do I have?")
    at_ten = rows_read()
    last = talk.stored()[-1]
    more = [{"conversation": talk.name, "before": last.before, "events": last.events, "at": last.at}] * 989
    with db.transaction() as session:
        session.execute(insert(DialogueTurn), more)
    assert f"{people[0].points:,}" in await talk.say("how many points do I have?")
    assert len(talk.stored()) == 1000
    assert rows_read() == at_ten
    assert 0 < at_ten[0] <= 4


async def test_a_year_of_one_conversation(
    trained: Brain, people: list[DemoMember], rows_read: Callable[[], tuple[int, int]]
) -> None:
    talk = Conversation(trained, people[0])
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(52):
            for words in ("hello", "how many points do I have?", "thanks"):
                rows_read()
                said = await talk.say(words)
                assert rows_read()[0] <= 4
                assert ("points" in words) is (f"{people[0].points:,}" in said)
                clock.shift(timedelta(seconds=40))
            clock.shift(timedelta(days=7))
    assert len(talk.stored()) == 52 * 3
    assert sessions(talk) == 52


def sessions(talk: Conversation) -> int:
    return sum(event["event"] == "session_started" for turn in talk.stored() for event in turn.events)


@pytest.mark.parametrize(("minutes", "begun"), [(59, 1), (61, 2)])
async def test_a_session_ends_after_an_hour_of_silence(
    trained: Brain, people: list[DemoMember], minutes: int, begun: int
) -> None:
    talk = Conversation(trained, people[0])
    with time_machine.travel(NOW, tick=False) as clock:
        await talk.say("hello")
        clock.shift(timedelta(minutes=minutes))
        await talk.say("hello")
    assert sessions(talk) == begun


async def test_the_dialogue_holds_no_words_and_no_names(trained: Brain, people: list[DemoMember]) -> None:
    member = next(each for each in people if each.locale == "zh_CN" and each.points >= 1000)
    talk = Conversation(trained, member, "zh_CN")
    spoken = []
    for words in ("你好呀", "我还有多少积分？", "我的护照号是 E12345678", "谢谢"):
        spoken += [words, await talk.say(words)]
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(DialogueTurn)) == 4
    kept = json.dumps([[turn.before, turn.events] for turn in talk.stored()], ensure_ascii=False)
    assert "points_balance" in kept, "this is the dialogue"
    for secret in (*spoken, "E12345678", "护照", member.name, member.number, str(member.points)):
        assert secret not in kept
