"""Labs, faults and invariants, at every level; imports no other folder of the lab."""
