"""What the watch must know of a detector beside its scores, by the name in `DETECTORS`. Most are in none of these."""

# Their first opinion of a machine says that its normal is known.
LEARNERS = frozenset({"multivariate"})
# They say of a sensor itself that it is not to be believed: what others say because of it is its fault too. The first
# of them that stands against a sensor has the ticket.
OF_SENSORS = ("sensors", "flatline")
# Their times are those of the clock, not of telemetry: time in which nobody could be heard does not count.
BY_THE_CLOCK = frozenset({"silence"})
# They hold a baseline against what a machine does now, for days or weeks: what they have learnt can be out of date, and
# can be learnt again from stored readings. The others renew themselves, or learn from when readings came.
TRAINED = ("shift", "drift", "multivariate")
# They learn what is normal, and each level of a machine's load has its own normal.
AT_EACH_LEVEL = frozenset({"shift", "drift", "multivariate"})
# A machine that stands tells them nothing: a stopped pump is flat, and every day's standstill is no news.
WHILE_RUNNING = frozenset({"flatline", "sensors", "novelty"})
# They hold a baseline for longer than the weather holds: they hear temperatures without what air and load make of them.
COMPENSATED = frozenset({"drift"})
