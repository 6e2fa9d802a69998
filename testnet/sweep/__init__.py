"""Many runs: sweeps over seeds, shrinking, comparing, worker processes; imports `sim` and what is below."""
