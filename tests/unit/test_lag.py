"""Markers in a queue, and how far behind it is by them."""

from __future__ import annotations

from ingest.broker.lag import EVERY_S, Lag


def test_a_marker_that_is_back_says_how_long_it_took() -> None:
    lag = Lag("me")
    marker = lag.send(100.0)
    assert lag.seconds(103.0) == 3.0
    lag.returned(marker, 104.0)
    assert lag.seconds(200.0) == 4.0


def test_a_marker_brings_those_that_were_lost_before_it() -> None:
    lag = Lag("me")
    lag.send(100.0)
    later = lag.send(110.0)
    lag.returned(later, 110.5)
    assert lag.seconds(111.0) == 0.5


def test_a_marker_that_comes_twice_or_is_another_s_changes_nothing() -> None:
    lag = Lag("me")
    first = lag.send(100.0)
    lag.returned(first, 100.1)
    lag.send(110.0)
    for strange in (first, b"", b"\xff", b"me", b"me x", b"me -1", b"another 2", "me ²".encode()):
        lag.returned(strange, 115.0)
    assert lag.seconds(116.0) == 6.0


def test_markers_are_as_many_as_a_queue_of_any_length_needs() -> None:
    """A day's backlog drains in a third of one."""
    lag, now_s, sent = Lag("me"), 0.0, 0
    while now_s < 86_400 / 3:
        if lag.is_due(now_s):
            lag.send(now_s)
            sent += 1
        now_s += 1
    assert 100 < sent < 1000
    assert lag.seconds(now_s) == now_s


def test_what_the_broker_may_have_lost_is_not_waited_for() -> None:
    lag = Lag("me")
    lag.returned(lag.send(98.0), 99.0)
    lost = lag.send(100.0)
    assert not lag.is_due(100.0 + EVERY_S / 2)
    lag.forget()
    assert lag.seconds(200.0) == 1.0, "as far behind as before"
    assert lag.is_due(200.0)
    lag.send(200.0)
    lag.returned(lost, 201.0)
    assert lag.seconds(202.0) == 2.0
