"""A second peer, written from docs/wire.md and the Noise specification alone: it shares no code with what it talks to.

Sans-IO: bytes in by `feed`, bytes out by `take`. It dials or accepts, proves its name, demands the other's, resumes,
sends and receives messages in any number of frames, acknowledges, answers pings, and goes on after a break. It is meant
to be read beside the page, not to be fast: one read of the page, one line here.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

NO_BLOB = 0xFFFFFFFF


def hkdf(chaining: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Noise, section 4.3, with two outputs."""
    secret = hmac.digest(chaining, material, "blake2s")
    first = hmac.digest(secret, b"\1", "blake2s")
    return first, hmac.digest(secret, first + b"\2", "blake2s")


def public(key: X25519PrivateKey | Ed25519PrivateKey) -> bytes:
    """The public half."""
    return key.public_key().public_bytes_raw()


def frames_of(record: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Header and body of each of the frames in a record: one or more, and all whole."""
    assert record
    while record:
        kind, flags, length = struct.unpack_from(">BBH", record)
        begin = {(0, 0): 4, (1, 0): 12, (1, 1): 20, (1, 3): 21, (1, 5): 22, (2, 0): 4}[kind, flags]
        if flags == 5:
            begin += record[21]
        head, body, record = record[:begin], record[begin : begin + length], record[begin + length :]
        assert len(body) == length
        yield head, body


def name_record(name: str, seed: bytes, now: int) -> bytes:
    """A signed record of a node that listens nowhere, for 7 days: its name is new."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    body = cbor2.dumps([1, name, public(key), [], [], 1, now, now + 7 * 86400])
    return cbor2.dumps([body, key.sign(b"nectar/1 name record\0" + body), None, None])


def marks(record: bytes) -> tuple[int, int]:
    """The revocation epoch and the number of the newest copy, which a record may lack."""
    fields = cbor2.loads(cbor2.loads(record)[0])
    assert len(fields) in (8, 10, 11)
    epoch, copy = fields[8:10] or (0, 0)
    return epoch, copy


def granted_key(record: bytes, name: str, registrar: bytes) -> bytes:
    """The key in a record of `name` that its own key and the registrar's have signed."""
    body, signature, _, grant = cbor2.loads(record)
    version, named, key, *_ = cbor2.loads(body)
    assert (version, named) == (1, name)
    Ed25519PublicKey.from_public_bytes(key).verify(signature, b"nectar/1 name record\0" + body)
    Ed25519PublicKey.from_public_bytes(registrar).verify(grant, b"nectar/1 grant\0" + body)
    assert isinstance(key, bytes)
    return key


class Cipher:
    """One direction: a key, and the number of the next nonce."""

    per_key = 1 << 22
    """Records for which a key of AES-GCM is good."""

    def __init__(self, key: bytes, *, aes: bool) -> None:
        self.key, self.aes = key, aes
        self.number = 0

    def nonce(self) -> bytes:
        """Four zero bytes and the number as a u64, big-endian for AES-GCM; a new key first, when that is due."""
        form = ">4xQ" if self.aes else "<4xQ"
        if self.aes and self.number and self.number % self.per_key == 0:
            self.key = AESGCM(self.key).encrypt(struct.pack(form, (1 << 64) - 1), bytes(32), b"")[:32]
        self.number += 1
        return struct.pack(form, self.number - 1)

    @property
    def algorithm(self) -> AESGCM | ChaCha20Poly1305:
        """With the present key."""
        return AESGCM(self.key) if self.aes else ChaCha20Poly1305(self.key)

    def seal(self, data: bytes, associated: bytes = b"") -> bytes:
        """Encrypt the next."""
        nonce = self.nonce()
        return self.algorithm.encrypt(nonce, data, associated)

    def open(self, data: bytes, associated: bytes = b"") -> bytes:
        """Decrypt the next."""
        nonce = self.nonce()
        return self.algorithm.decrypt(nonce, data, associated)


class Noise:
    """Noise_XX_25519_ChaChaPoly_BLAKE2s, or with AESGCM: the tokens of its three messages, in order."""

    def __init__(self, static: bytes, ephemeral: bytes, *, aes: bool = False) -> None:
        self.s, self.e = map(X25519PrivateKey.from_private_bytes, (static, ephemeral))
        self.rs = self.re = b""
        self.cipher: Cipher | None = None
        self.choose(aes=aes)

    def choose(self, *, aes: bool) -> None:
        """Begin with the protocol's name, hashed if it is longer than a hash, and the prologue."""
        self.aes = aes
        name = b"Noise_XX_25519_AESGCM_BLAKE2s" if aes else b"Noise_XX_25519_ChaChaPoly_BLAKE2s"
        self.h = self.ck = name.ljust(32, b"\0") if len(name) <= 32 else hashlib.blake2s(name).digest()
        self.mix_hash(b"nectar/1 AESGCM" if aes else b"nectar/1")

    def mix_hash(self, data: bytes) -> None:
        """Section 5.2."""
        self.h = hashlib.blake2s(self.h + data).digest()

    def mix_dh(self, mine: X25519PrivateKey, theirs: bytes) -> None:
        """Section 5.2, MixKey of a shared secret."""
        self.ck, key = hkdf(self.ck, mine.exchange(X25519PublicKey.from_public_bytes(theirs)))
        self.cipher = Cipher(key, aes=self.aes)

    def seal(self, data: bytes) -> bytes:
        """EncryptAndHash."""
        sealed = self.cipher.seal(data, self.h) if self.cipher is not None else data
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """DecryptAndHash."""
        data = self.cipher.open(sealed, self.h) if self.cipher is not None else sealed
        self.mix_hash(sealed)
        return data

    def split(self) -> tuple[Cipher, Cipher]:
        """From the dialer, and to it."""
        first, second = hkdf(self.ck, b"")
        return Cipher(first, aes=self.aes), Cipher(second, aes=self.aes)


@dataclass
class Memory:
    """What a peer keeps of another from connection to connection."""

    incarnation: bytes
    """It speaks version 2 if this ends as that version has it."""
    binding: int = 0
    other: tuple[bytes, int] | None = None
    """The other's incarnation and epoch."""
    next_in: int = 1
    partial: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)
    """Number: lengths of header and blob, and the bytes that are there."""
    pairs: dict[int, bytes] = field(default_factory=dict)
    """Number: the name of its pair, where one was told."""
    received: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    next_out: int = 1
    sent: dict[int, tuple[bytes, bytes | None, int]] = field(default_factory=dict)
    """Number: header, blob, and how much of them is written; until it is acknowledged."""
    waiting: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    acknowledged: int = 0


