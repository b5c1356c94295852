"""From the outbox to whoever must hear of it; and what comes due by time alone."""
