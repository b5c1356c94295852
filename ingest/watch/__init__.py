"""The watch of an ingest: what it is made of, what it is given to score and when, what it remembers, and what verdicts
and promoted models teach it."""
