"""What the network's fuzzers run: each target takes bytes, and raises nothing but what it documents.

Together the targets call every function of the net whose name ends in `_untrusted`, and those of the node that read
what another node sent (`test_network.py` counts them). A target lets its one documented error pass, and checks what it
can of what was accepted: mostly that it survives another encoding.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import cbor2

from kernel.capabilities.revocations import Revoked
from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.errors import BadModule
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request, Response
from kernel.wasm.binary.component import plan_untrusted
from nectar_node.backup.format.errors import BackupError, ObjectExists, ObjectMissing, WrongPhrase
from nectar_node.backup.format.names import is_name
from nectar_node.backup.operations import DeleteObject, GetObject, ListObjects, PutObject
from nectar_node.backup.stores.node_messages import NodeAnswer, enter, exchange
from nectar_node.contract.json_shapes import RequestRefused
from nectar_node.peers.envelope import (
    BadHeader,
    decode_header_untrusted,
    decode_short_untrusted,
    encode_header,
    encode_short,
    with_root,
)
from nectar_node.peers.grant_rows import (
    DamagedGrants,
    decode_file_untrusted,
    decode_untrusted,
    encode,
    revoked_row,
)
from nectar_node.peers.vouching import Claim
from nectar_node.releases.document import decode_release_untrusted, document_hash
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.head import head_of, read_head_untrusted, sign_head
from nectar_node.releases.rules import Chain
from nectar_node.releases.versions import Version
from nectar_node.sharing.wire.messages import (
    BadAnswer,
    DocumentWanted,
    FetchOrder,
    HeadWanted,
    PieceWanted,
    SearchWanted,
    SourceError,
    read_blob_untrusted,
    read_page_untrusted,
    read_request_untrusted,
    request_body,
)
from nectar_node.system import kept_objects
from nectar_node.system.kept_access import KeptAccess
from nectar_node.system.kept_objects import DamagedKept
from nectar_node.system.kept_requests import ProvePhrase, parse_untrusted
from nectar_node.system.net import MAX_HELLO_CHARACTERS, presentable_untrusted
from net.base.cbor import loads_untrusted
from net.base.ciphers import LISTED
from net.base.errors import (
    BadCbor,
    BadFrame,
    BadHandshake,
    BadInvitation,
    BadNameRecord,
    BadRecord,
    CreditOverrun,
    KeyFileError,
    RegistrationRefused,
)
from net.base.frames import (
    Ack,
    Control,
    Credit,
    Data,
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
    decode_frames_untrusted,
    encode_control,
)
from net.base.limits import FIRST_RECORD_SECONDS, MAX_PAIR_BYTES, MAX_PAIRS, MAX_PLAINTEXT_BYTES
from net.base.node_names import is_node_name
from net.contract.events import Outgoing
from net.names.directory import (
    Genesis,
    RegistrarDirectory,
    SignedRecord,
    StaticDirectory,
    decode_record_untrusted,
    decode_static_directory_untrusted,
    encode_static_directory,
    grant_record,
    sign_record,
)
from net.names.identity import Identity, verify_untrusted
from net.names.invitation import (
    Invitation,
    invitation_text,
    parse_invitation_untrusted,
    read_invitation_untrusted,
    sign_invitation,
)
from net.names.joining import PREFIX, JoinText, encode_join_text, parse_join_text_untrusted
from net.names.keyfile import Keys, decode_key_file_untrusted, seal
from net.names.own_records import OwnRecords
from net.names.registrar import Registrar
from net.peering.network import Network, NetworkConfig
from net.peering.resolver import Resolver
from net.session.handshake import Accept, Connect, Greeting, Handshake, decode_greeting_untrusted, encode_greeting
from net.session.inbox import Inbox
from net.session.outbox import Outbox, PairNumbers
from net.session.sealing import Opener, Sealer
from tests.cheap_keys import CHEAP
from tests.fuzz import described, http_doors, http_server_doors, releases
from tests.fuzz.attack import SEEDS, attack
from tests.fuzz.siege import siege
from tests.kernel.wasm.component_texts import TWO_MEMORIES, wat
from tests.kernel.wasm.guests import GUESTS
from tests.nectar_node.releases.samples import CHESS_DOCUMENTS, CHESS_HEAD
from tests.net.world import GENESIS, REGISTRAR, entropy_of, identity_of, record_of, static_directory

ANN, BOB = identity_of("ann.test"), identity_of("bob.test")
_KEY = bytes(range(32))
_ID = bytes(range(16))
_HOLDER = "a:tests:sys"
_NOTHING_REVOKED = Revoked(1, 0, (), ())
_NAME = f"packs/{7:032x}"
_OPERATIONS = (PutObject(_NAME, b""), GetObject(_NAME, 0, 9 << 20), ListObjects("packs/"), DeleteObject(_NAME))


def release(data: bytes) -> None:
    """A release document, which a head names whatever it says."""
    with suppress(BadRelease):
        found = decode_release_untrusted(data)
        assert decode_release_untrusted(found.encode()) == found
        assert found.size == sum(file.size for file in found.files)
        assert len(found.digest) == 64
        chain = Chain(head_of(found, data, 1))
        assert chain.wanted == document_hash(data)
        assert chain.add_untrusted(data) == found
        assert chain.wanted == found.before


def release_messages(data: bytes) -> None:
    """What a node asks for releases, and what another one answers."""
    with suppress(RequestRefused):
        request = read_request_untrusted(data)
        assert read_request_untrusted(request_body(request)) == request
    with suppress(BadAnswer):
        read_blob_untrusted(data, b"x", 1)
    with suppress(BadAnswer):
        page = read_page_untrusted(data, "b")
        assert isinstance(page, SourceError) or all(str(each.package) > "b" for each in page)


def package_head(data: bytes) -> None:
    """The head of a package."""
    with suppress(BadRelease):
        signed = read_head_untrusted(data)
        assert read_head_untrusted(signed.encode()) == signed
        if signed.signed_by(ANN.public_key):
            assert signed.head == sign_head(signed.head, ANN.name, ANN.sign).head


_CHESS = PackageId("chess", "ann.test")
_RELEASE_MESSAGES = (
    request_body(HeadWanted(_CHESS)),
    request_body(DocumentWanted(_CHESS, None, Version("1.0.0"))),
    request_body(PieceWanted(bytes(32), 1, 2)),
    request_body(SearchWanted("chess", "b")),
    request_body(FetchOrder("1", _CHESS, None, ("bob.test",), files=True)),
    b'"Ok"',
    b'{"Err":{"Busy":{"error":"has too much to do"}}}',
    b'{"Found":[["chess:ann.test","1.0.0","Chess."]]}',
)


@dataclass(frozen=True, slots=True)
class Target:
    """Something to fuzz."""

    run: Callable[[bytes], None]
    """Raises AssertionError, or whatever should not have been raised."""
    seeds: tuple[bytes, ...]
    """Where to begin: inputs that are accepted, and inputs that reach every function."""


# --- bytes that become values ---------------------------------------------------------------------------------------


def cbor(data: bytes) -> None:
    """What is read once is read again from its encoding, and is within its bounds."""
    try:
        value = loads_untrusted(data, items=24, depth=4, text=20)
    except BadCbor:
        return
    again = loads_untrusted(cbor2.dumps(value), items=len(data) + 24, depth=4)
    assert repr(again) == repr(value)  # not ==, for a fraction that is no number


def frames(data: bytes) -> None:
    """A record's plaintext, in both versions; control frames survive another encoding."""
    pairs = {0: b"a>b"}
    try:
        found = decode_frames_untrusted(memoryview(data), pairs)
    except BadFrame:
        found = []
    assert all(number < MAX_PAIRS and 0 < len(name) <= MAX_PAIR_BYTES for number, name in pairs.items())
    try:
        assert decode_frames_untrusted(memoryview(data)) == found
    except BadFrame:
        assert not found or any(isinstance(frame, Data) and frame.pair is not None for frame in found)
    for frame in found:
        if not isinstance(frame, Data):
            assert decode_frames_untrusted(memoryview(encode_control(frame))) == [frame]


