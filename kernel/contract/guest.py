"""What a guest is to the kernel: a machine that is polled, and leaves effects behind.

A guest runs only inside `poll`. It appends what it asks for to `effects`, in order; the kernel applies them after the
poll. A host call that needs an answer suspends the guest: it is then in the state RECEIVE or CALL, and goes on at the
first poll after `resume`. Nothing here knows Wasm; `kernel.wasm` implements these protocols.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kernel.contract.limits import MAX_GUEST_FILES

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.contract.address import Address, ProcessId
    from kernel.contract.capability import Capability
    from kernel.contract.drive import Drive
    from kernel.contract.http import HttpCall, HttpFailure, ServerAnswer
    from kernel.contract.message import LazyLoadBlob, OnExit, Request, Response, SendError


class Poll(enum.Enum):
    """Why a poll came back."""

    RECEIVE = "waits for its next message"
    CALL = "waits for the answer to its last effect, one of `Call`"
    PREEMPTED = "has used up its slice, or has emitted enough: poll again"
    ENDED = "returned or trapped: see `Guest.end`"


class Print(NamedTuple):
    """The effect of print-to-terminal, or a line of the guest's stdout (verbosity 1) or stderr (verbosity 0)."""

    verbosity: int
    text: str


class SendRequest(NamedTuple):
    """The effect of send-request; send-requests emits one for each."""

    target: Address
    request: Request
    context: bytes | None
    blob: LazyLoadBlob | None


class SendResponse(NamedTuple):
    """The effect of send-response."""

    response: Response
    blob: LazyLoadBlob | None


class SetOnExit(NamedTuple):
    """The effect of set-on-exit."""

    on_exit: OnExit


class SaveCapabilities(NamedTuple):
    """The effect of save-capabilities."""

    capabilities: tuple[Capability, ...]


class DropCapabilities(NamedTuple):
    """The effect of drop-capabilities."""

    capabilities: tuple[Capability, ...]


class SendAndAwait(NamedTuple):
    """The effect of send-and-await-response; the answer is an `Arrival` or a `Failure`."""

    target: Address
    request: Request
    blob: LazyLoadBlob | None


class Spawn(NamedTuple):
    """The effect of spawn; the answer is a ProcessId or a SpawnError."""

    name: str | None
    wasm_path: str
    on_exit: OnExit
    request_capabilities: tuple[Capability, ...]
    grant_capabilities: tuple[Grant, ...]
    public: bool


class Grant(NamedTuple):
    """A capability that a spawned process issues, and the process that is to hold it."""

    holder: ProcessId
    params: str


class GetState(NamedTuple):
    """The effect of get-state; the answer is the bytes, or None."""


class SetState(NamedTuple):
    """The effect of set-state; the answer, None, comes when the bytes are durable (G27)."""

    state: bytes


class ClearState(NamedTuple):
    """The effect of clear-state; the answer is None."""


class OurCapabilities(NamedTuple):
    """The effect of our-capabilities; the answer is a tuple of Capability."""


class GetOnExit(NamedTuple):
    """The effect of get-on-exit; the answer is an OnExit."""


class SendAndHear(NamedTuple):
    """The effect of a request that is the guest's, and whose outcome is not a message to it: `Guest.hear` is told that
    under the number, and a guest that sleeps then wakes."""

    number: int
    """The guest's own for it; each has another one."""
    target: Address
    request: Request
    """It expects a response."""
    blob: LazyLoadBlob | None


class StopHearing(NamedTuple):
    """The effect that ends the guest's interest in a `SendAndHear`: it has taken the outcome that it was told, or wants
    none. Until then, what it was told counts as memory of its package's."""

    number: int


class Woken(NamedTuple):
    """The answer to a `Sleep` when the time is not there yet: an outcome of a `SendAndHear` has been told since the
    last one."""


class Sleep(NamedTuple):
    """The effect of waiting for a time; the answer, None, comes when it is there, or `Woken` before."""

    until: float
    """The kernel's time, in seconds."""


Call = SendAndAwait | Spawn | GetState | SetState | ClearState | OurCapabilities | GetOnExit | Sleep
"""Effects that suspend the guest until `Guest.resume` brings the answer; one is always the last of its poll."""

Effect = (
    Print
    | SendRequest
    | SendResponse
    | SendAndHear
    | StopHearing
    | SetOnExit
    | SaveCapabilities
    | DropCapabilities
    | Call
)


class SpawnError(enum.Enum):
    """Why a spawn failed (G25); the values are the WIT enum's."""

    NAME_TAKEN = 0
    NO_FILE_AT_PATH = 1


class Arrival(NamedTuple):
    """A message handed to a guest: the answer to a receive, or to an awaited request."""

    source: Address
    message: Request | Response
    context: bytes | None
    """For a response, the context that its request was sent with (G6)."""
    blob: LazyLoadBlob | None
    """The guest's current blob from now on (G11)."""


class Failure(NamedTuple):
    """A message that came back, handed to the guest that sent it."""

    error: SendError
    context: bytes | None


