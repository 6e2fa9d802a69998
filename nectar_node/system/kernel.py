"""kernel:distro:sys: makes, runs, ends and describes processes on request, in the existing node's shapes.

Only processes of this node reach it, with its messaging capability. Such a process can end any other, as the node's
user can, but it cannot create a capability that it does not hold or issue (G21). The requests are:
- {"InitializeProcess": {id, on_exit, initial_capabilities, public, wasm_bytes_handle, wit_version}}, with the code as
  blob, makes a process without running it: what is sent to it waits in its inbox until {"RunProcess": id}. It gets at
  most what the requester holds or issues. Its name must be free, not a system process's, and in the requester's own
  package, unless the requester holds vfs's {"root": true}: a process reaches its package's drives. Only packages of the
  publisher sys, which are the node's own, make processes in such packages. The requester is its parent: the two may
  message each other, and the requester holds its messaging capability, to pass it on. The answer to the first request
  is "InitializedProcess" or "InitializeProcessError" (the log says why), to the second "StartedProcess" or
  "RunProcessError".
- {"GrantCapabilities": {target, capabilities}} grants what the requester holds or issues, or what its child issues;
  {"DropCapabilities": {target, capabilities}} withdraws.
- {"SetOnExit": {target, on_exit}} changes only the requester's own on-exit: its requests are sent with the target's
  rights, and a child may have rights that its parent lacks. A child's on-exit is set when it is made, by its parent.
- {"KillProcess": id}, answered {"KilledProcess": id}; with the metadata "no-revoke", what it issued stays valid.
- {"Debug": "ProcessMap" or {"Process": id} or {"HasCap": {on, cap}}}, answered {"Debug": …}. If no answer is expected,
  as in the first packages, the node's log shows it, cut to MAX_SHOWN_CHARACTERS.
- "Shutdown" ends the node, as its user's command does. "Booted" has no effect here.
The other requests are answered "Ok". A failure is answered {"Err": …}, and logged.

A system process that sends requests acts for the node's user, and may do what the user may.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from kernel.capabilities.grants import KERNEL_PROCESS
from kernel.contract.address import SYSTEM, Address, ProcessId
from kernel.contract.capability import MESSAGING, Capability, canonical
from kernel.contract.events import ChangeOnExit, GrantCapabilities, Initialize, Kill, Run, WithdrawCapabilities
from kernel.contract.guest import Program
from kernel.contract.message import Envelope, OnExit
from kernel.contract.process import Launch, Process, Waiting
from kernel.router.kernel import Kernel
from nectar_node.base.shipped import OUR_PUBLISHER
from nectar_node.base.system_processes import VFS
from nectar_node.contract.actions import BadCode, LogLine, ShutDown
from nectar_node.contract.json_shapes import (
    RequestRefused,
    bad_request,
    capabilities_untrusted,
    capability_json,
    capability_untrusted,
    dump,
    field_untrusted,
    load_untrusted,
    on_exit_json,
    on_exit_untrusted,
    process_untrusted,
    variant_untrusted,
)
from nectar_node.system.process import SORRY, Cause, CompileCode, SystemAction, SystemProcess, SystemToken, bare, reply

MAX_BODY_BYTES = 256 << 10
"""Bytes of a request's body."""
MAX_MAP_BYTES = 1 << 20
"""Bytes of a {"ProcessMap": …} without its frame."""
MAX_SHOWN_CHARACTERS = 8192
"""Characters of a description in the log: those of some tens of processes."""
MAX_COMPILING = 16
"""Processes whose code is being compiled at the same time; each may hold 64 MiB of it."""


class _Birth(NamedTuple):
    """A process whose code is being compiled."""

    envelope: Envelope
    process: ProcessId
    on_exit: OnExit
    public: bool
    capabilities: tuple[Capability, ...]


class _Compiled(NamedTuple):
    birth: _Birth
    program: Program | BadCode