def streams(data: bytes) -> None:
    """Data frames into an inbox, acknowledgements and resume frames into an outbox."""
    inbox, outbox = Inbox(100_000, 8), Outbox()
    outbox.set_credit(100_000, 8)
    for index in range(4):
        outbox.queue(b"%d" % (index % 2), b"header", bytes(index * 100), index, paired=index % 2 == 1)
    outbox.write(memoryview(bytearray(260)), 0, 260, PairNumbers())
    ended: list[object] = []
    try:
        for frame in decode_frames_untrusted(memoryview(data), {}):
            if isinstance(frame, Data):
                inbox.receive(frame)
            elif isinstance(frame, Ack):
                ended += outbox.acknowledge(frame.sequences)
            elif isinstance(frame, Resume):
                ended += outbox.resume(frame.known)
    except (BadFrame, CreditOverrun):
        pass
    ended += outbox.fail_all()
    assert sorted(map(repr, ended)) == ["0", "1", "2", "3"]


def greeting(data: bytes) -> None:
    """The payload of a handshake message."""
    try:
        found = decode_greeting_untrusted(data)
    except BadHandshake:
        return
    assert decode_greeting_untrusted(encode_greeting(found)) == found


def name_record(data: bytes) -> None:
    """A signed record, and where one may be handed in."""
    try:
        found = decode_record_untrusted(data)
    except BadNameRecord:
        found = None
    for directory in (static_directory(), RegistrarDirectory(GENESIS), Registrar(REGISTRAR)):
        try:
            learned = directory.learn_untrusted(data, 0.0)
        except BadNameRecord:
            continue
        assert found is not None
        assert learned is None or learned == found.held()
    try:
        granted = Registrar(REGISTRAR).register_untrusted(data, ANN.name, ANN.public_key.__eq__, 0.0)
    except RegistrationRefused:
        return
    assert found is not None
    assert decode_record_untrusted(granted.encoded).record == found.record


