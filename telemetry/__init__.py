"""The vocabulary of the house: readings in columns, streams, quantities, quality and topics.

Pure: nothing here reads the clock, the network or the database.
"""

from telemetry.batch import Batch
from telemetry.broker import Broker, Trust
from telemetry.instants import instant, microseconds
from telemetry.quality import Quality
from telemetry.quantities import QUANTITIES, Quantity, quantity_of
from telemetry.streams import Stream, StreamKey
from telemetry.topics import KINDS, STATUS_FILTER, TELEMETRY_FILTER, WAVEFORM_FILTER, Topic, is_name
from telemetry.units import Unit, canonical

__all__ = [
    "KINDS",
    "QUANTITIES",
    "STATUS_FILTER",
    "TELEMETRY_FILTER",
    "WAVEFORM_FILTER",
    "Batch",
    "Broker",
    "Quality",
    "Quantity",
    "Stream",
    "StreamKey",
    "Topic",
    "Trust",
    "Unit",
    "canonical",
    "instant",
    "is_name",
    "microseconds",
    "quantity_of",
]
