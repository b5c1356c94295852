"""Preventive plans: kept and read (`catalogue`), looked at by time (`rounds`), given their tickets (`openings`)."""