def invitation(data: bytes) -> None:
    """A token, as it comes over the wire and as people paste it; one whose body the registrar has signed, too."""
    signed = cbor2.dumps([data, REGISTRAR.sign(b"nectar/1 invitation", data)])
    for token in (data, signed):
        with suppress(BadInvitation):
            found = read_invitation_untrusted(token, REGISTRAR.public_key)
            assert read_invitation_untrusted(sign_invitation(found, REGISTRAR), REGISTRAR.public_key) == found
        registrar = Registrar(REGISTRAR, by_invitation=True)
        with suppress(RegistrationRefused):
            proves = ANN.public_key.__eq__
            granted = registrar.register_untrusted(_FIRST.encode(), ANN.name, proves, 0.0, "192.0.2.1", token)
            assert registrar.use_of(granted) is not None
    with suppress(BadInvitation):
        token = parse_invitation_untrusted(data.decode(errors="replace"))
        assert parse_invitation_untrusted(invitation_text(token)) == token


def record_body(data: bytes) -> None:
    """Behind the signatures: a body that its own key and the registrar have signed, whatever it says."""
    signed = SignedRecord(record_of(ANN).record, data, ANN.sign(b"nectar/1 name record", data), None, None)
    name_record(grant_record(signed, REGISTRAR).encode())


def static_file(data: bytes) -> None:
    """A static directory's file; and one whose list of records its authority has signed, whatever it lists."""
    _static_file(data)
    for listed in ([data], [grant_record(_RECORD, REGISTRAR).encode(), data], data):
        proof = REGISTRAR.sign(b"nectar/1 static directory", cbor2.dumps(listed))
        _static_file(cbor2.dumps(["nectar static directory 1", listed, proof]))


def _static_file(data: bytes) -> None:
    try:
        directory = decode_static_directory_untrusted(data, REGISTRAR.public_key)
    except BadNameRecord:
        return
    assert isinstance(directory, StaticDirectory)


def key_file(data: bytes) -> None:
    """A key file; one that is protected stays locked, since no password is guessed."""
    try:
        read = decode_key_file_untrusted(data)
        assert decode_key_file_untrusted(read.encode()) == read
        keys = read.unlock(None)
    except KeyFileError:
        return
    assert keys.identity.public_key == read.key.public_key


def signature(data: bytes) -> None:
    """Key, signature and message of any length."""
    key, proof, message = data[:32], data[32:96], data[96:]
    verify_untrusted(key, b"domain", message, proof)
    network = Network(ANN, static_directory(ANN, BOB), NetworkConfig(), entropy_of(""), 0.0)
    assert not verify_untrusted(ANN.public_key, b"domain", message, proof) or data[32:] == _SIGNED[32:]
    assert not network.vouched_untrusted("ann.test", b"domain", message, proof) or data[32:] == _SIGNED[32:]
    assert network.vouched_untrusted("bob.test", b"domain", message, proof) is False
    assert network.vouched_untrusted("zoe.test", b"domain", message, proof) is None