class KernelProcess(SystemProcess):
    """The kernel, as processes reach it by message."""

    id = KERNEL_PROCESS

    def __init__(self, our: str, kernel: Kernel) -> None:
        """`kernel` is this node's kernel, which is only read here: events alone change it."""
        super().__init__()
        self._our = our
        self._kernel = kernel
        self._waiting: deque[Envelope | _Compiled] = deque()
        self._compiling: list[_Birth] = []
        self._looked_at: Envelope | _Compiled | None = None
        """The request or the compiled code that `next_action` is handling."""
        self._root = canonical(Capability(Address(our, VFS), '{"root":true}'))
        self._actions: dict[str, Callable[[Envelope, Any], object | None]] = {
            "InitializeProcess": self._initialize,
            "RunProcess": self._run,
            "KillProcess": self._kill,
            "GrantCapabilities": self._grant,
            "DropCapabilities": self._drop,
            "SetOnExit": self._set_on_exit,
            "Debug": self._debug,
            "Shutdown": self._shut_down,
            "Booted": lambda envelope, argument: "Ok",
        }

    def receive(self, envelope: Envelope, now: float) -> None:
        """Queue a request; it is handled when everything before it has taken effect."""
        if not envelope.claimed:
            self._waiting.append(envelope)

    def code_fetched(self, token: object, program: Program | BadCode, now: float) -> None:
        """Queue the compiled code of a new process, or why it cannot be compiled; it is handled in its turn too."""
        assert isinstance(token, _Birth)
        self._compiling = [birth for birth in self._compiling if birth is not token]
        self._waiting.append(_Compiled(token, program))

    def next_action(self) -> SystemAction | None:
        """Return the next action, or None."""
        while not self._out and self._waiting:
            self._looked_at = first = self._waiting.popleft()
            if isinstance(first, Envelope):
                self._handle_untrusted(first)
            else:
                self._make(*first)
            self._looked_at = None
        return self._out.popleft() if self._out else None

    def recover(self, cause: Cause, now: float) -> None:
        """Answer the request that was being handled, or whose code was."""
        failed: object = self._looked_at
        if cause is not None:
            failed = cause.token if isinstance(cause, SystemToken) else cause
        if isinstance(failed, _Compiled):
            failed = failed.birth
        if isinstance(failed, _Birth):
            failed = failed.envelope
        self._looked_at = None
        if isinstance(failed, Envelope):
            self._compiling = [birth for birth in self._compiling if birth.envelope.id != failed.id]
            self._answer(failed, {"Err": {"BadRequest": {"error": SORRY}}})

    # --- requests ---------------------------------------------------------------------------------------------------

    def _handle_untrusted(self, envelope: Envelope) -> None:
        try:
            name, argument = variant_untrusted(load_untrusted(envelope.message.body, MAX_BODY_BYTES))
            action = self._actions.get(name)
            if action is None:
                raise bad_request(f"there is no action {name[:64]!r}")
            value = action(envelope, argument)
        except RequestRefused as refused:
            value = {"Err": refused.value}
            self._log(envelope.source.process, f"asked something of the kernel that it refuses: {refused}"[:500])
        if value is not None:
            self._answer(envelope, value)

    def _initialize(self, envelope: Envelope, argument: Any) -> object | None:
        requester = envelope.source.process
        process = process_untrusted(field_untrusted(argument, "id"))
        on_exit = on_exit_untrusted(argument.get("on_exit", "None"), self._our)
        capabilities = capabilities_untrusted(argument.get("initial_capabilities", []), self._our)
        if envelope.blob is None:
            raise bad_request("the process's code must be the blob")
        problem = self._kernel.lifecycle.objection(process) or self._foreign(requester, process)
        if problem is None and len(self._compiling) >= MAX_COMPILING:
            problem = f"{MAX_COMPILING} processes are being compiled already"
        if problem is not None:
            self._log(requester, f"cannot initialize {process}: {problem}")
            return "InitializeProcessError"
        birth = _Birth(bare(envelope), process, on_exit, argument.get("public") is True, capabilities)
        self._compiling.append(birth)
        self._out.append(CompileCode(envelope.blob.bytes, birth))
        return None  # answered when it is compiled

    def _make(self, birth: _Birth, program: Program | BadCode) -> None:
        envelope, process, on_exit, public, wanted = birth
        requester = envelope.source.process
        problem = program.reason if isinstance(program, BadCode) else self._kernel.lifecycle.objection(process)
        if not self._is_there(requester):
            problem = "its requester has ended"
        if problem is not None or isinstance(program, BadCode):
            self._log(requester, f"cannot initialize {process}: {problem}")
            self._answer(envelope, "InitializeProcessError")
            return
        parent = None if self._is_user(requester) else requester
        launch = Launch(process, program, on_exit, public, parent)
        self._out.append(Initialize(launch, self._permitted(requester, wanted)))
        self._out.append(GrantCapabilities(requester, (Capability(Address(self._our, process), MESSAGING),)))
        self._answer(envelope, "InitializedProcess")

    def _foreign(self, requester: ProcessId, process: ProcessId) -> str | None:
        """Return why `requester` may not make a process of that package; None: it may."""
        if process.package_id == requester.package_id or self._is_user(requester):
            return None
        ours = requester.publisher == OUR_PUBLISHER and requester.package_id != SYSTEM  # there the user's own stand in
        if process.publisher == OUR_PUBLISHER and not ours:
            return f"packages of the publisher {OUR_PUBLISHER} are the node's own"
        if self._kernel.grants.holds(requester, self._root):
            return None
        return "it is of another package, whose drives it would reach"

    def _run(self, envelope: Envelope, argument: Any) -> object:
        process = process_untrusted(argument)
        found = self._kernel.processes.get(process)
        if found is None or found.waiting is not Waiting.RUN:
            self._log(envelope.source.process, f"cannot run {process}: it has not been initialized, or runs already")
            return "RunProcessError"
        self._out.append(Run(process))
        return "StartedProcess"

    def _kill(self, envelope: Envelope, argument: Any) -> object:
        process = process_untrusted(argument)
        if self._kernel.is_system(process) or self._kernel.lacks(process):
            raise bad_request(f"{process} is a system process")
        revokes = envelope.message.metadata not in ("no-revoke", '"no-revoke"')
        if self._kernel.lifecycle.is_known(process):  # a revocation is remembered, and names could be invented
            self._out.append(Kill(process, revokes))
        return {"KilledProcess": str(process)}

    def _grant(self, envelope: Envelope, argument: Any) -> object:
        requester = envelope.source.process
        target = process_untrusted(field_untrusted(argument, "target"))
        wanted = capabilities_untrusted(field_untrusted(argument, "capabilities"), self._our)
        if not self._kernel.lifecycle.is_taken(target):
            raise bad_request(f"there is no process {target}")
        self._out.append(GrantCapabilities(target, self._permitted(requester, wanted)))
        return "Ok"

    def _drop(self, envelope: Envelope, argument: Any) -> object:
        target = process_untrusted(field_untrusted(argument, "target"))
        named = capabilities_untrusted(field_untrusted(argument, "capabilities"), self._our)
        self._out.append(WithdrawCapabilities(target, named))
        return "Ok"

    def _set_on_exit(self, envelope: Envelope, argument: Any) -> object:
        requester = envelope.source.process
        target = process_untrusted(field_untrusted(argument, "target"))
        on_exit = on_exit_untrusted(field_untrusted(argument, "on_exit"), self._our)
        if target != requester and not self._is_user(requester):
            raise RequestRefused({"NoCap": {"action": "SetOnExit", "target": str(target)}})
        self._out.append(ChangeOnExit(target, on_exit))
        return "Ok"

    def _shut_down(self, envelope: Envelope, argument: Any) -> object | None:
        self._log(envelope.source.process, "has the node shut down")
        self._answer(envelope, "Ok")
        self._out.append(ShutDown())
        return None

    # --- descriptions -----------------------------------------------------------------------------------------------

    def _debug(self, envelope: Envelope, argument: Any) -> object:
        kernel = self._kernel
        name, which = variant_untrusted(argument)
        if name == "ProcessMap" and which is None:
            shown: object = self._process_map()
        elif name == "Process":
            found = kernel.processes.get(process_untrusted(which))
            shown = self._describe(found) if found is not None else None
        elif name == "HasCap":
            on = process_untrusted(field_untrusted(which, "on"))
            wanted = capability_untrusted(field_untrusted(which, "cap"), self._our)
            shown = kernel.grants.holds(on, wanted) if on in kernel.processes else None
        else:
            raise bad_request('expected "ProcessMap", {"Process": id} or {"HasCap": {"on": id, "cap": capability}}')
        value = {"Debug": {name: shown}}
        if envelope.reply_to is not None:
            return value
        text = dump(value).decode()
        cut = text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
        self._log(envelope.source.process, f"has the kernel show {cut}")
        return None

    def _process_map(self) -> dict[str, object]:
        shown, size = {}, 0
        for id, process in self._kernel.processes.items():
            shown[str(id)] = description = self._describe(process)
            size += len(dump(description))
            if size > MAX_MAP_BYTES:
                raise bad_request('there is more to show than fits into an answer: ask for each with {"Process": id}')
        return dict(sorted(shown.items()))

    def _describe(self, process: Process) -> dict[str, object]:
        kernel, id = self._kernel, process.address.process
        return {
            # The existing node's fields; it keeps code under a handle and notes an interface version, this one neither.
            "wasm_bytes_handle": "",
            "wit_version": None,
            "on_exit": on_exit_json(process.on_exit),
            "capabilities": [capability_json(each) for each in kernel.grants.of(id)],
            "public": process.launch.public,
            # This node's own fields.
            "state": process.waiting.value,
            "inbox": len(process.mailbox),
            "messages": process.messages,
            "restarts": kernel.lifecycle.restarts(id),
        }

    # --- rights -----------------------------------------------------------------------------------------------------

    def _is_user(self, requester: ProcessId) -> bool:
        return self._kernel.is_system(requester)

    def _is_there(self, requester: ProcessId) -> bool:
        return self._is_user(requester) or requester in self._kernel.processes

    def _is_child(self, process: ProcessId, parent: ProcessId) -> bool:
        found = self._kernel.processes.get(process)
        return found is not None and found.launch.parent == parent

    def _permitted(self, requester: ProcessId, wanted: tuple[Capability, ...]) -> tuple[Capability, ...]:
        """Return those of `wanted` that `requester` may give away (G21)."""
        if self._is_user(requester):
            return wanted
        own = set(self._kernel.grants.attachable(Address(self._our, requester), wanted))
        kept = tuple(each for each in wanted if each in own or self._issued_by_child(each, requester))
        if len(kept) < len(wanted):
            self._log(requester, "would give a capability that it neither issues nor holds; it was left out")
        return kept

    def _issued_by_child(self, capability: Capability, parent: ProcessId) -> bool:
        return capability.issuer.node == self._our and self._is_child(capability.issuer.process, parent)

    # --- answers ----------------------------------------------------------------------------------------------------

    def _log(self, about: ProcessId, text: str) -> None:
        self._out.append(LogLine(str(about), 0, text))

    def _answer(self, envelope: Envelope, value: object) -> None:
        answer = reply(KERNEL_PROCESS, envelope, dump(value))
        if answer is not None:
            self._out.append(answer)
