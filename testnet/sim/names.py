"""Names and errors of every simulation."""

REGISTRAR = "registrar.nec"
PORT = 9000
"""The port of every host."""


class SimulationError(Exception):
    """A simulation has not done what was asked within its virtual time."""


class NodeFailure(Exception):
    """The code of a node has raised; the message has the traceback."""
