"""Service KPIs and their goals."""
