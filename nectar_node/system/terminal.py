"""terminal:terminal:sys: runs scripts for the node's user.

A request's body is a typed line, `SCRIPT ARGS…`. Only the node's user sends one, as a message of this process to
itself. The script (`nectar_node.packages.scripts`) is in the folder of an installed package, never in a drive, where
processes write. It is started as a process of its package under a random name, without on-exit, with what scripts.json
requests. Its first request has the arguments as body; its response, body and blob, is the answer to the line. Then it
ends: it returns by itself, or is killed after `GRACE_SECONDS`, when the time for the answer is over, or when the user
stops it (`Terminal.stop`).

With `root` a script gets the rights of the node's user: to use the network, reach every drive, and message every system
process and the processes that run when it starts, first those that its arguments name. A package's scripts get that,
and other powerful capabilities, only if the user has granted them to the package.

An answer with the metadata `FAILED`, `OFFLINE` or `TIMED_OUT` says why a script was not run, or what it could
not do. Scripts use them too.

Scripts of the package terminal:sys that hold its messaging capability may also send {"EditAlias": {"alias": NAME,
"process": SCRIPT}}, or that object alone as in the first packages, with "" or null to remove one. The answer is "Ok",
{"EditAlias": "AliasSet"} for guests of the late interfaces, or {"Err": SENTENCE}. "GetAliases" is answered {"Aliases":
{NAME: SCRIPT, …}}. Aliases are kept in the node's store.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice

from kernel.capabilities.grants import KERNEL_PROCESS
from kernel.contract import limits
from kernel.contract.address import OUR_NODE, Address, PackageId, ProcessId
from kernel.contract.capability import MESSAGING, NETWORK, Capability
from kernel.contract.errors import BadAddress
from kernel.contract.events import GrantCapabilities, Inject, Kill, Reply, Start
from kernel.contract.guest import Arrival, Failure, Generation, Program
from kernel.contract.message import ON_EXIT_NONE, Envelope, LazyLoadBlob, Reason, Request, Response, SendErrorKind
from kernel.contract.process import Launch
from nectar_node.base.system_processes import TERMINAL, VFS
from nectar_node.contract.actions import BadCode
from nectar_node.contract.generations import ALIAS_SET, GenerationOf
from nectar_node.packages.aliases import Aliases
from nectar_node.packages.scripts import (
    MAX_SCRIPTS_BYTES,
    SCRIPTS_FILE,
    BadScript,
    Script,
    all_rights,
    parse_scripts_untrusted,
)
from nectar_node.storage.operations import DiskError, Job, Location, Outcome, ReadAt
from nectar_node.system.process import SORRY, Cause, FetchCode, SystemProcess, SystemToken, bare

FAILED = '"failed"'
"""Metadata of an answer that says why a script was not run, or could not do what it was told."""
OFFLINE = '"offline"'
"""The same, because another node cannot be reached."""
TIMED_OUT = '"timeout"'
"""The same, because another process does not answer."""
MAX_LINE_BYTES = 1 << 20
"""Bytes of one typed line."""
MAX_RUNS = 64
"""Scripts that run at the same time."""
PATIENCE_SECONDS = 3600
"""Seconds that a script may take if nobody waits for its answer."""
GRACE_SECONDS = 1.0
"""Seconds that a script has to return by itself after its answer."""
MAX_ALIAS_BODY_BYTES = 4096
"""Bytes of a script's request about aliases."""
_MOST_NAMED = 64
"""Words of the arguments that are read as addresses."""


@dataclass(slots=True)
class _Run:
    number: int
    script: ProcessId
    arguments: bytes
    requester: Envelope
    user: object | None
    """The token of the user who is shown what it prints."""
    deadline: float
    settings: Script | None = None
    """The script's settings; None: scripts.json is being read."""
    process: ProcessId | None = None
    """The script's process; None: its code is being read."""
    answered: bool = False
    ended: bool = False
    stopped: bool = False
    failure: str = FAILED
    """The metadata to answer with if it ends without an answer: one of those above."""


