"""The Zig SDK: what a guest says arrives, what arrives it sees, and its signatures are the interface's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.guest import (
    Arrival,
    ClearState,
    DropCapabilities,
    Effect,
    Failure,
    GetOnExit,
    GetState,
    Grant,
    Guest,
    GuestConfig,
    OurCapabilities,
    Poll,
    Print,
    Program,
    SaveCapabilities,
    SendAndAwait,
    SendRequest,
    SendResponse,
    SetOnExit,
    SetState,
    Spawn,
    SpawnError,
)
from kernel.contract.message import (
    ON_EXIT_NONE,
    ON_EXIT_RESTART,
    LazyLoadBlob,
    OnExit,
    OnExitAction,
    OnExitRequest,
    Reason,
    Request,
    Response,
    SendError,
    SendErrorKind,
)
from kernel.wasm.engine import Engine
from nectar_node.base.errors import DoesNotCompile
from nectar_node.toolchains.zig import SDK, build, compile_guest
from packages.build import PACKAGES, ROOT, differing
from tests.kernel.wasm.official import TOOL
from tests.seeds import examples

pytest.importorskip("ziglang")

OUR = Address.parse("our-node.nec@mirror:tests:sys")
THEIR = Address.parse("their.node.nec@other:package_2:some-user.nec")
CAPABILITIES = (Capability(THEIR, '"messaging"'), Capability(OUR, '{"any":[1]}'))
BLOB = LazyLoadBlob("text/plain", b"blob \x00\xff")
MEMORY = 64 << 20
GUESTS = sorted(path.relative_to(PACKAGES).as_posix() for path in PACKAGES.glob("*/pkg/*.wasm"))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest that calls every function."""
    output = tmp_path_factory.mktemp("zig") / "mirror.wasm"
    compile_guest(Path(__file__).parent / "mirror.zig", output, ROOT / ".zig-cache")
    return output


@pytest.fixture(scope="module")
def program(compiled: Path) -> Iterator[Program]:
    engine = Engine(None, replayable=True)
    yield engine.load(compiled.read_bytes())
    engine.close()


class Mirror:
    """A running mirror that waits for a message."""

    def __init__(self, program: Program) -> None:
        self.guest: Guest = program.start(GuestConfig(OUR, MEMORY))
        assert self.run() == []

    def run(self) -> list[Effect]:
        """Let it run until it waits or ends; what it asked for."""
        while self.guest.poll() is Poll.PREEMPTED:
            pass
        effects = list(self.guest.effects)
        self.guest.effects.clear()
        return effects

    def answer(self, value: object) -> list[Effect]:
        """Give it what it waits for."""
        self.guest.resume(value)
        return self.run()

    def told(
        self,
        command: str,
        body: bytes = b"body",
        inherit: bool = False,
        capabilities: tuple[Capability, ...] = (),
    ) -> list[Effect]:
        """Give it a request with a blob whose metadata says what to do."""
        return self.answer(Arrival(THEIR, Request(inherit, 5, body, command, capabilities), None, BLOB))


@pytest.fixture
def mirror(program: Program) -> Iterator[Mirror]:
    running = Mirror(program)
    yield running
    running.guest.close()


def embed(wasm: Path, folder: Path) -> Path:
    """The component that wit-component makes of a core module; fails if a signature is not the interface's."""
    embedded, component = folder / "embedded.wasm", folder / "component.wasm"
    wit = SDK / "wit" / "nectar-process-0.7.0.wit"
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("component", "embed", "--world", "process", wit, wasm, "-o", embedded),
        ("component", "new", embedded, "-o", component),
        ("validate", component),
    )
    for arguments in commands:
        subprocess.run([TOOL, *arguments], check=True)
    return component


def test_every_signature_is_that_of_the_wit(compiled: Path, tmp_path: Path) -> None:
    component = embed(compiled, tmp_path)
    wit = subprocess.run([TOOL, "component", "wit", component], check=True, capture_output=True, text=True).stdout
    functions = [line.split(":")[0].strip() for line in wit.splitlines() if ": func(" in line]
    assert sorted(functions) == sorted(["export init", *_functions_of_the_interface()])