Answer = Arrival | Failure | tuple["Capability", ...] | bytes | Woken | None


class Frame(NamedTuple):
    """A function of a guest that had been called when it trapped; what is in it can be printed."""

    function: str
    """Its name, or its number."""
    file: str = ""
    """The source file, and below the line in it; "" and 0: not known."""
    line: int = 0

    def __str__(self) -> str:
        if not self.file:
            return self.function
        return f"{self.function} ({self.file}:{self.line})" if self.line else f"{self.function} ({self.file})"


class End(NamedTuple):
    """How a guest ended."""

    trap: str | None
    """Why the guest trapped, as one line for the log; None: it returned."""
    frames: tuple[Frame, ...] = ()
    """Where it trapped, the innermost function first; empty: that is not known."""
    said: tuple[str, ...] = ()
    """What it printed last, with verbosity 0, before it trapped: the text of a panic, or an exception's traceback."""


class GuestStatistics(NamedTuple):
    """What one guest has used so far."""

    memory_bytes: int
    """Bytes of linear memory now."""
    blob_bytes_loaded: int
    """Bytes of blobs that were copied into guest memory, ever (G11: inheriting adds nothing)."""
    polls: int
    cpu_seconds: float | None
    """Time spent inside polls; None where the clock is virtual."""


class Guest(Protocol):
    """One running instance of a program."""

    effects: list[Effect]
    """The effects in the order in which the guest caused them; the code that applies them empties the list."""
    end: End | None
    """How the guest ended, once poll has returned ENDED."""

    def poll(self) -> Poll:
        """Run until the guest waits, is pre-empted or ends."""

    def resume(self, answer: object) -> None:
        """Set the answer that the suspended guest waits for: an Arrival or Failure in state RECEIVE, otherwise as the
        last effect's docstring says. The guest does not run before the next poll."""

    def hear(self, number: int, outcome: Arrival | Failure) -> None:
        """Take the outcome of a `SendAndHear`, also while the guest is polled on another thread."""

    def limit_memory(self, limited: bool) -> None:
        """Refuse it any more memory than it has, or give it as much as usual again. Must not be called while it is
        polled."""

    def close(self) -> None:
        """Drop the guest, whatever state it is in, even spinning. Idempotent."""

    def statistics(self) -> GuestStatistics:
        """Return what the guest has used so far."""


class HttpMessenger(Protocol):
    """Turns what a guest asks of servers into requests of its own, and what comes of these into answers."""

    def request(self, call: HttpCall) -> tuple[Address, bytes, LazyLoadBlob | None]:
        """Return whom to send a request, its body and its blob."""

    def answer(self, outcome: Arrival | Failure) -> ServerAnswer | HttpFailure:
        """Return what the outcome of that request says; raises nothing, whatever it is."""


class GuestConfig(NamedTuple):
    """The configuration with which one guest is started."""

    our: Address
    memory_bytes: int
    entropy: Callable[[int], bytes] | None = None
    """Source of the guest's WASI randomness; None: the host's. Given in replayable runs."""
    clock: Callable[[], int] | None = None
    """WASI's wall clock, in nanoseconds since 1970; None: the host's. Given in replayable runs."""
    drive: str | Drive | None = None
    """What the guest sees as `/` (G28): a host folder, or in replayable runs a tree of files that is none; None: no
    folder."""
    monotonic: Callable[[], int] | None = None
    """WASI's monotonic clock, in nanoseconds: the kernel's time, by which a guest sleeps; None: as `clock`, or the
    host's."""
    files: int = MAX_GUEST_FILES
    """Files of the drive that the guest may have open at once."""
    http: HttpMessenger | None = None
    """Through whom it asks servers by wasi:http; None: through nobody."""
    slices: int | None = None
    """Slices that the guest may use up before it waits for something; one more ends it. None: any number. Given in
    simulations, where no time passes while a guest computes."""
    debug: Callable[[str], bytes | None] | None = None
    """Returns the debug file of the program with that SHA-256, in hex, from whoever made the program; None: there is
    none. Called only when the guest has trapped."""
    blocks: Callable[[bytes], None] | None = None
    """Is told, after each poll of a guest that notes its basic blocks, which it has passed through: a byte for each, 1
    or 0. None: nobody wants to know. Given in searches for new ground."""


class Generation(enum.Enum):
    """Interfaces whose guests know the same shapes of the system processes' requests and answers."""

    EARLY = "nectar:process and kinode:process 0.7.0, and before"
    MIDDLE = "kinode:process 0.8.0"
    LATE = "kinode:process and hyperware:process 1.0.0"


class Program(Protocol):
    """Compiled code, ready to be started any number of times."""

    opens_files: bool
    """Whether the program imports the WASI functions that create and open files: its guests then write to their drive
    by themselves."""
    digest: str
    """The SHA-256 of the code, in hex: the same code is found again by it."""
    generation: Generation
    """Which interfaces' shapes its guests know."""

    def start(self, config: GuestConfig) -> Guest:
        """Return a new guest that has not run yet.

        Raises BadModule if it cannot be linked, GuestTrap if instantiation traps.
        """
