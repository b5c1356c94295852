"""How the messages of one topic are read: a document by its entry, into the readers of the devices that it speaks of.

A message that is not what its entry expects becomes a reject with a reason, like any other, and can be played again
when the entry has been put right; nothing else is raised, whatever the message.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from ingest.mapping.entries import NUMBER, Entry, PlacedPoint, Understood
from ingest.mapping.paths import Keys, Path, TooMuch
from ingest.messages import Message
from ingest.reading import MAX_PAYLOAD_BYTES, MAX_POINTS, Reader
from ingest.reading.refusals import BadMessage, what
from store.telemetry import Status
from telemetry import is_name, microseconds

ReaderOf = Callable[[str, str], Reader]
"""Gives the reader of a tenant's device; raises `BadMessage` where its telemetry is not taken."""

# Devices in one message of a gateway.
MAX_ITEMS = 1000
_US = {"s": Fraction(1_000_000), "ms": Fraction(1000), "us": Fraction(1), "ns": Fraction(1, 1000)}
_UNCLEAN = re.compile(r"[^A-Za-z0-9_.-]")
_MARK = 8  # hexadecimal digits that keep two names apart that look the same when cleaned
MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Route:
    """How the messages of one topic are read."""

    mapping: Understood
    captures: Mapping[str, str]
    copies: int = 1  # of each message: a broker brings one for every filter of ours that matches

    @property
    def label(self) -> str:
        """The entry, as a person would name it."""
        return self.mapping.label

    @property
    def drops(self) -> bool:
        """Whether they are let go, as the entry wants it."""
        return self.mapping.entry.drop

    def read(self, message: Message, reader_of: ReaderOf) -> list[Status]:
        """Read a message into the readers of its devices; returns what devices say of themselves.

        Raises
        ------
        BadMessage
            It is not what the entry expects. Parts that could be read have been; parts that could not are reasons of
            the reader of their device.
        """
        if self.drops:
            return []
        if len(message.payload) > MAX_PAYLOAD_BYTES:
            raise BadMessage(f"larger than {MAX_PAYLOAD_BYTES} bytes")
        if self.copies > 1 and self.mapping.time is None and self.mapping.online is None:
            raise BadMessage("the topics of several mappings match: the broker brings it twice, and no time tells so")
        top = _document(self.mapping.entry, message.payload)
        statuses: list[Status] = []
        try:
            anything = False
            reasons: list[str] = []
            for captures, item in self._items(top):
                try:
                    anything |= self._item(captures, top, item, reader_of, statuses)
                except BadMessage as reason:
                    if self.mapping.each is None:
                        raise
                    reasons.append(str(reason))
            if reasons and not anything:
                raise BadMessage(reasons[0])
            if reasons:
                raise BadMessage(f"{len(reasons)} of its devices: {reasons[0]}")
        except TooMuch as reason:
            raise BadMessage(str(reason)) from reason
        if not anything:
            raise BadMessage(f"nothing in it that {self.label} takes")
        return [replace(status, retained=True) for status in statuses] if message.retained else statuses

    def _items(self, top: Any) -> Iterator[tuple[Mapping[str, str], Any]]:
        if self.mapping.each is None:
            yield self.captures, top
            return
        for count, (_, captures, item) in enumerate(self.mapping.each.find(top)):
            if count == MAX_ITEMS:
                raise BadMessage(f"more than {MAX_ITEMS} items")
            yield {**self.captures, **captures}, item

    def _item(
        self, captures: Mapping[str, str], top: Any, item: Any, reader_of: ReaderOf, statuses: list[Status]
    ) -> bool:
        """Read what is about one device; whether there was anything, be it to be ignored."""
        mapping = self.mapping
        tenant = mapping.tenant.fill(captures, top, item)
        if tenant is None or not is_name(tenant):
            raise BadMessage("the tenant: not there, or not 1 to 64 of A-Z a-z 0-9 _ . -")
        device = mapping.device.fill(captures, top, item)
        if not device:
            raise BadMessage("the device's name: not there")
        reader = reader_of(tenant, clean(device))
        if mapping.online is not None:
            online = _online(*mapping.online, item)
            statuses.append(Status(tenant, reader.topic.device, online, reader.arrived_us))
            return True
        if mapping.seq is not None:
            reader.counted(None, mapping.seq.first(top if mapping.seq.from_top else item))
        stamp = None if mapping.time is None else mapping.time.first(top if mapping.time.from_top else item)
        time_us, quality = reader.time_ms(None) if stamp is None else self._time(reader, stamp)
        taken: set[Keys] = set()
        for path in mapping.ignore:
            taken.update(keys for keys, _, _ in path.find(item))
        anything = bool(taken)
        if mapping.time is not None and not mapping.time.from_top:
            taken.update(keys for keys, _, _ in mapping.time.find(item))
        written = 0
        for point in mapping.points:
            # What is named by nobody is taken only where it is below nothing that is to be ignored.
            for keys, found, value in point.path.find(top if point.path.from_top else item):
                if keys in taken or (point.path.varies and any(keys[:length] in taken for length in range(len(keys)))):
                    continue
                taken.add(keys)
                if written == MAX_POINTS:
                    raise BadMessage(f"more than {MAX_POINTS} points")
                if self._write(reader, point, keys, {**captures, **found}, top, item, value, time_us, quality):
                    anything = True
                    written += 1
        return anything

    def _write(
        self,
        reader: Reader,
        point: PlacedPoint,
        keys: Keys,
        captures: Mapping[str, str],
        top: Any,
        item: Any,
        value: Any,
        time_us: int,
        quality: int,
    ) -> bool:
        """Write what is at one place; False where it is a text or nothing that nobody has asked for."""
        name = point.path.name_of(keys) if point.name is None else point.name.fill(captures, top, item)
        if name is None:
            reader.reasons.append(f"{'/'.join(map(str, keys))}: what the point's name is made of is not there")
            return True
        unit = point.unit.fill(captures, top, item) or ""
        if point.every_us is not None:
            if not isinstance(value, list):
                reader.reasons.append(f"{name}: {what(value)} is no list")
            else:
                column = [point.scaled(one) for one in value]
                reader.column(name, column, time_us, point.every_us, quality, unit)
            return True
        number = point.number(value)
        if number is None and (value is None or point.path.is_everything):
            return value is None
        if number is None:
            reader.reasons.append(f"{name}: the text {value[:40]!r} is no number, and the mapping has none for it")
        else:
            reader.one(name, number, time_us, quality, unit)
        return True

    def _time(self, reader: Reader, stamp: Any) -> tuple[int, int]:
        if isinstance(stamp, str) and NUMBER.match(stamp):
            stamp = float(stamp) if "." in stamp else int(stamp)
        if isinstance(stamp, str):
            return reader.time_us(_moment_us(stamp, self.mapping.zone, reader.arrived_us))
        if isinstance(stamp, bool) or not isinstance(stamp, int | float) or not abs(stamp) < 1e20:
            raise BadMessage(f"the time: {what(stamp)} is no time")
        # By its decimals, so that 1680962879.62 s is no 1680962879619999 us.
        return reader.time_us(round(Fraction(str(stamp)) * _US[self.mapping.entry.time_unit]))


