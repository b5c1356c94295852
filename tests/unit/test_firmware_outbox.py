"""The outbox: in order, bounded, and patient until something is known to be stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.outbox import Outbox


def filled(count: int, capacity: int = 100) -> Outbox:
    outbox = Outbox(capacity)
    for seq in range(count):
        outbox.put(seq, b"%d" % seq)
    return outbox


def send(outbox: Outbox, count: int, first_mid: int = 1000) -> list[int]:
    """Hand on `count` messages; their sequence numbers."""
    sent = []
    for mid in range(first_mid, first_mid + count):
        taken = outbox.take()
        assert taken is not None
        sent.append(taken[0].last_seq)
        outbox.sent(mid)
    return sent


def test_full_it_gives_up_the_oldest_and_counts() -> None:
    outbox = filled(5, capacity=3)
    assert outbox.dropped == 2
    assert send(outbox, 3) == [2, 3, 4]
    assert outbox.take() is None


def test_a_message_stays_until_stored() -> None:
    outbox = filled(3)
    send(outbox, 3)
    for mid in (1000, 1001, 1002):
        outbox.delivered(mid, 0.0)
    assert len(outbox) == 3
    outbox.stored(1, 1.0)
    assert len(outbox) == 1
    assert outbox.lowest_seq == 2
    outbox.stored(2, 2.0)
    assert outbox.lowest_seq == outbox.next_seq == 3


def test_after_a_lost_connection_what_was_in_flight_goes_again_and_first() -> None:
    outbox = filled(4)
    send(outbox, 3)
    outbox.delivered(1000, 0.0)
    outbox.connection_lost()
    assert send(outbox, 3, 2000) == [1, 2, 3]
    outbox.delivered(1001, 0.0)
    assert outbox.in_flight == 3, "a packet number of the lost connection means nothing in this one"


def test_where_storing_is_confirmed_what_only_the_broker_had_goes_again_too() -> None:
    outbox = filled(4)
    send(outbox, 3)
    for mid in (1000, 1001, 1002):
        outbox.delivered(mid, 0.0)
    outbox.stored(0, 1.0)
    outbox.connection_lost()
    assert send(outbox, 3, 2000) == [1, 2, 3]


def test_messages_in_a_gap_are_sent_again_as_long_as_confirmations_come() -> None:
    outbox = filled(10)
    send(outbox, 10)
    for mid in range(1000, 1010):
        outbox.delivered(mid, 0.0)
    outbox.stored(1, 5.0)
    outbox.repeat_overdue(20.0, 30.0, at_most=3)
    assert outbox.waiting == 0, "not overdue yet"
    outbox.repeat_overdue(31.0, 30.0, at_most=3)
    assert send(outbox, 3, 2000) == [2, 3, 4]
    for mid in (2000, 2001, 2002):
        outbox.delivered(mid, 31.5)
    outbox.stored(4, 32.0)
    outbox.repeat_overdue(32.5, 30.0, at_most=3)
    assert send(outbox, 3, 3000) == [5, 6, 7]


def test_into_a_silence_one_message_is_repeated_per_patience() -> None:
    outbox = filled(10)
    send(outbox, 10)
    for mid in range(1000, 1010):
        outbox.delivered(mid, 0.0)
    outbox.stored(0, 1.0)
    outbox.repeat_overdue(40.0, 30.0, at_most=2)
    assert send(outbox, 2, 2000) == [1, 2]
    outbox.delivered(2000, 40.0)
    outbox.delivered(2001, 40.0)
    outbox.repeat_overdue(50.0, 30.0, at_most=2)
    assert outbox.waiting == 0
    outbox.repeat_overdue(75.0, 30.0, at_most=2)
    assert outbox.waiting == 1


def test_who_never_hears_a_confirmation_never_repeats() -> None:
    outbox = filled(2)
    send(outbox, 2)
    outbox.delivered(1000, 0.0)
    outbox.delivered(1001, 0.0)
    outbox.repeat_overdue(1e9, 30.0, at_most=16)
    outbox.connection_lost()
    assert outbox.waiting == 0


def test_giving_up_what_the_broker_had_is_counted_only_where_somebody_confirms() -> None:
    silent, confirmed = filled(2, capacity=2), filled(3, capacity=3)
    for outbox in (silent, confirmed):
        send(outbox, 2)
        outbox.delivered(1000, 0.0)
        outbox.delivered(1001, 0.0)
    confirmed.stored(0, 0.0)
    for outbox in (silent, confirmed):
        outbox.put(outbox.next_seq, b"")
        outbox.put(outbox.next_seq, b"")
    assert (silent.unconfirmed, silent.dropped) == (0, 0)
    assert (confirmed.unconfirmed, confirmed.dropped) == (1, 0)


def test_sent_below() -> None:
    outbox = filled(3)
    send(outbox, 2)
    outbox.delivered(1000, 0.0)
    assert outbox.sent_below(1)
    assert not outbox.sent_below(2)
    outbox.delivered(1001, 0.0)
    assert outbox.sent_below(2)
    assert not outbox.sent_below(3)


def test_a_capacity_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Outbox(0)


@given(st.lists(st.sampled_from(["put", "send", "deliver", "store", "lose", "repeat"]), max_size=200))
def test_nothing_is_lost_uncounted_whatever_happens(steps: list[str]) -> None:
    """Each message put is stored, held, or counted as given up; and the bound holds."""
    outbox, arrived, stored, mid, now_s = Outbox(8), set[int](), -1, 0, 0.0
    flying: dict[int, int] = {}
    for step in steps:
        now_s += 10.0
        if step == "put":
            outbox.put(outbox.next_seq, b"x")
        elif step == "send" and (taken := outbox.take()) is not None:
            mid += 1
            outbox.sent(mid)
            flying[mid] = taken[0].last_seq
        elif step == "deliver" and flying:
            done = min(flying)
            arrived.add(flying.pop(done))
            outbox.delivered(done, now_s)
        elif step == "store":
            while stored + 1 in arrived:
                stored += 1
            if stored >= 0:
                outbox.stored(stored, now_s)
        elif step == "lose":
            flying.clear()
            outbox.connection_lost()
        elif step == "repeat":
            outbox.repeat_overdue(now_s, 30.0, 4)
        assert len(outbox) <= 8
        assert outbox.waiting + outbox.in_flight <= len(outbox) + len(flying)
    never_arrived = outbox.next_seq - len(arrived)
    assert never_arrived <= len(outbox) + outbox.dropped + len(flying) + outbox.unconfirmed
