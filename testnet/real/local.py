"""A network of real nodes on this machine: a registrar and any number of nodes, each its own operating system process.

For tests, the demonstration and benchmarks. What starts and ends processes is `nectar_node.launcher.launch`, the same
as for the command line, so that both can be used on one folder at once.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nectar_node.base.errors import NotRunning
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import LOOPBACK, REGISTRAR_NAME
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import DEFAULT_OPTIONS, BootOptions
from nectar_node.launcher.client import Answer, ControlClient
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links.thread import ThreadedLinks
from testnet.real.nodes.addresses import NodePlace
from testnet.real.nodes.processes import NodeProcesses


@dataclass(slots=True)
class LocalTestnet:
    """The network in `folder`; used with `with`, it is stopped at the end.

    Every method raises `nectar_node.base.errors.NodeError` with one sentence where a node does not do as asked.
    """

    folder: Path
    options: BootOptions = DEFAULT_OPTIONS
    """The default options of every node."""
    links: ThreadedLinks | None = None
    """The links between nodes that are booted without an address of their own; None: they are direct."""
    lifeline: int | None = None
    """The lifeline of all nodes that are started here (`testnet.real.lifeline`); None: they outlive us unless
    stopped."""
    _children: dict[str, launch.StartedNode] = field(default_factory=dict)
    _special: dict[str, BootOptions] = field(default_factory=dict)

    @property
    def network(self) -> LocalNetwork:
        """The same network, as the command line sees it."""
        return LocalNetwork(self.folder)

    def start(self, names: Iterable[str] = ()) -> LocalTestnet:
        """Start the registrar and the nodes `names`, those that do not run yet; returns when all are ready."""
        self.network.secure()
        wanted = dict.fromkeys((REGISTRAR_NAME, *names))
        self._launch(*(name for name in wanted if self.pid(name) is None))
        return self

    def boot(self, options: Mapping[str, BootOptions]) -> None:
        """Start these nodes, and the registrar, as far as they do not run yet; the options are kept for restarts."""
        self._special.update(options)
        self.start(options)

    def add(self, name: str, options: BootOptions | None = None) -> None:
        """Start the node `name`, which may be new; `options` are kept for when it is restarted."""
        if options is not None:
            self._special[name] = options
        self._launch(name)

    def restart(self, name: str) -> None:
        """Stop the node `name` if it runs, and start it again."""
        self.stop(name)
        self._launch(name)

    def stop(self, name: str) -> None:
        """Let the node `name` end in order, if it runs."""
        launch.stop([self.place(name)])
        self._reap(name)

    def kill(self, name: str) -> None:
        """End the node `name` as a crash would; raises NotRunning if it does not run."""
        if not launch.kill(self.place(name)):
            raise NotRunning(f"{name} is not running, so it cannot be killed.")
        self._reap(name)

    def pause(self, name: str) -> None:
        """Stop the node `name` from being scheduled, as a laptop's lid would; `resume` lets it go on."""
        self._require(name, NodeProcesses(self.network).pause(name))

    def resume(self, name: str) -> None:
        """Undo `pause`."""
        self._require(name, NodeProcesses(self.network).resume(name))

    def close(self) -> None:
        """Stop every node of the network, also those that others have started in its folder."""
        launch.stop(self.place(name) for name in self.network.names())
        for name in list(self._children):
            self._reap(name)

    def __enter__(self) -> LocalTestnet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def place(self, name: str) -> NodeFolder:
        """Return the folder of the node `name`."""
        return self.network.place(name)

    def pid(self, name: str) -> int | None:
        """Return the process id of the node `name`, or None if it does not run."""
        return self.place(name).owner()

    def endpoint(self, name: str) -> tuple[str, int]:
        """Return where the node `name`, started by this object, listens."""
        return self._children[name].endpoint

    def connect(self, name: str) -> ControlClient:
        """Return a connection to the control socket of the node `name`; raises NotRunning."""
        return self.network.connect(name)

    def status(self, name: str) -> Answer:
        """Return the status of the node `name`."""
        return self._ask(name, "status")

    def processes(self, name: str) -> list[Answer]:
        """Return the processes on the node `name`."""
        found = self._ask(name, "ps")["processes"]
        assert isinstance(found, list)
        return found

    def message(self, name: str, target: str, body: str, timeout: int = 10) -> Answer:
        """Inject a request into the node `name` and return the outcome, `timeout` in seconds."""
        with self.connect(name) as client:
            arguments = {"target": target, "body": body, "timeout": timeout, "blob": None, "mime": None}
            return client.request("message", patience=timeout + 10.0, **arguments)

    def log(self, name: str) -> str:
        """Return everything that the node `name` has logged."""
        with contextlib.suppress(FileNotFoundError):
            return self.place(name).log.read_text(errors="replace")
        return ""

    def _ask(self, name: str, command: str) -> Answer:
        with self.connect(name) as client:
            return client.request(command)

    def _launch(self, *names: str) -> None:
        booted = [(name, self._options(name)) for name in names]
        self._children.update((node.name, node) for node in launch.start(self.network, booted))
        for name in names:
            self._linked(name)  # which may have refused dials while it was down

    def _options(self, name: str) -> BootOptions:
        options, place = replace(self._special.get(name, self.options), lifeline=self.lifeline), self._linked(name)
        return options if place is None else place.options(options)

    def _linked(self, name: str) -> NodePlace | None:
        options = self._special.get(name, self.options)
        if self.links is None or options.host != LOOPBACK or options.advertise is not None:
            return None
        return self.links.connect(name)

    def _reap(self, name: str) -> None:
        if (child := self._children.pop(name, None)) is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(launch.STOP_GRACE)

    @staticmethod
    def _require(name: str, runs: bool) -> None:
        if not runs:
            raise NotRunning(f"{name} is not running.")
