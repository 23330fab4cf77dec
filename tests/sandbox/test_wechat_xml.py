"""The strict reader of what an account's server answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.wechat_xml import BadXml, read, write

BAD = {
    "nothing": b"",
    "unclosed": b"<xml>",
    "another root": b"<y></y>",
    "too deep": b"<xml>" + b"<a>" * 20 + b"</a>" * 20 + b"</xml>",
    "too long": b"<xml>" + b"x" * 200_000 + b"</xml>",
    "doctype": b"<!doctype xml><xml></xml>",
    "entity": b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>',
    "control character": b"<xml>\x08</xml>",
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_answer_is_refused(kind: str) -> None:
    with pytest.raises(BadXml):
        read(BAD[kind])


def test_a_field_that_comes_twice_is_refused() -> None:
    with pytest.raises(BadXml, match="twice"):
        read(b"<xml><MsgType>text</MsgType><MsgType>image</MsgType></xml>").fields()


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=80))
def test_any_text_survives_even_the_end_of_cdata(text: str) -> None:
    assert read(write({"Content": text + "]]>" + text})).texts() == {"Content": text + "]]>" + text}
