"""From the broker to the database and the detectors: one loop, nothing lost, nothing doubled."""
