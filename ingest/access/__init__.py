"""Who may come in at the broker, and what each may say and hear there: the gate tells the broker's plugin what the
database says of credentials."""
