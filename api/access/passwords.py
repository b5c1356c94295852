"""Passwords: argon2id at rest, and never more of them at work than the memory is meant for."""

from __future__ import annotations

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.errors import TooMany

# OWASP's least for argon2id: 19 MiB and two passes. More would make four sign-ins at once a burden on a small machine.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_ONCE = 4
_WAIT_S = 5

LEAST_CHARACTERS = 12
MOST_CHARACTERS = 256  # a longer one only costs


def hash_password(password: str) -> str:
    """What is stored of a password."""
    return _HASHER.hash(password)


class Passwords:
    """Looks at passwords, a few at a time: whoever comes beyond that waits, then is sent away."""

    def __init__(self) -> None:
        self._turns = BoundedSemaphore(_AT_ONCE)
        self._decoy = hash_password("nobody has this one")

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether it is the one. Without a stored one it takes as long, so that the time tells nobody who exists."""
        if not self._turns.acquire(timeout=_WAIT_S):
            raise TooMany("too many are signing in at once", _WAIT_S)
        try:
            return _HASHER.verify(stored or self._decoy, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._turns.release()
