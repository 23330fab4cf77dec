"""Language tags, and the language of a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlu.language import LOCALES, closest, spoken


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("zh", "zh_CN"),
        ("zh-hans", "zh_CN"),
        ("zh_CN", "zh_CN"),
        ("zh-SG", "zh_CN"),
        ("zh-Hans-HK", "zh_CN"),
        ("zh-hant", "zh_TW"),
        ("zh_TW", "zh_TW"),
        ("zh-HK", "zh_TW"),
        ("zh_HK", "zh_TW"),
        ("zh-Hant-MO", "zh_TW"),
        ("yue", "zh_TW"),
        ("yue-CN", "zh_CN"),
        ("cmn-Hans", "zh_CN"),
        ("en", "en"),
        ("en-GB", "en"),
        ("en_US", "en"),
        ("", "en"),
        ("fr", "en"),
        ("  ZH-TW ", "zh_TW"),
    ],
)
def test_closest(tag: str, locale: str) -> None:
    assert closest(tag) == locale


def test_closest_gives_the_default_only_for_what_we_do_not_speak() -> None:
    assert [closest(tag, "zh_CN") for tag in ("", "fr", "en", "zh-TW")] == ["zh_CN", "zh_CN", "en", "zh_TW"]


@pytest.mark.parametrize(
    ("text", "preferred", "locale"),
    [
        ("我还有多少积分", "en", "zh_CN"),
        ("我還有多少積分", "en", "zh_TW"),
        ("我還有多少積分", "zh_CN", "zh_TW"),
        ("我还有多少积分", "zh_TW", "zh_CN"),
        ("我有多少", "zh_TW", "zh_TW"),
        ("我有多少", "zh_CN", "zh_CN"),
        ("我有多少", "en", "zh_CN"),
        ("points 还有多少", "en", "zh_CN"),
        ("check 一下 my points", "en", "zh_CN"),
        ("唔該，我仲有幾多分", "zh_CN", "zh_TW"),
        ("how many points do I have", "zh_CN", "en"),
        ("Is 知客 also the name of your hotel, or only of this chat?", "zh_CN", "en"),
        ("balance please", "zh_TW", "en"),
        ("ok", "zh_CN", "zh_CN"),
        ("OK!", "zh_TW", "zh_TW"),
        ("hi", "zh_CN", "zh_CN"),
        ("bye bye", "zh_CN", "zh_CN"),
        ("thx", "zh_TW", "zh_TW"),
        ("Zhike?", "zh_CN", "zh_CN"),
        ("wifi", "zh_CN", "zh_CN"),
        ("hello", "", "en"),
        ("88", "zh_CN", "zh_CN"),
        ("👍", "zh_TW", "zh_TW"),
        ("", "zh_CN", "zh_CN"),
        ("ポイントは何点", "zh_CN", "zh_CN"),
        ("안녕하세요", "en", "en"),
    ],
)
def test_spoken(text: str, preferred: str, locale: str) -> None:
    assert spoken(text, preferred) == locale


@given(st.text(max_size=60), st.sampled_from(["", "en", "zh-HK", "xx"]))
def test_always_one_of_ours(text: str, preferred: str) -> None:
    assert spoken(text, preferred) in LOCALES