def resolver(data: bytes) -> None:
    """The registrar's answers, to one lookup and one registration; and what a peer shows as the node's own record."""
    events: list[object] = []
    own = OwnRecords((ANN.public_key,), 1, keeps_sequence=True)
    item = Resolver(ANN, RegistrarDirectory(GENESIS), events.append, own=own)
    item.look_up("bob.test", 0.0)
    item.register((), (), 0.0)
    try:
        for frame in decode_frames_untrusted(memoryview(data)):
            if isinstance(frame, Found) and frame.record is not None:
                with suppress(BadNameRecord):
                    item.shown_untrusted(frame.record, 0.0)
            if isinstance(frame, Found | Granted | Refused):
                item.receive_untrusted(frame, 0.0)
    except (BadFrame, BadNameRecord):
        return
    item.on_timer(100.0)


# --- bytes of a connection ------------------------------------------------------------------------------------------


def _handshake(identity: Identity, *, initiator: bool) -> Handshake:
    entropy = entropy_of(identity.name)
    return Handshake(identity, None, initiator=initiator, static=entropy(32), entropy=entropy)


def handshake(data: bytes) -> None:
    """Any message at each of the three places, and an honest greeting with a change at one place."""
    dialer, acceptor = _handshake(ANN, initiator=True), _handshake(BOB, initiator=False)
    first = dialer.begin()
    for side in (dialer, _handshake(BOB, initiator=False)):
        try:
            side.read_untrusted(data)
            side.write()
        except BadHandshake:
            pass
    dialer = _handshake(ANN, initiator=True)
    acceptor.read_untrusted(dialer.begin())
    second = acceptor.write()
    assert len(first) == 32
    altered = bytearray(second)
    for index, byte in enumerate(data[:8]):
        altered[(index * 37 + byte) % len(altered)] ^= byte
    try:
        dialer.read_untrusted(bytes(altered))
    except BadHandshake:
        return
    assert bytes(altered) == second


def opened(data: bytes) -> None:
    """A record with any bytes; and an honest one behind it, which is the next one still."""
    sealer, opener = Sealer(_KEY), Opener(_KEY)
    into = memoryview(bytearray(MAX_PLAINTEXT_BYTES))
    record = bytearray(2) + b"true" + bytes(16)
    sealer.seal(memoryview(record), 0, 4)
    try:
        opener.open_untrusted(data[:65535], into)
    except BadRecord:
        pass
    else:
        assert data == record[2:]
        return
    assert bytes(into[: opener.open_untrusted(bytes(record[2:]), into)]) == b"true"


def dialed(data: bytes) -> None:
    """A stranger who dials, and says these bytes in two parts."""
    network = Network(ANN, static_directory(ANN, BOB), NetworkConfig(), entropy_of(""), 0.0)
    number = network.new_connection()
    network.accepted(number, "somewhere", 0.0)
    middle = data[0] if data else 0
    network.receive(number, data[1:middle], 0.0)
    network.receive(number, data[middle:], 0.0)
    network.pending(number, 65536)
    network.on_timer(100.0)
    assert network.statistics()["connections"] == network.statistics()["live"] == 0
    network.send(Outgoing("bob.test", b"", b"header", None, 1), 100.0)


# --- what the node makes of it --------------------------------------------------------------------------------------


def header(data: bytes) -> None:
    """A message's header; what is accepted survives another encoding."""
    for blob, lineages in ((None, False), (b"blob", False), (None, True)):
        try:
            envelope, claims = decode_header_untrusted("ann.test", "bob.test", data, blob, lineages=lineages)
        except BadHeader:
            continue
        assert envelope.claimed
        assert envelope.source.node == "bob.test"
        assert lineages or envelope.root is None
        if blob is None and envelope.blob is None:
            encoded = encode_header(envelope, claims)
            if envelope.root is not None:
                encoded = with_root(encoded, envelope.root, short=False)
            again = decode_header_untrusted("ann.test", "bob.test", encoded, blob, lineages=lineages)
            assert again == (envelope, claims)


