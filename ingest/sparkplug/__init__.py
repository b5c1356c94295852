"""Sparkplug B: edge nodes heard as a host application hears them."""

from ingest.sparkplug.heard import Heard
from ingest.sparkplug.host import Command, Due, SparkplugHost
from ingest.sparkplug.state import HostState
from ingest.sparkplug.topics import FILTER, is_sparkplug

__all__ = ["FILTER", "Command", "Due", "Heard", "HostState", "SparkplugHost", "is_sparkplug"]
