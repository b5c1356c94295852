"""Who goes where, and in which order: tickets and engineers in, a plan with its reasons out.

Times are minutes from the moment of planning; nothing here looks at a clock. The same batch gives the same plan.
"""
