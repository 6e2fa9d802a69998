"""Hosts of their own for the nodes of a local testnet: Linux network namespaces around one hub.

Each host is a namespace with one cable, a veth pair, to a bridge in the hub; the hub is a namespace too, so nothing of
this machine's own network takes part or is changed, and runs side by side may use the same addresses:

    host a.nec: eth0 10.1.0.1 ──── port1 ┐
    host b.nec: eth0 10.1.0.2 ──── port2 ┤ bridge0 in the hub: 10.2.0.1, 10.2.0.2, … (for a proxy, say)

No packet finds a way from there to this machine's network, or back. Files do, and so do Unix sockets that lie in the
file system: a node's control socket is reached from outside.

All that a run makes lies in namespaces whose names begin with the run's own: `nectar-PID-STARTED-N-`, process id and
start (in clock ticks since the machine came up: ids are used again) of the process that made it, and a counter.
Nothing else is ever touched. `close` removes them; after a crash `testnet.real.lifeline` does, or the next run that
makes hosts.

Hardware addresses are set, and never looked up: a bridge would take another one when a host is added, and
what a pulled cable keeps from a host would be known to be unreachable after three seconds, which is true of neighbours
only.

Delay and loss are for a proxy in the hub: `tc netem` is missing in many kernels. Tests:
tests/testnet/real/nodes/test_namespaces.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from types import FrameType

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.launcher.local_network import check_name

HUB = "hub"
"""The hub's name among the hosts."""

_FOLDER = Path("/var/run/netns")
"""The folder where `ip netns` keeps a file for each namespace."""
_PREFIX = "nectar"
_BEGINNING = re.compile(rf"{_PREFIX}-[0-9]+-[0-9]+-")
"""The pattern of names; `beginning_of` makes them."""
_HOSTS = IPv4Address("10.1.0.0")
_HUB_ADDRESSES = IPv4Address("10.2.0.0")
_NETWORK_BITS = 8
_HUB_NETWORK = f"{_HUB_ADDRESSES}/16"
_SIDE_BY_SIDE = 1000
"""The most namespaces of one process at the same time."""
_LIBC = ctypes.CDLL(None, use_errno=True)
"""The C library, for setns(2), which Python has from 3.12 on."""
_NETWORK = 0x40000000
"""CLONE_NEWNET."""
_IP_SECONDS = 20.0
_END_SECONDS = 5.0
_END_PAUSE = 0.01


class NoNamespaces(NodeError):
    """The kernel, or `ip`, does not make, change or remove a namespace or a link."""


@dataclass(frozen=True, slots=True)
class _Host:
    namespace: str
    address: str
    port: str
    """The end of its cable at the hub."""


