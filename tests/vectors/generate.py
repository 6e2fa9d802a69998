"""Writes the test vectors of docs/wire.md, from keys and entropy that are fixed: the same bytes in every run.

python -m tests.vectors.generate [--check]

What is in the file, all bytes as hex:
  frames     every kind of frame, whole, as it stands in a record
  records    name records and their signatures, with the secret keys that made them
  invitations  tokens, with the registrar's key that signs them
  handshakes with all secrets: pieces, payloads, hashes, the keys of both directions
  session    all bytes of two connections between the same two nodes, piece by piece, with the frames in each record:
             resume, messages both ways, acknowledgements, a break in the middle of a message, resume, ping, goodbye;
             in version 1, and another one in version 2
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from net.base.ciphers import ALWAYS, Cipher
from net.base.errors import TryLater
from net.base.frames import (
    DATA,
    DATA_HEADER,
    FIRST,
    FIRST_HEADER,
    NAMED,
    NAMED_HEADER,
    NO_BLOB,
    NUMBERED,
    NUMBERED_HEADER,
    Ack,
    Control,
    Credit,
    Found,
    Goodbye,
    Granted,
    Incoming,
    Known,
    Lookup,
    Ping,
    Pong,
    Refused,
    Register,
    Reserve,
    Reserved,
    Resume,
    Spliced,
    encode_control,
)
from net.base.limits import FIRST_RECORD_SECONDS, KEEPALIVE_SECONDS
from net.names.directory import Endpoint, NameRecord, SignedRecord, grant_record, sign_record
from net.names.identity import Identity
from net.names.invitation import Invitation, invitation_text, sign_invitation
from net.peering.network import Network, NetworkConfig
from net.session.handshake import Accept, Connect, Handshake
from net.session.sealing import Sealer
from tests.net.world import REGISTRAR, Node, World, entropy_of, host_of, identity_of, record_of, static_directory

FILE = Path(__file__).parent / "wire.json"
DIALER, ACCEPTOR = identity_of("bob.test"), identity_of("ann.test")
"""The acceptor has the lower name: it is the arbiter."""
TICKET = bytes(range(16))
PAIR = b"ping:echo:sys>echo:echo:sys"
BREAK_AT = 1500
"""Bytes after which the first connection of the session breaks: in the middle of a message."""

Json = dict[str, Any]


def frames() -> list[Json]:
    """Every kind of frame."""
    own = record_of(DIALER)
    granted = grant_record(own, REGISTRAR).encode()
    known = Known(TICKET, 2, 10, ((4, 1049), (8, 0)), (8 + 1,))
    controls: list[Control] = [
        *(Resume(TICKET, 0, 1, 1 << 27, 2048, None), Resume(TICKET, 2, 7, 1 << 27, 2048, known)),
        *(Ack((1, 2, 300)), Credit(1 << 27, 2048), Ping(), Pong(), Goodbye(2)),
        *(Lookup(1, DIALER.name), Found(1, None), Found(1, granted)),
        *(Register(3, own.encode()), Register(3, own.encode(), _token()), Granted(3, granted), Refused(3, 2)),
        Refused(3, TryLater("busy", 60).code),
        *(Reserve(), Reserved(True), Incoming(TICKET, DIALER.name), Spliced()),
    ]
    found = [{"frame": type(each).__name__.lower(), "bytes": encode_control(each).hex()} for each in controls]
    for name, head, body in (
        ("begins, header and blob", FIRST_HEADER.pack(DATA, FIRST, 10, 1, 6, 4), b"headerblob"),
        ("begins, without a blob", FIRST_HEADER.pack(DATA, FIRST, 6, 2, 6, NO_BLOB), b"header"),
        ("begins, the blob comes later", FIRST_HEADER.pack(DATA, FIRST, 6, 3, 6, 4), b"header"),
        ("goes on", DATA_HEADER.pack(DATA, 0, 4, 3), b"blob"),
        ("begins, with nothing in it", FIRST_HEADER.pack(DATA, FIRST, 0, 4, 0, NO_BLOB), b""),
    ):
        found.append({"frame": "data", "what": name, "bytes": (head + body).hex()})
    named = NAMED_HEADER.pack(DATA, FIRST | NAMED, 6, 5, 6, NO_BLOB, 0, len(PAIR)) + PAIR
    numbered = NUMBERED_HEADER.pack(DATA, FIRST | NUMBERED, 10, 6, 6, 4, 0)
    for name, data in (
        ("version 2: begins, and its pair gets number 0", named + b"header"),
        ("version 2: begins, of pair 0", numbered + b"headerblob"),
    ):
        found.append({"frame": "data", "what": name, "bytes": data.hex()})
    return found


def _token() -> bytes:
    """An invitation, for one name."""
    return sign_invitation(Invitation(TICKET, 2, FIRST_RECORD_SECONDS, DIALER.name), REGISTRAR)


def invitations() -> list[Json]:
    """Tokens, what they say, and how people copy them."""
    found = []
    for invitation in (Invitation(TICKET, 1, 0, None), Invitation(TICKET, 2, FIRST_RECORD_SECONDS, DIALER.name)):
        token = sign_invitation(invitation, REGISTRAR)
        found.append(
            {
                "id": invitation.id.hex(),
                "uses": invitation.uses,
                "expires_at": invitation.expires_at,
                "name": invitation.name,
                "public_key": REGISTRAR.public_key.hex(),
                "bytes": token.hex(),
                "text": invitation_text(token),
            }
        )
    return found


def records() -> list[Json]:
    """Name records: own, with a changed key, granted, with the epoch and the number of a copy, with a cipher."""
    changed_key = identity_of(DIALER.name, "another key")
    behind = NameRecord(DIALER.name, DIALER.public_key, (), ("rob.test",), 2, *_times())
    reachable = (Endpoint("192.0.2.1", 9000), Endpoint("node.example", 65535))
    changed = NameRecord(DIALER.name, changed_key.public_key, reachable, (), 3, *_times())
    marked = replace(record_of(DIALER).record, sequence=4, epoch=1_764_500_000_000, copy=12)
    listing = replace(record_of(DIALER).record, sequence=5, ciphers=(Cipher.AES_GCM,))
    return [
        _record("signed by its own key alone", DIALER, record_of(DIALER)),
        _record("granted", DIALER, grant_record(record_of(DIALER), REGISTRAR)),
        _record("behind a router, granted", DIALER, grant_record(sign_record(behind, DIALER), REGISTRAR)),
        _record("with a changed key", changed_key, grant_record(sign_record(changed, changed_key, DIALER), REGISTRAR)),
        _record("with an epoch and a copy, granted", DIALER, grant_record(sign_record(marked, DIALER), REGISTRAR)),
        _record("with a cipher, granted", DIALER, grant_record(sign_record(listing, DIALER), REGISTRAR)),
    ]


def _times() -> tuple[int, int]:
    """What a record has behind its sequence number: as in `record_of`."""
    record = record_of(DIALER).record
    return record.issued_at, record.expires_at


def _record(what: str, owner: Identity, signed: SignedRecord) -> Json:
    return {
        "what": what,
        "key seed": owner.seed.hex(),
        "previous key seed": DIALER.seed.hex() if signed.change_signature is not None else None,
        "registrar seed": REGISTRAR.seed.hex() if signed.grant is not None else None,
        "body": signed.body.hex(),
        "signature": signed.signature.hex(),
        "change": signed.change_signature.hex() if signed.change_signature is not None else None,
        "grant": signed.grant.hex() if signed.grant is not None else None,
        "bytes": signed.encode().hex(),
    }


def secrets(identity: Identity, static: bytes, ephemeral: bytes, record: SignedRecord | None = None) -> Json:
    """Of one side of a handshake, and the name record that it shows."""
    return {
        "name": identity.name,
        "seed": identity.seed.hex(),
        "static": static.hex(),
        "ephemeral": ephemeral.hex(),
        "record": (record or record_of(identity)).encode().hex(),
    }


def handshake(circuit: Connect | Accept | None, cipher: Cipher = ALWAYS) -> Json:
    """One handshake, and the first record of each direction."""
    keys = {each.name: entropy_of(f"vectors {each.name}") for each in (DIALER, ACCEPTOR)}
    sides, said = [], []
    for each in (DIALER, ACCEPTOR):
        static, ephemeral = keys[each.name](32), keys[each.name](32)
        listed = (cipher,) if cipher is not ALWAYS else ()
        record = sign_record(replace(record_of(each).record, ciphers=listed), each)
        said.append(secrets(each, static, ephemeral, record))
        wants = circuit if each is DIALER else None
        given = Handshake(
            each,
            record.encode(),
            initiator=each is DIALER,
            static=static,
            entropy=lambda _, value=ephemeral: value,  # type: ignore[misc]
            circuit=wants,
            cipher=cipher if each is DIALER else ALWAYS,
        )
        sides.append(given)
    dialer, acceptor = sides
    pieces, hashes = [dialer.begin()], [dialer._noise.hash]
    acceptor.read_untrusted(pieces[0])
    pieces.append(acceptor.write())
    hashes.append(acceptor._noise.hash)
    dialer.read_untrusted(pieces[1])
    pieces.append(dialer.write())
    hashes.append(dialer._noise.hash)
    acceptor.read_untrusted(pieces[2])
    first = [_sealed(side.split()[0], encode_control(Ping())).hex() for side in sides]
    return {
        "cipher": cipher.value,
        "dialer": said[0],
        "acceptor": said[1],
        "circuit": None
        if circuit is None
        else circuit.target
        if isinstance(circuit, Connect)
        else circuit.ticket.hex(),
        "pieces": [piece.hex() for piece in pieces],
        "hash after each": [each.hex() for each in hashes],
        "first record of the dialer, a ping": first[0],
        "first record of the acceptor, a ping": first[1],
    }


def _sealed(sealer: Sealer, plaintext: bytes) -> bytes:
    buffer = bytearray(2) + plaintext + bytes(16)
    sealer.seal(memoryview(buffer), 0, len(plaintext))
    return bytes(buffer[2:])


class _Recorded(World):
    """Two nodes; keeps what each of them drew, and each piece of each connection with its direction."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.drawn: dict[str, list[bytes]] = {}
        self.said: list[list[tuple[str, bytes]]] = []
        for each in (DIALER, ACCEPTOR):
            directory = static_directory(DIALER, ACCEPTOR)
            network = Network(each, directory, NetworkConfig(frames_version=version), self._entropy(each.name), 0.0)
            self.nodes[each.name] = self.listening[host_of(each.name), 9000] = Node(each.name, network)

    def _entropy(self, name: str) -> Callable[[int], bytes]:
        draw, kept = entropy_of(f"vectors {name}"), self.drawn.setdefault(name, [])

        def drawing(size: int) -> bytes:
            value = draw(size)
            kept.append(value)
            return value

        return drawing

    def _dial(self, node: Node, connection: int, host: str, port: int) -> None:
        self.said.append([])
        super()._dial(node, connection, host, port)

    def _carry(self, node: Node, connection: int, data: bytes) -> None:
        wire = self.open.get((id(node), connection))
        if wire is not None and wire.cut_after is not None:
            self.said[-1].append((node.name, data[: wire.cut_after - wire.carried]))
        elif wire is not None:
            self.said[-1].append((node.name, data))
        super()._carry(node, connection, data)


