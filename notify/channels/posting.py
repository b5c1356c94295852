"""One POST to a stranger: to an address that was judged, within a time that is kept, and nowhere else.

The name is looked up here, every address that it has is judged, and the connection is made to one that was: another
answer a moment later (DNS rebinding) is never asked for. No proxy, no cookie, no redirect is followed, and of the
answer nothing is read but its status. A peer that trickles is cut off: no wait is longer than `ATTEMPT_S`, but that for
a name's address, which is as long as the machine's resolver lets it be.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address

from store.networks import may_reach
from store.webhooks.addresses import Target, target_of

# From the connection to the answer. A receiver that must work longer takes the event first and works afterwards. Too
# low: distant receivers in their busy hour fail. Too high: a dead one holds a worker that others wait for.
ATTEMPT_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an attempt: a status, or why there is none."""

    status: int | None
    error: str
    took_ms: int

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, to_loopback: bool = False, within_s: float = ATTEMPT_S
) -> Answer:
    """Never raises for what the other side does, or is not allowed to be."""
    began_s = time.monotonic()
    status, error = None, ""
    try:
        target = target_of(url, to_loopback=to_loopback)
        status = _send(target, _judged(target, to_loopback=to_loopback), body, headers, within_s)
        if not 200 <= status < 300:
            error = f"answered {status}" + (": redirects are not followed" if 300 <= status < 400 else "")
    except (OSError, http.client.HTTPException, ValueError) as failure:
        error = f"{type(failure).__name__}: {failure}"[:300]
    took_s = time.monotonic() - began_s
    if status is None and took_s >= within_s:
        error = f"no answer within {within_s:g} s"
    return Answer(status, error, round(1000 * took_s))


def _judged(target: Target, *, to_loopback: bool) -> list[str]:
    """The target's addresses. One that may not be reached condemns them all."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]).split("%")[0] for *_, address in found]
    for address in addresses:
        if not may_reach(ip_address(address), to_loopback=to_loopback):
            raise ValueError(f"{target.host} is at {address}, which is no public address")
    return addresses


def _send(target: Target, addresses: Sequence[str], body: bytes, headers: Mapping[str, str], within_s: float) -> int:
    connection = _Pinned(target, addresses, within_s)
    cut_off = threading.Timer(within_s, connection.cut)
    cut_off.daemon = True
    cut_off.start()
    try:
        connection.request("POST", target.path, body, dict(headers))
        return connection.getresponse().status
    finally:
        cut_off.cancel()
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to the first of these addresses that answers, under the name of the target."""

    def __init__(self, target: Target, addresses: Sequence[str], within_s: float) -> None:
        self.default_port = 443 if target.secure else 80
        super().__init__(target.host, target.port, timeout=within_s)
        self._target, self._addresses = target, addresses
        self._until_s = time.monotonic() + within_s

    def connect(self) -> None:
        self.sock = self._reach()
        if self._target.secure:
            self.sock = _trust().wrap_socket(
                self.sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
            self.sock.settimeout(self._left_s())
            self.sock.do_handshake()
        self.sock.settimeout(self._left_s())

    def cut(self) -> None:
        """From another thread: whatever is waited for ends at once."""
        if self.sock is not None:
            with suppress(OSError):
                # Not that of TLS, which would take its state away from under the reader.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _reach(self) -> socket.socket:
        failure: OSError | None = None
        for address in self._addresses:
            try:
                return socket.create_connection((address, self._target.port), self._left_s())
            except OSError as error:
                failure = error
        raise failure or OSError(f"{self._target.host} has no address")

    def _left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()
