"""The Noise handshake, and how two nodes prove their names in it. The only file that imports the Noise library.

`Noise_XX_25519_ChaChaPoly_BLAKE2s`, or `AESGCM` instead of `ChaChaPoly` (`net.base.ciphers`): the dialer chooses by the
records of both, and message 1 tells the choice. It is in the protocol's name and in the prologue, with which the
handshake's hash begins, so nobody between the two can change it. XX shows each side that the other holds its static
X25519 key; that key is fresh for every boot, and the payloads of messages 2 and 3 bind it to the node's Ed25519 key:
they carry the version, the name, the node's own name record, and a signature over the static key and the handshake hash
up to that message. The hash covers the other side's ephemeral key, so a signature is of no use in any other handshake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import cbor2
from cryptography.exceptions import InvalidTag
from noise.backends.default.keypairs import KeyPair25519
from noise.connection import NoiseConnection
from noise.exceptions import NoiseValueError

from net.base.cbor import loads_untrusted
from net.base.ciphers import ALWAYS, Cipher, told_untrusted
from net.base.errors import BadCbor, BadHandshake, OtherVersion
from net.base.frames import TICKET_BYTES, VERSION
from net.base.limits import MAX_HANDSHAKE_BYTES, MAX_NAME_RECORD_BYTES
from net.base.node_names import is_node_name
from net.contract.events import Buffer
from net.names.identity import SIGNATURE_BYTES, Identity, verify_untrusted
from net.session.sealing import Opener, Sealer

_MAX_ITEMS = 16
"""Items of a greeting: the array and its five fields, and some for those of another version."""
FIRST_MESSAGE_BYTES = 32
"""Bytes of message 1, which is the ephemeral key, and behind it what `Cipher.tells`."""
FIRST_MESSAGE_SIZES = {FIRST_MESSAGE_BYTES + len(cipher.tells) for cipher in Cipher}
_STATIC_PAIRS = 256
"""Static keys whose public keys are remembered: one of a node that runs; many nodes may be in one simulation."""
_DOMAINS = {True: b"nectar/1 handshake initiator", False: b"nectar/1 handshake responder"}


@lru_cache(_STATIC_PAIRS)
def _static_pair(private: bytes) -> KeyPair25519:
    return KeyPair25519.from_private_bytes(private)


class Noise:
    """One side of an XX handshake: noiseprotocol with explicit ephemeral keys, and one error for bad input."""

    def __init__(
        self,
        *,
        initiator: bool,
        static: bytes,
        ephemeral: bytes,
        cipher: Cipher = ALWAYS,
        prologue: bytes | None = None,
    ) -> None:
        """`static` and `ephemeral` are X25519 private keys of 32 bytes. `prologue`: another one than the cipher's."""
        self._cipher = cipher
        self._connection = NoiseConnection.from_name(cipher.protocol)
        self._connection.set_prologue(cipher.prologue if prologue is None else prologue)
        if initiator:
            self._connection.set_as_initiator()
        else:
            self._connection.set_as_responder()
        protocol = self._connection.noise_protocol
        protocol.keypairs["s"] = pair = _static_pair(static)
        self.static_public: bytes = pair.public_bytes
        self._connection.start_handshake()
        # Set past the library's own method, which warns that this is for tests. It is safe when the bytes come from the
        # node's entropy, and only so can a run be replayed.
        protocol.handshake_state.e = KeyPair25519.from_private_bytes(ephemeral)
        self.remote_static: bytes | None = None

    def __del__(self) -> None:
        """Cut the circle of references between the library's objects, so that they are freed at once: there are thirty
        for each dial that comes to nothing, and a flood of those made the collector stop a node for a second and more.
        """
        connection = getattr(self, "_connection", None)  # there is none if it could not be made
        if connection is not None:
            vars(connection.noise_protocol).clear()
            vars(connection).clear()

    @property
    def hash(self) -> bytes:
        """The handshake hash so far (Noise section 5.2)."""
        if self._connection.handshake_finished:
            return bytes(self._connection.get_handshake_hash())
        return bytes(self._connection.noise_protocol.symmetric_state.get_handshake_hash())

    @property
    def finished(self) -> bool:
        """Whether all three messages have passed."""
        return bool(self._connection.handshake_finished)

    def write(self, payload: bytes) -> bytes:
        """Return the next message. Raises BadHandshake if the other side's key makes the shared secret zero: it chose a
        point of small order, and only the arithmetic of this message shows that."""
        try:
            return bytes(self._connection.write_message(payload))
        except ValueError as error:
            raise BadHandshake("a key that is not valid") from error

    def read_untrusted(self, message: Buffer) -> bytes:
        """Return the payload of the other side's next message. Raises BadHandshake."""
        state = self._connection.noise_protocol.handshake_state
        try:
            payload = bytes(self._connection.read_message(bytes(message)))
        except (InvalidTag, NoiseValueError, ValueError) as error:
            # ValueError: as in `write`.
            raise BadHandshake("a handshake message that does not decrypt") from error
        remote = getattr(state.rs, "public_bytes", None)
        self.remote_static = bytes(remote) if remote is not None else None
        return payload

    def split(self) -> tuple[Sealer, Opener]:
        """Return the two directions of the transport, after the last message."""
        protocol = self._connection.noise_protocol
        sealer = Sealer(protocol.cipher_state_encrypt.k, self._cipher)
        return sealer, Opener(protocol.cipher_state_decrypt.k, self._cipher)


