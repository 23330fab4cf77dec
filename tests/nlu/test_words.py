"""Plain writing, and words with their places."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlu.words import has_words, normalise, split

# Ordinary text in our languages, and the characters that make trouble: accents, widths, scripts, invisibles.
TROUBLE = st.sampled_from(
    "ÅﬁİßＡｶﾞ가ㄱㅏ積积①㍿…‥!！ \t\u3000\u200b\u200d\ufe0f\u0301\u3099👍🏽👨‍👩‍👧\x00’`嘅"
)
ANY_TEXT = st.text(st.one_of(TROUBLE, st.characters()), max_size=40)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("我還有多少積分？", "我还有多少积分?"),
        ("ＨＯＷ　ＭＡＮＹ　ｐｏｉｎｔｓ", "how many points"),
        ("HELLO!!!!", "hello!"),
        ("heyyyyy", "hey"),
        ("good", "good"),
        ("哈哈哈哈哈", "哈哈"),
        ("1000 points", "1000 points"),
        ("don’t", "don't"),
        ("  a \n\t b\u3000", "a b"),
        ("积\u200b分", "积分"),
        ("👍🏽👍👍👍", "👍👍"),
        ("cafe\u0301", "café"),
        ("", ""),
        ("\x00\u200b", ""),
    ],
)
def test_plain_writing(written: str, plain: str) -> None:
    assert normalise(written) == plain


@given(ANY_TEXT)
@settings(max_examples=400, deadline=None)
def test_plain_is_plain_already(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(ANY_TEXT)
@settings(max_examples=400, deadline=None)
def test_words_stand_where_they_say(text: str) -> None:
    before = 0
    for word in split(text):
        assert before <= word.start < word.end <= len(text)
        assert word.text in normalise(text[word.start : word.end])
        before = word.start


def test_words_of_a_mixed_sentence() -> None:
    text = "ＭＹ 會員積分還有多少?? 👍"
    assert [(word.text, text[word.start : word.end]) for word in split(text)] == [
        ("my", "ＭＹ"),
        ("会员积分", "會員積分"),
        ("还有", "還有"),
        ("多少", "多少"),
        ("👍", "👍"),
    ]


def test_a_squeezed_word_covers_all_its_letters() -> None:
    assert [(word.start, word.end) for word in split("hiiii there")] == [(0, 5), (6, 11)]


@pytest.mark.parametrize(
    ("traditional", "simplified"), [("請問點數餘額", "请问点数余额"), ("會員兌換里程", "会员兑换里程")]
)
def test_both_scripts_give_the_same_words(traditional: str, simplified: str) -> None:
    assert [word.text for word in split(traditional)] == [word.text for word in split(simplified)]


def test_words_are_split_when_two_scripts_touch() -> None:
    assert [word.text for word in split("查一下points还剩多少")] == [
        "查",
        "一下",
        "points",
        "还",
        "剩",
        "多少",
    ]


@pytest.mark.parametrize("text", ["", "  ", "👍🎉", "?!…", "——"])
def test_nothing_to_read(text: str) -> None:
    assert not has_words(text)


@pytest.mark.parametrize("text", ["嗯", "k", "8", "👍 ok"])
def test_something_to_read(text: str) -> None:
    assert has_words(text)


def test_jieba_is_silent_and_leaves_no_cache(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from nlu.words import split; split('我还有多少积分')"],
        env={"TMPDIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr, list(tmp_path.iterdir())) == ("", "", [])
