"""The reader by itself, on a handful of sentences."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from nlu.reader import Reader, Sentence

LESSONS = {
    "greet": ["hello there", "good morning", "你好", "早上好"],
    "points": ["how many points", "my points please", "还有多少积分", "查积分"],
    "bye": ["goodbye now", "see you", "再见", "拜拜"],
}


@pytest.fixture(scope="module")
def reader() -> Reader:
    pairs = [(Sentence.of(text), intent) for intent, texts in LESSONS.items() for text in texts]
    return Reader.learn([sentence for sentence, _ in pairs], [intent for _, intent in pairs])


@pytest.mark.parametrize(
    ("text", "intent"),
    [("HELLO", "greet"), ("points", "points"), ("積分還有嗎", "points"), ("再見了", "bye")],
)
def test_what_was_learnt_carries_over(reader: Reader, text: str, intent: str) -> None:
    assert reader.rank(Sentence.of(text))[0][0] == intent


def test_chances_are_chances(reader: Reader) -> None:
    ranked = reader.rank(Sentence.of("hello, my points"))
    assert sum(chance for _, chance in ranked) == pytest.approx(1)
    assert [chance for _, chance in ranked] == sorted((chance for _, chance in ranked), reverse=True)


@pytest.mark.parametrize("text", ["", " ", "👍", "?!", "\x00"])
def test_nothing_to_read_gives_nothing(reader: Reader, text: str) -> None:
    assert reader.rank(Sentence.of(text)) == []


def test_unknown_words_leave_it_unsure(reader: Reader) -> None:
    assert reader.rank(Sentence.of("ъжщ"))[0][1] < 0.6


def test_saved_and_loaded_it_reads_the_same(reader: Reader, tmp_path: Path) -> None:
    reader.save(tmp_path / "reader.npz")
    again = Reader.load(tmp_path / "reader.npz")
    for text in ("hello 你好", "points?", "ъжщ"):
        names, chances = zip(*reader.rank(Sentence.of(text)), strict=True)
        others, same = zip(*again.rank(Sentence.of(text)), strict=True)
        assert names == others
        assert same == pytest.approx(chances, abs=1e-4)


def test_a_file_that_is_no_reader_is_refused(tmp_path: Path) -> None:
    strange = tmp_path / "reader.npz"
    for content in (b"", b"PK\x03\x04 torn"):
        strange.write_bytes(content)
        with pytest.raises(ValueError, match="train the model anew"):
            Reader.load(strange)
    numpy.savez(strange, intents=numpy.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="train the model anew"):
        Reader.load(strange)


def test_two_intents_are_too_few_to_learn() -> None:
    with pytest.raises(ValueError, match="three intents"):
        Reader.learn([Sentence.of("a"), Sentence.of("b")], ["x", "y"])
