"""Checks after a repair: begun and read (`checks`), looked at by time (`rounds`), what they do (`answers`)."""
