"""Ways out of the house: signed webhooks, and people's own channels."""
