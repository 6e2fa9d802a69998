"""One script on each version of the interface, by a component that the official tools made, under a real kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import pytest

from kernel.contract.errors import BadModule
from kernel.contract.guest import Program
from kernel.contract.message import LazyLoadBlob, Response
from kernel.wasm.canonical.wit import INTERFACES, Interface
from kernel.wasm.engine import Engine
from tests.kernel.wasm import reference
from tests.kernel.wasm.guests import loaded
from tests.kernel.wasm.native import native_component
from tests.kernel.wasm.node import Node, here
from tests.kernel.wasm.official import component, declared_imports
from tests.kernel.wasm.puppet import ALL_TYPES, FLAT_RESULT, VERSIONS, Op, Script, dumped, imports_of, puppet

ECHO = ("our.nec", ("echo", "tests", "sys"))
SELF = ("our.nec", ("self", "tests", "sys"))
NOBODY = ("our.nec", ("nobody", "tests", "sys"))
AWAY = ("away.nec", ("echo", "tests", "sys"))


@pytest.fixture(scope="module")
def threads() -> Iterator[Engine]:
    engine = Engine(None, replayable=False)
    yield engine
    engine.close()


@pytest.fixture(
    params=[
        *(("fiber", module) for module in VERSIONS),
        *(("thread", module) for module in (*ALL_TYPES, "uqbar:process/standard@0.6.0")),
    ]
)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """How a component runs, of a fiber or as one that needs WASI 0.2 itself, and the version that it is made for."""
    pair: tuple[str, str] = request.param
    return pair


@pytest.fixture
def interface(way: tuple[str, str]) -> Interface:
    return INTERFACES[way[1]]


@pytest.fixture
def program(way: tuple[str, str], interface: Interface, replayable: Engine, threads: Engine) -> Program:
    """The puppet of that version as a component."""
    if way[0] == "thread":
        return loaded(threads, native_component(interface.module))
    return loaded(replayable, plain_component(interface))


@lru_cache(None)
def plain_component(interface: Interface) -> bytes:
    return component(interface.module, puppet(imports_of(interface)))


@pytest.fixture
def node(program: Program) -> Iterator[Node]:
    """With two processes: `self`, which scripts are given to, and `echo`, which it talks to."""
    node = Node(programs={"/child.wasm": program})
    node.start("self", program)
    node.start("echo", program)
    yield node
    node.close()


@pytest.fixture
def script(interface: Interface) -> Callable[[], Script]:
    return lambda: Script(interface)


def memory_after(node: Node, script: Script, blob: LazyLoadBlob | None = None) -> bytes:
    """What the memory of `self` looks like after a script."""
    answer = node.ask("self", script.dump().body(), blob)
    assert isinstance(answer.message, Response)
    return answer.message.body


def answering(script: Callable[[], Script], body: bytes, expects: int | None = 10) -> reference.Plain:
    """A request that makes `echo` answer."""
    return False, expects, script().answer(body).body(), None, ()


def get_blob(interface: Interface) -> str:
    return "get-payload" if interface.function("get-payload") else "get-blob"


def test_it_receives_and_answers(node: Node, script: Callable[[], Script]) -> None:
    answer = node.ask("self", script().answer(b"pong").body())
    assert (answer.source, answer.message) == (here("self"), Response(False, b"pong"))


def test_send_requests_sends_each(node: Node, script: Callable[[], Script]) -> None:
    requests = tuple((ECHO, answering(script, bytes([65 + i])), bytes([i]), None) for i in range(3))
    steps = script().call("send-requests", requests)
    for slot in range(3):
        steps.call("receive", slot=slot)
    memory = memory_after(node, steps)
    received = [dumped(memory, steps.function("receive"), slot) for slot in range(3)]
    assert [(message[1][0][1], message[1][1]) for _, (_, message) in received] == [
        (b"A", b"\0"),
        (b"B", b"\1"),
        (b"C", b"\2"),
    ]


def test_g11_a_blob_is_sent_and_comes_back_by_inheriting(
    node: Node, script: Callable[[], Script], interface: Interface
) -> None:
    inheriting = script().call("send-response", (True, b"", None, ()), None).body()
    request = (False, 10, inheriting, None, ())
    name = get_blob(interface)
    steps = script().call("send-and-await-response", ECHO, request, (None, b"\xffblob")).call(name)
    assert dumped(memory_after(node, steps), steps.function(name)) == (None, b"\xffblob")


def test_g22_on_exit_is_read_as_it_was_set_and_applies(node: Node, script: Callable[[], Script]) -> None:
    last_words = script().call("print-to-terminal", 0, "farewell").body()
    on_exit = (2, ((ECHO, (False, None, last_words, '{"m": 1}', ()), ("mime", b"left")),))
    steps = script().call("get-on-exit", slot=0).call("set-on-exit", on_exit).call("get-on-exit", slot=1)
    memory = memory_after(node, steps)
    settings = [dumped(memory, steps.function("get-on-exit"), slot) for slot in (0, 1)]
    assert settings == [(0, None), on_exit]
    node.tell("self", script().do(Op.RETURN).body(), timeout=None)
    node.settle()
    assert node.printed("echo") == ["farewell"]
    assert not node.runs("self")


def test_g25_a_child_is_spawned_and_answers(node: Node, script: Callable[[], Script]) -> None:
    child = ("child", "tests", "sys")
    asked = (False, 10, script().answer(b"from the child").body(), None, ())
    steps = script().call("spawn", "child", "/child.wasm", (1, None), (), (), False, slot=0)
    steps.call("spawn", "child", "/child.wasm", (0, None), (), (), False, slot=1)
    steps.call("spawn", "other", "/no.wasm", (0, None), (), (), False, slot=2)
    steps.call("send-and-await-response", ("our.nec", child), asked, None, slot=3)
    memory = memory_after(node, steps)
    spawned = [dumped(memory, steps.function("spawn"), slot) for slot in range(3)]
    assert spawned == [(0, child), (1, 0), (1, 1)]
    answer = dumped(memory, steps.function("send-and-await-response"), 3)
    assert answer == (0, (("our.nec", child), (1, ((False, b"from the child", None, ()), None))))


def test_g20_own_capabilities_are_saved_and_dropped(
    node: Node, script: Callable[[], Script], interface: Interface
) -> None:
    own, foreign = (SELF, '{"a":1}'), (ECHO, '"messaging"')
    steps = script().call("our-capabilities", slot=0).call("save-capabilities", (own, foreign))
    steps.call("our-capabilities", slot=1)
    if interface.function("drop-capabilities"):
        steps.call("drop-capabilities", (own,)).call("our-capabilities", slot=2)
    memory = memory_after(node, steps)
    ours = steps.function("our-capabilities")
    before = dumped(memory, ours, 0)
    assert set(dumped(memory, ours, 1)) - set(before) == {own}
    if interface.function("drop-capabilities"):
        assert dumped(memory, ours, 2) == before


@pytest.mark.parametrize(("target", "kind"), [(NOBODY, 1), (AWAY, 0)])
def test_g13_a_send_error_names_its_target_where_the_version_does(
    node: Node, script: Callable[[], Script], interface: Interface, target: reference.Plain, kind: int
) -> None:
    request = (False, 10, b"\0\0\0\0lost", '{"m": 1}', ())
    steps = script().call("send-request", target, request, b"context", ("mime", b"blob")).call("receive", slot=0)
    steps.call("send-and-await-response", target, request, None, slot=1)
    memory = memory_after(node, steps)
    named = (target,) if interface.module.endswith(("0.8.0", "1.0.0")) else ()
    error = (kind, *named, (0, request), ("mime", b"blob"))
    assert dumped(memory, steps.function("receive"), 0) == (1, (error, b"context"))
    awaited = dumped(memory, steps.function("send-and-await-response"), 1)
    assert awaited == (1, (kind, *named, (0, request), None))


def test_version_1_knows_its_address_and_its_blobs(
    node: Node, script: Callable[[], Script], interface: Interface
) -> None:
    if not interface.function("our"):
        imports = imports_of(interface)
        assert not {"our", "has-blob", "last-blob"} & {each.name for each in imports}
        return
    steps = script().call("our", slot=0).call("last-blob", slot=1).call("has-blob")
    memory = memory_after(node, steps, LazyLoadBlob(None, b"first"))
    assert dumped(memory, steps.function("our"), 0) == SELF
    assert dumped(memory, steps.function("last-blob"), 1) == (None, b"first")
    assert memory[FLAT_RESULT] == 1
    later = memory_after(node, steps)
    assert dumped(later, steps.function("last-blob"), 1) == (None, b"first")
    assert later[FLAT_RESULT] == 0


def test_a_function_that_a_version_has_and_this_node_does_not_is_refused_by_name(engine: Engine) -> None:
    module = "uqbar:process/standard@0.6.0"
    wasm = component(module, puppet(declared_imports(module)))
    with pytest.raises(BadModule, match=r"the function 'get-eth-block' of 'uqbar:process/standard@0\.6\.0'"):
        engine.load(wasm)
