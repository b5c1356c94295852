"""Sequence numbers: what has come, what is missing, what may be acknowledged, whatever the order."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.accounts.sequences import (
    BEGIN_PATIENCE_US,
    BEGINS_WITHIN,
    MAX_BOOTS,
    MAX_HOLES,
    MAX_JUMP,
    PATIENCE_US,
    Sequences,
)
from ingest.reading import NO_BOOT

PUMP, FAN = 4, 5
START_US = 1_782_907_200_000_000


def taken(*seqs: int, boot: int = 7, of: Sequences | None = None, at_us: int = START_US) -> Sequences:
    sequences = of or Sequences()
    for seq in seqs:
        sequences.take(PUMP, boot, seq, fresh=not sequences.has(PUMP, boot, seq), now_us=at_us)
    return sequences


def acknowledged(sequences: Sequences) -> dict[int, int]:
    """The highest number by boot."""
    return {boot: seq for _, boot, seq in sequences.acknowledgements(1000)}


def after_an_earlier_boot() -> Sequences:
    """Of a device that is known, so that what is missing at the beginning of a boot is missed."""
    return taken(0, 1, boot=6)


def test_numbers_in_their_order_are_acknowledged_to_the_last() -> None:
    assert acknowledged(taken(*range(100))) == {7: 99}


def test_an_acknowledgement_is_given_once_for_what_was_heard() -> None:
    sequences = taken(0, 1)
    assert acknowledged(sequences) == {7: 1}
    assert acknowledged(sequences) == {}
    taken(1, of=sequences)  # a copy: the device has not heard us
    assert acknowledged(sequences) == {7: 1}


def test_nothing_above_a_hole_is_acknowledged_until_it_is_filled() -> None:
    sequences = taken(0, 1, 4, 5, 3)
    assert acknowledged(sequences) == {7: 1}
    taken(2, of=sequences)
    assert acknowledged(sequences) == {7: 5}


def test_a_hole_is_given_up_when_the_device_goes_on_without_it() -> None:
    sequences = taken(0, 1, 4)
    taken(5, of=sequences, at_us=START_US + PATIENCE_US - 1)
    assert sequences.tend() == []
    taken(6, of=sequences, at_us=START_US + PATIENCE_US)
    (loss,) = sequences.tend()
    assert (loss.machine, loss.boot, loss.first, loss.end, loss.missing) == (PUMP, 7, 2, 7, 2)
    assert acknowledged(sequences) == {7: 6}
    assert sequences.tend() == []


def test_a_device_that_is_silent_is_waited_for() -> None:
    """Only its own messages show that it goes on without the number, not how late it is, nor what others say."""
    sequences = taken(0, 1, 4)
    sequences.take(FAN, 7, 0, True, START_US + 100 * PATIENCE_US)
    assert sequences.tend() == []


def test_what_comes_after_it_was_given_up_is_found() -> None:
    sequences = taken(0, 3)
    sequences.take(PUMP, 7, 4, True, START_US + PATIENCE_US)
    assert [loss.missing for loss in sequences.tend()] == [2]
    assert not sequences.has(PUMP, 7, 2)
    taken(2, of=sequences)
    assert sequences.has(PUMP, 7, 2)
    assert sequences.take_found() == {PUMP: 1}
    run = sequences.runs[PUMP][7]
    assert (run.missing, run.found, run.restarts) == (2, 1, 0)


def test_what_a_device_says_it_holds_no_more_is_given_up_at_once() -> None:
    sequences = taken(0, 1, 6)
    sequences.holds_from(PUMP, 7, 5, START_US)
    (loss,) = sequences.tend()
    assert (loss.first, loss.missing) == (2, 3)
    assert acknowledged(sequences) == {7: 4}
    taken(5, of=sequences)
    assert acknowledged(sequences) == {7: 6}


def test_a_device_may_count_from_one() -> None:
    sequences = taken(1, 2, of=after_an_earlier_boot())
    acknowledged(sequences)
    taken(3, of=sequences, at_us=START_US + BEGIN_PATIENCE_US)
    assert sequences.tend() == []
    assert acknowledged(sequences) == {7: 3}
    assert sequences.runs[PUMP][7].missing == 0


def test_the_first_numbers_of_a_device_that_says_where_it_begins_are_waited_for() -> None:
    sequences = after_an_earlier_boot()
    sequences.holds_from(PUMP, 7, 0, START_US)
    taken(1, 2, of=sequences)
    taken(3, of=sequences, at_us=START_US + BEGIN_PATIENCE_US)
    assert sequences.tend() == []
    assert 7 not in acknowledged(sequences)
    taken(0, of=sequences)
    assert acknowledged(sequences)[7] == 3


def test_the_beginning_of_a_later_boot_can_be_lost() -> None:
    sequences = taken(5, of=after_an_earlier_boot())
    taken(6, of=sequences, at_us=START_US + PATIENCE_US)
    assert [(loss.first, loss.missing) for loss in sequences.tend()] == [(0, 5)]


def test_a_device_that_runs_already_when_we_are_new_has_lost_nothing() -> None:
    for first in (BEGINS_WITHIN - 1, BEGINS_WITHIN + 1, 10**12):
        sequences = taken(first, first + 1)
        taken(first + 2, of=sequences, at_us=START_US + PATIENCE_US)
        assert sequences.tend() == []
        assert acknowledged(sequences) == {7: first + 2}


def test_without_a_boot_nothing_is_acknowledged_and_gaps_still_show() -> None:
    sequences = taken(0, 1, 5, boot=NO_BOOT)
    taken(6, boot=NO_BOOT, of=sequences, at_us=START_US + PATIENCE_US)
    assert acknowledged(sequences) == {}
    assert [loss.missing for loss in sequences.tend()] == [3]


def test_numbers_that_begin_anew_are_told_from_copies_by_what_they_bring() -> None:
    sequences = taken(*range(50), boot=NO_BOOT)
    sequences.take(PUMP, NO_BOOT, 0, fresh=False, now_us=START_US)
    assert sequences.runs[PUMP][NO_BOOT].restarts == 0
    sequences.take(PUMP, NO_BOOT, 0, fresh=True, now_us=START_US)
    run = sequences.runs[PUMP][NO_BOOT]
    assert (run.restarts, run.below, run.missing) == (1, 1, 0)


def test_a_number_out_of_all_bounds_is_no_loss() -> None:
    sequences = taken(0, 1, 2 + MAX_JUMP + 1)
    assert sequences.runs[PUMP][7].restarts == 1
    assert sequences.tend() == []


def test_memory_is_bounded() -> None:
    sequences = taken(*range(0, 4 * MAX_HOLES, 2))
    sequences.tend()
    assert len(sequences.runs[PUMP][7].above) <= MAX_HOLES
    for boot in range(20):
        taken(0, boot=boot, of=sequences, at_us=START_US + boot)
    assert len(sequences.runs[PUMP]) == MAX_BOOTS


@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=20))
def test_in_whatever_order_with_whatever_copies(order: list[int], copies: list[int]) -> None:
    sequences = Sequences()
    come: set[int] = set()
    for seq in [*order, *copies]:
        taken(seq, of=sequences)
        come.add(seq)
        whole = next(number for number in range(13) if number not in come)
        run = sequences.runs[PUMP][7]
        assert run.below == whole
        assert {number for number in range(12) if run.has(number)} == come
    assert acknowledged(sequences) == {7: 11}
    assert sequences.runs[PUMP][7].restarts == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 3)), max_size=60))
@settings(max_examples=300)
def test_what_is_known_is_never_unknown_again(steps: list[tuple[int, bool, int]]) -> None:
    """Whatever comes, and whenever it is given up: each number has come, was given up, or is waited for."""
    sequences = after_an_earlier_boot()
    come: set[int] = set()
    now_us = START_US
    for seq, tend, hold in steps:
        now_us += PATIENCE_US // 3
        taken(seq, of=sequences, at_us=now_us)
        come.add(seq)
        if hold == 3:
            sequences.holds_from(PUMP, 7, seq, now_us)
        if tend:
            sequences.tend()
        run = sequences.runs[PUMP][7]
        assert run.missing - run.found >= 0
        for number in range(41):
            assert run.has(number) == (number in come and number >= run.begins)
        spans = [(first, end) for first, end, _ in run.above]
        assert all(first < end for first, end in spans)
        assert all(end < first for (_, end), (first, _) in pairwise(spans))
        assert not spans or spans[0][0] > run.below
