"""What a tenant says about its alarms as a whole, and what holds where it has said nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The tenant's figures.

    Attributes
    ----------
    longest_shelf_h
        For how long an alarm may be shelved at most. Too short: people shelve again and again. Too long: it is no
        shelf, but a rule that should be changed.
    chatter_raises, chatter_s
        So many raises of one alarm within so long, and it chatters: it is held until it has been calm, see
        `alarms.chatter`. Too few, or too long: what comes and goes for good reasons is held. Too many: it is not.
    flood_alarms, flood_s
        More alarms than this at one site within so long are a flood, shown by machine; it is over with less than half
        as many. Too few: a bad hour looks like a broken plant. Too many: people drown before it is said.
    stale_h
        What stands unchanged for so long is stale: nobody deals with it, or nobody can.
    alarms_per_10min, false_per_month
        The alarm budget, for a rule that is to be enabled (`alarms.trials`): alarms in ten minutes for each person on
        its worst day, and false alarms a month of each machine. Too low: no rule fits. Too high: nobody believes them.
    """

    longest_shelf_h: int = 720
    chatter_raises: int = 3
    chatter_s: int = 60
    flood_alarms: int = 10
    flood_s: int = 600
    stale_h: int = 24
    alarms_per_10min: float = 1.0
    false_per_month: float = 1.0


DEFAULT_POLICY = Policy()
