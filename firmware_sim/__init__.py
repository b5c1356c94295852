"""A believable device: physics, faults, firmware and its MQTT connection; and recorded files replayed as if live.

Knows the vocabulary of `telemetry` and nothing else of the product: what it sends is what any device could send. The
doors are `firmware_sim.fleet.simulate`, `firmware_sim.demo.demo_fleet` and `firmware_sim.replay.replay`; the last loads
pandas, the others don't.
"""
