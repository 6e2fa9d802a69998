"""The configuration of a node's network."""

from dataclasses import dataclass

from net.base.ciphers import Cipher
from net.base.frames import PAIRS_VERSION, VERSION
from net.base.limits import (
    MAX_CONNECTIONS,
    MAX_RESERVATIONS,
    RECORD_SECONDS,
    RECOVERY_SECONDS,
    SESSION_CREDIT_BYTES,
    SESSION_CREDIT_MESSAGES,
)
from net.base.memory import UNMETERED, Memory
from net.names.directory import Endpoint
from net.names.identity import Identity


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What a node may choose about its network. The defaults are what a node uses; tests make things small."""

    endpoints: tuple[Endpoint, ...] = ()
    """Where this node accepts connections, for its name record; `Network.set_endpoint` changes it later."""
    routers: tuple[str, ...] = ()
    """Nodes through which this one is reached; it keeps a session with each, and they are in its name record."""
    reservations: int = MAX_RESERVATIONS
    """How many other nodes this one is a router for; 0: it is not a router."""
    register: bool = False
    """Whether to register with the registrar right away (`Network.set_endpoint` does it in any case)."""
    previous: Identity | None = None
    """The identity with the node's former key, if this boot changes the key."""
    recovery_seconds: float = RECOVERY_SECONDS
    """Budget for reaching a peer, and for reviving a broken session."""
    wall_clock_offset: float = 0.0
    """Unix time minus `now`, for the issue and expiry of records; `Network.set_wall_clock` changes it later."""
    record_seconds: int = RECORD_SECONDS
    """Seconds from the issue of this node's record to its expiry, once the name is not new any more; it is renewed at
    half of that."""
    guest: bool = False
    """Whether to look up names alone, with a record of its own that is never registered."""
    keeps_sequence: bool = False
    """Whether the node keeps the numbers of its own records (`SequenceSigned`), and so notices copies of itself."""
    sequence: int | None = None
    """The highest number of a record that it has signed at earlier boots, as far as it is known."""
    epoch: int = 0
    """Its revocation epoch: what it issued under this number or a lower one is void."""
    invitation: bytes | None = None
    """The invitation to show to the registrar (`net.names.invitation`)."""
    credit_bytes: int = SESSION_CREDIT_BYTES
    """Bytes that each peer may have unacknowledged here; bounds memory per peer."""
    credit_messages: int = SESSION_CREDIT_MESSAGES
    """Messages that each peer may have unacknowledged here, at most `limits.SESSION_CREDIT_MESSAGES`."""
    memory: Memory = UNMETERED
    """The accounts that pay for what peers have unacknowledged here."""
    ciphers: tuple[Cipher, ...] = ()
    """What this node's record lists: the ciphers that are faster here than ChaCha20-Poly1305."""
    connections: int = MAX_CONNECTIONS
    """Connections, dialed ones included, at which further ones are refused: each needs a file descriptor."""
    version: int = VERSION
    """The protocol's version; another one makes a node of another release, for tests."""
    frames_version: int = PAIRS_VERSION
    """The newest version of the frames that it speaks: `LINEAGES_VERSION` if it takes lineages in headers; 1 makes a
    node of an earlier release, for tests."""
