"""Alarms, the rules that raise them, and what keeps them few: floods, maintenance, trials, KPIs."""
