"""`bellwether ingest` for comparison: without detectors, or of some topics alone. Settings from the environment.

python -m bench.process [--without-detectors] [--filter TOPIC_FILTER]
"""

from __future__ import annotations

import argparse
import gc
import signal
from typing import Any

import ingest.watch.watching
from bellwether.settings import load
from ingest.broker.mqtt import OURS, MqttSource
from ingest.loop import Ingest


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.process", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--without-detectors", action="store_true")
    parser.add_argument("--filter", action="append", dest="filters")
    options = parser.parse_args()
    if options.without_detectors:
        ingest.watch.watching.detectors_for = lambda _: {}  # type: ignore[assignment]
    settings = load()
    source = MqttSource(settings.need_broker(), settings.mqtt_client_id, options.filters or OURS)
    running = Ingest(source, settings.need_database_url())

    def stop(*_: Any) -> None:
        source.close()
        running.stop()

    signal.signal(signal.SIGTERM, stop)
    gc.freeze()
    running.run()


if __name__ == "__main__":
    main()
