"""How well a machine is, what is probably wrong with it, and how long it has. Pure."""
