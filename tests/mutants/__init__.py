"""Mutants: the implementation broken in one place each, as a programmer might, to see that some scenario notices."""
