"""What every simulated network has."""

REGISTRAR = "registrar.nec"
PORT = 9000
"""Of all hosts."""


class SimulationError(Exception):
    """A simulation did not do what was asked within its virtual time."""


class OwnFailure(Exception):
    """The code of a node that we ship has failed; the message has the traceback."""