def _functions_of_the_interface() -> list[str]:
    text = (SDK / "wit" / "nectar-process-0.7.0.wit").read_text()
    return [line.split(":")[0].strip() for line in text.splitlines() if ": func(" in line and "export" not in line]


@pytest.mark.parametrize("guest", GUESTS)
def test_every_guest_becomes_a_valid_component(guest: str, tmp_path: Path) -> None:
    component = embed(PACKAGES / guest, tmp_path)
    assert component.read_bytes()[4:8] == b"\x0d\x00\x01\x00"  # the preamble of a component, not of a core module


@pytest.mark.parametrize("guest", GUESTS)
def test_no_path_of_the_machine_is_in_a_guest(guest: str) -> None:
    wasm = (PACKAGES / guest).read_bytes()
    assert b".zig" not in wasm
    assert b"/home" not in wasm
    assert bytes(ROOT) not in wasm


@pytest.mark.long
def test_the_same_bytes_come_out_in_another_folder_without_a_cache(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "sdk", copy / "sdk")
    shutil.copytree(PACKAGES, copy / "packages")
    shutil.copytree(ROOT / "nectar_node", copy / "nectar_node")
    # One package is enough here: `make reproducible` builds them all in a fresh checkout.
    check = (
        "from pathlib import Path; from packages.build import differing; "
        "print(differing(Path('.zig-cache').resolve(), Path('packages').resolve(), {'echo': ('echo', 'ping')}))"
    )
    checked = subprocess.run([sys.executable, "-c", check], cwd=copy, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "[]\n"), checked.stderr


def test_a_guest_that_is_not_what_its_source_compiles_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "packages" / "mirror" / "pkg").mkdir(parents=True)
    stale = tmp_path / "packages" / "mirror" / "pkg" / "mirror.wasm"
    stale.write_bytes(b"stale")
    shutil.copy(Path(__file__).parent / "mirror.zig", tmp_path / "packages" / "mirror")
    guests = {"mirror": ("mirror",)}
    assert differing(ROOT / ".zig-cache", tmp_path / "packages", guests) == [stale]


@pytest.mark.parametrize("expects", [None, 0, (1 << 64) - 1])
@pytest.mark.parametrize("inherit", [False, True])
def test_a_request_is_seen_and_sent_with_all_its_parts(mirror: Mirror, expects: int | None, inherit: bool) -> None:
    request = Request(inherit, expects, b"\x00body\xff", '{"any":"JSON"}', CAPABILITIES)
    effects = mirror.answer(Arrival(THEIR, request, None, BLOB))
    assert effects == [SendRequest(THEIR, request, b"\x00body\xff", BLOB)]


def test_a_request_may_lack_all_that_is_optional(mirror: Mirror) -> None:
    request = Request(False, None, b"", None, ())
    assert mirror.answer(Arrival(THEIR, request, None, None)) == [SendRequest(THEIR, request, b"", None)]


@pytest.mark.parametrize("context", [None, b"", b"context"])
def test_a_response_is_seen_with_its_context(mirror: Mirror, context: bytes | None) -> None:
    response = Response(True, b"answer", '"m"', CAPABILITIES)
    effects = mirror.answer(Arrival(THEIR, response, context, BLOB))
    assert effects == [SendRequest(THEIR, Request(True, None, b"answer", '"m"', CAPABILITIES), context, BLOB)]


@pytest.mark.parametrize("kind", SendErrorKind)
def test_an_error_is_seen_with_kind_body_blob_and_context(mirror: Mirror, kind: SendErrorKind) -> None:
    request = Request(False, 3, b"original", None, CAPABILITIES)
    effects = mirror.answer(Failure(SendError(kind, THEIR, request, BLOB, Reason.EXPIRED), b'"context"'))
    body = f"{kind.name.lower()} request original".encode()
    assert effects == [SendResponse(Response(False, body, '"context"'), BLOB)]


def test_an_undelivered_response_is_told_from_a_request(mirror: Mirror) -> None:
    failed = SendError(SendErrorKind.OFFLINE, THEIR, Response(False, b"answer"), None, Reason.UNREACHABLE)
    assert mirror.answer(Failure(failed, None)) == [SendResponse(Response(False, b"offline response answer"), None)]