@dataclass(slots=True)
class Namespaces:
    """A hub and its hosts; used with `with`, so that nothing of them is left.

    Every method but `close` raises NoNamespaces where the system refuses, and BadInput for a name that is unknown, or
    that cannot be one.
    """

    _run: str | None = None
    _hosts: dict[str, _Host] = field(default_factory=dict)
    _hub_addresses: list[str] = field(default_factory=list)
    _making: threading.RLock = field(default_factory=threading.RLock)
    """Held while a host is made: what another thread makes while this is closed would be left."""

    def __enter__(self) -> Namespaces:
        with contextlib.suppress(NoNamespaces):  # leftovers of other runs do no harm
            remove_leftovers()
        try:
            self._run = _claim()
            self._bring_up_hub()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, name: str) -> str:
        """Make the host `name`, connected to the hub, and return its address."""
        check_name(name)
        with self._making:
            return self._make(name)

    def _make(self, name: str) -> str:
        if name == HUB or name in self._hosts:
            raise BadInput(f"There is a host {name} already: choose another name.")
        number = len(self._hosts) + 1
        host = _Host(self._namespace(f"{number}-{name}"), str(_HOSTS + number), f"port{number}")
        self._hosts[name] = host
        _ip("netns", "add", host.namespace)
        cable = ("link", "add", "eth0", "address", _hardware(host.address), "netns", host.namespace, "type", "veth")
        _ip(*cable, "peer", "name", host.port, "netns", self._hub)
        _ip("-n", self._hub, "link", "set", host.port, "master", "bridge0", "up")
        _ip("-n", host.namespace, "address", "add", f"{host.address}/{_NETWORK_BITS}", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", host.namespace, "link", "set", device, "up")
        self._introduce(host)
        return host.address

    def _introduce(self, host: _Host) -> None:
        """Let the host and the hub, at whichever of its addresses, know each other for good."""
        hub = self._hub_addresses[0]
        _ip("-n", host.namespace, "neighbour", "add", hub, "lladdr", _hardware(hub), "dev", "eth0", "nud", "permanent")
        _ip("-n", host.namespace, "route", "add", _HUB_NETWORK, "via", hub, "dev", "eth0")
        known = ("neighbour", "add", host.address, "lladdr", _hardware(host.address))
        _ip("-n", self._hub, *known, "dev", "bridge0", "nud", "permanent")

    def address(self, name: str) -> str:
        """Return the address of the host `name`; for the hub, its first one."""
        return self._hub_addresses[0] if name == HUB else self._host(name).address

    def command(self, name: str) -> list[str]:
        """Return the beginning of a command that runs on the host `name`, or on the hub.

        The process that is started becomes the command: it keeps its process id and descriptors.
        """
        namespace = self._hub if name == HUB else self._host(name).namespace
        return [_program(), "netns", "exec", namespace]

    def enter(self, name: str) -> None:
        """Move this thread to the host `name`, or to the hub, for good: its sockets are made there."""
        namespace = self._hub if name == HUB else self._host(name).namespace
        with open(_FOLDER / namespace) as place:
            if _LIBC.setns(place.fileno(), _NETWORK):
                raise NoNamespaces(f"A thread cannot enter {namespace}: {os.strerror(ctypes.get_errno())}.")

    def add_hub_address(self) -> str:
        """Give the hub one address more, which all hosts reach: for a proxy before one of them, say."""
        address = str(_HUB_ADDRESSES + len(self._hub_addresses) + 1)
        _ip("-n", self._hub, "address", "add", f"{address}/{_NETWORK_BITS}", "dev", "bridge0")
        self._hub_addresses.append(address)
        return address

    def take_down(self, name: str) -> None:
        """Pull the cable of the host `name`: packets are lost in both directions, and nobody is told."""
        _ip("-n", self._hub, "link", "set", self._host(name).port, "down")

    def bring_up(self, name: str) -> None:
        """Undo `take_down`."""
        _ip("-n", self._hub, "link", "set", self._host(name).port, "up")

    def close(self) -> None:
        """End what still runs on the hosts, and remove all that was made; may be called again.

        Raises NoNamespaces if something is left, after the rest has been removed.
        """
        with self._making:
            if self._run is not None:
                _remove(_named(self._run))
            self._run = None
        self._hosts.clear()
        self._hub_addresses.clear()

    @property
    def _hub(self) -> str:
        return self._namespace(HUB)

    def _namespace(self, name: str) -> str:
        if self._run is None:
            raise BadInput("There is no hub yet, or no more: use the hosts inside `with`.")
        return self._run + name

    def _host(self, name: str) -> _Host:
        if name not in self._hosts:
            known = ", ".join(self._hosts) or "none yet"
            raise BadInput(f"There is no host {name}: there are {known}.")
        return self._hosts[name]

    def _bring_up_hub(self) -> None:
        _ip("-n", self._hub, "link", "set", "lo", "up")
        hardware = _hardware(str(_HUB_ADDRESSES + 1))
        _ip("-n", self._hub, "link", "add", "bridge0", "address", hardware, "type", "bridge")
        _ip("-n", self._hub, "link", "set", "bridge0", "up")
        self.add_hub_address()


def _hardware(address: str) -> str:
    """Return a unique Ethernet address: locally administered, and ending with the IP address."""
    return ":".join(f"{byte:02x}" for byte in (2, 0, *IPv4Address(address).packed))


def unavailable() -> str | None:
    """Return in one sentence why no hosts can be made here, or None. It makes one to find out, and removes it."""
    if not sys.platform.startswith("linux"):
        return "Network namespaces exist on Linux only."
    if os.geteuid() != 0:
        return "Network namespaces need root: run this as root, or go without."
    try:
        with Namespaces() as hosts:
            hosts.add("probe.nec")
    except NoNamespaces as error:
        return str(error)
    return None


def beginning_of(pid: int) -> str:
    """Return the prefix of the names of all namespaces that the process makes."""
    return f"{_PREFIX}-{pid}-{_started(pid)}-"


def remove(beginning: str) -> None:
    """Remove the namespaces whose names begin with what `beginning_of` says, and end what runs in them.

    Raises BadInput for any other beginning, which could be that of others, and NoNamespaces if something is left,
    after the rest has been removed.
    """
    if not _BEGINNING.fullmatch(beginning):
        raise BadInput(f"{beginning!r} is not what the names of the namespaces of one process begin with.")
    _remove(_named(beginning))


def remove_leftovers() -> list[str]:
    """Remove the namespaces of runs whose process is gone, and end what runs in them; returns their names.

    Raises NoNamespaces if something is left, after the rest has been removed.
    """
    leftovers = [name for name in _named(f"{_PREFIX}-") if _is_left(name)]
    _remove(leftovers)
    return leftovers


def _is_left(namespace: str) -> bool:
    """Whether the process that made the namespace is gone; False for one that is not named as we name them."""
    match namespace.split("-", 4):
        case [_, pid, started, number, _] if all(part.isascii() and part.isdigit() for part in (pid, started, number)):
            return _started(int(pid)) != int(started)
        case _:
            return False


def _started(pid: int) -> int | None:
    """Return when the process began, in clock ticks since the machine came up (field 22 of proc_pid_stat(5)), or None
    if it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(status.rpartition(")")[2].split()[19])


def _claim() -> str:
    """Make the namespace of a hub under a new name, and return the prefix of all names of this run."""
    beginning = beginning_of(os.getpid())
    for number in range(_SIDE_BY_SIDE):
        run = f"{beginning}{number}-"
        if os.path.exists(_FOLDER / (run + HUB)):
            continue
        try:
            _ip("netns", "add", run + HUB)
        except NoNamespaces:
            if not os.path.exists(_FOLDER / (run + HUB)):
                raise
            continue  # another thread was faster
        return run
    raise NoNamespaces(f"This process has {_SIDE_BY_SIDE} hubs already: close some.")


def _named(beginning: str) -> list[str]:
    """Return the existing namespaces whose names begin so."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(name for name in os.listdir(_FOLDER) if name.startswith(beginning))
    return []


def _remove(namespaces: Iterable[str]) -> None:
    """Remove all of them; one that cannot be removed does not keep the others."""
    failed: NoNamespaces | None = None
    for namespace in namespaces:
        try:
            _end_processes(namespace)
            _ip("netns", "delete", namespace)
        except NoNamespaces as error:
            if os.path.lexists(_FOLDER / namespace):  # otherwise another process has removed it
                failed = error
    if failed is not None:
        raise failed


def _end_processes(namespace: str) -> None:
    """Kill all that runs in the namespace, which would otherwise live on without a name."""
    deadline = time.monotonic() + _END_SECONDS
    while pids := list(_inside(namespace)):
        if time.monotonic() > deadline:
            raise NoNamespaces(f"Process {pids[0]} does not end, so {namespace} cannot be removed.")
        for pid in pids:
            _kill(pid, namespace)
        time.sleep(_END_PAUSE)


def _inside(namespace: str) -> Iterator[int]:
    place = _identity(_FOLDER / namespace)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and place is not None and _place_of(int(entry)) == place:
            yield int(entry)


def _place_of(pid: int) -> tuple[int, int] | None:
    return _identity(Path(f"/proc/{pid}/ns/net"))


def _identity(namespace: Path) -> tuple[int, int] | None:
    """Return what tells namespaces apart, or None if it is gone."""
    try:
        status = namespace.stat()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return status.st_dev, status.st_ino


def _kill(pid: int, namespace: str) -> None:
    """Kill the process `pid` if it still runs in the namespace: process ids are used again, descriptors are not."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if _place_of(pid) == _identity(_FOLDER / namespace):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _program() -> str:
    """Return the path of `ip`: not every root has /usr/sbin in its PATH."""
    found = shutil.which("ip", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise NoNamespaces("Network namespaces are made with `ip`, which is not here: install iproute2.")
    return found


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait within this: an `ip` that Ctrl-C interrupts at its beginning goes on by itself, and makes its
    namespace after everything has been removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, lambda number, frame: came.append((number, frame))) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    for number, frame in came:
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)


def _ip(*words: str) -> None:
    try:
        with _uninterrupted():
            done = subprocess.run(
                [_program(), *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_IP_SECONDS,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoNamespaces(f"`ip {' '.join(words)}` cannot be run: {error}.") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NoNamespaces(f"`ip {' '.join(words)}` is refused here: {said[0].rstrip('.')}.")