class Terminal(SystemProcess):
    """The terminal of one node."""

    id = TERMINAL

    def __init__(
        self,
        our: str,
        fresh_id: Callable[[], int],
        locate: Callable[[PackageId, str], Location | None],
        everybody: Callable[[], Iterable[ProcessId]],
        may: Callable[[PackageId, Capability], bool] = lambda package, capability: True,
        aliases: Mapping[str, ProcessId | None] | None = None,
        generation: GenerationOf = lambda _: Generation.EARLY,
    ) -> None:
        """`fresh_id` returns unpredictable u64s, `locate` the place of a file of an installed package (None: the
        package is not installed), `everybody` the processes of this node, the system processes first, and `may` whether
        the user lets the scripts of a package have a capability; `aliases` are those of earlier boots (`Aliases`);
        `generation` returns which shapes a process knows.
        """
        super().__init__()
        self._may = may
        self._our = our
        self._generation = generation
        self._fresh_id = fresh_id
        self._locate = locate
        self._everybody = everybody
        self.aliases = Aliases(aliases)
        """The user's aliases, which the store keeps."""
        self._runs: dict[int, _Run] = {}
        self._processes: dict[ProcessId, _Run] = {}
        self._users: dict[str, object] = {}
        self._count = 0

    # --- the user ---------------------------------------------------------------------------------------------------

    def expect(self, user: object) -> str:
        """Return the metadata for a typed line, by which `user_of` later finds the user who is shown the script's
        output.
        """
        self._count += 1
        metadata = str(self._count)
        self._users[metadata] = user
        return metadata

    def user_of(self, process: ProcessId) -> object | None:
        """Return the user who is shown what a process prints; None: it is not a script that somebody waits for."""
        run = self._processes.get(process)
        return None if run is None or run.answered else run.user

    def stop(self, user: object) -> None:
        """Stop the script that a user runs."""
        for run in [each for each in self._runs.values() if each.user is user and not each.answered]:
            run.stopped = True
            if run.process is not None:
                self._out.append(Kill(run.process))  # `answered` does the rest
            else:
                self._give_up(run, _stopped(run))

    # --- the five verbs ---------------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, now: float) -> None:
        """Take a typed line, or a script's request about aliases."""
        if envelope.source != Address(self._our, TERMINAL):
            self._answer_script(envelope)
            return
        user = self._users.pop(envelope.message.metadata or "", None)
        try:
            self._begin_untrusted(envelope, user, now)
        except BadScript as error:
            self._reply(envelope, str(error).encode(), FAILED, None)

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Go on with the contents of a scripts.json, or report why it cannot be read."""
        run = self._runs.get(job.owner)  # type: ignore[call-overload]
        if run is None:
            return  # it has been given up in the meantime
        try:
            if isinstance(outcome, DiskError):
                raise self._no_scripts(run.script)
            assert isinstance(outcome, bytes)
            run.settings = parse_scripts_untrusted(outcome, run.script, self._our)
            if run.settings.root and not self._may(run.script.package_id, all_rights(self._our)):
                raise BadScript(
                    f"{run.script} wants all your rights, which {run.script.package_id} was not given: start that "
                    "again with --grant scripts-root."
                )
        except BadScript as error:
            self._give_up(run, str(error))
        else:
            self._out.append(FetchCode(run.script.package_id, run.settings.entry.wasm_path, run.number))

    def code_fetched(self, token: object, program: Program | BadCode, now: float) -> None:
        """Start a script, whose code is loaded, or report why it cannot be."""
        run = self._runs.get(token)  # type: ignore[call-overload]
        if run is None:
            return
        if isinstance(program, BadCode):
            self._give_up(run, f"{run.script} cannot be started from {_code_of(run)}: {program.reason.rstrip('.')}.")
        else:
            self._start(run, program, now)

    def answered(self, token: object, answer: Arrival | Failure, now: float) -> None:
        """Answer a line with a script's response, or with why there will be none."""
        run = self._runs.get(token)  # type: ignore[call-overload]
        if run is None:
            return
        if isinstance(answer, Arrival):
            run.answered, run.deadline = True, now + GRACE_SECONDS
            response = answer.message
            self._reply(run.requester, response.body, response.metadata, answer.blob)
            if run.ended:
                self._forget(run)
        elif run.stopped:
            self._give_up(run, _stopped(run))
        elif answer.error.reason is Reason.EXPIRED:
            self._forget(run)  # the kernel has told the requester
        else:
            self._give_up(run, f"{run.script} ended without an answer.", run.failure)

    def failed(self, process: ProcessId, kind: SendErrorKind) -> None:
        """Note why a request of a script has failed: the reason to give if the script never answers."""
        run = self._processes.get(process)
        if run is not None:
            run.failure = OFFLINE if kind is SendErrorKind.OFFLINE else TIMED_OUT

    def ended(self, process: ProcessId, now: float) -> None:
        """Forget a script that has returned, crashed or been killed."""
        run = self._processes.get(process)
        if run is not None:
            run.ended = True
            if run.answered:
                self._forget(run)

    def next_deadline(self) -> float | None:
        """Return when the first script has had its time, or None."""
        return min((run.deadline for run in self._runs.values()), default=None)

    def on_timer(self, now: float) -> None:
        """End the scripts that have had their time; the kernel tells their requesters."""
        for run in [each for each in self._runs.values() if each.deadline <= now]:
            self._forget(run)

    def recover(self, cause: Cause, now: float) -> None:
        """End the run whose handling has failed, or answer the request."""
        if isinstance(cause, Envelope):
            runs = [run for run in self._runs.values() if run.requester.id == cause.id]
            self._reply(cause, f"{SORRY}.".capitalize().encode(), FAILED, None)
        elif cause is None:
            runs = [run for run in self._runs.values() if run.deadline <= now or (run.ended and run.answered)]
        else:
            number = cause.owner if isinstance(cause, Job) else getattr(cause, "token", None)
            runs = [run for run in self._runs.values() if run.number == number]
        for run in runs:
            self._reply(run.requester, f"{SORRY}.".capitalize().encode(), FAILED, None)
            del self._runs[run.number]
            if run.process is not None:
                self._out.append(Kill(run.process))
        self._processes = {run.process: run for run in self._runs.values() if run.process is not None}

    # --- a run, from the line to the end ----------------------------------------------------------------------------

    def _begin_untrusted(self, envelope: Envelope, user: object, now: float) -> None:
        request = envelope.message
        assert isinstance(request, Request)
        word, arguments = _split_untrusted(request.body)
        script = self.aliases.resolve(word)
        if len(self._runs) >= MAX_RUNS:
            raise BadScript(f"{MAX_RUNS} scripts are running already: try again when one has ended.")
        seconds = PATIENCE_SECONDS if request.expects_response is None else request.expects_response
        location = self._locate(script.package_id, SCRIPTS_FILE)
        if location is None:
            raise self._no_scripts(script)
        self._count += 1
        run = _Run(self._count, script, arguments.encode(), bare(envelope), user, now + seconds)
        self._runs[run.number] = run
        read = ReadAt(location, 0, MAX_SCRIPTS_BYTES + 1)
        self._out.append(Job(read, str(read.location), run.number))

    def _no_scripts(self, script: ProcessId) -> BadScript:
        return BadScript(f"{script.package_id} has no scripts, or is not installed on {self._our}.")

    def _start(self, run: _Run, program: Program, now: float) -> None:
        assert run.settings is not None
        entry = run.settings.entry
        process = run.script._replace(process=str(self._fresh_id()))
        run.process = process
        self._processes[process] = run
        self._out.append(
            Start(Launch(process, program, ON_EXIT_NONE, entry.public, returns=False), tuple(self._rights(run)))
        )
        for holder, params in entry.grants:
            self._out.append(GrantCapabilities(holder, (Capability(Address(self._our, process), params),)))
        request = Request(False, max(1, math.ceil(run.deadline - now)), run.arguments)
        token = SystemToken(TERMINAL, run.number)
        self._out.append(Inject(TERMINAL, Address(self._our, process), request, None, token))

    def _rights(self, run: _Run) -> Iterator[Capability]:
        """Return what a script is granted."""
        assert run.settings is not None
        root, entry = run.settings
        if root or entry.networking:
            yield Capability(Address(self._our, KERNEL_PROCESS), NETWORK)
        yield from (each for each in entry.capabilities if self._may(run.script.package_id, each))
        if root:
            yield Capability(Address(self._our, VFS), '{"root":true}')
            known = islice(chain(_named(run.arguments, self._our), self._everybody()), limits.MAX_HELD_CAPABILITIES)
            yield from (Capability(Address(self._our, process), MESSAGING) for process in known)

    def _give_up(self, run: _Run, sentence: str, metadata: str = FAILED) -> None:
        self._reply(run.requester, sentence.encode(), metadata, None)
        self._forget(run)

    def _forget(self, run: _Run) -> None:
        del self._runs[run.number]
        if run.process is None:
            return
        del self._processes[run.process]
        assert run.settings is not None
        if not run.ended or run.settings.entry.grants:
            self._out.append(Kill(run.process))  # which also revokes what was granted in its name

    def _reply(self, envelope: Envelope, body: bytes, metadata: str | None, blob: LazyLoadBlob | None) -> None:
        if envelope.reply_to is not None:
            self._out.append(Reply(TERMINAL, envelope.reply_to, Response(False, body, metadata), blob))

    # --- aliases ----------------------------------------------------------------------------------------------------

    def _answer_script(self, envelope: Envelope) -> None:
        try:
            value = self._edit_untrusted(envelope)
        except BadScript as error:
            value = {"Err": str(error)}
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        self._reply(envelope, body, envelope.message.metadata, None)

    def _edit_untrusted(self, envelope: Envelope) -> object:
        if envelope.source.process.package_id != TERMINAL.package_id:
            raise BadScript("Only scripts of terminal:sys may use aliases; only the user types lines.")
        match _json_untrusted(envelope.message.body):
            case "GetAliases":
                return {"Aliases": self.aliases.all()}
            case {"EditAlias": {"alias": str(name), "process": str() | None as script}} | {
                "alias": str(name),
                "process": str() | None as script,
            }:
                self.aliases.change(name, script or "")
                return ALIAS_SET[self._generation(envelope.source.process)]
            case _:
                raise BadScript('Expected {"EditAlias": {"alias": NAME, "process": SCRIPT}} or "GetAliases".')


