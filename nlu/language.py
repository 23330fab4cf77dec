"""Which of our languages a guest has set, and which one a sentence is in."""

from __future__ import annotations

import re

from nlu.words import HAN

SOURCE = "en"
LOCALES = ("en", "zh_CN", "zh_TW")

_TRADITIONAL_PLACES = frozenset({"tw", "hk", "mo", "hant"})
# Cantonese as a language tag is written in Traditional characters unless it says otherwise.
_TRADITIONAL_LANGUAGES = frozenset({"yue"})
_HAN = re.compile(f"[{HAN}]")
_OTHER_SCRIPT = re.compile(r"[\u3040-\u30ff\uac00-\ud7af\u1100-\u11ff]")
_LATIN_WORD = re.compile(r"[a-z][a-z'’]*", re.IGNORECASE)

# Words that people write whatever language they speak; alone, they say nothing about it.
_ANYBODYS_WORDS = frozenset(
    re.split(
        r"\s+",
        """a app apple bye byebye check checkin checkout email emmm fighting gmail gps haha hahaha hello help hey hi
        hmm hotel id iphone lol no nope ok okay okey okie please pls point points qq sorry spa sms taxi telegram
        thank thanks thankyou thx ty vip wechat wifi wow wtf yeah yep yes you zhike""",
    )
)


def closest(tag: str, default: str = SOURCE) -> str:
    """The locale we speak that is nearest to a language tag, as IETF or WeChat write it; else `default`."""
    language, *rest = re.split(r"[-_.@]", tag.strip().lower())
    if language in ("zh", "cmn", "yue", "hant", "hans"):
        if "hans" in (language, *rest):
            return "zh_CN"
        traditional = language in _TRADITIONAL_LANGUAGES | {"hant"} and "cn" not in rest
        return "zh_TW" if traditional or _TRADITIONAL_PLACES.intersection(rest) else "zh_CN"
    return SOURCE if language == "en" else default


def spoken(text: str, preferred: str) -> str:
    """The locale to answer `text` in; `preferred` when the text leaves it open.

    Chinese characters decide for Chinese, a sentence in Latin letters for English. Words that travel (ok, hi,
    points, Wi-Fi), numbers and emoji decide nothing.
    """
    preferred = closest(preferred)
    han = _HAN.findall(text)
    words = [word.lower() for word in _LATIN_WORD.findall(text)]
    if _OTHER_SCRIPT.search(text):
        return preferred
    # "Is 知客 the name of your hotel too?" is an English sentence.
    if han and len(words) <= 3 * len(han):
        return _script("".join(han), preferred)
    if any(word not in _ANYBODYS_WORDS for word in words):
        return SOURCE
    return preferred


def _script(han: str, preferred: str) -> str:
    """zh_TW or zh_CN by the characters that only one of the two national character sets holds."""
    traditional = sum(_only(character, "big5", "gb2312") for character in han)
    simplified = sum(_only(character, "gb2312", "big5") for character in han)
    if traditional != simplified:
        return "zh_TW" if traditional > simplified else "zh_CN"
    return preferred if preferred.startswith("zh") else "zh_CN"


def _only(character: str, here: str, there: str) -> bool:
    return _in(character, here) and not _in(character, there)


def _in(character: str, character_set: str) -> bool:
    try:
        character.encode(character_set)
    except UnicodeEncodeError:
        return False
    return True
