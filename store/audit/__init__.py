"""The audit log: acts, which triggers write in the transaction of what was done, and the chain that seals them."""

from __future__ import annotations

from store.audit.acts import Act, Head, head, heads, note, page
from store.audit.chain import GENESIS, Place, Wrong, hash_of
from store.audit.sealing import seal
from store.audit.verification import Verified, verify, verify_end

__all__ = [
    "GENESIS",
    "Act",
    "Head",
    "Place",
    "Verified",
    "Wrong",
    "hash_of",
    "head",
    "heads",
    "note",
    "page",
    "seal",
    "verify",
    "verify_end",
]