def session(version: int) -> Json:
    """Two connections, all bytes of them."""
    world = _Recorded(version)
    dialer, acceptor = world.nodes[DIALER.name], world.nodes[ACCEPTOR.name]
    world.on_wire = lambda wire: setattr(wire, "cut_after", BREAK_AT if len(world.wires) == 1 else None)
    world.send(dialer, ACCEPTOR.name, b"a question", b"and its blob")
    world.settle()
    world.send(acceptor, DIALER.name, b"an answer without a blob")
    if version >= 2:
        world.send(acceptor, DIALER.name, b"another one")
    world.send(dialer, ACCEPTOR.name, b"a long one", bytes(range(256)) * 4)
    world.run(1.0)
    world.run(KEEPALIVE_SECONDS + 1.0)
    dialer.network.shutdown(world.now)
    world.settle()
    keys = {name: [each for each in drawn if len(each) == 32] for name, drawn in world.drawn.items()}
    connections = [
        {
            "dialer": secrets(DIALER, keys[DIALER.name][0], keys[DIALER.name][1 + index]),
            "acceptor": secrets(ACCEPTOR, keys[ACCEPTOR.name][0], keys[ACCEPTOR.name][1 + index]),
            "stream": [{"from": name, "bytes": data.hex()} for name, data in said],
        }
        for index, said in enumerate(world.said)
    ]
    return {
        "breaks after so many bytes": BREAK_AT,
        "connections": connections,
        "messages": [
            {"to": node.name, "header": header.hex(), "blob": None if blob is None else blob.hex()}
            for node in (acceptor, dialer)
            for _, header, blob in node.received()
        ],
    }


def vectors() -> Json:
    """All of them."""
    return {
        "about": "Test vectors of docs/wire.md; made by `make vectors`. Bytes are hex.",
        "frames": frames(),
        "records": records(),
        "invitations": invitations(),
        "handshakes": [
            handshake(None),
            handshake(Connect("cid.test")),
            handshake(Accept(TICKET)),
            handshake(None, Cipher.AES_GCM),
        ],
        "session": session(1),
        "session of version 2": session(2),
        "session of version 3": session(3),
    }


def main() -> int:
    """Write the file, or say whether it is as it should be."""
    parser = argparse.ArgumentParser(description="write the test vectors")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the file is another one")
    options = parser.parse_args()
    text = json.dumps(vectors(), indent=1) + "\n"
    if options.check:
        return int(FILE.read_text() != text)
    FILE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
