"""Ports: a wish is granted or refused in one line, a preference gives way."""

from __future__ import annotations

import socket

import pytest

from bellwether.stack import port
from bellwether.stack.errors import PortTaken


def test_a_wish_for_a_taken_port_is_refused_and_a_preference_gives_way() -> None:
    with socket.socket() as other:
        other.bind((port.LOOPBACK, 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {taken} for Mosquitto is in use"):
            port.choose("Mosquitto", wanted=taken)
        assert port.choose("Mosquitto", preferred=taken) != taken
    assert port.choose("Mosquitto", preferred=taken) == taken
    assert port.choose("Mosquitto", wanted=taken) == taken