class Peer:
    """One connection of the node `name`."""

    def __init__(self, name: str, seed: bytes, keys: dict[str, bytes], noise: Noise, memory: Memory) -> None:
        """`keys`: the Ed25519 key of every node that it believes, by name."""
        self.name, self.seed, self.keys, self.noise, self.memory = name, seed, keys, noise, memory
        self.record: bytes | None = None
        self.circuit: list[object] | None = None
        """What piece 3 says besides our name."""
        self.dialed: str | None = None
        self.other = ""
        self.step = 0
        self.output = self.rest = b""
        self.writer: Cipher | None = None
        self.reader: Cipher | None = None
        self.live = False
        self.credit = (0, 0)
        self.piece_bytes = 60_000
        self.pongs = 0
        self.named: dict[int, bytes] = {}
        """The pairs to which the other has given numbers on this connection."""
        self.naming: dict[bytes, int] | None = None
        """Those to which we have; None: one of us speaks version 1."""
        self.answers: dict[int, tuple[str, object]] = {}
        """A registrar's, by request."""
        self.goodbye: int | None = None

    # --- handshake ---

    def dial(self, name: str) -> None:
        """Begin, as the dialer, and demand that name."""
        self.dialed = name
        self.noise.mix_hash(public(self.noise.e))
        self.put(public(self.noise.e) + self.noise.seal(b"\1" if self.noise.aes else b""))
        self.step = 1

    def greet(self, domain: bytes) -> bytes:
        """The payload of pieces 2 and 3; s is sent already, so h is the one from before that piece."""
        statement = domain + b"\0" + public(self.noise.s) + self.before
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(statement)
        return cbor2.dumps([1, self.name, signature, self.record, self.circuit])

    def believe(self, payload: bytes, domain: bytes) -> None:
        """Whether the greeting proves its name."""
        version, self.other, signature, *_ = cbor2.loads(payload)
        assert (version, self.dialed) in ((1, self.other), (1, None)), "another version, or another node"
        statement = domain + b"\0" + self.noise.rs + self.before
        Ed25519PublicKey.from_public_bytes(self.keys[self.other]).verify(signature, statement)

    def handshake(self, piece: bytes) -> None:
        """Pieces 1 to 3, from either side."""
        noise, self.before = self.noise, self.noise.h
        if self.step == 1:
            self.read_second(piece)
        elif self.step == 0:
            assert len(piece) == 32 or (len(piece) == 33 and piece[32] == 1)
            noise.choose(aes=len(piece) == 33)
            noise.re = piece[:32]
            noise.mix_hash(noise.re)
            noise.open(piece[32:])
            self.write_second()
        else:
            noise.rs = noise.open(piece[:48])
            noise.mix_dh(noise.e, noise.rs)
            self.believe(noise.open(piece[48:]), b"nectar/1 handshake initiator")
            self.reader, self.writer = noise.split()
            self.begin()

    def write_second(self) -> None:
        """e, ee, s, es, greeting."""
        noise, self.before = self.noise, self.noise.h
        noise.mix_hash(public(noise.e))
        noise.mix_dh(noise.e, noise.re)
        static = noise.seal(public(noise.s))
        noise.mix_dh(noise.s, noise.re)
        self.put(public(noise.e) + static + noise.seal(self.greet(b"nectar/1 handshake responder")))
        self.step = 2

    def read_second(self, piece: bytes) -> None:
        """The same from the other side; then s, se, greeting."""
        noise = self.noise
        noise.re = piece[:32]
        noise.mix_hash(noise.re)
        noise.mix_dh(noise.e, noise.re)
        noise.rs = noise.open(piece[32:80])
        noise.mix_dh(noise.e, noise.rs)
        self.believe(noise.open(piece[80:]), b"nectar/1 handshake responder")
        self.before = noise.h
        static = noise.seal(public(noise.s))
        noise.mix_dh(noise.s, noise.re)
        self.put(static + noise.seal(self.greet(b"nectar/1 handshake initiator")))
        self.writer, self.reader = noise.split()
        self.begin()

    # --- stream and frames ---

    def put(self, piece: bytes) -> None:
        """A piece: its length and its bytes."""
        self.output += struct.pack(">H", len(piece)) + piece

    def take(self) -> bytes:
        """What is to be written."""
        output, self.output = self.output, b""
        return output

    def feed(self, data: bytes) -> None:
        """Bytes of the other side."""
        self.rest += data
        while len(self.rest) >= 2 and len(self.rest) >= 2 + (size := int.from_bytes(self.rest[:2], "big")):
            piece, self.rest = self.rest[2 : 2 + size], self.rest[2 + size :]
            if self.reader is None:
                self.handshake(piece)
            else:
                self.frames(self.reader.open(piece))

    def frames(self, record: bytes) -> None:
        """Do what each says."""
        for head, body in frames_of(record):
            if head[0] == 0:
                kind, *fields = cbor2.loads(body)
                HANDLERS[kind](self, *fields)
            elif head[0] == 2:
                self.on_ack([number for (number,) in struct.iter_unpack(">Q", body)])
            else:
                self.data(head, head[1], body)

    def say(self, *frame: object) -> None:
        """A control frame, in a record of its own."""
        assert self.writer is not None
        body = cbor2.dumps(list(frame))
        self.put(self.writer.seal(struct.pack(">BBH", 0, 0, len(body)) + body))

    # --- session ---

    def begin(self) -> None:
        """The handshake is through: the arbiter chooses this connection and speaks first."""
        if self.name < self.other:
            self.memory.binding += 1
            self.say_resume()

    def say_resume(self) -> None:
        """What we have of the other's messages."""
        memory, known = self.memory, None
        if memory.other is not None:
            partial = [[number, len(data)] for number, (_, _, data) in memory.partial.items()]
            known = [*memory.other, memory.next_in, partial, []]
        self.say(1, memory.incarnation, 0, memory.binding, 1 << 24, 100, known)

    def on_resume(self, incarnation: bytes, epoch: int, binding: int, size: int, count: int, known: object) -> None:
        """The other's resume frame, and our answer if we follow."""
        memory = self.memory
        if memory.other is not None and memory.other[0] != incarnation:
            memory.sent.clear()  # lost: whether they were taken is unknown
            memory.next_out = 1
        if memory.other != (incarnation, epoch):
            memory.other, memory.next_in, memory.partial = (incarnation, epoch), 1, {}
        if self.name < self.other:
            assert binding == memory.binding
        else:
            assert binding > memory.binding
            memory.binding = binding
            self.say_resume()
        if incarnation.endswith(b"nectar/2") and memory.incarnation.endswith(b"nectar/2"):
            self.naming = {}
        self.live, self.credit = True, (size, count)
        self.go_on(known if isinstance(known, list) and known[:2] == [memory.incarnation, 0] else None)

    def go_on(self, known: list[object] | None) -> None:
        """From where the other side stands."""
        memory, sent = self.memory, sorted(self.memory.sent.items())
        following, partial, untaken = known[2:] if known is not None else (1, [], [])
        assert isinstance(following, int)
        memory.next_out, memory.sent = following, {}
        begun = dict(partial)  # type: ignore[call-overload]
        for number, (header, blob, written) in sent:
            if number >= following:
                memory.waiting.insert(number - following, (header, blob))
            elif number in begun or number in untaken:  # type: ignore[operator]
                memory.sent[number] = (header, blob, begun.get(number, written))
            else:
                memory.acknowledged += 1
        for number in begun:
            self.write(number)
        waiting, memory.waiting = memory.waiting, []
        for message in waiting:
            self.send(*message)

    def send(self, header: bytes, blob: bytes | None = None) -> None:
        """A message; it waits if there is no connection."""
        memory = self.memory
        if not self.live:
            memory.waiting.append((header, blob))
            return
        cost = sum(len(h) + len(b or b"") + 128 for h, b, _ in [*memory.sent.values(), (header, blob, 0)])
        assert len(memory.sent) < self.credit[1], "no credit"
        assert not memory.sent or cost <= self.credit[0], "no credit"
        memory.sent[memory.next_out] = (header, blob, 0)
        memory.next_out += 1
        self.write(memory.next_out - 1)

    def write(self, number: int) -> None:
        """The data frames of a message, a record each, from where it stopped."""
        assert self.writer is not None
        header, blob, offset = self.memory.sent[number]
        whole = header + (blob or b"")
        while True:
            body = whole[offset : offset + self.piece_bytes]
            head = struct.pack(">BBHQ", 1, offset == 0, len(body), number)
            if offset == 0:
                head += struct.pack(">II", len(header), NO_BLOB if blob is None else len(blob))
                head = self.tell(head, b"their>%d" % (number % 2))
            self.put(self.writer.seal(head + body))
            offset += len(body)
            if offset == len(whole):
                break
        self.memory.sent[number] = (header, blob, offset)

    def tell(self, head: bytes, pair: bytes) -> bytes:
        """In version 2, the same head of a message's first frame with the message's pair."""
        if self.naming is None:
            return head
        if pair in self.naming:
            return head[:1] + b"\3" + head[2:] + bytes([self.naming[pair]])
        number = self.naming[pair] = len(self.naming)
        return head[:1] + b"\5" + head[2:] + bytes([number, len(pair)]) + pair

    def data(self, head: bytes, flags: int, body: bytes) -> None:
        """A piece of a message; the message is acknowledged as soon as it is whole."""
        memory = self.memory
        (number,) = struct.unpack_from(">Q", head, 4)
        if flags == 5:
            self.named[head[20]] = head[22:]
        if flags in (3, 5):
            assert self.naming is not None
            memory.pairs[number] = self.named[head[20]]
        if flags and number not in memory.partial:
            assert number == memory.next_in
            memory.next_in += 1
            memory.partial[number] = (*struct.unpack_from(">II", head, 12), b"")
        header, blob, there = memory.partial[number]
        there += body
        memory.partial[number] = (header, blob, there)
        if len(there) == header + (0 if blob == NO_BLOB else blob):
            del memory.partial[number]
            memory.received.append((there[:header], None if blob == NO_BLOB else there[header:]))
            assert self.writer is not None
            self.put(self.writer.seal(struct.pack(">BBHQ", 2, 0, 8, number)))

    def on_ack(self, numbers: list[int]) -> None:
        """The other's kernel has taken these."""
        for number in numbers:
            del self.memory.sent[number]
            self.memory.acknowledged += 1

    def on_credit(self, size: int, count: int) -> None:
        """Another credit."""
        self.credit = (size, count)

    def on_ping(self) -> None:
        """Answer."""
        self.say(5)

    def on_pong(self) -> None:
        """An answer."""
        self.pongs += 1

    def on_found(self, request: int, record: bytes | None) -> None:
        """A name's record, or that there is none."""
        self.answers[request] = ("found", record)

    def on_granted(self, request: int, record: bytes) -> None:
        """Our record, with the registrar's signature."""
        self.answers[request] = ("granted", record)

    def on_refused(self, request: int, reason: int) -> None:
        """No."""
        self.answers[request] = ("refused", reason)

    def on_goodbye(self, code: int) -> None:
        """The last frame."""
        self.goodbye = code
        self.live = False


HANDLERS: dict[int, Callable[..., None]] = {
    1: Peer.on_resume,
    3: Peer.on_credit,
    4: Peer.on_ping,
    5: Peer.on_pong,
    6: Peer.on_goodbye,
    8: Peer.on_found,
    10: Peer.on_granted,
    11: Peer.on_refused,
}