def clean(name: str) -> str:
    """A device's name in our alphabet, 1 to 64 of `A-Za-z0-9_.-`.

    One that is in it stays. Of any other, each strange character becomes `_` and a mark made from the name as it was is
    added, so that `hall/lamp` and `hall lamp` stay two devices: `hall_lamp-` and eight hexadecimal digits.
    """
    if is_name(name):
        return name
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK]
    return f"{_UNCLEAN.sub('_', name)[: MAX_NAME - _MARK - 1]}-{mark}"


def _document(entry: Entry, payload: bytes) -> Any:
    if entry.payload == "json":
        try:
            return orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise BadMessage(f"not JSON: {str(error)[:100]}") from error
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError as error:
        raise BadMessage("not a text") from error
    return {"true": True, "false": False}.get(text, text)


def _online(path: Path, values: Mapping[str, float], item: Any) -> bool:
    value = path.first(item)
    if isinstance(value, str) and value in values:
        return values[value] != 0
    if isinstance(value, bool):
        return value
    raise BadMessage(f"whether it is online: {what(value)} that the mapping says nothing of")


def _moment_us(stamp: str, zone: ZoneInfo, arrived_us: int) -> int:
    """µs since 1970 of a text of RFC 3339; of one without an offset, in `zone`.

    An hour that clocks show twice in autumn is taken for the one nearer to the arrival.
    """
    if len(stamp) > 40:
        raise BadMessage("the time: not RFC 3339")
    try:
        moment = datetime.fromisoformat(stamp.strip())
        if moment.tzinfo is not None:
            return microseconds(moment.astimezone(UTC))
        either = [microseconds(moment.replace(tzinfo=zone, fold=fold).astimezone(UTC)) for fold in (0, 1)]
    except (ValueError, OverflowError) as error:
        raise BadMessage("the time: not RFC 3339") from error
    return min(either, key=lambda us: abs(us - arrived_us))
