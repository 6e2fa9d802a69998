"""What a lab, a fault and an invariant are, at every level; imports no other folder of the lab."""
