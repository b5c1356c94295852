"""What the detectors, the diagnosis and the prognosis find in recordings, beside what others published and the trivial.

One module a set of recordings; each scores by the set's own protocol, with the defaults that everybody gets.
"""
