"""Messages to people: queued in the transaction of what they tell of, sent by `notify`, and kept as the log."""
