"""Parts: a ledger in double entry of what moved where, and what is kept back for tickets."""