def short_header(data: bytes) -> None:
    """A message's short header, and the name of its pair before it; what is accepted survives another encoding."""
    pair, _, rest = data.partition(b"\0")
    for lineages in (False, True):
        try:
            envelope = decode_short_untrusted("ann.test", "bob.test", pair, rest, None, lineages=lineages)
        except BadHeader:
            continue
        assert envelope.claimed
        assert (envelope.source.node, envelope.target.node) == ("bob.test", "ann.test")
        encoded = encode_short(envelope, b"")
        assert encoded is not None
        assert (encoded if envelope.root is None else with_root(encoded, envelope.root, short=True)) == rest


def grants(data: bytes) -> None:
    """The rows of who holds what, proofs of other nodes among them, and the file that held it all before."""
    with suppress(DamagedGrants):
        decode_file_untrusted(data)
    with suppress(DamagedGrants):
        revoked = decode_untrusted({}, {"all": data}).revoked
        (_, key, value) = revoked_row(revoked)
        assert value is not None
        assert decode_untrusted({}, {key: value}).revoked == revoked
    with suppress(DamagedGrants):
        held, _, proofs = decode_untrusted({_HOLDER: data}, {})
        (listed,) = held.values()
        assert decode_untrusted({_HOLDER: encode(listed, proofs)}, {}) == (held, _NOTHING_REVOKED, proofs)


def hello(data: bytes) -> None:
    """What is logged of a text that another node sent."""
    shown = presentable_untrusted(data)
    assert len(shown) <= MAX_HELLO_CHARACTERS + 1
    assert shown.isprintable()


