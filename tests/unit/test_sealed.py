"""Passwords on their way to the gate: only it can open them, and only as what they were."""

from __future__ import annotations

import pytest

from store.sealed import Recipient, Unsealable, seal

GATE = Recipient("a password of the gate, generated")


def test_the_gate_opens_what_was_sealed_for_it() -> None:
    sealed = seal(GATE.public_key, "bw-1", "pässword")
    assert b"word" not in sealed
    assert GATE.open(sealed, "bw-1") == "pässword"


def test_the_same_password_makes_the_same_key_after_a_restart() -> None:
    again = Recipient("a password of the gate, generated")
    assert again.open(seal(GATE.public_key, "bw-1", "x"), "bw-1") == "x"


def test_no_two_seals_are_alike() -> None:
    assert seal(GATE.public_key, "bw-1", "x") != seal(GATE.public_key, "bw-1", "x")


@pytest.mark.parametrize("change", [b"", b"short", b"\0" * 80, "bit", "name", "key"])
def test_what_was_sealed_for_others_or_changed_stays_closed(change: bytes | str) -> None:
    sealed, name, reader = seal(GATE.public_key, "bw-1", "x"), "bw-1", GATE
    if isinstance(change, bytes):
        sealed = change
    elif change == "bit":
        sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    elif change == "name":
        name = "bw-2"
    else:
        reader = Recipient("another password")
    with pytest.raises(Unsealable):
        reader.open(sealed, name)
