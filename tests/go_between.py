"""Something in front of a broker, as gateways and clusters have it: the client's acknowledgements never reach it."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

from telemetry import Broker

PUBLISH, PUBACK = 3, 4
# The two bits of a PUBLISH's first byte that say its QoS.
QOS = 0b110


class GoBetween(socketserver.ThreadingTCPServer):
    """It acknowledges to the broker all that it hands on, or nothing. Without TLS."""

    daemon_threads = True

    def __init__(self, behind: Broker, acknowledges: bool) -> None:
        self.behind = (behind.host, behind.port)
        self.acknowledges = acknowledges
        super().__init__(("127.0.0.1", 0), _Connection)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    server: GoBetween

    def handle(self) -> None:
        with socket.create_connection(self.server.behind) as broker:
            back = threading.Thread(target=self._hand_back, args=(broker,))
            back.start()
            for packet in packets(self.request):
                if packet[0] >> 4 != PUBACK:
                    broker.sendall(packet)
            broker.shutdown(socket.SHUT_WR)
            back.join()

    def _hand_back(self, broker: socket.socket) -> None:
        for packet in packets(broker):
            with suppress(OSError):  # the client has gone
                self.request.sendall(packet)
            if self.server.acknowledges and packet[0] >> 4 == PUBLISH and packet[0] & QOS:
                with suppress(OSError):
                    broker.sendall(bytes([PUBACK << 4, 2]) + packet_id(packet))


def packets(connection: socket.socket) -> Iterator[bytes]:
    """Each whole packet of MQTT, until the connection ends."""
    with suppress(OSError), connection.makefile("rb") as stream:
        while head := stream.read(1):
            length, at = 0, 0
            while at == 0 or head[-1] & 0x80:
                head += stream.read(1)
                length |= (head[-1] & 0x7F) << 7 * at
                at += 1
            yield head + stream.read(length)


def packet_id(publish: bytes) -> bytes:
    """Of a PUBLISH at QoS 1: two bytes behind its topic."""
    at = next(n for n in range(1, 5) if publish[n] < 0x80) + 1
    behind_topic = at + 2 + int.from_bytes(publish[at : at + 2], "big")
    return publish[behind_topic : behind_topic + 2]