def keeper_asked(data: bytes) -> None:
    """A request for what a node keeps of another's backup; the blob's first byte says how long it is."""
    blob = LazyLoadBlob(None, bytes(4096 * data[0] // 200)) if data else None
    with suppress(RequestRefused):
        asked = parse_untrusted(data[1:], blob)
        assert is_node_name(asked.owner)
        assert is_name(getattr(asked, "name", _NAME))
        if isinstance(asked, ProvePhrase):
            visits = KeptAccess("bob.test", iter(range(9)).__next__)
            assert not visits.enter_untrusted("ann.test", asked.owner, (_KEY,), asked.nonce, asked.proof, 0.0)
            nonce = visits.nonce("ann.test", asked.owner, 0.0)
            assert not visits.enter_untrusted("ann.test", asked.owner, (_KEY,), nonce, asked.proof, 0.0)


def keeper_answers(data: bytes) -> None:
    """What a keeper answers to everything that is asked of it: a result, or an error of remotes."""
    body, _, blob = data.partition(b"\0")
    for steps in (
        *(exchange("bob.test", "ann.test", each) for each in _OPERATIONS),
        enter("bob.test", "eve.test", "ann.test", _KEY),
    ):
        with suppress(ObjectExists, ObjectMissing, BackupError, WrongPhrase, StopIteration):
            next(steps)
            for _ in range(3):
                steps.send(NodeAnswer(body, blob))


def kept_rows(data: bytes) -> None:
    """Rows of what is kept for others, in a store that somebody has changed."""
    key, _, value = data.partition(b"\0")
    rows = {key.decode(errors="replace"): value}
    with suppress(DamagedKept):
        kept_objects.decode_untrusted(rows, {})
    with suppress(DamagedKept):
        kept_objects.decode_untrusted({}, rows)


def component(data: bytes) -> None:
    """How a component is linked, as far as its bytes say."""
    with suppress(BadModule):
        plan = plan_untrusted(data)
        for number, instance in enumerate(plan.instances):
            for _, _, source in instance.imports:
                earlier = source if isinstance(source, int) else source.instance
                assert 0 <= earlier < (len(plan.host) if isinstance(source, int) else number)


# --- seeds ----------------------------------------------------------------------------------------------------------

CONTROLS: tuple[Control, ...] = (
    Resume(_ID, 0, 1, 1000, 10, None),
    Resume(_ID, 3, 2, 1 << 40, 2048, Known(_ID, 2, 7, ((3, 100), (5, 0)), (2, 6))),
    *(Ack((1, 2)), Credit(5, 6), Ping(), Pong(), Goodbye(3), Lookup(1, "bob.test"), Found(1, None)),
    *(Found(1, grant_record(record_of(BOB), REGISTRAR).encode()), Register(2, record_of(ANN).encode())),
    *(Granted(2, grant_record(record_of(ANN), REGISTRAR).encode()), Refused(2, 2)),
    *(Reserve(), Reserved(True), Incoming(_ID, "bob.test"), Spliced()),
)
_DATA = (
    bytes.fromhex("0101000a00000000000000010000000600000004") + b"headerblob",
    bytes.fromhex("0101000600000000000000010000000600000004")
    + b"header"
    + bytes.fromhex("010000040000000000000001")
    + b"blob",
    bytes.fromhex("010500060000000000000001000000060000000a0003") + b"a>bheader",
    bytes.fromhex("0103000600000000000000010000000600000004" + "00") + b"header",
)
_RECORD = record_of(ANN)
_FIRST = record_of(ANN, seconds=FIRST_RECORD_SECONDS)
_LISTING = sign_record(replace(_RECORD.record, ciphers=tuple(LISTED.values())), ANN)
"""What a registrar grants to a name that is new."""
_GRANTS = tuple(
    cbor2.dumps(value)
    for value in (
        [[["ann.test@a:b:c", '"key"']], [], [["ann.test@a:b:c", '"key"', 3, bytes(64)]]],
        [3, 1, [["tests:sys", 2]], [[_HOLDER, 3]]],
        [2, [[_HOLDER, [], []]], [1, 0, [], []], []],
    )
)
"""A row of who holds what, that of the revocations, and the file that held it all before."""


def joining(data: bytes) -> None:
    """Read the bytes as a text with which others join, and as the content of one whose check is right."""
    check = hashlib.blake2b(data, digest_size=4).digest()
    whole = PREFIX + base64.urlsafe_b64encode(data + check).decode().rstrip("=")
    for text in (data.decode(errors="replace"), whole):
        with suppress(BadInvitation):
            found = parse_join_text_untrusted(text)
            assert parse_join_text_untrusted(encode_join_text(found)) == found


_TOKEN = sign_invitation(Invitation(bytes(16), 1, 1000, ANN.name), REGISTRAR)
_JOINING = JoinText(Genesis(REGISTRAR.name, REGISTRAR.public_key, "127.0.0.1", 9000), True, _TOKEN)
_SIGNED = ANN.public_key + ANN.sign(b"domain", b"message") + b"message"
_SOURCE, _TARGET = (Address(f"{name}.test", ProcessId("a", "b", "sys")) for name in ("bob", "ann"))
_CLAIM = Claim(_SOURCE, '{"a":1}', 0, bytes(64))
_ENVELOPES = (
    Envelope(1, _SOURCE, _TARGET, ReplyTo(_SOURCE, 2), Request(True, 5, b"body", '{"a": [1]}'), None, claimed=True),
    Envelope(1, _SOURCE, _TARGET, None, Response(False, b"body"), LazyLoadBlob("text/plain", b"blob"), claimed=True),
)
_SHORT_HEADERS = tuple(
    b"a:b:c>d:e:f\0" + bytes.fromhex(f"{flags:02x}{'00' * 7}01{'00' * 7}{reply:02x}000000{seconds:02x}") + b"body"
    for flags, reply, seconds in ((0b1110, 2, 5), (0b0001, 0, 0), (0b1000, 0, 5), (0b11110, 2, 5))
)
_FRAMES = (*map(encode_control, CONTROLS), *_DATA, b"".join(map(encode_control, CONTROLS)))

_KEEPER_REQUESTS: dict[str, dict[str, object]] = {
    "Put": {"name": _NAME},
    "Get": {"name": _NAME, "start": 1, "length": 2},
    "List": {"prefix": "packs/", "after": _NAME},
    "Delete": {"name": _NAME},
    "Introduce": {"key": "00" * 32},
    "Challenge": {},
    "Prove": {"nonce": "00" * 32, "proof": "00" * 64},
}

TARGETS: dict[str, Target] = {
    "interfaces": Target(described.interfaces, described.SEEDS),
    "attack": Target(attack, SEEDS),
    "siege": Target(
        siege, tuple(bytes([kind]) + bytes(range(step, step + 90)) for kind in range(2) for step in (0, 9))
    ),
    "streams": Target(streams, _FRAMES),
    "frames": Target(frames, _FRAMES),
    "resolver": Target(resolver, _FRAMES),
    "cbor": Target(cbor, (b"\x83\x01\x42ab\x61c", cbor2.dumps([[1, "a", b"b", None, True], -1, [[]]] * 8))),
    "greeting": Target(
        greeting,
        tuple(
            encode_greeting(Greeting("ann.test", bytes(64), _RECORD.encode(), circuit))
            for circuit in (None, Connect("bob.test"), Accept(_ID))
        ),
    ),
    "name record": Target(name_record, (_RECORD.encode(), grant_record(_FIRST, REGISTRAR).encode(), _LISTING.encode())),
    "joining": Target(
        joining,
        (
            encode_join_text(_JOINING).encode(),
            cbor2.dumps([ANN.name, ANN.public_key, "127.0.0.1", 9000, True, _TOKEN]),
        ),
    ),
    "invitation": Target(invitation, (_TOKEN, cbor2.loads(_TOKEN)[0], invitation_text(_TOKEN).encode())),
    "record body": Target(record_body, (_RECORD.body, _FIRST.body, _LISTING.body)),
    "static file": Target(
        static_file,
        (encode_static_directory([_RECORD], REGISTRAR), grant_record(record_of(BOB), REGISTRAR).encode()),
    ),
    "key file": Target(
        key_file,
        (
            seal(Keys(ANN, BOB), None, entropy_of("")).encode(),
            seal(Keys(ANN, None), b"password", entropy_of(""), CHEAP).encode(),
        ),
    ),
    "signature": Target(signature, (_SIGNED, b"")),
    "handshake": Target(handshake, (bytes(32), bytes(range(144)), b"\1\0\0\0")),
    "opened": Target(opened, (b"", bytes(17), bytes(400))),
    "dialed": Target(dialed, (b"\x05\x00\x20" + bytes(range(32)) + b"\x00\x40" + bytes(64), b"\0GET / HTTP/1.1")),
    "header": Target(
        header,
        (
            *(encode_header(each, (_CLAIM,)) for each in _ENVELOPES),
            with_root(encode_header(_ENVELOPES[0]), 7, short=False),
        ),
    ),
    "short header": Target(short_header, _SHORT_HEADERS),
    "grants": Target(grants, _GRANTS),
    "keeper asked": Target(
        keeper_asked,
        tuple(
            b"\xff" + json.dumps({kind: {"owner": "ann.test", **fields}}).encode()
            for kind, fields in _KEEPER_REQUESTS.items()
        ),
    ),
    "keeper answers": Target(
        keeper_answers,
        (
            b'"Ok"\0abc',
            json.dumps({"Objects": [[_NAME, 5000]]}).encode(),
            b'{"Nonce":"' + b"00" * 32 + b'"}',
            b'{"Err":{"Full":{"error":"is full"}}}',
        ),
    ),
    "kept rows": Target(
        kept_rows,
        (
            b"ann.test\0" + cbor2.dumps([1 << 30, True, None, [_KEY]]),
            f"ann.test/{_NAME}".encode() + b"\0\0\0\x10\0\1",
        ),
    ),
    "browser": Target(http_doors.browser, http_doors.SEEDS["browser"]),
    "url": Target(http_doors.url, http_doors.SEEDS["url"]),
    "http client": Target(http_doors.client, http_doors.SEEDS["client"]),
    "http server": Target(http_server_doors.server, http_server_doors.SEEDS["server"]),
    "browser's frames": Target(http_server_doors.frames, http_server_doors.SEEDS["frames"]),
    "extension": Target(http_server_doors.extension, http_server_doors.SEEDS["extension"]),
    "component": Target(component, ((GUESTS / "native.wasm").read_bytes(), wat(TWO_MEMORIES))),
    "release": Target(release, CHESS_DOCUMENTS),
    "release messages": Target(release_messages, _RELEASE_MESSAGES),
    "release fetch": Target(releases.fetch, releases.FETCH_SEEDS),
    "release proof": Target(releases.proof, releases.PROOF_SEEDS),
    "package head": Target(package_head, (CHESS_HEAD.encode(),)),
    "hello": Target(hello, ("hi \x1b[31m é漢".encode(), b"\xff" * 40)),
}
"""By name; the first two are the session machine and get most of the time."""
