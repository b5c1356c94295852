"""`[[mapping]]` of the settings: as `ingest` starts with it, as it changes under way, and as it reads one message."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from bellwether import settings as settings_of
from bellwether.settings import Settings
from ingest.broker.mqtt import IN_ORDER, OURS, RETAINED
from ingest.decoding import decode
from ingest.mapping import Mappings
from ingest.messages import Message
from store.errors import Misconfigured
from telemetry import QUANTITIES, Quality, canonical, instant, quantity_of

log = logging.getLogger("bellwether.ingest")


def mappings_of(settings: Settings) -> Mappings:
    """The mappings of these settings.

    Raises
    ------
    Misconfigured
        An entry is wrong: the message names it.
    """
    return Mappings.from_settings(settings.mapping or ())


def hearing(mappings: Mappings, *others: str) -> dict[str, list[str]]:
    """What `MqttSource` is to hear: our own topics, those of the mappings, and others, in order."""
    told = mappings.status_filters()
    return {
        "filters": [*OURS, *mappings.filters(), *told, *others],
        "in_order": [*IN_ORDER, *mappings.undated(), *told, *others],
        "retained": [*RETAINED, *told],
    }


class MappingFile:
    """Notices that the file of the settings has changed, and what that does to the mappings."""

    def __init__(self, settings: Settings) -> None:
        self._entries = settings.mapping
        self._stamp = _stamp()

    def renewed(self) -> Mappings | None:
        """The mappings anew; None where they are as they were. Wrong ones are logged, once, and the old ones stay."""
        stamp = _stamp()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            settings = settings_of.load()
            if settings.mapping == self._entries:
                return None
            mappings = mappings_of(settings)
        except Misconfigured as error:
            log.error("the settings have changed and cannot be used; mappings stay", extra={"reason": str(error)})
            return None
        self._entries = settings.mapping
        log.info("mappings changed", extra={"entries": len(mappings)})
        return mappings


def try_message(mappings: Mappings, topic: str, payload: bytes) -> dict[str, Any]:
    """What a message would become: its readings, statuses and rejects, in words. Nothing is stored."""
    route = mappings.match(topic)
    arrived_us = time.time_ns() // 1000
    decoded = decode([Message(topic, payload)], {}, arrived_us, mappings=mappings)
    batch = decoded.batch
    readings = []
    for time_us, stream, value, quality in zip(
        batch.time_us.tolist(), batch.stream.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
    ):
        key, unit = decoded.unknown[-1 - stream], decoded.units[-1 - stream]
        way = canonical(unit, key.point)
        quantity = QUANTITIES[way.quantity] if way else quantity_of(key.point)
        flags = quality | (0 if quantity.lowest <= value <= quantity.highest else Quality.IMPOSSIBLE)
        readings.append({
            "tenant": key.tenant,
            "device": key.device,
            "point": key.point,
            "time": instant(time_us).isoformat().replace("+00:00", "Z"),
            "value": value,
            "unit": way.unit if way else unit or quantity.unit,
            "quality": [flag.name.lower() for flag in Quality if flag and flag & flags and flag.name],
        })  # fmt: skip
    return {
        "mapping": route.label if route else None,
        "dropped": bool(route and route.drops),
        "readings": readings,
        "online": [{"tenant": s.tenant, "device": s.device, "online": s.online} for s in decoded.statuses],
        "rejects": [reject.reason for reject in decoded.rejects],
    }


def lines(tried: dict[str, Any], say: Callable[[str], None]) -> None:
    """The same for people."""
    if tried["mapping"] is None:
        say("no mapping is about this topic")
    elif tried["dropped"]:
        say("let go, as the settings want it")
    else:
        say(f"read by {tried['mapping']}")
    for one in tried["readings"]:
        what = f"{one['tenant']}/{one['device']} {one['point']} = {one['value']:.10g} {one['unit']}"
        say(f"  {what} at {one['time']}" + (f"  [{', '.join(one['quality'])}]" if one["quality"] else ""))
    for one in tried["online"]:
        say(f"  {one['tenant']}/{one['device']} is {'online' if one['online'] else 'offline'}")
    for reason in tried["rejects"]:
        say(f"  rejected: {reason}")


def _stamp() -> tuple[int, int] | None:
    """What tells whether the file has changed; None where there is none."""
    try:
        stat = settings_of.FILE.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
