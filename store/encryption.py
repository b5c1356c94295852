"""What only `api` and `notify` may read, at rest: whoever has the database alone can sign nothing and reach nobody.

The key follows from the server's secret, which must be random: it is not stretched. AES-256-GCM, bound to the
name of what is encrypted: what is one row's can't be read in another.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Undecryptable(ValueError):
    """This was encrypted with another secret or under another name, or has been changed."""


class Cipher:
    """Encrypts with what follows from `secret`, for one purpose: what is for another can't be read."""

    def __init__(self, secret: str, purpose: str) -> None:
        info = f"bellwether {purpose}".encode()
        self._cipher = AESGCM(HKDF(SHA256(), _KEY_BYTES, None, info).derive(secret.encode()))

    def encrypt(self, name: str, text: str) -> bytes:
        """`text`, for who knows the secret and the name."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), name.encode())

    def decrypt(self, name: str, encrypted: bytes) -> str:
        """What was encrypted under this name.

        Raises
        ------
        Undecryptable
            It was encrypted otherwise, or has been changed.
        """
        try:
            return self._cipher.decrypt(encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:], name.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Undecryptable("the key cannot be opened: has BELLWETHER_SECRET changed? Make another") from error
