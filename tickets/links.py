"""Where messages lead: to the pages, under the address at which a tenant's people and customers reach them.

A process behind a proxy does not know that address: the tenant's terms say it, and until they do messages lead nowhere.
What a customer may open has the ticket's code in it, and goes to customers alone; staff are led to pages behind a
sign-in.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LONGEST_ADDRESS = 220
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def address_of(typed: str) -> str:
    """An address that pages can be reached at, without the slash at its end; empty stays empty.

    Raises
    ------
    ValueError
        It is none: says why.
    """
    text = typed.strip()
    if not text:
        return ""
    if len(text) > LONGEST_ADDRESS or not text.isascii() or not text.isprintable():
        raise ValueError(f"an address of at most {LONGEST_ADDRESS} printable characters")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError("an address that begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("an address without a user or a password")
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise ValueError("an address without a path: the pages are at the root of their host")
    if not _HOST.fullmatch(parts.hostname or "") or parts.port == 0 or parts.netloc.endswith(":"):
        raise ValueError("an address with a host, like https://service.example")
    return f"{parts.scheme}://{parts.netloc}"


def progress(address: str, code: str) -> str:
    """Where a customer follows their ticket. For customers alone."""
    return f"{address}/track/{code}"


def survey(address: str, link: str) -> str:
    """Where a customer answers. For that customer alone."""
    return f"{address}/survey/{link}"
