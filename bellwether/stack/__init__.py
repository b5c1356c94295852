"""The local stack: TimescaleDB and Mosquitto without Docker and without root."""
