"""WeChat's cryptography: the platform's published sample, round trips, and everything that must be refused."""

from __future__ import annotations

import base64
import contextlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.wechat_crypto import BadCipher, Envelope, same, signature
from tests.sandbox.conftest import AES_KEY, APP_ID, WECHAT_TOKEN

# The sample that the platform published together with its own code.
SAMPLE = (
    "hyzAe4OzmOMbd6TvGdIOO6uBmdJoD0Fk53REIHvxYtJlE2B655HuD0m8KUePWB3+LrPXo87wzQ1QLvbeUgmBM4x6F8PGHQHFVAFmOD2LdJF9FrXp"
    "bUAh0B5GIItb52sn896wVsMSHGuPE328HnRGBcrS7C41IzDWyWNlZkyyXwon8T332jisa+h6tEDYsVticbSnyU8dKOIbgU6ux5VTjg3yt+WGzjlp"
    "Kn6NPhRjpA912xMezR4kw6KWwMrCVKSVCZciVGCgavjIQ6X8tCOp3yZbGpy0VxpAe+77TszTfRd5RJSVO/HTnifJpXgCSUdUue1v6h0EIBYYI1BD"
    "1DlD+C0CR8e6OewpusjZ4uBl9FyJvnhvQl+q5rv1ixrcpCumEPo5MJSgM9ehVsNPfUM669WuMyVWQLCzpu9GhglF2PE="
)
ENVELOPE = Envelope(AES_KEY, APP_ID)


def test_the_published_sample_has_the_published_signature() -> None:
    found = signature(WECHAT_TOKEN, "1409735669", "1320562132", SAMPLE)
    assert same(found, "5d197aaffba7e9b25a30732f161a50dee96bd5fa")


def test_the_published_sample_opens() -> None:
    plain = ENVELOPE.open(SAMPLE).decode()
    assert "<Content><![CDATA[abcdteT]]></Content>" in plain
    assert "<MsgId>6054768590064713728</MsgId>" in plain


def test_sealing_with_the_samples_salt_gives_the_sample_back() -> None:
    key = base64.b64decode(AES_KEY + "=")
    work = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    salt = (work.update(base64.b64decode(SAMPLE)) + work.finalize())[:16]
    assert ENVELOPE.seal(ENVELOPE.open(SAMPLE), salt=salt) == SAMPLE


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_what_is_sealed_opens_again(plain: bytes) -> None:
    sealed = ENVELOPE.seal(plain)
    assert ENVELOPE.open(sealed) == plain
    assert len(base64.b64decode(sealed)) % 32 == 0


def test_two_sealings_of_one_text_differ() -> None:
    assert ENVELOPE.seal(b"same") != ENVELOPE.seal(b"same")


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_tampered_body_does_not_open_as_it_was(position: int) -> None:
    raw = bytearray(base64.b64decode(ENVELOPE.seal(b"x" * 40)))
    raw[position] ^= 1
    with contextlib.suppress(BadCipher):
        assert ENVELOPE.open(base64.b64encode(bytes(raw)).decode()) != b"x" * 40
    sealed = base64.b64encode(bytes(raw)).decode()
    assert signature(WECHAT_TOKEN, "1", "2", sealed) != signature(WECHAT_TOKEN, "1", "2", SAMPLE)


def raw_sealed(whole: bytes) -> str:
    """Encrypt a body as it stands, with no packing of our own."""
    key = base64.b64decode(AES_KEY + "=")
    work = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(work.update(whole) + work.finalize()).decode()


def padded(whole: bytes, block: int) -> bytes:
    pad = block - len(whole) % block
    return whole + bytes([pad]) * pad


PACKED = bytes(16) + (5).to_bytes(4, "big") + b"hello" + APP_ID.encode()


@pytest.mark.parametrize(
    ("sealed", "reason"),
    [
        (Envelope(AES_KEY, "wxanother").seal(b"hello"), "AppID"),
        (raw_sealed(padded(PACKED, 16)), "PKCS7"),
        (raw_sealed(padded(PACKED, 32)[:-1] + b"\x00"), "PKCS7"),
        (raw_sealed(padded(bytes(16) + (9999).to_bytes(4, "big") + b"hello", 32)), "length"),
        (raw_sealed(padded(b"short", 32)), "too short"),
        ("not base64!", "base64"),
        ("", "blocks"),
        (base64.b64encode(b"x" * 17).decode(), "blocks"),
        ("<xml>plain</xml>", "base64"),
    ],
    # Two of them are sealed anew in every process; several processes must give the tests the same names.
    ids=range(9),
)
def test_what_was_not_sealed_for_us_is_refused(sealed: str, reason: str) -> None:
    with pytest.raises(BadCipher, match=reason):
        ENVELOPE.open(sealed)


def test_padding_of_sixteen_is_told_from_thirty_two() -> None:
    # The packed text must end where the two paddings differ, or the case above would prove nothing.
    assert padded(PACKED, 16) != padded(PACKED, 32)
    assert ENVELOPE.open(raw_sealed(padded(PACKED, 32))) == b"hello"


@pytest.mark.parametrize("key", ["", "short", "x" * 44, "!" * 43])
def test_a_key_of_another_form_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="43 characters"):
        Envelope(key, APP_ID)