def _code_of(run: _Run) -> str:
    return "its file" if run.settings is None else run.settings.entry.wasm_path


def _stopped(run: _Run) -> str:
    return f"{run.script} was stopped."


def _split_untrusted(body: bytes) -> tuple[str, str]:
    """Return the script's name and its arguments; raises BadScript."""
    if len(body) > MAX_LINE_BYTES:
        raise BadScript(f"A line has at most {MAX_LINE_BYTES >> 20} MiB.")
    try:
        words = body.decode().strip().split(None, 1)
    except UnicodeDecodeError:
        raise BadScript("A line must be text in UTF-8.") from None
    if not words:
        raise BadScript("A line begins with the name of a script, such as `hi other.nec hello`.")
    return words[0], words[1] if len(words) > 1 else ""


def _json_untrusted(body: bytes) -> object:
    """Return the value; None if the body is too long, not JSON, or holds text that is not valid."""
    if len(body) > MAX_ALIAS_BODY_BYTES:
        return None
    try:
        body.decode()
        value: object = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()  # an escaped lone surrogate is not text
    except (ValueError, RecursionError):
        return None
    return value


def _named(arguments: bytes, our: str) -> Iterator[ProcessId]:
    """Return the processes of this node whose addresses or ids are words of the arguments."""
    for word in arguments.decode().split(None, _MOST_NAMED)[:_MOST_NAMED]:
        node, at, process = word.rpartition("@")
        if at and node not in (OUR_NODE, our):
            continue
        try:
            yield ProcessId.parse(process)
        except BadAddress:
            continue
