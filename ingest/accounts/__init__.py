"""What became of each message and each reading: the numbers that devices count by, and the ledger that must add up."""
