"""The system processes of one node, and which of them are to be asked what they want.

Most messages concern none of them, so none is asked unless it was told something: whoever tells one anything does so
here. What they want is for the core to carry out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from kernel.address import ProcessId
from kernel.guest import Arrival, Failure, Program
from kernel.message import Envelope
from nectar_node.storage.operations import Job, Outcome
from nectar_node.system.process import SystemProcess, SystemToken
from nectar_node.world import BadCode


class SystemProcesses:
    """See the module's text."""

    def __init__(self, processes: Iterable[SystemProcess]) -> None:
        self.by_id = {each.id: each for each in processes}
        """Not to be changed."""
        self.stirred: deque[SystemProcess] = deque()
        """Those that have been told something since they were asked what they want; who asks them takes them out."""

    def receive(self, envelope: Envelope, now: float) -> None:
        """Give a request of this node to the process that it is for, if there is one."""
        process = self.by_id.get(envelope.target.process)
        if process is not None:
            process.receive(envelope, now)
            self.stirred.append(process)

    def serve_peer(self, envelope: Envelope, now: float) -> bool:
        """Give a request of another node to the process that it is for; False: to none that serves others."""
        process = self.by_id.get(envelope.target.process)
        if process is None or not process.remote:
            return False
        process.receive(envelope, now)
        self.stirred.append(process)
        return True

    def answered(self, token: SystemToken, answer: Arrival | Failure, now: float) -> None:
        """A request that one of them sent has its outcome."""
        process = self.by_id[token.process]
        process.answered(token.token, answer, now)
        self.stirred.append(process)

    def job_done(self, token: SystemToken, job: Job, outcome: Outcome, now: float) -> None:
        """A disk job that one of them wanted is done."""
        process = self.by_id[token.process]
        process.done(job._replace(owner=token.token), outcome, now)
        self.stirred.append(process)

    def code_fetched(self, token: SystemToken, program: Program | BadCode, now: float) -> None:
        """Code that one of them wanted is there, or is not."""
        process = self.by_id[token.process]
        process.code_fetched(token.token, program, now)
        self.stirred.append(process)

    def ended(self, ended: ProcessId, now: float) -> None:
        """A process of a guest has ended."""
        for process in self.by_id.values():
            process.ended(ended, now)
            self.stirred.append(process)

    def on_timer(self, now: float) -> None:
        """Time has passed."""
        for process in self.by_id.values():
            process.on_timer(now)
            self.stirred.append(process)
