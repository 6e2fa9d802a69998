"""Drives a real kernel by hand: says what guests do, and keeps what the kernel wants done."""

from __future__ import annotations

from itertools import count

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.events import (
    Action,
    DeadLetter,
    Event,
    FromPeer,
    Parcel,
    Polled,
    ResumeGuest,
    Start,
    Tick,
    UseState,
)
from kernel.contract.guest import (
    Arrival,
    Effect,
    End,
    Failure,
    Generation,
    Guest,
    GuestConfig,
    Poll,
    SendRequest,
    SendResponse,
)
from kernel.contract.message import ON_EXIT_NONE, Envelope, LazyLoadBlob, OnExit, Reason, ReplyTo, Request, Response
from kernel.contract.process import Launch
from kernel.router.kernel import Kernel

OUR = "our.nec"
THEIR = "their.nec"
VFS = ProcessId("vfs", "distro", "sys")
CLOCK = ProcessId("timer", "distro", "sys")
TERMINAL = ProcessId("terminal", "terminal", "sys")


def pid(name: str) -> ProcessId:
    """The process of that name in the test's package."""
    return ProcessId(name, "tests", "sys")


def here(name: str) -> Address:
    """Its address on this node."""
    return Address(OUR, pid(name))


def there(name: str) -> Address:
    """The same on the other node."""
    return Address(THEIR, pid(name))


class NoProgram:
    """Code that is never run: at this level the test says what a guest does."""

    opens_files = False
    digest = "0" * 64
    generation = Generation.LATE

    def start(self, config: GuestConfig) -> Guest:
        raise AssertionError("the kernel does not start guests")


class Rig:
    """One kernel, its virtual time, and all actions it gave."""

    def __init__(self) -> None:
        ids = count(1)
        self.kernel = Kernel(OUR, lambda: next(ids), [(VFS, False), (CLOCK, True), (TERMINAL, False)])
        self.now = 0.0
        self.actions: list[Action] = []

    def tell(self, event: Event) -> list[Action]:
        """Let the kernel take an event; its actions are returned, and kept."""
        actions = self.kernel.handle(event, self.now)
        self.actions += actions
        return actions

    def start(
        self,
        *names: str,
        public: bool = True,
        network: bool = True,
        on_exit: OnExit = ON_EXIT_NONE,
        capabilities: tuple[Capability, ...] = (),
    ) -> None:
        """Start processes that wait for their first message."""
        for name in names:
            held = (*capabilities, self.kernel.grants.network) if network else capabilities
            self.tell(Start(Launch(pid(name), NoProgram(), on_exit, public), held))
            self.receive(name)

    def poll(self, name: str, *effects: Effect, poll: Poll = Poll.RECEIVE, end: End | None = None) -> list[Action]:
        """A poll of that guest left these effects."""
        return self.tell(Polled(pid(name), poll, list(effects), end))

    def receive(self, name: str) -> list[Action]:
        """That guest asks for its next message."""
        return self.poll(name)

    def end(self, name: str, trap: str | None = None) -> list[Action]:
        """That guest returns or traps."""
        return self.poll(name, poll=Poll.ENDED, end=End(trap))

    def tick(self, to: float) -> list[Action]:
        """Time passes."""
        self.now = to
        return self.tell(Tick())

    def handed(self, name: str) -> list[Arrival | Failure]:
        """What was handed to that process so far, in order."""
        found = [a.answer for a in self.actions if isinstance(a, ResumeGuest) and a.process == pid(name)]
        return [answer for answer in found if isinstance(answer, (Arrival, Failure))]

    def bodies(self, name: str) -> list[bytes]:
        """Of the messages and the errors handed to it."""
        return [a.message.body if isinstance(a, Arrival) else a.error.message.body for a in self.handed(name)]

    def all(self, kind: type[Action]) -> list[Action]:
        """All actions of one kind so far."""
        return [action for action in self.actions if isinstance(action, kind)]

    def use_of_state(self) -> object:
        """The token of the latest use of a process's state."""
        return [action.token for action in self.actions if isinstance(action, UseState)][-1]

    def processes_token(self, name: str) -> object:
        """What that process's present life uses as its token."""
        return self.kernel.processes[pid(name)]

    def dead(self) -> list[Reason]:
        """Why messages died, in order."""
        return [action.reason for action in self.actions if isinstance(action, DeadLetter)]


def send(
    target: Address,
    body: bytes = b"hello",
    *,
    expects: int | None = None,
    inherit: bool = False,
    context: bytes | None = None,
    blob: bytes | None = None,
    metadata: str | None = None,
) -> SendRequest:
    """The effect of send-request."""
    carried = LazyLoadBlob(None, blob) if blob is not None else None
    return SendRequest(target, Request(inherit, expects, body, metadata), context, carried)


def respond(body: bytes = b"answer", *, inherit: bool = False, blob: bytes | None = None) -> SendResponse:
    """The effect of send-response."""
    return SendResponse(Response(inherit, body), LazyLoadBlob(None, blob) if blob is not None else None)


def from_peer(
    rig: Rig,
    source: str,
    target: str,
    message: Request | Response,
    reply_to: ReplyTo | None = None,
    id: int = 77,
    receipt: object = "receipt",
    blob: LazyLoadBlob | None = None,
) -> None:
    """A message of a process of the other node comes in."""
    rig.tell(FromPeer(Envelope(id, there(source), here(target), reply_to, message, blob, claimed=True), receipt))


def parcel(rig: Rig) -> Parcel:
    """What was given to the net last."""
    found = [action for action in rig.actions if isinstance(action, Parcel)]
    return found[-1]
