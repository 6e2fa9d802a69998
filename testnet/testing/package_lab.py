"""The network of a test: a Lab with short ways to say what tests of packages say often."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from kernel.contract.address import Address
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.contract.http import HttpAnswer
from net.base.node_names import is_node_name
from testnet.browsers.web_socket import SimWebSocket
from testnet.check.history import OperationHistory
from testnet.check.verdict import Guarantee
from testnet.faults.draw import LINKS, NODES, Drawer, draw_schedule
from testnet.faults.schedule import Schedule
from testnet.model.fields import nodes_of
from testnet.model.internet import Handler, SocketHandler
from testnet.model.invariants import Violation
from testnet.model.lab import ASK_SECONDS, READY_SECONDS, WAIT_SECONDS, Json, NodePlan, Outcome, OutOfTime, SentRequest
from testnet.model.packages import find_package
from testnet.model.rule import Fault, NotAtThisLevel
from testnet.real.socket_lab import SocketLab
from testnet.runs.play import PlannedFaults
from testnet.sim.simulation import Simulation
from testnet.testing.injections import Injections, Keeping, UnsentRequest
from testnet.testing.networks import LabRun, Moment

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Trouble:
    """An exception on its way out of the faults that held when it came up."""

    error: BaseException
    moment: Moment


def _plainly(method: Callable[P, R]) -> Callable[P, R]:
    """Show errors of `method` at the line of the test that has called it, without their inner frames."""

    @functools.wraps(method)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        __tracebackhide__ = True
        try:
            return method(*arguments, **named)
        except (Violation, OutOfTime, NodeError, NotAtThisLevel) as error:
            raise error.with_traceback(None) from None

    return call


class PackageLab:
    """Nodes, packages, requests and faults; the same at every level. Nodes are called by their names.

    All of its methods raise BadInput for what cannot be, such as a node that was never booted; in a simulation, those
    that let time pass raise Violation as soon as an invariant does not hold.
    """

    def __init__(
        self, run: LabRun, places: Sequence[Path], keeping: Keeping = None, left_out: frozenset[int] = frozenset()
    ) -> None:
        """`places`: where packages are looked for, the first first. `keeping`: which faults are not left out.
        `left_out`: which requests are, by their numbers from 1."""
        self.lab = run.lab
        """The lab itself: what `testnet.runs.play` and the scenarios take."""
        self.injections = Injections(run.lab, keeping)
        """All faults that the test asks for."""
        self.asked = 0
        """The requests that the test has asked for."""
        self.trouble: Trouble | None = None
        self._left_out = left_out
        self._run = run
        self._places = tuple(places)
        self._names: list[str] = []
        self._storms = count(1)

    def __repr__(self) -> str:
        """Return a short text for pytest, which shows it with a failed test."""
        return f"<network of {', '.join(self._names) or 'no nodes'}, {self.lab.level.value}, seed {self.seed}>"

    @property
    def seed(self) -> int:
        """The number that everything random follows from; on real nodes, as far as possible."""
        return self.lab.seed

    @property
    def now(self) -> float:
        """Seconds since the network began: virtual ones in a simulation, the same in every run."""
        return self.lab.now

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of all that were booted."""
        return tuple(self._names)

    def chance(self, *purpose: str) -> Random:
        """Return a source of randomness for the test itself, one for each purpose, from the seed."""
        return self.lab.chance("test", *purpose)

    # --- nodes ------------------------------------------------------------------------------------------------------

    @_plainly
    def boot(
        self,
        *names: str,
        packages: Sequence[str | Path] = (),
        routers: Sequence[str] = (),
        http: bool = False,
    ) -> None:
        """Start nodes that run `packages`, and wait until they have joined; with `routers` they are reached through
        these alone; with `http`, real ones listen for browsers. A package is a folder, as seen from the file of the
        test or from where pytest was started, or the name of one that comes with the node. Raises NodeError for a
        package that cannot run, and OutOfTime."""
        folders = tuple(find_package(each, self._places) for each in packages)
        for number, name in enumerate(names):
            self._check_new(name, names[:number])
        for folder in folders:
            self._run.check_package(folder)
        self._names.extend(names)
        self.lab.boot(*(NodePlan(name, folders, tuple(routers), http=http) for name in names))

    @_plainly
    def crash(self, name: str) -> None:
        """End the node as kill -9 does."""
        self.lab.crash(self._known(name))

    @_plainly
    def leave(self, name: str) -> None:
        """End the node in order."""
        self.lab.leave(self._known(name))

    @_plainly
    def start(self, name: str) -> None:
        """Boot the node again, if it does not run, with its key, disk and packages, and wait until it is ready."""
        self.lab.start(self._known(name))
        self.lab.wait(lambda: self.lab.ready(name), READY_SECONDS, f"the start of {name}")

    @_plainly
    def restart(self, name: str) -> None:
        """Crash the node, and start it again."""
        self.crash(name)
        self.start(name)

    @_plainly
    def pause(self, name: str) -> None:
        """Stop the node, as SIGSTOP does, until `resume`."""
        self.lab.pause(self._known(name))

    @_plainly
    def resume(self, name: str) -> None:
        """Let the node go on."""
        self.lab.resume(self._known(name))

    @_plainly
    def cut(self, name: str) -> None:
        """Break all connections of the node, for both ends; it may connect again at once."""
        self.lab.cut(self._known(name))

    # --- faults -----------------------------------------------------------------------------------------------------

    @_plainly
    def apply(self, *faults: Fault) -> AbstractContextManager[None]:
        """Hold the faults within the block of a `with`. Raises NotAtThisLevel for one that cannot be injected here."""
        self._check_nodes(faults)
        return self._applied(faults)

    @contextmanager
    def _applied(self, faults: Sequence[Fault]) -> Iterator[None]:
        __tracebackhide__ = True
        with ExitStack() as stack:
            for fault in faults:
                stack.callback(self.withdraw, self.inject(fault))
            with self._remembering():
                yield

    @contextmanager
    def chaos(self, seconds: float = 20.0, drawers: Sequence[Drawer] = (*LINKS, *NODES)) -> Iterator[Schedule]:
        """Let faults that are drawn from the seed come and go within so many seconds from now, or none at all. Yield
        the schedule. After the block there are no faults, and every node runs."""
        __tracebackhide__ = True
        if len(self._names) < 2:
            raise BadInput("`chaos` is for networks of two nodes and more: boot them first.")
        schedule = draw_schedule(drawers, self._names, seconds, self.lab.chance("chaos", str(next(self._storms))))
        with self.faults(schedule):
            yield schedule

    @contextmanager
    def faults(self, schedule: Schedule) -> Iterator[None]:
        """Let the faults of a schedule come and go, their times counted from now. After the block there are none, and
        every node runs."""
        __tracebackhide__ = True
        self._check_nodes([step.fault for step in schedule])
        planned, before = PlannedFaults(self.lab), len(self.injections.injected)
        for step in self.injections.plan(schedule):
            planned.expect(step)
        try:
            with self._remembering():
                yield
        finally:
            planned.clear(self._names)
            self.injections.over(before)
        self.wait(lambda: all(map(self.lab.ready, self._names)), READY_SECONDS, "the start of all nodes")

    @_plainly
    def inject(self, fault: Fault) -> int:
        """Begin the fault and return its number."""
        self._check_nodes((fault,))
        return self.injections.begin(fault)

    @_plainly
    def withdraw(self, number: int) -> None:
        """End the fault of that number."""
        self.injections.end(number)

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something after so many seconds, in the midst of whatever the test waits for then."""
        self.lab.at(seconds, what)

    # --- requests ---------------------------------------------------------------------------------------------------

    @_plainly
    def ask(self, node: str, target: str, body: Json, timeout: int = ASK_SECONDS, blob: bytes | None = None) -> Outcome:
        """Send a request in the name of the user of `node`, and wait for its outcome: a response, or Offline or Timeout
        within `timeout` seconds. `target` is such as "two.nec@poll:poll:local"; "our" stands for `node` itself."""
        if (absent := self._absent(node, target, body)) is not None:
            return absent.outcome
        return self.lab.ask(node, target, body, timeout, blob)

    @_plainly
    def begin(
        self, node: str, target: str, body: Json, timeout: int = ASK_SECONDS, blob: bytes | None = None
    ) -> SentRequest:
        """Send a request without waiting: `outcome` of the returned object is None until it is there."""
        if (absent := self._absent(node, target, body)) is not None:
            return absent
        return self.lab.begin(node, target, body, timeout, blob)

    @_plainly
    def wait(
        self, done: Callable[[], bool], limit: float = WAIT_SECONDS, what: str = "what the test waits for"
    ) -> None:
        """Let time pass until `done` returns true; raises OutOfTime after `limit` seconds."""
        self.lab.wait(done, limit, what)

    def history(self, *promises: Guarantee, name: str = "") -> OperationHistory:
        """Return a new history, in which the test records its operations. When the test has passed, each promise must
        hold of it; one that is not decided is a note in the journal."""
        return self.lab.history(*promises, name=name)

    @_plainly
    def rest(self, seconds: float) -> None:
        """Let so much time pass; raises BadInput for less than none."""
        if not seconds >= 0:
            raise BadInput(f"rest takes the seconds that are to pass, and not {seconds}.")
        self.lab.rest(seconds)

    @_plainly
    def get(self, node: str, path: str, headers: Mapping[str, str] | None = None) -> HttpAnswer | None:
        """Let a browser on the machine of `node` open a page there, such as "/chess:chess:sys/games", and return the
        answer; None: its connection has broken. In a simulation only: real nodes are asked over real sockets. Raises
        NotAtThisLevel.
        """
        return self._simulated().get(self._known(node), path, headers)

    @_plainly
    def post(self, node: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> HttpAnswer | None:
        """Let a browser there send something; as `get`."""
        return self._simulated().post(self._known(node), path, body, headers)

    @_plainly
    def websocket(self, node: str, path: str, headers: Mapping[str, str] | None = None) -> SimWebSocket:
        """Let a browser there open a WebSocket, such as "/chess:chess:sys/live"; it is open, or `refused`. In a
        simulation only. Raises NotAtThisLevel.
        """
        return self._simulated().websocket(self._known(node), path, headers)

    @_plainly
    def link(self, node: str, path: str = "/") -> str:
        """Return an address that signs a real browser in at a real node, once and within a minute, and then shows
        `path` there, such as "/chess:chess:sys/". Raises NotAtThisLevel, and ControlError where there is no `http`.
        """
        if not isinstance(self.lab, SocketLab):
            raise NotAtThisLevel("A real browser cannot come into a simulation: take `get`, or real nodes.")
        with self.lab.nodes.connect(self._known(node)) as client:
            answer = client.ask("open")
        return f"{answer['url']}&to={quote(path, safe='')}"

    @_plainly
    def serve_http(self, url: str, handler: Handler, **how: Any) -> None:
        """Let `handler` answer what processes send to the origin of `url`, such as "https://api.example.com".

        It is called with a `WebRequest` and returns a `WebAnswer`, or None for a server that never answers; an OSError
        that it raises breaks the connection. `address` is the server's, `latency` the least and the most seconds for
        each way. Faults of links take the server's host for a node. In a simulation only. Raises NotAtThisLevel.
        """
        self._simulated().serve_http(url, handler, **how)

    @_plainly
    def serve_websocket(self, url: str, handler: SocketHandler, **how: Any) -> None:
        """Let `handler` take the messages of WebSockets that processes open at the origin of `url`; as `serve_http`.

        It is called with the server's side, which has `send` and `close`, and with a text or bytes.
        """
        self._simulated().serve_websocket(url, handler, **how)

    def _simulated(self) -> Simulation:
        if not isinstance(self.lab, Simulation):
            raise NotAtThisLevel("Browsers are played in a simulation only: ask a real node over its own port.")
        return self.lab

    # --- files and logs ---------------------------------------------------------------------------------------------

    @_plainly
    def share(self, node: str, data: bytes, name: str) -> str:
        """Put a file where the package file_transfer of `node` can read it; its path there."""
        return self.lab.share(self._known(node), data, name)

    @_plainly
    def received(self, node: str, name: str) -> bytes | None:
        """Return the file that file_transfer of `node` has received, or None."""
        return self.lab.received(self._known(node), name)

    @_plainly
    def log(self, node: str) -> list[str]:
        """Return what the node has logged, over all of its boots; the output of processes is in it."""
        return self.lab.log(self._known(node))

    def note(self, text: str) -> None:
        """Write a remark into the journal."""
        self.lab.note(text)

    # --- what cannot be ---------------------------------------------------------------------------------------------

    def _known(self, name: str) -> str:
        if name not in self._names and name != REGISTRAR_NAME:
            there = f"there are {', '.join(self._names)}" if self._names else "none was booted yet"
            raise BadInput(f"There is no node {name!r}; {there}.")
        return name

    def _check_new(self, name: str, others: Sequence[str]) -> None:
        if not is_node_name(name):
            raise BadInput(f"{name!r} is not a node's name: give one such as one.nec.")
        if name in (*self._names, *others, REGISTRAR_NAME):
            raise BadInput(f"{name} is there already; `start` and `restart` boot it again.")

    def _check_nodes(self, faults: Sequence[Fault]) -> None:
        hosts = self.lab.internet.hosts if isinstance(self.lab, Simulation) else ()
        for fault in faults:
            for name in nodes_of(fault):
                if name not in hosts:
                    self._known(name)

    def _absent(self, node: str, target: str, body: Json) -> UnsentRequest | None:
        """Count a request, and return it if it is left out of this run."""
        self._check_request(node, target, body)
        self.asked += 1
        return UnsentRequest(self.lab.now) if self.asked in self._left_out else None

    def _check_request(self, node: str, target: str, body: Json) -> None:
        self._known(node)
        try:
            Address.parse(target)
            json.dumps(body)
        except BadAddress as error:
            raise BadInput(f"{error}, such as two.nec@counter:counter:local.") from error
        except (TypeError, ValueError) as error:
            raise BadInput(f"The body of a request is a value that JSON can say: {error}.") from error

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """Remember when an exception came up, before the faults end that it leaves."""
        try:
            yield
        except BaseException as error:
            if self.trouble is None or self.trouble.error is not error:
                self.trouble = Trouble(error, self._run.moment())
            raise
