"""Preventive maintenance plans."""
