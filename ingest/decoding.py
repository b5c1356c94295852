"""From the messages of a delivery to columns: which form each has, and what became of it.

All messages of a delivery are decoded together. A part that cannot be read rejects that part and keeps the rest; a
message that is no telemetry at all is one reject. Nothing raises, whatever the bytes: a device cannot stop the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.forms import payloads, status
from ingest.mapping import Mappings, Route
from ingest.messages import Message
from ingest.reading import Columns, Numbers, Reader
from ingest.reading.refusals import BadMessage, told
from ingest.sparkplug import Heard
from store.rejects import Reject
from store.telemetry import Status
from telemetry import Batch, Quality, StreamKey, Topic
from telemetry.waveform import Waveform

TurnedAway = Callable[[Topic], tuple[str, str] | None]
NO_MAPPINGS = Mappings()
NO_UNITS: Mapping[int, str] = {}

# Who sent a message that nobody of ours has sent, or nobody that we know: one name for all, so that inventing names
# fills no table.
NOBODY = ""


@dataclass(slots=True)
class Decoded:
    """What a delivery of M messages holds, N readings of it in columns.

    Attributes
    ----------
    batch
        Readings in the order of arrival, not sorted: those of streams not known yet have a negative number, -1 - the
        index in `unknown`.
    message : int32 (N,)
        The index of the message that each reading came in.
    unknown, units
        Streams that have no number yet, and the unit that the device gave for each, or none.
    party : int32 (M,)
        Whose each message is, as an index in `parties`.
    parties
        Tenant and device.
    rejected : list of (index of the message, Reject)
        What could not be decoded, and why.
    counted : list of (index of the message, tenant, device, boot, seq)
        Sequence numbers that were spent.
    statuses
        What devices said of themselves.
    waveforms : list of (index of the message, Waveform)
        Blocks of raw vibration; what they say is in `batch`.
    several
        Messages of more than one device; the party of each is the first of them.
    moments : (M,)
        What stood for the time of the first reading of each message that had none, µs since 1970.
    """

    batch: Batch
    message: npt.NDArray[np.int32]
    unknown: list[StreamKey]
    units: list[str]
    party: npt.NDArray[np.int32]
    parties: list[tuple[str, str]]
    rejected: list[tuple[int, Reject]]
    counted: list[tuple[int, str, str, int, int]]
    statuses: list[Status]
    waveforms: list[tuple[int, Waveform]]
    several: set[int]
    moments: list[int]

    @property
    def rejects(self) -> list[Reject]:
        return [reject for _, reject in self.rejected]


def decode(
    messages: Sequence[Message | Heard],
    numbers: Numbers,
    arrived_us: int,
    turned_away: TurnedAway = lambda _: None,
    mappings: Mappings = NO_MAPPINGS,
    mended: Collection[tuple[str, str]] = (),
    played: Sequence[tuple[int, int]] = (),
    units_kept: Mapping[int, str] = NO_UNITS,
) -> Decoded:
    """Decode a delivery. Changes nothing but what it returns: it can be done again, by other names and rules.

    Parameters
    ----------
    numbers
        The streams known; those seen first are given negative numbers, which the caller replaces.
    arrived_us
        The time of arrival, which stands where a reading has no time of its own.
    turned_away
        Why a device's messages are not taken, with the tenant who may know of it; None where they are.
    mappings
        How topics that are not of ours are read.
    mended
        Devices whose times are mended afterwards, and not judged here.
    played
        Of messages that came before and are played again: when each arrived, and what stood for the time of the first
        reading in it without one, µs since 1970.
    units_kept
        In which unit the streams known are kept, by their number: values in another are not theirs.
    """
    columns = Columns(numbers, arrived_us, arrived_us, mended, units_kept)
    party: list[int] = []
    parties: dict[tuple[str, str], int] = {}
    scalars: list[int] = []  # single readings by message
    rejected: list[tuple[int, Reject]] = []
    statuses: list[Status] = []
    blocks: list[tuple[int, Waveform]] = []
    several: set[int] = set()
    moments: list[int] = []
    for index, message in enumerate(messages):
        read = len(columns.value)
        if played:
            columns.arrived_us, columns.moment_us = played[index]
        moments.append(columns.moment_us)
        if isinstance(message, Heard):
            party.append(parties.setdefault((message.tenant, message.device), len(parties)))
            rejected += [(index, reject) for reject in _read_heard(message, index, columns)]
            statuses += message.statuses
            scalars.append(len(columns.value) - read)
            continue
        topic = Topic.parse(message.topic)
        if topic is None and (route := mappings.match(message.topic)):
            whose, devices = _read_mapped(route, message, index, columns, turned_away, rejected, statuses)
            if devices > 1:
                several.add(index)
        elif topic is None:
            whose = (NOBODY, NOBODY)
            rejected.append((index, Reject(message.topic, message.payload, "not a topic of ours")))
        elif refusal := turned_away(topic):
            tenant, reason = refusal
            whose = (tenant, NOBODY)
            rejected.append((index, Reject(message.topic, message.payload, reason, tenant or None, None)))
        else:
            whose = (topic.tenant, topic.device)
            if topic.kind == "status":
                said, unsaid = status.decode([(topic, message)], arrived_us)
                statuses += said
                rejected += [(index, reject) for reject in unsaid]
            elif topic.kind in {"telemetry", "waveform"}:
                reader = Reader(topic, columns, index)
                block = payloads.read(reader, message)
                if block is not None:
                    blocks.append((index, block))
                rejected += [
                    (index, Reject(message.topic, message.payload, reason, topic.tenant, topic.device))
                    for reason in told(reader.reasons)
                ]
        party.append(parties.setdefault(whose, len(parties)))
        scalars.append(len(columns.value) - read)
    batch, of_message = _gather(columns, scalars)
    return Decoded(
        batch=batch,
        message=of_message,
        unknown=columns.unknown,
        units=columns.units,
        party=np.array(party, np.int32),
        parties=list(parties),
        rejected=rejected,
        counted=columns.counted,
        statuses=statuses,
        waveforms=blocks,
        several=several,
        moments=moments,
    )


def fit_early(
    messages: Sequence[Message], arrived_us: int, turned_away: TurnedAway, mappings: Mappings
) -> list[Message]:
    """Those of an early delivery that it makes no difference to take twice.

    Readings with a time of their own are found stored the second time. A reading without one would be stored again, at
    another time; a refused part be refused twice; a status be older than the one before.
    """
    decoded = decode(messages, {}, arrived_us, turned_away, mappings)
    with_reading = np.zeros(len(messages), bool)
    with_reading[decoded.message] = True
    with_reading[decoded.message[(decoded.batch.quality & Quality.ARRIVAL_TIME) != 0]] = False
    with_reading[[index for index, _ in decoded.rejected]] = False
    said = {(status.tenant, status.device) for status in decoded.statuses}
    return [
        message
        for message, fit, party in zip(messages, with_reading, decoded.party, strict=True)
        if fit and decoded.parties[party] not in said
    ]


def _read_heard(heard: Heard, index: int, columns: Columns) -> list[Reject]:
    """Read a message of an edge node, which the host has put in order."""
    tenant, device = heard.tenant, heard.device
    reasons = heard.reasons
    if device:
        reader = Reader(Topic(tenant, device, "telemetry"), columns, index)
        heard.write(reader)
        reasons = reader.reasons
    if heard.counted is not None:
        columns.counted.append((index, tenant, heard.node, *heard.counted))
    return [Reject(heard.topic, heard.payload, reason, tenant or None, device or None) for reason in told(reasons)]


def _read_mapped(
    route: Route,
    message: Message,
    index: int,
    columns: Columns,
    turned_away: TurnedAway,
    rejected: list[tuple[int, Reject]],
    statuses: list[Status],
) -> tuple[tuple[str, str], int]:
    """Read a message by its mapping; returns whose it is, the first of its devices', and how many there are."""
    readers: dict[tuple[str, str], Reader] = {}
    whose = (NOBODY, NOBODY)

    def reader_of(tenant: str, device: str) -> Reader:
        nonlocal whose
        if (known := readers.get((tenant, device))) is not None:
            return known
        topic = Topic(tenant, device, "telemetry")
        if refusal := turned_away(topic):
            if not readers:
                whose = (refusal[0], NOBODY)
            raise BadMessage(refusal[1])
        if not readers:
            whose = (tenant, device)
        return readers.setdefault((tenant, device), Reader(topic, columns, index))

    reasons: list[tuple[tuple[str, str], list[str]]] = []
    try:
        statuses += route.read(message, reader_of)
    except BadMessage as reason:
        reasons.append((whose, [str(reason)]))
    except Exception as error:  # as above
        reasons.append((whose, [f"could not be read: {type(error).__name__}: {error}"[:300]]))
    reasons += [(key, told(reader.reasons)) for key, reader in readers.items()]
    rejected += [
        (index, Reject(message.topic, message.payload, reason, tenant or None, device or None))
        for (tenant, device), each in reasons
        for reason in each
    ]
    return whose, len(readers)


def _gather(columns: Columns, scalars: list[int]) -> tuple[Batch, npt.NDArray[np.int32]]:
    """Single readings, then the arrays; and the message that each came in."""
    arrays = [batch for _, batch in columns.arrays]
    time_us = [np.array(columns.time_us, np.int64), *(batch.time_us for batch in arrays)]
    stream = [np.array(columns.stream, np.int32), *(batch.stream for batch in arrays)]
    value = [np.array(columns.value, np.float64), *(batch.value for batch in arrays)]
    quality = [np.array(columns.quality, np.uint8), *(batch.quality for batch in arrays)]
    single = np.repeat(np.arange(len(scalars), dtype=np.int32), scalars)
    of_array = np.repeat(
        np.array([index for index, _ in columns.arrays], np.int32), np.array([len(b) for b in arrays], np.int64)
    )
    batch = Batch(np.concatenate(time_us), np.concatenate(stream), np.concatenate(value), np.concatenate(quality))
    return batch, np.concatenate([single, of_array])
