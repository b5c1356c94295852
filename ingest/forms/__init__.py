"""The forms of messages on our own topics: telemetry as JSON, CBOR and SenML, told apart by their content; blocks of
raw vibration; what devices say of themselves. Each decoder knows its format and nothing else."""
