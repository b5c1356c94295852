"""Machines: what they are, what they sent, how well they are and for how long."""
