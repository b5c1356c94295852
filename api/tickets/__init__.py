"""Tickets and what belongs to them: reports, steps, papers, files, customers, the terms."""
