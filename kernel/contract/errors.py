"""The kernel's errors: one root, and under it whose fault it was."""


class KernelError(Exception):
    """Root of every error that leaves this package."""


class BadAddress(KernelError):
    """The caller's: a text is no address; the message says which part is wrong (G1)."""


class BadModule(KernelError):
    """The package's: bytes that are no process this node can run; the message is one sentence."""


class GuestTrap(KernelError):
    """The guest's: it did what the interface forbids; it ends, nobody else notices (G23)."""


class GuestLimit(GuestTrap):
    """The guest's: it asked for more than `limits` allow."""
