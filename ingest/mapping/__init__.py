"""Telemetry of devices that speak another language: from any topic and JSON to device, point, unit and time.

What is read how is written in `bellwether.toml`, an entry a kind of message (`docs/mapping.md`), in a small language of
topics, places in a document, and texts made of both. A wrong entry stops the start, with a line that names it. No
regular expressions and nothing evaluated: the cost of each is bounded by the message, whoever wrote it.
"""

from ingest.mapping.mappings import Mappings
from ingest.mapping.routes import Route

__all__ = ["Mappings", "Route"]
