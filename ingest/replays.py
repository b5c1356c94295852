"""Rejects played again: by today's mappings and decoders, at the time at which they came.

Some at a time are played in one transaction, which stores their readings, enters them into the ledger and notes what
became of each: killed at any moment, a message has been played or it has not, and played twice it stores nothing twice.
Under pressure what is new goes first: a bounded time is spent on each turn.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from ingest.accounts.kept import Kept
from ingest.decoding import NOBODY, Decoded
from ingest.messages import Message
from store import replays
from store.connection import Session
from store.ledger import COUNTS, Entry, hour_of, tally
from store.replays import Outcome, Replay

# How often the table is asked while nothing is wanted.
LOOK_EVERY_S = 5.0
# A turn while there is live traffic, and while there is none. Too high: what is new waits that long.
TURN_S = 0.1
TURN_AT_REST_S = 0.8
BATCH = 1000
# Too low: a commit for every message. Too high: a turn takes longer than it may.
TOGETHER = 50
NOTHING = "nothing in it to store"
# What was there before, or is too old, is no news of a message that was counted when it came.
_NOT_COUNTED = [COUNTS.index("duplicates"), COUNTS.index("dropped")]


class Replays:
    """The messages that wait to be played, as far as we have looked."""

    def __init__(self) -> None:
        self._waiting: deque[Replay] = deque()
        self._looked_at = -LOOK_EVERY_S

    def turn(
        self,
        look: Callable[[Callable[[Session], list[Replay]]], list[Replay]],
        play: Callable[[Sequence[Replay]], None],
        *,
        at_rest: bool,
    ) -> None:
        """Play for a while what is wanted.

        Parameters
        ----------
        look
            Does work in a transaction.
        play
            Plays messages of one hour and notes what became of each.
        at_rest
            Whether there is nothing else to do.
        """
        begun = time.monotonic()
        if not self._waiting:
            if begun - self._looked_at < LOOK_EVERY_S:
                return
            self._waiting.extend(look(lambda conn: replays.due(conn, BATCH)))
            # At once again after a full batch.
            self._looked_at = begun if len(self._waiting) < BATCH else -LOOK_EVERY_S
        while self._waiting and time.monotonic() - begun < (TURN_AT_REST_S if at_rest else TURN_S):
            play(self._group())

    def _group(self) -> list[Replay]:
        """Those that go into one transaction: the ledger counts by the hour."""
        group = [self._waiting.popleft()]
        hour_us = hour_of(group[0].at_us)
        while self._waiting and len(group) < TOGETHER and not _goes_alone(group[-1]):
            if hour_of(self._waiting[0].at_us) != hour_us or _goes_alone(self._waiting[0]):
                break
            group.append(self._waiting.popleft())
        return group


def message_of(replay: Replay) -> Message:
    """The message as it came."""
    return Message(replay.topic or "", replay.payload or b"", replay.content_type or "")


def entry_of_played(
    replays: Sequence[Replay], decoded: Decoded, kept: Kept, machine_of: Callable[[str, str], int | None]
) -> tuple[Entry, list[Outcome]]:
    """What playing messages adds to the ledger, in the hour in which they came; and what became of each.

    Their readings are stored like any; that a message was received and rejected stays as it is. Where nothing of it had
    been taken before, it counts as played beside that.
    """
    entry = Entry(replays[0].at_us if replays else 0, tallies=kept.tallies())
    for counts in entry.tallies.values():
        counts[_NOT_COUNTED] = 0
    fresh = kept.fresh(decoded)
    known = np.zeros(len(replays), bool)
    known[decoded.message] = True
    known[list(kept.blocks)] = True
    still: list[list[str]] = [[] for _ in replays]
    for index, reject in decoded.rejected:
        still[index].append(reject.reason)
    outcomes = []
    for index, replay in enumerate(replays):
        taken = "stored" if fresh[index] else "duplicate" if known[index] else None
        outcomes.append(Outcome(replay, taken, still[index] or [NOTHING]))
        if fresh[index] and replay.alone:
            tenant, device = replay.tenant or NOBODY, replay.device or NOBODY
            entry.add(machine_of(tenant, device), tenant, tally(played=1))
    return entry, outcomes


def _goes_alone(replay: Replay) -> bool:
    """A block of raw vibration: as large as many messages."""
    return (replay.topic or "").endswith("/waveform")
