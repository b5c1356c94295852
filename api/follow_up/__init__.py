"""After the repair: surveys, second handlings, corrective actions, the month."""
