"""Rotation: everything comes under the newest key, whenever it is cut off, and is found all the while."""

from __future__ import annotations

import base64
import contextlib
import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import text, update

from data import Base, db, details, identifiers, rotation, sealed
from data.api_keys import ApiKey, ApiRequest
from data.details import MemberChanges
from data.identifiers import Identifier, IdentifierKind
from data.members import Member
from data.messages import Message, receive
from data.rotation import Rotated
from data.sealed import CannotOpen, SealedText
from tests.conftest import KEYS, NOW
from tests.data.people import SHEN, everything, join, open_hotels

OLD, NEW = KEYS, base64.b64encode(bytes(range(32, 64))).decode()
OLD_ID, NEW_ID = (sealed.KeyRing.read(key).newest for key in (OLD, NEW))
WORDS = "请把两条毛巾送到 1208"


@pytest.fixture(autouse=True)
def own_keys() -> Iterator[None]:
    yield
    sealed.use_keys(OLD)


@pytest.fixture
def shen(database: str) -> int:
    """Shen with everything that is sealed, eight others, and an answer kept for a client; all under the old key."""
    open_hotels()
    shen = join(SHEN)
    for number in range(8):
        join(name=f"Guest {number}", email=f"guest{number}@example.com", birthday="--07-01")
    with db.transaction() as session:
        session.add(key := ApiKey(name="pms", prefix="zk", digest="d", scopes=[], made_at=NOW))
        receive(
            session, channel="telegram", key="1", contact_id=None, kind="text", text=WORDS, payload={}, by="p", now=NOW
        )  # fmt: skip
        session.flush()
        answer = ApiRequest(api_key_id=key.id, key="k", status=200, body=f'"{SHEN.name}"', at=NOW)
        answer.fingerprint = sealed.blind("request", "api_requests.fingerprint")
        session.add(answer)
    return shen.id


def rotate(**other: int) -> Rotated:
    return rotation.rotate(db.transaction, actor="ops", now=NOW, **other)


def under(key: str) -> dict[str, int]:
    """In how many rows of each table something stands under this key."""
    return {
        table: count for table, rows in everything().items() if (count := sum(key in row for row in rows))
    }


def reads_as_ever(shen: int) -> None:
    with db.reading() as session:
        member = session.get_one(Member, shen)
        assert (member.name, member.latin_name, member.birthday) == ("沈知微", "Shen Zhiwei", "1992-02-29")
        assert session.query(Message).one().text == WORDS
        assert session.query(ApiRequest).one().body == '"沈知微"'


def is_found(shen: int) -> None:
    wanted = {
        IdentifierKind.phone: "+86 136 0187 6543",
        IdentifierKind.email: "zhiwei.shen@example.com",
        IdentifierKind.document: "E12345678",
    }
    with db.reading() as session:
        for kind, value in wanted.items():
            member = identifiers.find(session, kind, value)
            assert member is not None
            assert member.id == shen
        born = session.query(Member).where(Member.birthday_index.in_(identifiers.born_on("02-29")))
        assert [member.id for member in born] == [shen]


def test_everything_opens_with_the_new_key_alone(shen: int) -> None:
    is_found(shen)
    sealed.use_keys(f"{NEW},{OLD}")
    is_found(shen)
    done = rotate(batch=7)
    is_found(shen)
    assert done.key == NEW_ID
    assert done.renewed == {
        "api_requests.body": 1,
        "members.name": 9,
        "members.latin_name": 1,
        "members.birthday": 9,
        "identifiers.value": 11,
        "messages.text": 1,
        "identifiers.index": 11,
        "members.birthday_index": 9,
    }
    assert (done.unopened, done.left, done.ageing) == ((), (), 1)
    assert not done.old_keys_may_go, "the answer that is kept for a client is still recognised by the old key"
    assert under(OLD_ID) == {"api_requests": 1}
    sealed.use_keys(NEW)
    reads_as_ever(shen)
    is_found(shen)


def test_old_keys_may_go_once_the_kept_answers_went(shen: int) -> None:
    sealed.use_keys(f"{NEW},{OLD}")
    with db.transaction() as session:
        session.query(ApiRequest).delete()
    assert rotate().old_keys_may_go
    assert under(OLD_ID) == {}


def test_again_renews_nothing_and_only_says_so(shen: int) -> None:
    sealed.use_keys(f"{NEW},{OLD}")
    rotate()
    before = everything()
    assert set(rotate().renewed.values()) == {0}
    after = everything()
    assert len(after.pop("audit_entries")) == len(before.pop("audit_entries")) + 1
    assert after == before


def test_no_sealed_column_is_forgotten() -> None:
    named = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.c
        if isinstance(column.type, SealedText)
    }
    assert {str(column) for column in rotation.sealed_columns()} == named
    assert {"members.name", "identifiers.value", "messages.text"} <= named


class Killed(Exception):
    """The process died here."""


