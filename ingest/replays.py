"""Rejects played again: by today's mappings and decoders, at the time at which they came.

A message is played in a transaction of its own, which stores its readings, enters them into the ledger and notes what
became of it: killed at any moment, it has been played or it has not, and played twice it stores nothing twice. Under
pressure what is new goes first: a bounded time is spent on each turn.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from ingest.messages import Message
from store import rejects
from store.connection import Session
from store.ledger import Entry, tally
from store.rejects import Replay
from store.telemetry import Fate

# How often the table is asked while nothing is wanted.
LOOK_EVERY_S = 5.0
# A turn while there is live traffic, and while there is none. Too high: what is new waits that long.
TURN_S = 0.1
TURN_AT_REST_S = 0.8
BATCH = 200
NOTHING = "nothing in it to store"


class Replays:
    """The messages that wait to be played, as far as we have looked."""

    def __init__(self) -> None:
        self._waiting: deque[Replay] = deque()
        self._looked_at = -LOOK_EVERY_S

    def turn(
        self,
        look: Callable[[Callable[[Session], list[Replay]]], list[Replay]],
        play: Callable[[Replay], None],
        *,
        at_rest: bool,
    ) -> None:
        """Play for a while what is wanted.

        Parameters
        ----------
        look
            Does work in a transaction.
        play
            Plays one message and notes what became of it.
        at_rest
            Whether there is nothing else to do.
        """
        begun = time.monotonic()
        if not self._waiting:
            if begun - self._looked_at < LOOK_EVERY_S:
                return
            self._waiting.extend(look(lambda conn: rejects.due(conn, BATCH)))
            # At once again after a full batch.
            self._looked_at = begun if len(self._waiting) < BATCH else -LOOK_EVERY_S
        while self._waiting and time.monotonic() - begun < (TURN_AT_REST_S if at_rest else TURN_S):
            play(self._waiting.popleft())


def message_of(replay: Replay) -> Message | None:
    """The message as it came; None where it is no longer there, or not whole."""
    if replay.topic is None or replay.payload is None or not replay.whole:
        return None
    return Message(replay.topic, replay.payload, replay.content_type or "")


def entry_of_played(
    replay: Replay,
    owner: npt.NDArray[np.int32],
    fate: npt.NDArray[np.uint8],
    late: npt.NDArray[np.bool_],
    blocks: Mapping[int, bool],
    machine_of: Callable[[str, str], int | None],
) -> tuple[Entry, str | None]:
    """What playing a message adds to the ledger, in the hour in which it came; and what became of it, None: nothing.

    Its readings are stored like any; that it was received and rejected stays as it is. Where nothing of it had been
    taken before, it counts as played beside that.

    Parameters
    ----------
    owner, fate, late
        Of each of its readings: the number of its device, and so on. Shape (N,).
    blocks
        Whether its block of raw vibration is new, where it has one.
    """
    entry = Entry(replay.at_us)
    for machine in np.unique(owner).tolist():
        of = owner == machine
        entry.tallies[machine] = tally(
            stored=int(np.count_nonzero(of & (fate == Fate.STORED))),
            late=int(np.count_nonzero(of & (fate == Fate.STORED) & late)),
            contested=int(np.count_nonzero(of & (fate == Fate.CONTESTED))),
        )
    fresh = bool(np.isin(fate, (Fate.STORED, Fate.CONTESTED)).any()) or any(blocks.values())
    if not fresh:
        return entry, "duplicate" if len(fate) or blocks else None
    if replay.alone:
        tenant, device = replay.tenant or "", replay.device or ""
        party = machine_of(tenant, device)
        if party is not None:
            entry.tallies[party] = entry.tallies.get(party, tally()) + tally(played=1)
        else:
            entry.others[tenant] = tally(played=1)
    return entry, "stored"