@dataclass(frozen=True, slots=True)
class Connect:
    """A dialer's request that the router connects it to another node."""

    target: str
    """The name of that node."""


@dataclass(frozen=True, slots=True)
class Accept:
    """A dialer's statement that another node calls it, and that this is its leg of the circuit."""

    ticket: bytes
    """The ticket from the router's `frames.Incoming`."""


Circuit: TypeAlias = Connect | Accept


@dataclass(frozen=True, slots=True)
class Greeting:
    """The payload of messages 2 and 3."""

    name: str
    """The node that the sender claims to be."""
    signature: bytes
    """The signature by that node's key, over the static key and the handshake hash."""
    record: bytes | None
    """The sender's own signed name record, granted or not."""
    circuit: Circuit | None = None
    """In message 3: the connection is to be a leg of a circuit, and not the session's."""


def encode_greeting(greeting: Greeting, version: int = VERSION) -> bytes:
    """Return the bytes that `decode_greeting_untrusted` reads."""
    circuit = greeting.circuit
    fields = None
    if circuit is not None:
        fields = [0, circuit.target] if isinstance(circuit, Connect) else [1, circuit.ticket]
    return cbor2.dumps([version, greeting.name, greeting.signature, greeting.record, fields])


def decode_greeting_untrusted(payload: bytes, version: int = VERSION) -> Greeting:
    """Return the greeting. Raises BadHandshake if it is malformed, OtherVersion (a BadHandshake) if it is not of
    `version`."""
    if len(payload) > MAX_HANDSHAKE_BYTES:
        raise BadHandshake("a greeting that is too long")
    try:
        fields = loads_untrusted(payload, items=_MAX_ITEMS, depth=2)
    except BadCbor as error:
        raise BadHandshake("a greeting that is not CBOR") from error
    match fields:
        case [int(spoken), *_] if spoken != version:
            raise OtherVersion("the peer speaks another version of the protocol")
        case [int(), str(name), bytes(signature), bytes() | None as record, circuit]:
            pass
        case _:
            raise BadHandshake("a malformed greeting")
    if not is_node_name(name) or len(signature) != SIGNATURE_BYTES or len(record or b"") > MAX_NAME_RECORD_BYTES:
        raise BadHandshake("a malformed greeting")
    return Greeting(name, signature, record, _circuit_untrusted(circuit))


def _circuit_untrusted(fields: object) -> Circuit | None:
    match fields:
        case None:
            return None
        case [0, str(target)] if is_node_name(target):
            return Connect(target)
        case [1, bytes(ticket)] if len(ticket) == TICKET_BYTES:
            return Accept(ticket)
    raise BadHandshake("a malformed greeting")


