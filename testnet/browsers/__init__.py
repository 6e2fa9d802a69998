"""What browsers do in a simulation."""
