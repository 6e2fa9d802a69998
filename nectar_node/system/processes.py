"""The system processes of one node, and which of them are to be asked what they want.

Most messages concern none of them, so none is asked unless it was told something: whoever tells one anything does so
here. What they want is for the core to carry out. An exception of one's code ends what it was told, and nothing else.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from kernel.contract.address import ProcessId
from kernel.contract.events import UseState
from kernel.contract.guest import Arrival, Failure, Program
from kernel.contract.message import Envelope
from nectar_node.contract.actions import BadCode
from nectar_node.storage.operations import Job, Outcome
from nectar_node.system.process import Cause, SystemProcess, SystemToken, Wish
from nectar_node.system.state import State
from nectar_node.system.terminal import Terminal
from net.base.timers import Timers
from net.contract.events import Unforeseen
from net.peering.containment import told


class SystemProcesses:
    """See the module's text."""

    def __init__(self, processes: Iterable[SystemProcess], emit: Callable[[Unforeseen], None]) -> None:
        """`emit` is given every failure of their own code."""
        self._emit = emit
        self.failures: Counter[ProcessId] = Counter()
        """How often the code of each has failed."""
        self.by_id = {each.id: each for each in processes}
        """Not to be changed."""
        self.stirred: deque[SystemProcess] = deque()
        """Those that have been told something since they were asked what they want; who asks them takes them out."""
        self._timers: Timers[ProcessId] = Timers()
        """When each has something to do: it says so when it has said all that it wants."""

    def receive(self, envelope: Envelope, now: float) -> None:
        """Give a request of this node to the process that it is for, if there is one."""
        process = self.by_id.get(envelope.target.process)
        if process is not None:
            self._receive(process, envelope, now)

    def serve_peer(self, envelope: Envelope, now: float) -> bool:
        """Give a request of another node to the process that it is for; False: to none that serves others."""
        process = self.by_id.get(envelope.target.process)
        if process is None or not process.remote:
            return False
        self._receive(process, envelope, now)
        return True

    def _receive(self, process: SystemProcess, envelope: Envelope, now: float) -> None:
        self.stirred.append(process)
        try:
            process.receive(envelope, now)
        except Exception as error:
            self._failed(process, envelope, error, now)

    def use_state(self, state: State, wanted: UseState, now: float) -> None:
        """Let a process of a guest use its saved state."""
        self.stirred.append(state)
        try:
            state.use(wanted)
        except Exception as error:
            self._failed(state, wanted, error, now)

    def stop_script(self, terminal: Terminal, user: object, now: float) -> None:
        """The user wants no more of a script."""
        self.stirred.append(terminal)
        try:
            terminal.stop(user)
        except Exception as error:
            self._failed(terminal, None, error, now)

    def answered(self, token: SystemToken, answer: Arrival | Failure, now: float) -> None:
        """A request that one of them sent has its outcome."""
        process = self.by_id[token.process]
        self.stirred.append(process)
        try:
            process.answered(token.token, answer, now)
        except Exception as error:
            self._failed(process, token, error, now)

    def job_done(self, token: SystemToken, job: Job, outcome: Outcome, now: float) -> None:
        """A disk job that one of them wanted is done."""
        process, own = self.by_id[token.process], job._replace(owner=token.token)
        self.stirred.append(process)
        try:
            process.done(own, outcome, now)
        except Exception as error:
            self._failed(process, own, error, now)

    def code_fetched(self, token: SystemToken, program: Program | BadCode, now: float) -> None:
        """Code that one of them wanted is there, or is not."""
        process = self.by_id[token.process]
        self.stirred.append(process)
        try:
            process.code_fetched(token.token, program, now)
        except Exception as error:
            self._failed(process, token, error, now)

    def ended(self, ended: ProcessId, now: float) -> None:
        """A process of a guest has ended."""
        for process in self.by_id.values():
            self.stirred.append(process)
            try:
                process.ended(ended, now)
            except Exception as error:
                self._failed(process, None, error, now)

    def on_timer(self, now: float) -> None:
        """Time has passed."""
        for process in self.by_id.values():
            self.stirred.append(process)
            try:
                process.on_timer(now)
            except Exception as error:
                self._failed(process, None, error, now)

    def next_deadline(self) -> float | None:
        """When `on_timer` has something to do; those in `stirred` have not said so yet."""
        return self._timers.next()

    def next_wish(self, process: SystemProcess, now: float) -> Wish | None:
        """What one of them wants done; None: nothing more."""
        while True:
            try:
                wish = process.next_action()
                if wish is None:
                    self._timers.set(process.id, process.next_deadline())
                return wish
            except Exception as error:
                self._failed(process, None, error, now)

    def _failed(self, process: SystemProcess, cause: Cause, error: Exception, now: float) -> None:
        """Its code has failed: what it was told ends, and nothing else."""
        self._note(process, error)
        try:
            process.recover(cause, now)
        except Exception as again:  # whoever asked learns of it when its time is up
            self._note(process, again)

    def _note(self, process: SystemProcess, error: Exception) -> None:
        self.failures[process.id] += 1
        self._emit(Unforeseen(str(process.id), tuple(told(error))))
