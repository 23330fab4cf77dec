"""What proves that two memberships are one person's, checked by machine: staff attest only what they have seen."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from data import identifiers, identities
from data.identifiers import IdentifierKind
from data.members import Member
from data.refusals import BadInput, Conflict

_MAINLAND_CARD = re.compile(r"[0-9]{6}([0-9]{4})([0-9]{2})([0-9]{2})[0-9]{3}[0-9X]")


@dataclass(frozen=True, kw_only=True)
class DocumentSeen:
    """The guest stood at the desk with passport or identity card, and staff typed from it what is here.

    `numbers`: of every document they showed, `birthday` as `YYYY-MM-DD`.
    """

    numbers: tuple[str, ...] = field(repr=False)
    birthday: str = field(repr=False)


# To come: one-time codes, sent to an address of each of the two and typed back.
Proof = DocumentSeen


def check(db: Session, one: Member, other: Member, proof: Proof) -> None:
    """Raise `Conflict` unless the proof holds for both records, `BadInput` for what is no document or birthday.

    It holds if at least one of the two has a document on record; every document that either has was seen; both have
    the birthday of the document, with its year; and the same name, in whichever script. So a record that carries a
    document is only merged with that document in hand, and one that carries none only with who has all its data.
    """
    _check_birthday(one, other, proof)
    _check_documents(db, one, other, proof)
    if not _names(one) & _names(other):
        remedy = "If the document says so, correct the name of the record that is wrong first."
        raise Conflict("name", "the two records have different names.", remedy)


def kind_of(proof: Proof) -> str:
    """What the audit log calls it."""
    return {DocumentSeen: "document"}[type(proof)]


def _check_birthday(one: Member, other: Member, proof: Proof) -> None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", proof.birthday):
        raise BadInput("birthday", "is no whole day.", "Write it from the document, as YYYY-MM-DD.")
    for member in (one, other):
        if member.birthday != proof.birthday:
            said = "another birthday" if member.birthday else "no birthday"
            remedy = "If the document says so, correct that record first, with the year."
            raise Conflict("birthday", f"the record of {member.number} has {said}.", remedy)


def _check_documents(db: Session, one: Member, other: Member, proof: Proof) -> None:
    seen = {identities.document(number, field="documents") for number in proof.numbers}
    for number in seen:
        printed = _MAINLAND_CARD.fullmatch(number)
        if printed and "-".join(printed.groups()) != proof.birthday:
            raise Conflict(
                "birthday", "is not the one in the number of the identity card.", "Read both again."
            )
    recorded = {each.id: set(identifiers.of(db, each.id, IdentifierKind.document)) for each in (one, other)}
    if not any(recorded.values()):
        remedy = "Record the document the guest shows for one of the two first."
        raise Conflict("documents", "neither record has a document.", remedy)
    for member in (one, other):
        if not recorded[member.id] <= seen:
            remedy = "Ask the guest for that document, or correct the record if it is wrong."
            raise Conflict("documents", f"the document of {member.number} was not seen.", remedy)


def _names(member: Member) -> set[str]:
    return {_spelt(name) for name in (member.name, member.latin_name) if name}


def _spelt(name: str) -> str:
    """A name without case, accents, punctuation and, where it has words, without their order."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    words = re.findall(r"\w+", "".join(each for each in plain if not unicodedata.combining(each)))
    return " ".join(sorted(words)) if any(word.isascii() for word in words) else "".join(words)