def test_several_requests_go_out_with_one_call(mirror: Mirror) -> None:
    request = Request(False, 5, b"body", "several")
    effects = mirror.told("several")
    assert effects == [SendRequest(THEIR, request, b"body", None), SendRequest(THEIR, request, b"body", BLOB)]


def test_an_awaited_answer_comes_back_with_the_call(mirror: Mirror) -> None:
    assert mirror.told("await") == [SendAndAwait(THEIR, Request(False, 5, b"body", "await"), BLOB)]
    other = LazyLoadBlob(None, b"other")
    effects = mirror.answer(Arrival(THEIR, Response(False, b"answer", '"m"', CAPABILITIES), None, other))
    assert effects == [SendResponse(Response(True, b"answer", '"m"', CAPABILITIES), other)]


def test_an_awaited_error_comes_back_with_the_call(mirror: Mirror) -> None:
    mirror.told("await")
    failed = SendError(SendErrorKind.TIMEOUT, THEIR, Request(False, 5, b"body", "await"), BLOB, Reason.EXPIRED)
    assert mirror.answer(Failure(failed, None)) == [SendResponse(Response(False, b"timeout"), BLOB)]


@pytest.mark.parametrize("name", [None, "child"])
@pytest.mark.parametrize("public", [False, True])
def test_spawn_passes_every_parameter(mirror: Mirror, name: str | None, public: bool) -> None:
    effects = mirror.told("spawn", (name or "").encode(), inherit=public, capabilities=CAPABILITIES)
    grants = (Grant(THEIR.process, '"messaging"'),)
    assert effects == [Spawn(name, "/child.wasm", ON_EXIT_RESTART, CAPABILITIES, grants, public)]
    assert mirror.answer(ProcessId.parse("77:tests:sys")) == [SendResponse(Response(False, b"77:tests:sys"), None)]


@pytest.mark.parametrize(
    ("error", "name"), [(SpawnError.NAME_TAKEN, b"NameTaken"), (SpawnError.NO_FILE_AT_PATH, b"NoFileAtPath")]
)
def test_why_a_spawn_failed_is_told_apart(mirror: Mirror, error: SpawnError, name: bytes) -> None:
    mirror.told("spawn")
    assert mirror.answer(error) == [SendResponse(Response(False, name), None)]


def test_state_is_set_read_and_cleared(mirror: Mirror) -> None:
    assert mirror.told("state", b"kept") == [SetState(b"kept")]
    assert mirror.answer(None) == [GetState()]
    assert mirror.answer(b"kept") == [SendResponse(Response(False, b"kept"), None)]
    assert mirror.told("state", b"") == [ClearState()]
    assert mirror.answer(None) == []


def test_on_exit_is_set_and_read_with_its_requests(mirror: Mirror) -> None:
    requests = OnExit(OnExitAction.REQUESTS, (OnExitRequest(THEIR, Request(False, None, b"body"), BLOB),))
    assert mirror.told("on_exit") == [SetOnExit(ON_EXIT_NONE), SetOnExit(requests), GetOnExit()]
    assert mirror.answer(requests) == [SetOnExit(requests)]


def test_capabilities_are_listed_saved_and_dropped(mirror: Mirror) -> None:
    assert mirror.told("capabilities") == [OurCapabilities()]
    assert mirror.answer(CAPABILITIES) == [SaveCapabilities(CAPABILITIES), OurCapabilities()]
    assert mirror.answer(()) == [DropCapabilities(())]


def test_a_line_is_printed_at_its_verbosity(mirror: Mirror) -> None:
    assert mirror.told("print", "Zoë".encode()) == [Print(2, "Zoë")]


def test_a_panic_prints_its_message_and_traps(mirror: Mirror) -> None:
    assert mirror.told("overflow", b"\xff") == [Print(0, "integer overflow")]
    assert mirror.guest.end is not None
    assert mirror.guest.end.trap is not None


