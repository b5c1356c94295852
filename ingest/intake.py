"""What happens to a delivery inside its transaction: decoded, kept, counted, and what cannot be taken, refused.

Tried again after a lost connection, everything here begins anew: what an attempt that failed has left in memory is
taken back first, and stays once the transaction has committed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import store.telemetry as rows
from ingest.accounts.kept import Kept
from ingest.accounts.ledger import Ledger, copies, entry_of
from ingest.decoding import NOBODY, Decoded, decode
from ingest.directory import Directory
from ingest.mapping import Mappings
from ingest.messages import Message
from ingest.presence.attendance import Attendance
from ingest.replays import entry_of_played, message_of
from ingest.sparkplug import Heard
from ingest.watch.scoring import Scoring
from store import ledger, rejects, replays, waveforms
from store.connection import Session
from store.ledger import Entry
from store.rejects import Refusal, Reject, Room
from store.replays import Outcome, Replay
from store.telemetry import Fate
from telemetry import Batch, Quality, Topic

NEVER_US = 1 << 62


class Intake:
    """From messages to rows.

    Attributes
    ----------
    mappings
        How topics that are not of ours are read.
    """

    def __init__(
        self,
        directory: Directory,
        attendance: Attendance,
        ledger_held: Ledger,
        scoring: Scoring,
        mappings: Mappings,
        oldest_days: int,
    ) -> None:
        self.mappings = mappings
        self._directory = directory
        self._attendance = attendance
        self._ledger = ledger_held
        self._scoring = scoring
        self._room = Room()
        self._oldest_us = oldest_days * 86_400_000_000 if oldest_days else NEVER_US

    def append(
        self, conn: Session, messages: Sequence[Message | Heard], arrived_us: int, lag_s: float
    ) -> tuple[Batch, Entry]:
        """Store a delivery: what of it is to be scored, and what it adds to the ledger.

        `lag_s` is how long its messages have waited with the broker.
        """
        self._directory.take_back()  # of an attempt that failed, at its commit perhaps
        decoded = decode(
            messages,
            self._directory.numbers,
            arrived_us,
            self._directory.turned_away,
            self.mappings,
            self._attendance.mended,
            units_kept=self._directory.units,
        )
        self._attendance.mend(decoded, messages, self._directory, arrived_us, lag_s)
        kept = self._keep(conn, decoded, arrived_us)
        self._attendance.note(conn, decoded.statuses)
        self._directory.meet(conn, {(status.tenant, status.device) for status in decoded.statuses})
        entry, refusals = self._account(conn, messages, decoded, kept, arrived_us)
        rejects.add(conn, refusals, arrived_us, self._room)
        ledger.note(conn, entry)
        return kept.batch, entry

    def _keep(self, conn: Session, decoded: Decoded, arrived_us: int) -> Kept:
        """Store what was decoded. What was stored before is scored meanwhile."""
        scoring = self._scoring
        stream, new = self._directory.resolve(conn, decoded)
        if new:
            scoring.watch.watch(new)
        readings = Batch(decoded.batch.time_us, stream, decoded.batch.value, decoded.batch.quality)
        late = scoring.late(readings)
        readings = readings.flagged(Quality.LATE, late)
        readings = readings.flagged(Quality.IMPOSSIBLE, self._directory.impossible(readings))
        fate = np.full(len(readings), Fate.DROPPED, np.uint8)
        taken = readings.time_us >= arrived_us - self._oldest_us
        appended = rows.append(conn, readings.where(taken), scoring.catch_up if scoring.waits else None)
        scoring.catch_up()  # where there was nothing to copy
        fate[taken] = appended.fate
        blocks = [(at, block) for at, block in decoded.waveforms if block.time_us >= arrived_us - self._oldest_us]
        news = waveforms.append(conn, [block for _, block in blocks], arrived_us)
        is_new = {at: new for (at, _), new in zip(blocks, news, strict=True)}
        return Kept(appended.batch, self._directory.machine_of[stream], fate, late, is_new)

    def _account(
        self,
        conn: Session,
        messages: Sequence[Message | Heard],
        decoded: Decoded,
        kept: Kept,
        arrived_us: int,
    ) -> tuple[Entry, list[Refusal]]:
        """What the delivery adds to the ledger, and the rejects that are news."""
        machine_of = self._directory.machine_of_name
        again = copies(
            decoded,
            kept.fate,
            self._ledger.sequences,
            machine_of,
            lambda places: rejects.rejected_before(conn, [(place, decoded.rejected[place][1]) for place in places]),
            lambda index: messages[index].again,
        )
        entry, is_copy = entry_of(decoded, kept, machine_of, again, arrived_us)
        taken = np.zeros(len(messages), bool)
        taken[decoded.message] = True
        taken[list(kept.blocks)] = True
        refusals = [
            Refusal(
                reject,
                index,
                _content_type(messages[index]),
                decoded.moments[index],
                not taken[index],
                isinstance(messages[index], Message),
            )
            for index, reject in decoded.rejected
            if not is_copy[index]
        ]
        entry.reasons = [refusal.reject.reason for refusal in refusals]
        return entry, refusals

    def refuse(self, conn: Session, message: Message | Heard, reason: str, arrived_us: int) -> Entry:
        """One message that the database will not have: a reject, whatever is in it."""
        self._directory.take_back()
        self._attendance.note(conn, [])
        topic = message if isinstance(message, Heard) else Topic.parse(message.topic)
        tenant, device = (topic.tenant, topic.device) if topic else (NOBODY, NOBODY)
        reject = Reject(message.topic, message.payload, reason, tenant or None, device or None)
        refusal = Refusal(reject, 0, _content_type(message), arrived_us, True, isinstance(message, Message))
        rejects.add(conn, [refusal], arrived_us, self._room)
        counts = ledger.tally(messages=1, messages_rejected=1, rejected=1)
        entry = Entry(arrived_us, reasons=[reason])
        entry.add(self._directory.machine_of_name(tenant, device), tenant, counts)
        ledger.note(conn, entry)
        return entry

    def append_played(self, conn: Session, asked: Sequence[Replay]) -> tuple[Batch, Entry]:
        """The same for messages that were rejected once, each as of its own arrival, all of one hour."""
        self._directory.take_back()
        directory, whole = self._directory, [replay for replay in asked if replay.is_there]
        lost = [Outcome(replay, None, ["it is not kept whole"]) for replay in asked if not replay.is_there]
        arrived_us = asked[0].at_us
        decoded = decode(
            [message_of(replay) for replay in whole],
            directory.numbers,
            arrived_us,
            directory.turned_away,
            self.mappings,
            played=[(replay.at_us, replay.moment_us) for replay in whole],
            units_kept=directory.units,
        )
        kept = self._keep(conn, decoded, arrived_us)
        entry, outcomes = entry_of_played(whole, decoded, kept, directory.machine_of_name)
        replays.played(conn, [*outcomes, *lost])
        ledger.note(conn, entry)
        return kept.batch, entry

    def refuse_played(self, conn: Session, replay: Replay, reason: str) -> Entry:
        """One that was played and cannot be taken: it stays rejected, and adds nothing to the ledger."""
        self._directory.take_back()
        replays.played(conn, [Outcome(replay, None, [reason])])
        return Entry(replay.at_us)


def _content_type(message: Message | Heard) -> str:
    return message.content_type if isinstance(message, Message) else ""
