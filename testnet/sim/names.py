"""What every simulated network has."""

REGISTRAR = "registrar.nec"
PORT = 9000
"""Of all hosts."""
