"""One message through Apprise: to addresses that were judged, and with a reason where it fails.

Apprise looks names up and connects by itself. What the machine's resolver answers to the sending thread is therefore
judged before anybody connects to it, also after a redirect, and also where a name means another address each time.
Apprise says in its log alone why something failed: it is read from there, and what is secret in it is blotted out.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from store.messages.addresses import MAIL, BadAddress, plugin_of
from store.networks import may_reach

_LONGEST_REASON = 300
_here = threading.local()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt. `lasting`: another would fail too."""

    error: str
    took_ms: int
    lasting: bool = False

    @property
    def is_sent(self) -> bool:
        return self.error == ""


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that goes with a message."""

    name: str
    media_type: str
    content: bytes


class NotReachable(OSError):
    """An address that is no public one."""


def send(
    url: str, subject: str, body: str, *, to: str = "", attached: Attached | None = None, to_private: bool = False
) -> Outcome:
    """Never raises for what the other side does, or is not allowed to be.

    Parameters
    ----------
    to
        Whom an e-mail account writes to, in the place of whom its address names.
    to_private
        Let addresses of the house's own network pass, and this machine's.
    """
    began_s = time.monotonic()
    error, lasting = "", False
    try:
        plugin: Any = plugin_of(url)
        if to:
            plugin.targets = [(False, to)]
            plugin.cc, plugin.bcc = set(), set()
        with _judged(to_private=to_private), _reasons() as reasons:
            said = {"body": body, "title": " ".join(subject.split()), "body_format": "text"}
            if not plugin.notify(**said, attach=_enclosed(attached)):
                error = _without_secrets(" ".join(reasons) or "the service did not take it", url)
        if _here.refused:
            error, lasting = _here.refused, True
    except BadAddress as wrong:
        error, lasting = str(wrong), True
    except Exception as failure:  # a hundred plugins by a hundred hands
        error = _without_secrets(f"{type(failure).__name__}: {failure}", url)
    return Outcome(error[:_LONGEST_REASON], round(1000 * (time.monotonic() - began_s)), lasting)


def _enclosed(attached: Attached | None) -> Any:
    if attached is None:
        return None
    from apprise import AppriseAttachment  # noqa: PLC0415 a second, for those alone who send
    from apprise.attachment.memory import AttachMemory  # noqa: PLC0415

    enclosed: Any = AppriseAttachment()
    memory: Any = AttachMemory
    enclosed.add(memory(attached.content, attached.name, attached.media_type))
    return enclosed


@contextmanager
def _judged(*, to_private: bool) -> Iterator[None]:
    """Let this thread reach public addresses alone, until the block ends."""
    _install()
    _here.refused, _here.judges, _here.to_private = "", True, to_private
    try:
        yield
    finally:
        _here.judges = False


@cache
def _install() -> None:
    """Once a process. Threads that did not ask for it are not judged."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        found = look_up(host, *args, **kwargs)
        if getattr(_here, "judges", False):
            for *_, address in found:
                if not _may_reach(ip_address(str(address[0]).split("%")[0])):
                    _here.refused = f"{address[0]} is no public address"
                    raise NotReachable(_here.refused)
        return found

    socket.getaddrinfo = getaddrinfo


def _may_reach(address: IPv4Address | IPv6Address) -> bool:
    """An operator may open the house's own network; the machine's neighbours on the wire, where clouds keep their
    metadata, stay closed."""
    if may_reach(address):
        return True
    of_the_house = (address.is_private or address.is_loopback) and not (
        address.is_link_local or address.is_unspecified or address.is_multicast
    )
    return bool(_here.to_private) and of_the_house


class _Reasons(logging.Handler):
    """What Apprise says in a thread that listens."""

    def emit(self, record: logging.LogRecord) -> None:
        heard: list[str] | None = getattr(_here, "reasons", None)
        if heard is not None and len(heard) < 3:
            heard.append(record.getMessage())


@contextmanager
def _reasons() -> Iterator[list[str]]:
    _hear()
    _here.reasons = []
    try:
        yield _here.reasons
    finally:
        _here.reasons = None


@cache
def _hear() -> None:
    """Once a process."""
    logging.getLogger("apprise").addHandler(_Reasons(logging.WARNING))


def _without_secrets(text: str, url: str) -> str:
    """A reason without what only the address's owner knows: every part of the address but an e-mail's host."""
    parts = urlsplit(url)
    secrets = {
        parts.username or "",
        parts.password or "",
        *parts.path.split("/"),
        *parts.query.replace("&", "=").split("="),
    }
    if parts.scheme not in MAIL:
        secrets.add(parts.hostname or "")
    known = {form for secret in secrets for form in (secret, unquote(secret), quote(secret)) if len(form) >= 6}
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, "…")
    return " ".join(text.split())
