"""What goes wrong between a node and its user, each as one sentence with what to do next."""


class NodeError(Exception):
    """Root of the errors that this package shows to people; the message is one sentence."""


class BadInput(NodeError):
    """The caller's: something typed or configured is wrong (exit code 2)."""


class BadFolder(NodeError):
    """The world's: what lies in the folder of a node or of a network cannot be used."""


class NotOurs(BadFolder):
    """The caller's: somebody else could have made or changed what is in that folder (`nectar_node.base.own_files`)."""


class AlreadyRunning(NodeError):
    """The caller's: the folder's node runs already."""


class NotRunning(NodeError):
    """The caller's: no node runs in the folder."""


class CannotListen(NodeError):
    """The world's: the port is in use or not ours to take."""


class CannotJoin(NodeError):
    """The world's: the registrar refused the name, or the genesis file is missing or damaged."""


class BadPackage(NodeError):
    """The package's: a process's code is missing, or is none that this node can run."""


class NeedsConsent(NodeError):
    """The user's: a package asks for more than they have said that it may have."""


class CannotStart(NodeError):
    """The world's: a node did not become ready; the message quotes its reason."""


class OwnFailure(NodeError):
    """Ours: the node's own code has failed, and what it holds may be half done. It begins anew (`EX_SOFTWARE`)."""


EX_SOFTWARE = 70
"""Exit code of a node that has ended so; `sysexits.h` has it for an internal error."""


def exit_code(error: NodeError) -> int:
    """Of a node that ends with it."""
    if isinstance(error, OwnFailure):
        return EX_SOFTWARE
    return 2 if isinstance(error, BadInput) else 1


def first(group: BaseExceptionGroup[NodeError]) -> NodeError:
    """The one to show of those that ended an event loop."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, NodeError)
    return error
