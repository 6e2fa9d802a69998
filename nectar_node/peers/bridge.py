"""The other nodes, as the core sees them: messages to and from them, their state, their name records.

Only here do the net's names and bytes become the kernel's messages, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kernel.contract.events import FromPeer, Parcel, PeerFailed, PeerTook
from kernel.contract.message import Buffer, Envelope, Reason, Request, Response
from kernel.machine import Machine
from nectar_node.contract.actions import DriverAction, LogLine, StandDown
from nectar_node.packages.boot import StartUp
from nectar_node.peers.envelope import (
    BadHeader,
    decode_header_untrusted,
    decode_short_untrusted,
    encode_header,
    encode_short,
    stream_and_inbox,
    with_root,
    without_root,
)
from nectar_node.peers.name_rows import NameRows
from nectar_node.peers.own_row import OwnRow, Successor
from nectar_node.peers.vouching import Vouching
from net.contract.events import (
    Close,
    Delivered,
    Dial,
    Failed,
    FailureReason,
    Hold,
    Log,
    LookedUp,
    NamesFreed,
    Outdated,
    Outgoing,
    PeerDown,
    PeerUp,
    Probed,
    Received,
    RecordStored,
    Registered,
    RegistrationFailed,
    SequenceSigned,
    Superseded,
    Unforeseen,
    Writable,
)
from net.peering.containment import told
from net.peering.network import Network

_new = tuple.__new__
REASONS = {
    FailureReason.NO_SUCH_NAME: Reason.NO_SUCH_NAME,
    FailureReason.NO_REGISTRAR: Reason.NO_REGISTRAR,
    FailureReason.REFUSED: Reason.REFUSED,
    FailureReason.UNREACHABLE: Reason.UNREACHABLE,
    FailureReason.BAD_KEY: Reason.BAD_KEY,
    FailureReason.NOT_BELIEVED: Reason.NOT_BELIEVED,
    FailureReason.OTHER_VERSION: Reason.OTHER_VERSION,
    FailureReason.PEER_RESTARTED: Reason.PEER_RESTARTED,
    FailureReason.CONNECTION_LOST: Reason.CONNECTION_LOST,
    FailureReason.TOO_LARGE: Reason.TOO_LARGE,
    FailureReason.QUEUE_FULL: Reason.QUEUE_FULL,
    FailureReason.NO_CREDIT: Reason.INBOX_FULL,
    FailureReason.SHUTDOWN: Reason.SHUTDOWN,
}
"""The net's reasons for a failed message, as the kernel knows them; for each it knows whether it is Offline
(`kind_of`).
"""


class Peers:
    """One node's dealings with the others."""

    def __init__(
        self,
        our: str,
        network: Network,
        vouching: Vouching,
        names: NameRows,
        own: OwnRow,
        start_up: StartUp,
        machine: Machine,
        emit: Callable[[DriverAction], None],
        serve: Callable[[Envelope, float], bool],
        root_of: Callable[[Envelope], int | None],
    ) -> None:
        """`names` keeps the name records, `own` what the node says in its own; `start_up` waits for the registrar;
        `emit` gives the driver an action; `serve` gives a request to a system process that is there for other nodes,
        False: it is for none of them. `root_of` returns what to tell another node of a request's lineage
        (`Tracer.root_of`)."""
        self._our = our
        self._network = network
        network.header_of = _header_of
        self._root_of = root_of
        self._lineages = network.takes_lineages
        """Whether other nodes are told of lineages, and tell of them."""
        if self._lineages:
            network.reworded = self._reworded
        self._vouching = vouching
        self._names = names
        self._own = own
        self._handle = machine.handle
        self._emit = emit
        self._serve = serve
        self._now = 0.0
        self._handlers: dict[type, Callable[..., None]] = {
            Received: self._received,
            Failed: self._failed,
            Delivered: self._delivered,
            Dial: emit,
            Close: emit,
            Writable: emit,
            Hold: emit,
            Log: lambda event: self._log(1, event.text),
            PeerUp: self._peer_up,
            PeerDown: self._peer_down,
            Registered: lambda _: start_up.registered(),
            RegistrationFailed: start_up.registration_failed,
            SequenceSigned: lambda event: own.signed(event.sequence),
            Outdated: self._outdated,
            Superseded: self._superseded,
            RecordStored: self._keep_record,
            NamesFreed: lambda _: None,  # their rows go when there are many
            LookedUp: self._looked_up,
            Probed: emit,
            Unforeseen: emit,
        }

    def send(self, parcel: Parcel, now: float) -> None:
        """Hand a message to the net."""
        envelope = parcel.envelope
        _, source, target, _, message, blob, _, _ = envelope
        stream, inbox = stream_and_inbox(source.process, target.process, type(message) is Response)
        bytes_of_blob: Buffer | None = blob.bytes if blob is not None else None
        paired = False
        try:
            header = encode_short(envelope, stream) if self._network.tells_pairs(target.node) else None
            if header is not None:
                paired = True
            else:
                claims = self._vouching.sign(envelope) if message.capabilities else ()
                header = encode_header(envelope, claims)
            if self._lineages:
                header = self._reworded(parcel, header, paired, self._network.tells_lineages(target.node))
        except Exception as error:
            self._emit(Unforeseen(f"a message to {target.node}", tuple(told(error))))
            self._network.events.append(Failed(parcel, FailureReason.CONNECTION_LOST))
            return
        self._network.send(_new(Outgoing, (target.node, stream, header, bytes_of_blob, parcel, inbox, paired)), now)

    def _reworded(self, token: object, header: bytes, paired: bool, tells: bool) -> bytes:
        """Return the header of a message with the root of its lineage, if the receiver takes that, or without."""
        assert isinstance(token, Parcel)
        if type(token.envelope.message) is not Request:
            return header
        if not tells:
            return without_root(header, short=paired)
        root = self._root_of(token.envelope)
        return header if root is None else with_root(header, root, short=paired)

    def handlers_at(self, now: float) -> Mapping[type, Callable[..., None]]:
        """Return what takes each of the net's events, by kind, at that time."""
        self._now = now
        return self._handlers

    def records_written(self, problem: str | None, now: float) -> None:
        """Learn that name records are durable, or, if `problem` is given, that they could not be written."""
        for record in self._names.take_written():
            self._network.record_kept(record, now, kept=problem is None)
        if problem is not None:
            self._network.sequence_not_kept(now)
            return
        if (sequence := self._own.take_written()) is not None:
            self._network.sequence_kept(sequence, now)
        if (epoch := self._vouching.rows.take_revoked()) is not None:
            self._network.revoked(epoch, now)

    def status(self) -> list[dict[str, object]]:
        """Return the nodes this one has a session with, for status pages."""
        return [
            {
                "name": peer.name,
                "state": peer.state.value,
                "router": peer.router,
                "host": peer.host,
                "cipher": peer.cipher,
                "round_trip_seconds": peer.round_trip,
                "bytes_sent": peer.bytes_sent,
                "bytes_received": peer.bytes_received,
                "queued_messages": peer.queued_messages,
                "queued_bytes": peer.queued_bytes,
                "failures": peer.failures,
                "last_error": None if peer.error is None else peer.error.text,
            }
            for peer in self._network.peers()
        ]

    # --- the net's events -------------------------------------------------------------------------------------------

    def _received(self, event: Received) -> None:
        node, header, blob, receipt, pair = event
        try:
            if pair is None:
                envelope, claims = decode_header_untrusted(self._our, node, header, blob, lineages=self._lineages)
            else:
                envelope = decode_short_untrusted(self._our, node, pair, header, blob, lineages=self._lineages)
                claims = ()
        except BadHeader as error:
            self._log(0, f"{node} sent a message that cannot be read: {error}")
            self._network.taken(receipt, self._now)
            return
        except Exception as error:  # whatever it is, it is of this one node
            self._network.fail(node, error, self._now)
            return
        if claims or self._vouching.waits(envelope):
            try:
                self._vouching.receive(envelope, claims, receipt, self._now)
            except Exception as error:
                self._network.fail(node, error, self._now)
            self._pass_vouched()
        else:
            self._pass_in(envelope, receipt)

    def _looked_up(self, event: LookedUp) -> None:
        try:
            self._vouching.looked_up(event.name, self._now)
        except Exception as error:
            self._network.fail(event.name, error, self._now)
        self._pass_vouched()

    def _pass_vouched(self) -> None:
        while (verified := self._vouching.next()) is not None:
            self._pass_in(*verified)

    def _pass_in(self, envelope: Envelope, receipt: object) -> None:
        if isinstance(envelope.message, Request) and self._serve(envelope, self._now):
            self._network.taken(receipt, self._now)
        else:
            self._handle(_new(FromPeer, (envelope, receipt)), self._now)

    def _failed(self, event: Failed) -> None:
        parcel = event.token
        assert isinstance(parcel, Parcel)
        self._handle(PeerFailed(parcel, REASONS[event.reason]), self._now)

    def _delivered(self, event: Delivered) -> None:
        self._handle(_new(PeerTook, (event.tokens,)), self._now)

    def _peer_up(self, event: PeerUp) -> None:
        self._log(1, f"connected to {event.node}")

    def _peer_down(self, event: PeerDown) -> None:
        self._log(1, f"lost {event.node}: {event.reason}")

    def _keep_record(self, event: RecordStored) -> None:
        self._names.put(event.record, event.use)
        self._vouching.record_learned(event.record)

    def _outdated(self, event: Outdated) -> None:
        """Revoke everything, since what the store has forgotten may be a revocation (G21)."""
        self._log(
            0,
            f"the network knows record {event.record.sequence} of this node, and its store does not: the store is an "
            "older one, so every capability that other nodes have from this one is revoked",
        )
        epoch = self._vouching.revoke_everything(event.record.epoch, self._network.unix(self._now))
        self._network.raise_epoch(epoch, self._now)

    def _superseded(self, event: Superseded) -> None:
        successor = Successor.of(event.record)
        self._own.stand_down(successor)
        self._log(0, successor.sentence(self._our))
        self._emit(StandDown(successor.sentence(self._our)))

    def _log(self, verbosity: int, text: str) -> None:
        self._emit(LogLine("net", verbosity, text))


def _header_of(token: object) -> bytes:
    """Return the header of a message that was to be sent with a short one: it has no capabilities."""
    assert isinstance(token, Parcel)
    return encode_header(token.envelope)
