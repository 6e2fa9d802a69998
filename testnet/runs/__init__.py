"""A run of a plan in any lab: its plan, how it is played, its result; imports `scenarios` and what is below."""
