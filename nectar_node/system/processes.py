"""The system processes of one node, and which of them may have actions for the core.

Most messages concern none of them, so only those are asked for actions that were told something: every event for one of
them goes through here. The core carries out the actions. An exception in a process's code ends what that process was
handling, and nothing else.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec

from kernel.contract.address import SYSTEM, PackageId, ProcessId
from kernel.contract.events import UseState
from kernel.contract.guest import Arrival, Failure, Program
from kernel.contract.message import Envelope, ReplyTo
from nectar_node.base.system_processes import HOMEPAGE
from nectar_node.contract.actions import BadCode, LogLine
from nectar_node.contract.generations import ETH, ETH_SETTINGS, NO_CHAIN, NO_SETTINGS
from nectar_node.contract.http import HttpEvent
from nectar_node.contract.http_client import HttpClientEvent
from nectar_node.contract.json_shapes import RequestRefused, dump, load_untrusted, variant_untrusted
from nectar_node.storage.operations import DiskError, Job, LeftOut, Outcome, StateRow
from nectar_node.system.http_client import HttpClient
from nectar_node.system.http_server import HttpServer
from nectar_node.system.keeper import Keeper
from nectar_node.system.process import (
    SORRY,
    Cause,
    Committed,
    Removal,
    SystemAction,
    SystemProcess,
    SystemToken,
    reply,
)
from nectar_node.system.state import State
from nectar_node.system.terminal import Terminal
from net.base.timers import Timers
from net.contract.events import Unforeseen
from net.peering.containment import told

P = ParamSpec("P")

MAX_BODY_BYTES = 64 << 10
"""Bytes of a request to eth that are read: only the name of what is asked matters."""
MAX_TOLD = 256
"""Packages and absent names that the log tells of."""


class Absent(SystemProcess):
    """What stands for the names `x:distro:sys` that this node does not have, and for a homepage that does not run: an
    error at once, which callers know.

    Packages of the existing node call system processes that exist there, above all eth:distro:sys to index names on a
    chain, and wait for an answer in their `init`. Whoever sends a request to such a name gets an error in the shape
    that its library knows, without a capability: there is nothing behind it. Nothing is kept of a request. The log
    tells once of each package and name, for the first MAX_TOLD of them: names can be invented without end. Where the
    node's user has put a process of their own (`nectar start --as`), this is not asked.
    """

    id = ProcessId("absent", "distro", "sys")

    def __init__(self) -> None:
        super().__init__()
        self._told: set[tuple[PackageId, ProcessId]] = set()

    def receive(self, envelope: Envelope, now: float) -> None:
        """Answer a request with an error; one that expects no answer is dropped."""
        asker, name = envelope.source.process, envelope.target.process
        known = (asker.package_id, name)
        if known not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(known)
            self._out.append(LogLine(str(asker), 0, f"asks {name}, which this node does not have"))
        self._answer(envelope, _error_untrusted(envelope))

    def _answer(self, envelope: Envelope, value: object) -> None:
        answer = reply(envelope.target.process, envelope, dump(value))
        if answer is not None:
            self._out.append(answer)

    def recover(self, cause: Cause, now: float) -> None:
        """Answer a request whose handling has failed."""
        if isinstance(cause, Envelope):
            self._answer(cause, {"Err": SORRY})


def _error_untrusted(envelope: Envelope) -> object:
    """Return the error that callers of this name know; their libraries read any other answer as one, too."""
    name = envelope.target.process
    if name == HOMEPAGE:
        return {"Err": f"this node has no {name}: its user starts it with `nectar start homepage`"}
    if name != ETH:
        return {"Err": f"this node has no {name}"}
    try:
        asked, _ = variant_untrusted(load_untrusted(envelope.message.body, MAX_BODY_BYTES))
    except RequestRefused:
        return NO_CHAIN
    return NO_SETTINGS if asked in ETH_SETTINGS else NO_CHAIN


class Saver:
    """The states that are to be written, for `nectar_node.core.store`."""

    def __init__(self, processes: SystemProcesses, state: State) -> None:
        self._processes = processes
        self._state = state

    @property
    def waits(self) -> bool:
        """Whether any is to be written."""
        return self._state.waits

    def take(self, now: float) -> tuple[StateRow, ...]:
        """Return what goes into the next commit, which begins at once."""
        taken: list[StateRow] = []
        self._processes._tell(self._state, None, now, self._state.take, taken)
        return tuple(taken)


class SystemProcesses:
    """All system processes of one node, by name, with their failures and deadlines."""

    def __init__(
        self, processes: Iterable[SystemProcess], emit: Callable[[Unforeseen], None], timers: Timers[Any]
    ) -> None:
        """`emit` is given every failure of their own code; `timers` gets the earliest deadline."""
        self._emit = emit
        self.failures: Counter[ProcessId] = Counter()
        """How often the code of each has failed."""
        self._all = tuple(processes)
        self._absent = Absent()
        """Answers for those that there are not."""
        self.by_id = {id: each for each in self._all for id in (each.id, *each.other_names)}
        """All of them, under all their names; read-only."""
        self.pending: deque[SystemProcess] = deque()
        """Processes that have been told something since they were last asked for actions; the core takes them out."""
        self._timers: Timers[ProcessId] = Timers(timers)
        """When each is due next: a process says so when it has no more actions."""

    def receive(self, envelope: Envelope, now: float) -> None:
        """Give a request of this node to the system process it is for, or to what answers for those that there are
        not.
        """
        target = envelope.target.process
        process = self.by_id.get(target)
        if process is not None:
            self._receive(process, envelope, now)
        elif target.package_id == SYSTEM or target == HOMEPAGE:
            self._receive(self._absent, envelope, now)

    def serve_peer(self, envelope: Envelope, now: float) -> bool:
        """Give a request of another node to the system process it is for; False: that serves no other node, or does not
        exist.
        """
        process = self.by_id.get(envelope.target.process)
        if process is None or not process.remote:
            return False
        self._receive(process, envelope, now)
        return True

    def _receive(self, process: SystemProcess, envelope: Envelope, now: float) -> None:
        self._tell(process, envelope, now, process.receive, envelope, now)

    def use_state(self, state: State, wanted: UseState, now: float) -> None:
        """Let a guest's process use its saved state."""
        self._tell(state, wanted, now, state.use, wanted)

    def states_written(self, state: State, outcome: Outcome, now: float) -> None:
        """Pass on the outcome of the commit with the states that were taken last."""
        problem = outcome.text if isinstance(outcome, DiskError) else None
        committed = Committed(problem, outcome if isinstance(outcome, LeftOut) else None)
        self._tell(state, committed, now, state.written, committed, now)

    def saver(self, state: State) -> Saver:
        """Return what gives the store the states that it is to write."""
        return Saver(self, state)

    def remove_state(self, state: State, key: str, token: object, now: float) -> None:
        """Remove the state of a process that is gone, as the node's user wants; `Kept` says when that is done."""
        order = Removal(token)
        self._tell(state, order, now, state.remove, key, order)

    def begin(self, process: SystemProcess, boot: Callable[[], None], now: float) -> None:
        """Let a process look, at a boot, at what earlier ones have left."""
        self._tell(process, None, now, boot)

    def refuse_owner(self, keeper: Keeper, owner: str, token: object, now: float) -> None:
        """Keep nothing more for a node and remove what it has, as the node's user wants; `Kept` says when that is
        done.
        """
        order = Removal(token)
        self._tell(keeper, order, now, keeper.refuse, owner, order)

    def stop_script(self, terminal: Terminal, user: object, now: float) -> None:
        """Stop a script, of which the user wants no more."""
        self._tell(terminal, None, now, terminal.stop, user)

    def take_http(self, server: HttpServer, event: HttpEvent, now: float) -> None:
        """Pass on what browsers do."""
        self._tell(server, event, now, server.take, event, now)

    def take_http_client(self, client: HttpClient, event: HttpClientEvent, now: float) -> None:
        """Pass on what servers send."""
        self._tell(client, SystemToken(client.id, event.token), now, client.take, event, now)

    def answered(self, token: SystemToken, answer: Arrival | Failure, now: float) -> None:
        """Pass on the outcome of a request that one of them sent."""
        process = self.by_id[token.process]
        self._tell(process, token, now, process.answered, token.token, answer, now)

    def taken(self, token: SystemToken, now: float) -> None:
        """Pass on that a request of one of them, with that receipt, has been delivered, or cannot be."""
        process = self.by_id[token.process]
        self._tell(process, token, now, process.taken, token.token, now)

    def job_done(self, token: SystemToken, job: Job, outcome: Outcome, now: float) -> None:
        """Pass on the outcome of a disk job of one of them."""
        process, own = self.by_id[token.process], job._replace(owner=token.token)
        self._tell(process, own, now, process.done, own, outcome, now)

    def kept(self, token: SystemToken, problem: str | None, now: float) -> None:
        """Pass on that what one of them has changed is durable, or why it cannot be written."""
        process = self.by_id[token.process]
        self._tell(process, token, now, process.kept, token.token, problem, now)

    def code_fetched(self, token: SystemToken, program: Program | BadCode, now: float) -> None:
        """Pass on code for one of them, or why it cannot be loaded."""
        process = self.by_id[token.process]
        self._tell(process, token, now, process.code_fetched, token.token, program, now)

    def ended(self, ended: ProcessId, now: float) -> None:
        """Tell them all that a guest's process has ended."""
        for process in self._all:
            self._tell(process, None, now, process.ended, ended, now)

    def abandoned(self, asked: ProcessId, reply_to: ReplyTo, now: float) -> None:
        """Tell the one that was asked that its answer is not wanted any more."""
        process = self.by_id.get(asked)
        if process is not None:
            self._tell(process, None, now, process.abandoned, reply_to, now)

    def on_timer(self, now: float) -> None:
        """Do what is due in those whose deadline has come."""
        for process in self._all:
            when = self._timers.when(process.id)
            if when is not None and when <= now:
                self._tell(process, None, now, process.on_timer, now)

    def _tell(
        self,
        process: SystemProcess,
        cause: Cause,
        now: float,
        verb: Callable[P, None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Tell a process something; what its code fails with ends `cause`, which it was handling, and nothing else."""
        self.pending.append(process)
        try:
            verb(*args, **kwargs)
        except Exception as error:
            self._failed(process, cause, error, now)

    def next_action(self, process: SystemProcess, now: float) -> SystemAction | None:
        """Return the next action of one of them; None: nothing more."""
        while True:
            try:
                action = process.next_action()
                if action is None:
                    self._timers.set(process.id, process.next_deadline())
                return action
            except Exception as error:
                self._failed(process, None, error, now)

    def _failed(self, process: SystemProcess, cause: Cause, error: Exception, now: float) -> None:
        """End what a process was handling when its code failed, and nothing else."""
        self._note(process, error)
        try:
            process.recover(cause, now)
        except Exception as again:  # its requester learns of it when its time is up
            self._note(process, again)

    def _note(self, process: SystemProcess, error: Exception) -> None:
        self.failures[process.id] += 1
        self._emit(Unforeseen(str(process.id), tuple(told(error))))
