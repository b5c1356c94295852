"""The keys that deliveries are signed with; at rest they are encrypted, see `store.encryption`."""

from __future__ import annotations

import secrets

PURPOSE = "webhooks"
"""What they are encrypted for: see `store.encryption.Cipher`."""
_PREFIX = "whk_"
_BYTES = 32


def new_key() -> str:
    """256 random bits."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)
