"""What a receiver checks: that it was us, that nothing was changed, that it is not an old delivery played back."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

HEADER = "Bellwether-Signature"


def signature(keys: Sequence[str], body: bytes, at_s: int) -> str:
    """`t=…,v1=…`: the time and for each key the HMAC-SHA256 of time, full stop and body, in hexadecimal digits."""
    message = b"%d." % at_s + body
    signed = (hmac.new(key.encode(), message, hashlib.sha256).hexdigest() for key in keys)
    return ",".join([f"t={at_s}", *(f"v1={one}" for one in signed)])