class Handshake:
    """One side of the handshake between two nodes."""

    def __init__(
        self,
        identity: Identity,
        record: bytes | None,
        *,
        initiator: bool,
        static: bytes,
        entropy: Callable[[int], bytes],
        circuit: Circuit | None = None,
        cipher: Cipher = ALWAYS,
    ) -> None:
        """`static` is this boot's X25519 private key. `record` is this node's own name record, if it has one. `circuit`
        is what the initiator wants the connection to be a leg of; `cipher` is what it has chosen."""
        self.version = VERSION
        """The protocol's version: told to the other side, and demanded of it."""
        self._identity = identity
        self.record = record
        """This node's own name record, as the other side is shown it."""
        self.cipher = cipher
        """What the connection is encrypted with; as the responder, what the initiator has told, after message 1."""
        self.circuit = circuit
        self.initiator = initiator
        self._static = static
        self._ephemeral = entropy(32)
        self._state: Noise | None = None
        """The Noise state, made when it is needed: a peer that connects and says nothing costs no arithmetic."""
        self._is_split = False
        self._remote_static: bytes | None = None
        self._greeting: Greeting | None = None
        self._signed_hash = b""
        self.awaits_first = not initiator
        """Whether the next message to read is message 1."""

    @property
    def finished(self) -> bool:
        """Whether all three messages have passed."""
        return self._is_split or (self._state is not None and self._state.finished)

    @property
    def _noise(self) -> Noise:
        assert not self._is_split, "nothing is read or written after the split"
        if self._state is None:
            self._state = Noise(
                initiator=self.initiator, static=self._static, ephemeral=self._ephemeral, cipher=self.cipher
            )
        return self._state

    def begin(self) -> bytes:
        """Return message 1, as the initiator."""
        return self._noise.write(self.cipher.tells)

    def write(self) -> bytes:
        """Return message 2 or 3. Raises BadHandshake (see `Noise.write`)."""
        domain = _DOMAINS[self.initiator]
        signature = self._identity.sign(domain, self._noise.static_public + self._noise.hash)
        greeting = Greeting(self._identity.name, signature, self.record, self.circuit)
        return self._noise.write(encode_greeting(greeting, self.version))

    def read_untrusted(self, message: Buffer) -> Greeting | None:
        """Read the other side's next message; return its greeting, or None for message 1. Raises BadHandshake."""
        if len(message) > MAX_HANDSHAKE_BYTES:
            raise BadHandshake("a handshake message that is too long")
        if self.awaits_first:
            self._read_choice(message)
        before = self._noise.hash
        payload = self._noise.read_untrusted(message)
        self.awaits_first = False
        if self._noise.remote_static is None:
            return None
        self._signed_hash = before
        self._remote_static = self._noise.remote_static
        self._greeting = greeting = decode_greeting_untrusted(payload, self.version)
        if self.initiator and greeting.circuit is not None:
            raise BadHandshake("a circuit that nobody has dialed for")
        return greeting

    def _read_choice(self, message: Buffer) -> None:
        """Take the cipher that message 1 tells. Its payload is not encrypted, but it is in the hash, like the choice
        that it tells (Noise section 7.3)."""
        told = told_untrusted(bytes(message[FIRST_MESSAGE_BYTES:]))
        if told is None:
            raise BadHandshake("a first message with a cipher that is unknown")
        self.cipher = told

    def proves(self, public_key: bytes) -> bool:
        """Return whether the other side has shown that it holds the Ed25519 key `public_key`."""
        if self._greeting is None or self._remote_static is None:
            return False
        signed = self._remote_static + self._signed_hash
        return verify_untrusted(public_key, _DOMAINS[not self.initiator], signed, self._greeting.signature)

    def split(self) -> tuple[Sealer, Opener]:
        """Return what encrypts and decrypts the records, after the last message. Nothing can be read or written from
        then on, since the state of the handshake, 4 KiB of each session, is released; `proves` still works."""
        sealer_and_opener = self._noise.split()
        self._state, self._is_split = None, True
        return sealer_and_opener
