"""After the repair: what customers say, what is done about it, and what is learnt from problems that come again."""