def dying_after(transactions: int) -> rotation.Begin:
    """Transactions of which the one after so many is cut off before its commit."""
    opened = 0

    @contextlib.contextmanager
    def begin() -> Iterator[db.Session]:
        nonlocal opened
        opened += 1
        with db.transaction() as session:
            yield session
            if opened > transactions:
                raise Killed

    return begin


def test_killed_between_any_two_transactions_a_later_run_completes(shen: int) -> None:
    sealed.use_keys(f"{NEW},{OLD}")
    for cut in itertools.count(1):
        before = sum(under(NEW_ID).values())
        try:
            rotation.rotate(dying_after(cut), actor="ops", now=NOW, batch=3)
            break
        except Killed:
            # What it cut through is found and read, and nothing that was done before is undone.
            is_found(shen)
            reads_as_ever(shen)
            assert sum(under(NEW_ID).values()) >= before
    assert cut > 10
    assert under(OLD_ID) == {"api_requests": 1}
    sealed.use_keys(NEW)
    is_found(shen)
    reads_as_ever(shen)


def test_what_changes_meanwhile_stays_as_it_was_changed(shen: int) -> None:
    sealed.use_keys(f"{NEW},{OLD}")
    changed = False

    @contextlib.contextmanager
    def begin() -> Iterator[db.Session]:
        nonlocal changed
        with db.transaction() as session:
            yield session
        if not changed:
            changed = True
            with db.transaction() as other:
                changes = MemberChanges(name="沈微", phone="+8613700000001", birthday="1992-03-01")
                details.change(other, shen, changes, via="desk", actor="desk", now=NOW)

    assert rotation.rotate(begin, actor="ops", now=NOW, batch=5).left == ()
    sealed.use_keys(NEW)
    with db.reading() as session:
        assert session.get_one(Member, shen).name == "沈微"
        assert identifiers.find(session, IdentifierKind.phone, "13700000001") is not None
        assert identifiers.find(session, IdentifierKind.phone, "13601876543") is None


def test_a_value_that_was_read_and_then_changed_is_left_alone(sqlite_database: str) -> None:
    """Between the reading and the writing of a batch: the guard is in the statement itself."""
    open_hotels()
    shen = join(SHEN).id
    sealed.use_keys(f"{NEW},{OLD}")
    place = next(each for each in rotation._places() if str(each.column) == "members.name")
    with db.transaction() as session:
        (row,) = rotation._next_rows(session, place, after=0, most=5)
        session.execute(update(Member).where(Member.id == shen).values(name="沈微"))
        late = [{"row": row.id, "old": row.old, "fresh": sealed.ring().seal("too late", "members.name")}]
        assert rotation._write(session, place, late) == 0
        assert (
            session.scalar(
                text("SELECT count(*) FROM members WHERE name = :late"), {"late": late[0]["fresh"]}
            )
            == 0
        )
    with db.reading() as session:
        assert session.get_one(Member, shen).name == "沈微"


def test_what_no_key_opens_is_named_and_the_rest_is_done(shen: int) -> None:
    with db.transaction() as session:
        session.execute(
            text("UPDATE members SET latin_name = :torn WHERE id = :id"),
            {"torn": "v1.00000000.AAAA", "id": shen},
        )
    sealed.use_keys(f"{NEW},{OLD}")
    done = rotate(batch=4)
    assert done.unopened == (f"members.latin_name {shen}",)
    assert done.left == (f"members.latin_name {shen}",)
    assert not done.old_keys_may_go
    assert done.renewed["members.birthday_index"] == 9
    with pytest.raises(CannotOpen), db.reading() as session:
        session.get_one(Member, shen)


def test_a_phone_that_two_have_under_two_keys_is_named(shen: int) -> None:
    other = join(name="Other", phone="13700000002").id
    with db.transaction() as session:  # as two processes with different newest keys could leave it
        ring = sealed.KeyRing.read(NEW)
        row = session.query(Identifier).where(Identifier.member_id == other).one()
        clash = (
            session.query(Identifier).where(Identifier.member_id == shen, Identifier.kind == "phone").one()
        )
        session.execute(
            text('UPDATE identifiers SET value = :value, "index" = :index WHERE id = :id'),
            {
                "value": ring.seal("+8613601876543", "identifiers.value"),
                "index": ring.blinds("+8613601876543", "identifiers.phone")[0],
                "id": row.id,
            },
        )
    sealed.use_keys(f"{NEW},{OLD}")
    done = rotate()
    assert done.left == (f"identifiers.index {clash.id}",)
    assert done.unopened == ()
    assert done.renewed["identifiers.index"] == 10


def test_progress_is_told_and_the_deed_is_on_record(shen: int) -> None:
    sealed.use_keys(f"{NEW},{OLD}")
    told: list[tuple[str, int]] = []
    rotation.rotate(db.transaction, actor="ops", now=NOW, batch=4, progress=lambda *now: told.append(now))
    assert [renewed for column, renewed in told if column == "members.name"] == [4, 8, 9]
    deed = next(row for row in everything()["audit_entries"] if "keys.rotated" in row)
    assert f"key:{NEW_ID}" in deed
    assert "ops" in deed
