"""What only `api` and `notify` may read, at rest: whoever has the database alone can sign nothing and reach nobody.

A lock's key follows from the server's secret, which must be random: it is not stretched. AES-256-GCM, bound to the
name of what is locked, so that a row's key opens in no other row.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Unopenable(ValueError):
    """This was locked with another secret or under another name, or has been changed."""


class Lock:
    """Locks and opens with what follows from `secret`, for one purpose: what was locked for another stays closed."""

    def __init__(self, secret: str, purpose: str) -> None:
        info = f"bellwether {purpose}".encode()
        self._cipher = AESGCM(HKDF(SHA256(), _KEY_BYTES, None, info).derive(secret.encode()))

    def lock(self, name: str, text: str) -> bytes:
        """`text`, for who knows the secret and the name."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), name.encode())

    def open(self, name: str, locked: bytes) -> str:
        """What was locked under this name.

        Raises
        ------
        Unopenable
            It was locked otherwise, or has been changed.
        """
        try:
            return self._cipher.decrypt(locked[:_NONCE_BYTES], locked[_NONCE_BYTES:], name.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Unopenable("the key cannot be opened: has BELLWETHER_SECRET changed? Make another") from error
