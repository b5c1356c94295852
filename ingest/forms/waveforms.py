"""A block of raw vibration, version 1 of `docs/waveforms.md`: one CBOR map a message.

The header is checked field by field, the samples are kept as they came. What a block says - velocity, kurtosis,
envelope - is written to the reader as ordinary readings of the device, at the time of the block's first sample.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from detectors.vibration import features
from ingest.forms.cbor_forms import loads
from ingest.reading import Reader
from ingest.reading.refusals import BadMessage, what
from telemetry import Quality
from telemetry.units import MAX_UNIT_LENGTH
from telemetry.waveform import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MAX_SAMPLES, SAMPLE_TYPES, Samples, Waveform, vibration

VERSION = 1

_AXIS = re.compile(r"[A-Za-z0-9_.-]{1,32}\Z")
# Beyond, squares and fourth powers of values would no longer be numbers.
_SMALLEST_SCALE, _LARGEST = 1e-30, 1e30
_FASTEST_RPM = 1e6
# Infinite, or an integer that no double can hold.
_BEYOND = 1.7e308
# A map, a tag in it, and the value that is tagged.
_DEPTH = 3


def read(reader: Reader, payload: bytes) -> Waveform:
    """The block of one message; its features go to the reader.

    Raises
    ------
    BadMessage
        It is no such block, with the field that is wrong.
    """
    fields = loads(payload, max_depth=_DEPTH, text_keys=True)
    if not isinstance(fields, dict):
        raise BadMessage("not a map")
    reader.counted(fields.get("boot"), fields.get("seq"))
    if fields.get("v") != VERSION:
        raise BadMessage(f"v: waveforms of version {VERSION} are wanted")
    rate_hz = _number(fields, "rate")
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise BadMessage(f"rate: {LOWEST_RATE_HZ:.0f} to {HIGHEST_RATE_HZ:.0f} Hz")
    axis, unit = fields.get("axis"), fields.get("unit")
    if not isinstance(axis, str) or not _AXIS.match(axis):
        raise BadMessage("axis: 1 to 32 of A-Za-z0-9_.-")
    if not isinstance(unit, str) or not 1 <= len(unit) <= MAX_UNIT_LENGTH or not unit.isprintable():
        raise BadMessage(f"unit: 1 to {MAX_UNIT_LENGTH} printable characters")
    scale, offset = _number(fields, "scale", 1.0), _number(fields, "offset", 0.0)
    if not _SMALLEST_SCALE <= abs(scale) <= _LARGEST or not abs(offset) <= _LARGEST:
        raise BadMessage(
            f"scale and offset: at most {_LARGEST:.0e}, and a scale not smaller than {_SMALLEST_SCALE:.0e}"
        )
    samples = _samples(fields)
    time_us, quality = _start(reader, fields.get("start"), len(samples) / rate_hz)
    waveform = Waveform(
        reader.topic.tenant,
        reader.topic.device,
        axis,
        time_us,
        quality,
        rate_hz,
        _shaft_rpm(reader, fields),
        unit,
        scale,
        offset,
        samples,
    )
    for name, (value, of_unit) in features_of(waveform).items():
        reader.one(f"{axis}_{name}", value, time_us, quality, of_unit)
    return waveform


def features_of(waveform: Waveform) -> dict[str, tuple[float, str]]:
    """What a block says, by name, each with its unit; see `detectors.vibration.features`."""
    known = vibration(waveform.unit)
    values = waveform.values()
    if known is None:
        return features(values, waveform.rate_hz, "", waveform.unit)
    return features(known.convert(values), waveform.rate_hz, known.quantity)


def _number(fields: dict[str, Any], name: str, absent: float | None = None) -> float:
    value = fields.get(name, absent)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadMessage(f"{name}: {what(value)} is no number")
    if not -_BEYOND < value < _BEYOND:
        raise BadMessage(f"{name}: no finite number")
    return float(value)


def _samples(fields: dict[str, Any]) -> Samples:
    """The samples as they came, int16 or float32 (n,); a view of the message."""
    content, kind = fields.get("samples"), fields.get("type")
    if isinstance(content, np.ndarray):
        samples: Samples = content
        named = next((name for name, dtype in SAMPLE_TYPES.items() if dtype == content.dtype), None)
        if named is None or kind not in (None, named):
            raise BadMessage("samples: of typed arrays, 77 (sint16) and 85 (binary32) are read, both little-endian")
    else:
        samples = _plain(content, kind)
    if not len(samples):
        raise BadMessage("samples: there are none")
    if len(samples) > MAX_SAMPLES:
        raise BadMessage(f"samples: more than {MAX_SAMPLES}")
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        raise BadMessage(f"samples: {bad} of {len(samples)} are no finite numbers")
    return samples


def _plain(content: Any, kind: Any) -> Samples:
    """Samples from a string of bytes, whose type stands beside it."""
    if not isinstance(kind, str) or kind not in SAMPLE_TYPES:
        raise BadMessage(f"type: {' or '.join(SAMPLE_TYPES)}")
    if not isinstance(content, bytes):
        raise BadMessage(f"samples: {what(content)} is no string of bytes")
    dtype = SAMPLE_TYPES[kind]
    if len(content) % dtype.itemsize:
        raise BadMessage(f"samples: {len(content)} bytes are no samples of {dtype.itemsize} bytes each")
    return np.frombuffer(content, dtype)


def _start(reader: Reader, start: Any, duration_s: float) -> tuple[int, int]:
    """When the first sample was taken, µs since 1970, and the quality of that time. Without one, the block has just
    ended."""
    try:
        time_us, quality = reader.time_ms(start)
    except BadMessage as reason:
        raise BadMessage(str(reason).replace("ts:", "start:", 1)) from reason
    return (time_us - round(duration_s * 1e6), quality) if quality & Quality.ARRIVAL_TIME else (time_us, quality)


def _shaft_rpm(reader: Reader, fields: dict[str, Any]) -> float | None:
    """The shaft's speed; one that cannot be is a reason, and the block is kept without it."""
    if fields.get("rpm") is None:
        return None
    try:
        rpm = _number(fields, "rpm")
    except BadMessage as reason:
        reader.reasons.append(str(reason))
        return None
    if 0.0 <= rpm <= _FASTEST_RPM:
        return rpm
    reader.reasons.append(f"rpm: 0 to {_FASTEST_RPM:.0f}")
    return None
