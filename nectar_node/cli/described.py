"""What is known of the messages of a node's processes: the interfaces of its packages."""

from __future__ import annotations

from kernel.contract.address import Address, PackageId, ProcessId
from nectar_node.base.errors import NodeError
from nectar_node.interfaces.errors import BadInterface
from nectar_node.interfaces.messages import ProcessApi, body_misfit_untrusted, read_api_untrusted
from nectar_node.launcher.client import Answer, ControlClient, ControlError

SYSTEM_PACKAGE = "distro:sys"
"""The package of the system processes, which docs/system-processes.md describes."""


DOUBT_SECONDS = 2.0
"""Seconds that a node may take to tell what a package says, when a message has been sent already."""


def installed_api(
    client: ControlClient, package: str, patience: float | None = None
) -> tuple[PackageId, list[ProcessApi]]:
    """Return the id of a package of a node, and what its processes understand; raises NodeError."""
    return api_in(client.ask("interfaces", patience, address=package))


def api_in(answer: Answer) -> tuple[PackageId, list[ProcessApi]]:
    """Return what a node's answer about a package's interfaces holds; raises BadInterface and ControlError."""
    match answer:
        case {"package": str(id), "processes": list(processes), "interfaces": list(files)}:
            package = PackageId.parse(id)
            read = [(str(each[0]), str(each[1])) for each in files if isinstance(each, list) and len(each) == 2]
            return package, read_api_untrusted(package, list(map(str, processes)), read)
    raise ControlError("The node gives an answer of unknown shape: it may be another version.")


def find_process(apis: list[ProcessApi], process: ProcessId) -> ProcessApi | None:
    """Return what a process understands; None: nothing says that."""
    return next((each for each in apis if each.process == process), None)


def described(client: ControlClient, address: str, patience: float | None = None) -> ProcessApi:
    """Return what the process at an address understands, as far as a node knows its package; raises BadInterface and
    NodeError, with what to do.
    """
    process = Address.parse(address).process
    package = str(process.package_id)
    if package == SYSTEM_PACKAGE:
        raise BadInterface(f"{process} is a system process: the page `system processes` describes its messages.")
    _, apis = installed_api(client, package, patience)
    found = find_process(apis, process)
    if found is None:
        others = ", ".join(str(each.process) for each in apis)
        what = f"its package describes {others}" if others else "its package has no api/*.wit"
        raise BadInterface(f"Nothing describes the messages of {process}: {what}.")
    return found


def doubt(client: ControlClient, address: str, body: str) -> str | None:
    """Return a sentence about a body that is not what the process at an address is said to understand; None: it is, or
    nobody says what it understands.
    """
    try:
        found = described(client, address, DOUBT_SECONDS)
    except NodeError:
        return None
    wrong = body_misfit_untrusted(found.request, body)
    if wrong is None:
        return None
    return (
        f"The body is not as {found.process} describes its messages: {wrong}. `nectar api {found.process}` shows them."
    )
