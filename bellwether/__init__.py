"""Bellwether: from a sensor's reading to a scheduled repair."""
