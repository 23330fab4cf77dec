"""Whether a text mentions a person, however it is written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.mentions import mentions

TRACES = {"Li", "沈知微", "ZK200001", "700200001"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", False),
        ("Li", True),
        ("Linen", False),  # a short name is part of many words
        ('{"name": "Li"}', True),
        ('{"name": "Linen"}', False),
        ('{"Li": 1}', True),
        ('{"problem": "belongs to member ZK200001."}', True),
        ("not JSON but ZK200001", True),
        ('{"id": 700200001}', True),
        ('{"id": [[7002000010]]}', True),  # rather one too many
        ('"\\u6c88\\u77e5\\u5fae"', True),
        ("null", False),
        ("[" * 100_000, False),
    ],
)
def test_texts(text: str, found: bool) -> None:
    assert mentions(text, TRACES) is found


CONTENT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(around=CONTENT, trace=st.sampled_from(sorted(TRACES)), escaped=st.booleans())
def test_a_value_is_found_wherever_it_stands(around: object, trace: str, escaped: bool) -> None:
    body = json.dumps({"data": [around, {"deep": [trace]}]}, ensure_ascii=escaped)
    assert mentions(body, TRACES)
