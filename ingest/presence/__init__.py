"""Who is there, and by whose clock: arrivals and goodbyes, the server's own time, and the stamps of devices, which are
mended where their owners want it."""
