"""What goes wrong between a node and its user, each as one sentence with what to do next."""


class NodeError(Exception):
    """The root of the errors that this package shows to people; the message is one sentence."""


class BadInput(NodeError):
    """Something that the caller typed or configured is wrong (exit code 2)."""


class BadFolder(NodeError):
    """What lies in the folder of a node or of a network cannot be used."""


class NotOurs(BadFolder):
    """Somebody else could have made or changed what is in that folder (`nectar_node.base.own_files`)."""


class AlreadyRunning(NodeError):
    """The folder's node runs already."""


class NotRunning(NodeError):
    """No node runs in the folder."""


class CannotListen(NodeError):
    """The port is in use, or this user may not use it."""


class CannotJoin(NodeError):
    """The registrar refused the name, or the genesis file is missing or damaged."""


class BadPackage(NodeError):
    """A package's code is missing, or cannot be run by this node."""


class DoesNotCompile(NodeError):
    """The source of a process is wrong; the message begins with its file and line, where the compiler knows them."""


class NoTools(NodeError):
    """A compiler cannot be had: it is not there, and cannot be installed."""


class NeedsConsent(NodeError):
    """A package asks for more than its user has said that it may have."""


class CannotStart(NodeError):
    """A node did not become ready; the message quotes its reason."""


class OwnFailure(NodeError):
    """The node's own code has failed, and what it holds may be half done. It is started again (`EX_SOFTWARE`)."""


EXIT_OFFLINE = 3
"""Exit code of a command whose message found no way to its target."""
EXIT_TIMEOUT = 4
"""Exit code of a command whose message was not answered in time."""
EX_SOFTWARE = 70
"""Exit code of a node that has ended so; `sysexits.h` has it for an internal error."""


def exit_code(error: NodeError) -> int:
    """Return the exit code of a node that ends with an error."""
    if isinstance(error, OwnFailure):
        return EX_SOFTWARE
    return 2 if isinstance(error, BadInput) else 1


def first(group: BaseExceptionGroup[NodeError]) -> NodeError:
    """Return the error to show of those that ended an event loop."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, NodeError)
    return error
