"""What became of every message, and how long it is kept."""
