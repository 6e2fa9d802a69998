"""How processes come and go: start, spawn, kill, end, on-exit, restart (G21, G22, G25).

Owns the table of running processes and those that wait for their restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from kernel.capabilities.stripping import strip
from kernel.contract import limits
from kernel.contract.address import SYSTEM, Address, PackageId, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.descent import Descent, Kin
from kernel.contract.errors import BadAddress
from kernel.contract.events import (
    Begin,
    ChangeOnExit,
    CloseGuest,
    Continue,
    Ended,
    GrantCapabilities,
    Initialize,
    Kill,
    KillAll,
    Load,
    Loaded,
    Restore,
    Restored,
    Run,
    Start,
    Trapped,
    WithdrawCapabilities,
)
from kernel.contract.guest import End, Spawn, SpawnError
from kernel.contract.json_text import is_json
from kernel.contract.message import OnExit, OnExitAction, Reason
from kernel.contract.process import Launch, Process, Remnant, Waiting
from kernel.router.backpressure import Backpressure
from kernel.router.handover import Handover
from kernel.router.outcomes import Outcomes
from kernel.router.requests import Requests
from kernel.router.restarts import Restarts
from kernel.router.state import KernelState

KILLS_AT_ONCE = 128
"""Processes that are ended without a pause, at 40 microseconds each, with telling all that wait for them. If more are
to end together, the others no longer run, and end a few at a time while messages flow."""


class _Spawning(NamedTuple):
    parent: Process
    spawn: Spawn


class Lifecycle:
    """The processes of one node."""

    def __init__(
        self,
        state: KernelState,
        handover: Handover,
        outcomes: Outcomes,
        backpressure: Backpressure,
        requests: Requests,
    ) -> None:
        self.processes = state.processes
        self.handed_before = 0
        """Messages handed to processes that have ended."""
        self._grants = state.grants
        self._state = state
        self._handover = handover
        self._outcomes = outcomes
        self._backpressure = backpressure
        self._requests = requests
        self._our = state.our
        self._spawning: dict[ProcessId, _Spawning] = {}
        self._restarts = Restarts()
        self._descent = Descent()
        self._doomed: dict[ProcessId, None] = {}
        """Processes that are about to end, and no longer run."""
        self._doomed_at = 0.0
        self._of_package: Counter[PackageId] = Counter()
        """Running processes, by package."""
        self._restoring = True
        """Whether processes of before the boot may still be restored."""
        self._unwanted: set[ProcessId] = set()
        """Processes that were killed before they were restored at this boot."""
        self._changed: set[ProcessId] = set()
        """Processes of which something else is to be kept than before (G26)."""

    # --- begin ------------------------------------------------------------------------------------------------------

    def on_start(self, event: Start) -> None:
        """Start a process for the node's user, in place of one of the same id if there is one. They may give it the
        name of a system process that this node does not have."""
        process = event.launch.process
        if process in self._state.system:
            self._state.log(process, "cannot be started: the name is a system process's")
            return
        self._cancel_spawn(process)
        if process in self.processes or process in self._doomed:
            self.on_kill(Kill(process))
        self._cancel_restarts({process})
        self._grant(process, event.capabilities)
        self._begin(event.launch, event.launch.on_exit)

    def _begin(self, launch: Launch, on_exit: OnExit, kin: Kin | None = None) -> None:
        """Start a process; `kin` is that of its life, if this is a restart."""
        process = self._make(launch, on_exit, kin)
        self._state.emit(Begin(launch, process.address))

    def _grant(self, process: ProcessId, capabilities: tuple[Capability, ...]) -> None:
        if not self._grants.grant(process, capabilities):
            self._state.log(process, "is granted fewer capabilities than asked for: it or its package holds too many")

    def _make(self, launch: Launch, on_exit: OnExit, kin: Kin | None = None) -> Process:
        if kin is None:
            parent = self.processes.get(launch.parent) if launch.parent is not None else None
            kin = self._descent.born(launch.process, parent.kin if parent is not None else None)
        account = self._state.memory.of_process(launch.process)
        process = Process(Address(self._our, launch.process), launch, account, kin, self._state.now)
        process.on_exit = on_exit
        self.processes[launch.process] = process
        self._changed.add(launch.process)
        self._of_package[launch.process.package_id] += 1
        return process

    # --- as kernel:distro:sys has it done ---------------------------------------------------------------------------

    def on_initialize(self, event: Initialize) -> None:
        """Make a process without running it."""
        launch = event.launch
        if self.objection(launch.process) is not None or launch.parent in self._doomed:
            return
        self._grants.forget(launch.process)  # what an earlier process of that name held is not its own (G21)
        if self._grants.grant_bounded(launch.process, event.capabilities):
            self._make(launch, launch.on_exit).waiting = Waiting.RUN

    def on_run(self, event: Run) -> None:
        """Run a process that was made before; what has come in meanwhile waits in its inbox."""
        process = self.processes.get(event.process)
        if process is not None and process.waiting is Waiting.RUN:
            process.waiting = Waiting.NOTHING
            process.started_at = self._state.now
            self._changed.add(event.process)
            self._state.emit(Begin(process.launch, process.address))

    def on_grant(self, event: GrantCapabilities) -> None:
        """Grant capabilities to a process that is there: for a name without a process they could pile up
        without end.
        """
        if self.is_taken(event.holder) and not self._grants.grant_bounded(event.holder, event.capabilities):
            self._state.log(event.holder, "holds too many capabilities to be given more")

    def on_withdraw(self, event: WithdrawCapabilities) -> None:
        """Take capabilities from a process."""
        self._grants.drop(event.holder, event.capabilities)

    def on_change_on_exit(self, event: ChangeOnExit) -> None:
        """Change a process's on-exit setting."""
        process = self.processes.get(event.process)
        if process is not None:
            self.set_on_exit(process, event.on_exit)

    def set_on_exit(self, process: Process, on_exit: OnExit) -> None:
        """Change a process's on-exit setting."""
        process.on_exit = on_exit
        self._changed.add(process.address.process)

    def go_on(self, process: Process) -> None:
        """Let a process run on that has used up its slice."""
        self._state.emit(Continue(process.address.process))

    # --- spawn (G25) ------------------------------------------------------------------------------------------------

    def spawn(self, parent: Process, effect: Spawn) -> bool:
        """Spawn a child in the parent's own package."""
        parent.waiting = Waiting.CALL
        ours = parent.address.process
        name = effect.name if effect.name is not None else str(self._state.fresh_id())
        child = ProcessId(name, ours.package, ours.publisher)
        problem = self.objection(child)
        if problem is not None:
            self._state.log(ours, f"cannot spawn {name!r}: {problem}")
            self._handover.answer_call(parent, SpawnError.NAME_TAKEN)
            return True
        self._spawning[child] = _Spawning(parent, effect)
        self._state.emit(Load(child, ours.package_id, effect.wasm_path))
        return True

    def objection(self, process: ProcessId) -> str | None:
        """Return why no new process can have this name, or None if it can."""
        try:
            Address(self._our, process).validate()
        except BadAddress as error:
            return str(error)
        if self._is_reserved(process):
            return "the name is a system process's"
        if self.is_known(process):
            return "the name is taken"
        if len(self.processes) + len(self._spawning) + len(self._restarts) >= limits.MAX_PROCESSES:
            return f"this node runs {limits.MAX_PROCESSES} processes already"
        if self._of_package[process.package_id] >= limits.MAX_PROCESSES_OF_PACKAGE:
            return f"its package runs {limits.MAX_PROCESSES_OF_PACKAGE} processes already"
        return None

    def is_taken(self, process: ProcessId) -> bool:
        """Return whether the name's process runs, waits for its restart, or is about to be started."""
        known = process in self.processes or process in self._restarts or process in self._state.starting
        return known or process in self._doomed

    def is_known(self, process: ProcessId) -> bool:
        """Return whether the name is taken, or being spawned."""
        return self.is_taken(process) or process in self._spawning

    def _is_reserved(self, process: ProcessId) -> bool:
        return process.package_id == SYSTEM or process in self._state.system

    def _cancel_spawn(self, child: ProcessId) -> None:
        """Fail the spawn under way, since another process takes the name, or the user does not want it."""
        spawning = self._spawning.pop(child, None)
        if spawning is not None and self.processes.get(spawning.parent.address.process) is spawning.parent:
            self._handover.answer_call(spawning.parent, SpawnError.NAME_TAKEN)

    def on_loaded(self, event: Loaded) -> None:
        """Go on with a spawn whose code is there, or is not."""
        spawning = self._spawning.pop(event.process, None)
        if spawning is None:
            return
        parent, effect = spawning
        if self.processes.get(parent.address.process) is not parent:
            return  # it ended meanwhile
        child = event.process
        if isinstance(event.program, SpawnError):
            self._handover.answer_call(parent, event.program)
            return
        self._grants.forget(child)  # what an earlier process of that name held is not its own (G21)
        self._grant(child, self._inherited(parent, effect.request_capabilities))
        for holder, params in effect.grant_capabilities:
            granted = Capability(Address(self._our, child), params)
            # Only to processes that are there: names without one could be invented without end.
            if not is_json(params) or not self.is_taken(holder) or not self._grants.grant_bounded(holder, [granted]):
                self._state.log(parent.address.process, f"cannot grant {holder} a capability of {child}")
        path = effect.wasm_path
        launch = Launch(child, event.program, effect.on_exit, effect.public, parent.address.process, path)
        self._begin(launch, effect.on_exit)
        self._handover.answer_call(parent, child)

    def _inherited(self, parent: Process, wanted: tuple[Capability, ...]) -> tuple[Capability, ...]:
        """Return those of the wanted capabilities that the parent holds or issues itself (G21)."""
        kept = self._grants.attachable(parent.address, wanted)
        if len(kept) < len(wanted):
            self._state.log(parent.address.process, "asked for a child to hold what it does not hold itself")
        return kept

    # --- end (G22) --------------------------------------------------------------------------------------------------

    def ended(self, process: Process, end: End) -> None:
        """Apply the on-exit setting of a guest that returned or trapped."""
        crash = self._crash(process, end) if end.trap is not None else None
        self._remove([process])
        again = None
        if process.on_exit.action is OnExitAction.RESTART:
            again = self._restart_later(process)
        else:
            if process.on_exit.action is OnExitAction.REQUESTS:
                self._requests.send_as_ended(process)
            self._forget(process.address.process)
            self._descent.ended(process.kin)
        if crash is not None:
            self._state.emit(replace(crash, again=again))
        self._state.emit(Ended(process.address.process, end.trap))

    def _crash(self, process: Process, end: End) -> Trapped:
        """Tell of a trap, while what waits for the process is still known."""
        id = process.address.process
        self._state.log(id, f"ended: {end.trap}")
        if any(frame.file for frame in end.frames):
            for frame in end.frames:
                self._state.log(id, f"  at {frame}")
        lineage = self._state.outstanding.lineage(process)
        return Trapped(
            self._state.now,
            process.address,
            end,
            process.handled,
            lineage,
            process.started_at,
            self._restarts.count(id),
            None,
        )

    def _forget(self, process: ProcessId) -> None:
        """Forget a process that is gone for good."""
        self._changed.add(process)
        self._grants.forget(process)
        self._restarts.forget(process)

    def trap(self, process: Process, why: str) -> None:
        """End a process that did what the interface forbids."""
        self.ended(process, End(why))

    def on_kill(self, event: Kill) -> None:
        """End a process for the user: no on-exit runs, and what it issued is revoked (G21), unless the event says
        otherwise."""
        self._kill((event.process,), revokes=event.revokes)

    def on_kill_all(self, event: KillAll) -> None:
        """End several processes for the user in one step: from here on none of them does anything."""
        rest = event.processes[KILLS_AT_ONCE:]
        if rest:
            self._doom(rest)
        self._kill(event.processes[:KILLS_AT_ONCE], revokes=True)

    def _doom(self, processes: Collection[ProcessId]) -> None:
        self._doomed |= dict.fromkeys(processes)
        self._doomed_at = self._state.now
        self._cancel_restarts(set(processes))
        self._spawning = {
            child: spawning
            for child, spawning in self._spawning.items()
            if spawning.parent.address.process not in self._doomed
        }
        for process in map(self.processes.get, processes):
            if process is not None:
                self._hush(process)
                process.waiting = Waiting.END
                self._state.emit(CloseGuest(process.address.process))

    @property
    def ending(self) -> bool:
        """Whether there are processes that no longer run and are still to be ended."""
        return bool(self._doomed)

    def _kill(self, killed: Collection[ProcessId], *, revokes: bool) -> None:
        for process in killed:
            self._doomed.pop(process, None)
            self._cancel_spawn(process)
            if process in self._state.starting and self._restoring:
                self._unwanted.add(process)
        self._cancel_restarts(set(killed))
        if revokes:
            self._revoke({Address(self._our, process): None for process in killed})
        for process in killed:
            self._forget(process)
        running = [process for process in map(self.processes.get, killed) if process is not None]
        self._remove(running)
        for each in running:
            self._descent.ended(each.kin)
            self._state.emit(Ended(each.address.process))

    def _cancel_restarts(self, processes: set[ProcessId]) -> None:
        """Cancel the restarts of these processes."""
        for restart in self._restarts.cancel(processes):
            self._descent.ended(restart.kin)

    def _remove(self, ended: Sequence[Process]) -> None:
        """Remove processes, all of them before any other is told: what others do then must not reach any."""
        for process in ended:
            self._hush(process)
        for process in ended:
            del self.processes[process.address.process]
            package = process.address.process.package_id
            self._of_package[package] -= 1
            if not self._of_package[package]:
                del self._of_package[package]
            self._state.emit(CloseGuest(process.address.process))
        self._bury(ended)

    def _hush(self, process: Process) -> None:
        """Drop what a process that is about to end waits to send, and what it was to do after that."""
        if process.stall is not None:
            self._outcomes.dead(process.stall.envelope, Reason.PROCESS_ENDED)
            self._state.give_up(process)

    def _bury(self, ended: Sequence[Process]) -> None:
        """Forget what processes that have ended together waited for, then tell all that wait for one of them (G14)."""
        for process in ended:
            self._state.ended += 1
            self.handed_before += process.messages
            if self._state.tracer is not None:
                self._state.tracer.ended(process.address.process)
            self._state.outstanding.release(process)
            for number in tuple(process.untaken):
                self._outcomes.taken(process, number)
        starting = self._state.starting
        for process in ended:
            id = process.address.process
            self._outcomes.orphan(process, has_heir=id in starting)
            while process.mailbox:
                delivery = process.mailbox.take()
                if not (delivery.is_request and starting.wait(id, delivery)):
                    self._outcomes.bury(process, delivery)
            self._backpressure.release(process)

    def _revoke(self, issuers: Collection[Address]) -> None:
        """Revoke all capabilities that processes have issued, wherever they are (G21)."""
        for issuer in issuers:
            self._grants.revoke(issuer)
        strip(self.processes.values(), self._state.starting.queues(), issuers)

    # --- families (G22) ---------------------------------------------------------------------------------------------

    def tree(self, chosen: Callable[[ProcessId], bool]) -> tuple[ProcessId, ...]:
        """Return the processes whose ids are `chosen` and all that descend from one of them, parents first, even if a
        process between has ended; those that wait for their restart are included."""
        roots = [process.kin for id, process in self.processes.items() if chosen(id)]
        roots += [restart.kin for restart in sorted(self._restarts) if chosen(restart.launch.process)]
        roots += self._descent.ghosts(chosen)
        return tuple(kin.id for kin in self._descent.below(roots))

    # --- restart ----------------------------------------------------------------------------------------------------

    def _restart_later(self, process: Process) -> float:
        id = process.address.process
        wait = self._restarts.add(process, self._state.now)
        self._changed.add(id)
        self._state.log(id, f"starts again in {wait:g} s")
        return wait

    def next_deadline(self) -> float | None:
        """Return when the next restart is due; at once, if there is more to end."""
        if self._doomed:
            return self._doomed_at
        return self._restarts.next_deadline()

    def on_tick(self) -> None:
        """Restart the processes whose time has come; go on ending what is to end."""
        if self._doomed:
            self._kill(tuple(islice(self._doomed, KILLS_AT_ONCE)), revokes=True)
        while (restart := self._restarts.pop_due(self._state.now)) is not None:
            self._begin(restart.launch, restart.on_exit, restart.kin)

    def restarts(self, process: ProcessId) -> int:
        """Return how often a process has been restarted since it was started."""
        return self._restarts.count(process)

    def waiting(self) -> list[tuple[Launch, float]]:
        """Return the processes that wait for a restart, and when that is due, by name."""
        waiting = ((restart.launch, restart.at) for restart in self._restarts)
        return sorted(waiting, key=lambda each: each[0].process)

    # --- over a reboot (G26) ----------------------------------------------------------------------------------------

    @property
    def has_changed(self) -> bool:
        """Whether `take_remnants` returns any."""
        return bool(self._changed)

    def take_remnants(self) -> dict[ProcessId, Remnant | None]:
        """Return what is to be kept of the processes of which that has changed since this was called last.

        None: nothing, since it has ended.
        """
        changed, self._changed = self._changed, set()
        kept: dict[ProcessId, Remnant | None] = dict.fromkeys(sorted(changed))
        for restart in self._restarts:
            if restart.launch.process in changed:
                launch, kin = restart.launch, restart.kin
                wait = restart.wait
                kept[launch.process] = self._restarts.remnant(launch, restart.on_exit, kin, runs=True, waits=wait)
        for process in filter(None, map(self.processes.get, changed)):
            if process.launch.returns:
                runs = process.waiting is not Waiting.RUN
                launch, kin = process.launch, process.kin
                kept[launch.process] = self._restarts.remnant(launch, process.on_exit, kin, runs=runs)
        return kept

    def on_restored(self, _: Restored) -> None:
        """Note that all processes have been restored, or cannot be."""
        self._restoring = False
        self._descent.all_restored()
        self._unwanted.clear()

    def on_restore(self, event: Restore) -> None:
        """Let a process run again that ran before the node went down. Nothing happens if its name is taken, or if it
        was killed since the node has booted."""
        kept = event.remnant
        id, problem = kept.process, None
        if id in self._unwanted:
            return
        if id in self.processes or id in self._restarts or id in self._doomed or id in self._state.system:
            problem = "the name is taken"
        elif id in self._spawning:
            self._cancel_spawn(id)
        if problem is not None:
            self._state.log(id, f"does not run again: {problem}")
            return
        launch = Launch(id, event.program, event.remnant.on_exit, kept.public, kept.parent, kept.path)
        kin = self._descent.restored(id, kept.ancestors)
        if self._restarts.restore(kept, launch, kin, self._state.now):
            return
        if kept.runs:
            self._begin(launch, kept.on_exit, kin)
        else:
            self._make(launch, kept.on_exit, kin).waiting = Waiting.RUN