def test_an_error_out_of_init_prints_its_name_and_traps(mirror: Mirror) -> None:
    assert mirror.told("fail") == [Print(0, "init failed: AsTold")]
    assert mirror.guest.end is not None
    assert mirror.guest.end.trap is not None


def test_ten_thousand_messages_need_no_more_memory_than_a_hundred(mirror: Mirror) -> None:
    request = Request(False, 5, b"x" * 3000, '{"any":"JSON"}', CAPABILITIES)
    arrival = Arrival(THEIR, request, None, LazyLoadBlob("text/plain", b"x" * 100_000))
    for _ in range(100):
        mirror.answer(arrival)
    before = mirror.guest.statistics().memory_bytes
    for _ in range(10_000):
        mirror.answer(arrival)
    assert mirror.guest.statistics().memory_bytes == before


@pytest.mark.parametrize(
    ("body", "spelled"),
    [
        ('"Unit"', '"Unit"'),
        ('{"Number":-9223372036854775808}', None),
        ('{"Flag":true}', None),
        ('{"Maybe":null}', None),
        ('{"Maybe":255}', None),
        ('{"Text":"\\u00e9 \\"\\n"}', '{"Text":"é \\"\\n"}'),
        ('{"Texts":["a",""]}', None),
        ('{"Triple":[1,2,3]}', None),
        ('{"Kind":"Timeout"}', None),
        (
            '{"Record":{"unknown":{"a":[1]},"needed":18446744073709551615}}',
            '{"Record":{"needed":18446744073709551615,"default":7,"nested":null}}',
        ),
        (' { "Record" : { "needed" : 1 , "default" : 2 , "nested" : { "text" : "t" } } } ', None),
        ('{"Any": {"a": [1.5, null]} }', '{"Any":{"a": [1.5, null]}}'),
    ],
)
def test_json_is_spelled_as_serde_does(mirror: Mirror, body: str, spelled: str | None) -> None:
    (effect,) = mirror.told("json", body.encode())
    assert isinstance(effect, SendResponse)
    expected = spelled if spelled is not None else json.dumps(json.loads(body), separators=(",", ":"))
    assert effect.response.body.decode() == expected


@pytest.mark.parametrize(
    "body",
    [
        "",
        "Unit",
        '"Other"',
        '"Number"',
        '{"Unit":1}',
        '{"Number":1.5}',
        '{"Number":9223372036854775808}',
        '{"Number":1,"Flag":true}',
        '{"Maybe":256}',
        '{"Triple":[1,2]}',
        '{"Triple":[1,2,3,4]}',
        '{"Record":{}}',
        '{"Text":"a"} x',
        '{"Text":"a"',
        "[" * 10_000,
        '{"Any":' + "[" * 10_000,
    ],
)
def test_what_does_not_fit_the_type_is_not_json(mirror: Mirror, body: str) -> None:
    assert mirror.told("json", body.encode()) == [SendResponse(Response(False, b"not JSON"), None)]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_BODIES = st.one_of(
    st.binary(),
    _VALUES.map(lambda value: json.dumps(value).encode()),
    st.tuples(st.sampled_from(["Number", "Text", "Texts", "Triple", "Record", "Any", "Maybe"]), _VALUES).map(
        lambda pair: json.dumps({pair[0]: pair[1]}).encode()
    ),
)


@given(body=_BODIES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(300))
def test_no_body_makes_the_parser_trap(mirror: Mirror, body: bytes) -> None:
    (effect,) = mirror.told("json", body)
    assert isinstance(effect, SendResponse)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "const std = 1;\npub fn init(_: anytype) void {\n    x();\n}\n",
            "main.zig:3:5: use of undeclared identifier 'x'",
        ),
        ('pub const init = @import("other.zig").init;\n', 'other.zig:1:1: unable to load "other.zig": FileNotFound'),
    ],
)
def test_a_mistake_is_told_in_one_sentence_with_the_authors_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "main.zig").write_text(text)
    with pytest.raises(DoesNotCompile) as caught:
        build(tmp_path / "main.zig", tmp_path / "out.wasm")
    assert str(caught.value).startswith(str(tmp_path / says))
    assert "\n" not in str(caught.value)
