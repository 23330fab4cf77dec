"""Keys: shown once, kept as a digest, good for what they were issued for, until they are revoked."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from sqlalchemy import select, text
from typer.testing import CliRunner, Result

from bot import key_commands
from data import api_keys, db
from data.api_keys import ApiKey, Issued, Scope
from data.audit import AuditEntry
from data.refusals import BadInput, Conflict, Unknown
from tests.bot.conftest import logging_kept  # noqa: F401 - a fixture
from tests.conftest import KEYS, NOW
from tests.data.conftest import everything


def issue(name: str = "pms", *scopes: Scope) -> Issued:
    with db.transaction() as session:
        return api_keys.issue(session, name, scopes or (Scope.stays_read,), actor="test", now=NOW)


def opens(presented: str) -> set[str] | None:
    with db.reading() as session:
        caller = api_keys.caller(session, presented)
    return None if caller is None else set(caller.scopes)


def test_a_key_opens_what_it_was_issued_for(database: str) -> None:
    issued = issue("pms", Scope.stays_write, Scope.members_read, Scope.stays_write)
    assert re.fullmatch(r"zk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", issued.text)
    assert issued.scopes == (Scope.members_read, Scope.stays_write)
    assert opens(issued.text) == {"members:read", "stays:write"}
    assert issued.text not in repr(issued)


def test_nothing_but_the_whole_key_opens_anything(database: str) -> None:
    text, other = issue().text, issue("other").text
    wrong = [
        "",
        "zk_",
        text[:-1],
        text + "A",
        text.upper(),
        f" {text}",
        f"{text}\n",
        text[:12] + other[12:],
        other[:12] + text[12:],
        text.replace("_", "-"),
        "zk_00000000_" + "A" * 43,
    ]
    assert [opens(each) for each in wrong] == [None] * len(wrong)
    assert opens(text) == {"stays:read"}


def test_two_keys_that_begin_alike_are_told_apart(database: str) -> None:
    one, two = issue("one", Scope.stays_read), issue("two", Scope.members_read)
    with db.transaction() as session:
        session.execute(text("UPDATE api_keys SET prefix = :same"), {"same": two.text[3:11]})
    assert opens(two.text) == {"members:read"}
    assert opens(one.text) is None, "its row is not under its own prefix any more"


def test_the_database_does_not_know_the_secret(database: str) -> None:
    issued = issue()
    rows = str(everything())
    assert issued.text[12:] not in rows
    assert hashlib.sha256(issued.text.encode()).hexdigest() in rows


def test_secrets_are_never_the_same(database: str) -> None:
    made = {issue(f"pms-{number}").text for number in range(50)}
    assert len({text[12:] for text in made}) == 50


def test_a_revoked_key_opens_nothing_for_good(database: str) -> None:
    text = issue().text
    with db.transaction() as session:
        assert api_keys.revoke(session, "pms", actor="test", now=NOW)
        assert not api_keys.revoke(session, "pms", actor="test", now=NOW)
    assert opens(text) is None
    with pytest.raises(Conflict):
        issue()
    with db.transaction() as session, pytest.raises(Unknown):
        api_keys.revoke(session, "another", actor="test", now=NOW)
    with db.reading() as session:
        deeds = session.execute(select(AuditEntry.deed, AuditEntry.facts)).all()
    assert [tuple(deed) for deed in deeds] == [
        ("key.issued", {"scopes": ["stays:read"]}),
        ("key.revoked", {}),
    ]


@pytest.mark.parametrize("name", ["", "PMS", "a b", "-a", "x" * 29, "名", "a\n", "a/b"])
def test_a_name_that_is_none(sqlite_database: str, name: str) -> None:
    before = everything()
    with pytest.raises(BadInput) as no:
        issue(name)
    assert no.value.field == "name"
    assert everything() == before


def test_a_key_for_nothing_is_not_made(sqlite_database: str) -> None:
    with db.transaction() as session, pytest.raises(BadInput) as no:
        api_keys.issue(session, "pms", (), actor="test", now=NOW)
    assert no.value.field == "scope"
    assert "members:read" in no.value.remedy


def test_the_longest_name_fits_wherever_it_is_written(database: str) -> None:
    issued = issue("x" * 28)
    with db.reading() as session:
        caller = api_keys.caller(session, issued.text)
    assert caller is not None
    # identifiers.source and consents.via
    assert len(caller.actor) == 32


# zhike keys


@pytest.fixture
def zhike(sqlite_database: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> CliRunner:
    request.getfixturevalue("logging_kept")
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner()


def keys(zhike: CliRunner, *given: str) -> Result:
    return zhike.invoke(key_commands.app, list(given))


def test_the_command_prints_the_key_alone_and_once(zhike: CliRunner) -> None:
    said = keys(zhike, "issue", "pms-sh", "--scope", "stays:read", "--scope", "stays:write")
    assert said.exit_code == 0, said.output
    key = said.stdout.strip()
    assert opens(key) == {"stays:read", "stays:write"}
    assert "stays:read, stays:write" in said.stderr
    assert key not in said.stderr
    listed = keys(zhike, "list")
    for part in ("pms-sh", key[:12], "stays:read stays:write"):
        assert part in listed.stdout
    assert key[12:] not in listed.output


def test_the_command_revokes(zhike: CliRunner) -> None:
    key = keys(zhike, "issue", "pms", "--scope", "rewards:read").stdout.strip()
    assert "opens nothing any more" in keys(zhike, "revoke", "pms").stdout
    assert opens(key) is None
    assert "was revoked before" in keys(zhike, "revoke", "pms").stdout
    with db.reading() as session:
        revoked = session.scalars(select(ApiKey.revoked_at)).one()
    assert revoked is not None
    assert f"{revoked:%Y-%m-%d %H:%M} UTC" in keys(zhike, "list").stdout


def test_the_command_says_what_is_wrong_in_one_line(zhike: CliRunner, tmp_path: Path) -> None:
    keys(zhike, "issue", "pms", "--scope", "rewards:read")
    for given, word in (
        (("issue", "pms", "--scope", "rewards:read"), "name"),
        (("issue", "P M S", "--scope", "rewards:read"), "name"),
        (("revoke", "opera"), "name"),
    ):
        said = keys(zhike, *given)
        assert (said.exit_code, said.stdout) == (1, "")
        assert said.stderr.startswith("zhike: ")
        assert word in said.stderr
        assert len(said.stderr.splitlines()) == 1
    for given in (("issue", "pms-2"), ("issue", "pms-2", "--scope", "all"), ("issue",)):
        assert keys(zhike, *given).exit_code == 2
    assert KEYS not in keys(zhike, "list").output
