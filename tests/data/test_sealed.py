"""Personal data is unreadable at rest, and stays readable for those with the keys."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from data import db, sealed
from data.members import Member
from data.messages import Message, receive
from data.sealed import BadKeys, CannotOpen, KeyRing
from tests.conftest import KEYS, NOW
from tests.data import rivals as deeds
from tests.data.conftest import new_member
from tests.data.rivals import Rivals

OLD, NEW = KEYS, base64.b64encode(bytes(range(32, 64))).decode()
NAME = "沈知微 Zhiwei-Shen"


@pytest.fixture(autouse=True)
def own_keys() -> Iterator[None]:
    sealed.use_keys(OLD)
    yield
    sealed.use_keys(OLD)


def in_the_table(query: str) -> str:
    with db.reading() as session:
        found: str = session.execute(text(query)).scalar_one()
    return found


def test_name_is_not_in_the_table(database: str) -> None:
    member_id = new_member(name=NAME)
    raw = in_the_table("SELECT name FROM members")
    assert raw.startswith("v1.")
    assert "沈知微" not in raw
    assert "Zhiwei" not in raw
    with db.reading() as session:
        assert session.get_one(Member, member_id).name == NAME


def test_words_of_a_guest_are_not_in_the_table(database: str) -> None:
    with db.transaction() as session:
        message_id = receive(
            session,
            channel="telegram",
            key="1",
            contact_id=None,
            kind="text",
            text=NAME,
            payload={},
            by="p",
            now=NOW,
        )
    assert "Zhiwei" not in in_the_table("SELECT text FROM messages")
    with db.reading() as session:
        assert session.get_one(Message, message_id).text == NAME


def test_name_is_in_no_file(sqlite_database: str, tmp_path: Path) -> None:
    new_member(number="ZK-IN-PLAIN", name=NAME)
    files = [path.read_bytes() for path in tmp_path.glob("zhike.db*")]
    assert any(b"ZK-IN-PLAIN" in file for file in files), "the row must be in one of the files"
    for file in files:
        assert "沈知微".encode() not in file
        assert b"Zhiwei" not in file


def test_old_key_opens_and_newest_seals(database: str) -> None:
    member_id = new_member(name=NAME)
    sealed.use_keys(f"{NEW}, {OLD}")
    with db.transaction() as session:
        member = session.get_one(Member, member_id)
        assert member.name == NAME
        member.name = "沈知著"
    sealed.use_keys(NEW)
    with db.reading() as session:
        assert session.get_one(Member, member_id).name == "沈知著"
    sealed.use_keys(OLD)
    with db.reading() as session, pytest.raises(CannotOpen, match="ZHIKE_KEYS"):
        session.get_one(Member, member_id)


def test_value_changed_by_hand_is_refused(database: str) -> None:
    member_id = new_member(name=NAME)
    raw = in_the_table("SELECT name FROM members")
    other = raw[:-6] + ("A" if raw[-6] != "A" else "B") + raw[-5:]
    with db.transaction() as session:
        session.execute(text("UPDATE members SET name = :name"), {"name": other})
    with db.reading() as session, pytest.raises(CannotOpen) as refused:
        session.get_one(Member, member_id)
    assert NAME not in str(refused.value)


@pytest.mark.parametrize("spoil", [0, 2, 5, 11, 20, 40, -1])
def test_any_changed_character_is_refused(spoil: int) -> None:
    ring = KeyRing.read(OLD)
    letters = list(ring.seal(NAME, "members.name"))
    letters[spoil] = "A" if letters[spoil] != "A" else "B"
    with pytest.raises(CannotOpen):
        ring.open("".join(letters), "members.name")


@pytest.mark.parametrize("garbage", ["", "v1", "v1.x", "v1.00000000.AAAA", "plain text", "v1..", "沈知微"])
def test_what_was_never_sealed_is_refused(garbage: str) -> None:
    with pytest.raises(CannotOpen):
        KeyRing.read(OLD).open(garbage, "members.name")


def test_value_short_of_a_nonce_is_refused() -> None:
    ring = KeyRing.read(OLD)
    name = next(iter(ring.keys))
    with pytest.raises(CannotOpen):
        ring.open(f"v1.{name}.AAAA", "members.name")


def test_value_of_another_column_is_refused() -> None:
    ring = KeyRing.read(OLD)
    with pytest.raises(CannotOpen, match=r"messages\.text"):
        ring.open(ring.seal(NAME, "members.name"), "messages.text")


def test_same_text_never_looks_the_same() -> None:
    ring = KeyRing.read(OLD)
    assert len({ring.seal(NAME, "members.name") for _ in range(50)}) == 50


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_comes_back(words: str) -> None:
    ring = KeyRing.read(f"{NEW},{OLD}")
    assert ring.open(ring.seal(words, "messages.text"), "messages.text") == words


@pytest.mark.parametrize("keys", ["", ",", f"{KEYS},", "c2hvcnQ=", "钥匙", KEYS[:-1], f"{KEYS};{KEYS}"])
def test_bad_keys_are_refused_with_the_remedy(keys: str) -> None:
    with pytest.raises(BadKeys, match=r"ZHIKE_KEYS.*openssl rand"):
        KeyRing.read(keys)


def test_keys_are_in_no_repr() -> None:
    assert repr(bytes(range(32)))[2:20] not in repr(KeyRing.read(OLD))


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "_ring", None)
    monkeypatch.delenv("ZHIKE_KEYS", raising=False)
    with pytest.raises(BadKeys, match="ZHIKE_KEYS is not set"):
        sealed.ring()
    monkeypatch.setenv("ZHIKE_KEYS", NEW)
    assert sealed.ring() == KeyRing.read(NEW)


def test_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    database = tmp_path / "var" / "zhike.db"
    keys = sealed.keys_beside(database)
    file = tmp_path / "var" / "zhike.keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == keys
    assert list(file.parent.iterdir()) == [file]
    KeyRing.read(keys)
    assert sealed.keys_beside(database) == keys
    assert sealed.keys_beside(tmp_path / "other" / "zhike.db") != keys


def test_two_processes_make_one_key_file(rivals: Rivals, sqlite_database: str, tmp_path: Path) -> None:
    databases = [tmp_path / f"house{number}.db" for number in range(30)]
    a, b = rivals.race(deeds.make_keys, sqlite_database, databases)
    assert a == b
    assert len(set(a)) == 30
    for keys in a:
        KeyRing.read(keys)
