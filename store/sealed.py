"""Passwords on their way to the one reader that needs them: whoever else has the database has nothing.

The API seals with the gate's public key and cannot open what it sealed; the gate opens with a key made from its own
password at the broker, which no one else has. X25519 with a key of its own each time, HKDF-SHA-256, AES-256-GCM.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Unsealable(ValueError):
    """This was sealed for another key, or has been changed."""


class Recipient:
    """Opens what was sealed for the key that follows from `secret`, which must be random: it is not stretched."""

    def __init__(self, secret: str) -> None:
        self._private = X25519PrivateKey.from_private_bytes(_derived(secret.encode(), b"bellwether gate"))

    @property
    def public_key(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes, name: str) -> str:
        """What was sealed under this name.

        Raises
        ------
        Unsealable
            It was sealed for another key or name, or has been changed.
        """
        theirs, rest = sealed[:_KEY_BYTES], sealed[_KEY_BYTES:]
        nonce, text = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(theirs))
            return AESGCM(_derived(shared, theirs + self.public_key)).decrypt(nonce, text, name.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Unsealable("sealed for another key, or changed") from error


def seal(public_key: bytes, name: str, text: str) -> bytes:
    """`text` for the reader with that key, bound to `name`."""
    once = X25519PrivateKey.generate()
    ours = once.public_key().public_bytes_raw()
    shared = once.exchange(X25519PublicKey.from_public_bytes(public_key))
    nonce = os.urandom(_NONCE_BYTES)
    return ours + nonce + AESGCM(_derived(shared, ours + public_key)).encrypt(nonce, text.encode(), name.encode())


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, None, purpose).derive(secret)
