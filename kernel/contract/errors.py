"""The kernel's errors: one root, and below it one for each side that can be at fault."""


class KernelError(Exception):
    """Root of every error that leaves this package."""


class BadAddress(KernelError):
    """The caller passed a text that is not an address; the message says which part is wrong (G1)."""


class BadModule(KernelError):
    """A package has bytes that are not a process this node can run; the message is one sentence."""


class GuestTrap(KernelError):
    """The guest did what the interface forbids; it ends, and no other process notices (G23)."""


class GuestLimit(GuestTrap):
    """The guest asked for more than `limits` allow."""
