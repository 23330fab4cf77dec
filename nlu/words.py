"""Text made plain: one way of writing for width, case, script and repetition, and the words in it."""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

HOTEL_WORDS = Path(__file__).with_name("words.txt")

# Chinese characters, as ranges for a character class.
HAN = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

_HAN = re.compile(f"[{HAN}]")
_WORD = re.compile(rf"(?P<han>[{HAN}]+)|(?P<word>[^\W_{HAN}]+(?:'[^\W_{HAN}]+)*)|(?P<sign>[^\w\s])")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\u0060\u00b4", "'''''")
_LOADING = threading.Lock()


class Word(NamedTuple):
    """A word in plain writing; `start` and `end` say where it stands in the text as the guest wrote it."""

    text: str
    start: int
    end: int


class _Letter(NamedTuple):
    """One plain character and the stretch of the original text it was made from."""

    text: str
    start: int
    end: int


def normalise(text: str) -> str:
    """`text` in plain writing. Writing it plain a second time changes nothing.

    Full-width forms become ordinary ones, capitals small, Traditional characters Simplified; what cannot be
    seen is dropped; white space is one blank; a letter three times or more is one letter, a Han character or
    emoji two, a punctuation mark twice or more is one. Emoji and digits stay.
    """
    return "".join(letter.text for letter in _plain(text))


def split(text: str) -> list[Word]:
    """The words of `text`, in plain writing, each with its place in `text` itself; punctuation is left out.

    Han characters are grouped by jieba, everything else by spaces and marks; an emoji is a word of its own.
    """
    letters = _plain(text)
    plain = "".join(letter.text for letter in letters)
    words = []
    for found in _WORD.finditer(plain):
        if found.lastgroup == "sign" and unicodedata.category(found.group()) != "So":
            continue
        pieces = _cut(found.group()) if found.lastgroup == "han" else [found.group()]
        at = found.start()
        for piece in pieces:
            words.append(Word(piece, letters[at].start, letters[at + len(piece) - 1].end))
            at += len(piece)
    return words


def has_words(text: str) -> bool:
    """Whether anything can be read in `text`: emoji and punctuation alone say too little."""
    return any(character.isalnum() for character in text)


def _plain(text: str) -> list[_Letter]:
    letters = [_Letter(character, at, at + 1) for at, character in enumerate(text)]
    # One round is nearly always enough; a folded character may now and then fold once more.
    for _round in range(4):
        before = [letter.text for letter in letters]
        letters = _squeeze(_fold(letters))
        if [letter.text for letter in letters] == before:
            break
    return letters


def _fold(letters: list[_Letter]) -> list[_Letter]:
    """Each base character with its accents in one ordinary form; what cannot be seen falls away."""
    folded: list[_Letter] = []
    cluster: list[_Letter] = []
    for letter in [*(one for one in letters if _visible(one.text)), None]:
        if cluster and (letter is None or not _attaches(letter.text)):
            plain = _fold_cluster("".join(one.text for one in cluster))
            folded.extend(_Letter(character, cluster[0].start, cluster[-1].end) for character in plain)
            cluster = []
        if letter is not None:
            cluster.append(letter)
    return folded


@functools.lru_cache(maxsize=20_000)
def _fold_cluster(cluster: str) -> str:
    plain = unicodedata.normalize("NFKC", cluster.translate(_APOSTROPHES))
    plain = unicodedata.normalize("NFKC", plain.casefold())
    return plain.translate(_simplified())


def _visible(character: str) -> bool:
    if character.isspace():
        return True
    # Format, control, surrogate and unassigned characters; variation selectors; skin tones.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn", "Co"):
        return False
    return not ("\ufe00" <= character <= "\ufe0f" or "\U0001f3fb" <= character <= "\U0001f3ff")


@functools.lru_cache(maxsize=20_000)
def _attaches(character: str) -> bool:
    """Whether it belongs to the character before it: an accent, a voicing mark, a later part of a Hangul block."""
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff"


def _squeeze(letters: list[_Letter]) -> list[_Letter]:
    """Runs of one character made short, white space one blank and none at the ends."""
    squeezed: list[_Letter] = []
    run: list[_Letter] = []
    for letter in [*letters, None]:
        if letter is not None and letter.text.isspace():
            letter = _Letter(" ", letter.start, letter.end)
        if run and (letter is None or letter.text != run[0].text):
            keep = _kept(run[0].text, len(run))
            squeezed.extend(run[: keep - 1])
            squeezed.append(_Letter(run[0].text, run[keep - 1].start, run[-1].end))
            run = []
        if letter is not None:
            run.append(letter)
    while squeezed and squeezed[-1].text == " ":
        squeezed.pop()
    return squeezed[1:] if squeezed and squeezed[0].text == " " else squeezed


def _kept(character: str, times: int) -> int:
    """How many of a run stay: 1000 keeps its noughts, `good` its two o's."""
    if character.isdigit():
        return times
    if _HAN.match(character) or unicodedata.category(character) == "So":
        return min(times, 2)
    if character.isalpha():
        return times if times < 3 else 1
    return 1


@functools.lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    """Traditional to Simplified, character by character, so that places in the text stay known."""
    import opencc

    han = [chr(code) for code in (*range(0x3400, 0xA000), *range(0x20000, 0x2A6E0))]
    plain = opencc.OpenCC("t2s").convert("\n".join(han)).split("\n")
    return {ord(old): new for old, new in zip(han, plain, strict=True) if old != new and len(new) == 1}


def _cut(han: str) -> list[str]:
    return list(_jieba().cut(han, HMM=False))


def _jieba() -> Any:
    with _LOADING:
        return _load_jieba()


@functools.lru_cache(maxsize=1)
def _load_jieba() -> Any:
    import logging

    import jieba

    jieba.setLogLevel(logging.ERROR)
    reader = jieba.Tokenizer()
    # jieba would otherwise read its dictionary from a pickle in the shared temporary folder, where anybody may
    # have put one; a dictionary read from its own package takes half a second more, once.
    reader.FREQ, reader.total = reader.gen_pfdict(reader.get_dict_file())
    reader.initialized = True
    with HOTEL_WORDS.open(encoding="utf-8") as words:
        for line in words:
            if word := line.strip():
                reader.add_word(word)
    return reader
