"""Ways out of the house: signed webhooks."""
