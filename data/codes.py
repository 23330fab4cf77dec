"""Codes that people read aloud and type: an alphabet without look-alikes, and a character that tells a slip."""

from __future__ import annotations

import secrets

# Without 0 O, 1 I L, and of 2 Z, 5 S, 8 B, U V only the first: no character here is taken for another. An even
# number of them, which the check character needs.
ALPHABET = "23456789ACDEFGHJKMNPQRTWXY"


def new_code(length: int = 8) -> str:
    """`length` characters from the operating system's randomness, the last of them a check character."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(length - 1))
    return body + _check(body)


def read_code(typed: str) -> str | None:
    """The code that was typed, without spaces, dashes and case; None if it cannot be one of ours."""
    code = typed.upper().replace(" ", "").replace("-", "")
    if len(code) < 2 or any(c not in ALPHABET for c in code) or _check(code[:-1]) != code[-1]:
        return None
    return code


def _check(body: str) -> str:
    """Luhn mod N (ISO/IEC 7812-1 carried over to this alphabet): finds one wrong character and most swaps."""
    size = len(ALPHABET)
    total = 0
    for place, char in enumerate(reversed(body)):
        value = ALPHABET.index(char) * (2 if place % 2 == 0 else 1)
        total += value // size + value % size
    return ALPHABET[-total % size]
