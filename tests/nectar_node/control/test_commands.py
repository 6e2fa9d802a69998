"""The control socket, on a real one: lines of JSON, whatever they are, and clients that go away."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import ProcessId
from kernel.contract.guest import GuestConfig
from nectar_node.contract.actions import Installed, Kept
from nectar_node.contract.memory_budget import DEFAULT_BYTES
from nectar_node.control import commands as control
from nectar_node.control import server
from nectar_node.control.clients import MAX_EVENT_BYTES, MAX_EVENTS, Client, Feed, Waiter
from nectar_node.control.commands import Control
from nectar_node.core.config import CoreConfig
from nectar_node.core.core import NodeCore
from nectar_node.packages.manifest import Package
from nectar_node.storage.database import STORE_FILE, Database
from nectar_node.storage.disk import perform
from nectar_node.storage.operations import Commit, Job, Location
from net.names.directory import StaticDirectory
from net.names.identity import Identity
from net.peering.network import Network, NetworkConfig

OUR = "our.nec"


def make_control(
    *, boots: bool = False, noted: list[str] | None = None, asked: Callable[[Package], object] = lambda _: None
) -> tuple[NodeCore, Control, trio.Event]:
    """The commands of a node that runs nothing, or `boots` until the event is set."""
    network = Network(Identity(OUR, bytes(32)), StaticDirectory({}), NetworkConfig(), os.urandom, 0.0)
    ids = iter(range(1, 1 << 20))
    roots = ("drives", b"", Location("our", (STORE_FILE,)), "code")
    core = NodeCore(CoreConfig(OUR, *roots, lambda: next(ids), lambda address: GuestConfig(address, 1 << 20)), network)
    ready = trio.Event()

    def note(_: str, error: Exception) -> None:
        assert noted is not None, error
        noted.append(repr(error))

    if not boots:
        ready.set()
    database, _ = Database.open(":memory:")
    return core, Control(core, Path("our"), dict, lambda: carry_out(core, database), ready, note, None, asked), ready


def carry_out(core: NodeCore, database: Database) -> None:
    """Keep what has changed, and answer whoever waits."""
    while actions := core.settle(trio.current_time()):
        action = actions.popleft()
        if isinstance(action, Job) and isinstance(action.operation, Commit):
            core.job_done(action, perform(action.operation, database=database), 0.0)
        if isinstance(action, Kept):
            control.kept(action)
            continue
        token = getattr(action, "token", None)
        if isinstance(token, Waiter):
            token.set(getattr(action, "answer", None))


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[NodeCore]:
    core, commands, _ = make_control()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            listener = server.bind(folder / "control.sock")
            nursery.start_soon(server.serve, commands, listener, control.MAX_LINE_BYTES)
            yield core
            nursery.cancel_scope.cancel()


async def ask(stream: trio.SocketStream, **request: object) -> Any:
    await stream.send_all(json.dumps(request).encode() + b"\n")
    line = b""
    while not line.endswith(b"\n"):
        line += await stream.receive_some()
    return json.loads(line)


async def test_the_socket_is_for_its_user_only_replaces_one_that_a_crash_left_and_works_deep_down(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        server.bind(tmp_path / "control.sock").close()
    assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    async with served(folder):
        handle = os.open(folder, os.O_RDONLY)
        async with await trio.open_unix_socket(f"/proc/self/fd/{handle}/control.sock") as stream:
            assert (await ask(stream, command="status"))["ok"]["name"] == OUR
        os.close(handle)


async def test_a_connection_may_ask_many_times(tmp_path: Path) -> None:
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        memory = {"budget_bytes": DEFAULT_BYTES, "used_bytes": 0, "holders": []}
        assert (await ask(stream, command="ps"))["ok"] == {
            "processes": [],
            "not_running": [],
            "memory": memory,
            "warnings": [],
            "unsigned": [],
        }
        assert (await ask(stream, command="peers"))["ok"] == {"peers": [], "memory": memory, "failures": 0}
        assert (await ask(stream, command="nonsense"))["error"]["kind"] == "BadInput"
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        answer = await ask(stream, command="message", target="our@no:body:sys", blob="eA==", mime="\ud800")
        assert answer["error"]["kind"] == "BadInput"
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        answer = await ask(stream, command="message", target="our@no:body:sys", body="x", timeout=5)
        assert answer["ok"] == {"outcome": "timeout", "reason": "no such process"}


async def test_what_a_client_shared_is_taken_back_when_it_goes_away(tmp_path: Path) -> None:
    file = tmp_path / "file ö.bin"
    file.write_bytes(b"x")
    async with served(tmp_path) as core:
        async with await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
            path = (await ask(stream, command="share", file=str(file)))["ok"]["path"]
            assert path.endswith("/file ö.bin")
            assert core.vfs.mounts == 1
        async with await trio.open_unix_socket(str(tmp_path / "control.sock")) as other:
            while core.vfs.mounts:
                await ask(other, command="status")
            assert "error" in await ask(other, command="unshare", path=path)


@pytest.mark.parametrize("file", [None, "relative", "/no/such/file", "/", 7, "/etc\0"])
async def test_what_cannot_be_shared_is_one_sentence(tmp_path: Path, file: object) -> None:
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        answer = await ask(stream, command="share", file=file)
        assert answer["error"]["kind"] == "BadInput"


@pytest.mark.parametrize("kind", ["loop", "pipe"])
async def test_what_is_no_file_and_no_folder_cannot_be_shared_and_harms_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    match kind:
        case "loop":
            path.symlink_to(path)
        case _:
            os.mkfifo(path)
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        assert (await ask(stream, command="share", file=str(path)))["error"]["kind"] == "BadInput"
        assert "ok" in await ask(stream, command="status")


# --- feeds ----------------------------------------------------------------------------------------------------------


async def nowhere(line: bytes) -> None:
    """A client that reads nothing."""


class Reader:
    """A client that reads everything."""

    def __init__(self) -> None:
        self.events: list[object] = []

    async def take(self, line: bytes) -> None:
        self.events.append(json.loads(line)["event"])
        await trio.lowlevel.checkpoint()


async def test_a_feed_is_poured_in_order_within_its_bounds() -> None:
    feed, reader = Feed(0.0), Reader()
    for number in range(3):
        feed.put({"n": number})
    feed.set("done")
    assert await feed.pour(Client(reader.take)) == "done"
    assert reader.events == [{"n": 0}, {"n": 1}, {"n": 2}]
    feed, reader = Feed(0.0), Reader()
    text = "x" * (MAX_EVENT_BYTES // 4)
    for _ in range(10):
        feed.put({"text": text})
    feed.set(None)
    await feed.pour(Client(reader.take))
    assert reader.events == [{"text": text}] * 3 + [{"lost": 7}]


async def test_a_slow_client_loses_events_and_is_told_how_many_where_they_are_missing() -> None:
    feed, reader = Feed(0.0), Reader()
    for number in range(MAX_EVENTS + 5):
        feed.put({"n": number})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.pour, Client(reader.take))
        await trio.testing.wait_all_tasks_blocked()
        feed.put({"n": "later"})
        feed.set(None)
    assert reader.events == [*({"n": number} for number in range(MAX_EVENTS)), {"lost": 5}, {"n": "later"}]


async def test_what_a_client_follows_ends_when_it_goes_away(tmp_path: Path) -> None:
    async with served(tmp_path) as core:
        async with await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
            answer = await ask(stream, command="trace", address="our@no:body:sys")
            assert answer == {"event": {"following": f"{OUR}@no:body:sys"}}
            assert core.kernel.tracer is not None
        async with await trio.open_unix_socket(str(tmp_path / "control.sock")) as other:
            while core.kernel.tracer is not None:
                await ask(other, command="status")


async def test_g16_dead_letters_are_numbered_so_that_a_client_can_ask_for_the_new_ones_and_is_told_what_is_gone(
    tmp_path: Path,
) -> None:
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        assert (await ask(stream, command="errors"))["ok"] == {
            "errors": [],
            "lost": 0,
            "next": 0,
            "recording": None,
        }
        for body in ("1", "2"):
            await ask(stream, command="message", target="our@no:body:sys", body=body, timeout=5)
        first = (await ask(stream, command="errors"))["ok"]
        assert [row["beginning"] for row in first["errors"]] == ["1", "2"]
        later = (await ask(stream, command="errors", after=1))["ok"]
        assert [row["beginning"] for row in later["errors"]] == ["2"]
        assert (await ask(stream, command="errors", after=first["next"]))["ok"]["errors"] == []
    async with served(tmp_path) as core, await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        core.dead_letters.count += 7
        await ask(stream, command="message", target="our@no:body:sys", body="1", timeout=5)
        answer = (await ask(stream, command="errors", after=3))["ok"]
        assert (answer["lost"], len(answer["errors"]), answer["next"]) == (4, 1, 8)


async def test_what_our_own_code_fails_at_ends_the_command_alone_and_is_noted() -> None:
    noted: list[str] = []
    core, commands, _ = make_control(noted=noted)

    def broken() -> list[dict[str, object]]:
        raise ValueError("something of ours")

    core.peers = broken  # type: ignore[method-assign]
    client = Client(nowhere)
    answer = await commands.answer_untrusted(client, b'{"command": "peers"}')
    assert answer == {"error": {"kind": "NodeError", "sentence": "The node could not do that: its log says why."}}
    assert noted == ["ValueError('something of ours')"]
    assert "ok" in await commands.answer_untrusted(client, b'{"command": "ps"}')


@pytest.mark.parametrize("line", [b"{", b"\xff", b"NaN", b'{"command": 1e999}', b"[" * 100_000, b"1" * 5000])
async def test_what_is_no_json_is_said_to_be_none(line: bytes) -> None:
    _, commands, _ = make_control()
    answer = await commands.answer_untrusted(Client(nowhere), line)
    error = answer["error"]
    assert isinstance(error, dict)
    assert error["kind"] == "BadInput"
    assert str(error["sentence"]).startswith("The request cannot be understood: ")


@pytest.mark.parametrize(
    "asked",
    [
        {"command": "kill", "address": "our@no:body:sys"},
        {"command": "start", "package": "/no/package"},
        {"command": "run", "line": "tool:no:body", "timeout": -1},
    ],
    ids=lambda asked: str(asked["command"]),
)
async def test_what_is_about_processes_is_answered_when_those_of_the_boot_are_there(asked: dict[str, object]) -> None:
    _, commands, ready = make_control(boots=True)
    answers = []

    async def ask_and_note() -> None:
        answers.append(await commands.answer_untrusted(Client(nowhere), json.dumps(asked).encode()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_and_note)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        ready.set()
    assert [answer.keys() for answer in answers] == [{"error"}]


# --- fuzzed ---------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
COMMANDS = st.sampled_from(
    ["status", "ps", "peers", "errors", "message", "share", "unshare", "start", "kill", "nonsense"]
)
FIELDS = st.sampled_from(
    ["target", "body", "timeout", "blob", "mime", "file", "path", "package", "deny", "address", "after", "line"]
)
REQUESTS = st.builds(lambda c, f: json.dumps({**f, "command": c}).encode(), COMMANDS, st.dictionaries(FIELDS, JSON))


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()) | REQUESTS)
def test_whatever_a_client_sends_it_gets_one_answer(line: bytes) -> None:
    async def answer() -> dict[str, object]:
        _, commands, _ = make_control()
        return await commands.answer_untrusted(Client(nowhere), line)

    assert set(trio.run(answer)) <= {"ok", "error"}


async def test_the_copy_of_a_package_that_cannot_be_started_goes_though_its_client_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the folder of this node is "our"
    package = tmp_path / "box"
    package.mkdir()
    (package / "manifest.json").write_text('[{"process_name": "e", "process_wasm_path": "/e.wasm"}]')
    (package / "e.wasm").write_bytes(b"")
    asked: list[object] = []
    packages = tmp_path / "our" / "packages"
    async with served(tmp_path) as core:
        install = core.install

        def note(package: Package, waiter: object, now: float, *, whole: bool, **_: object) -> None:
            asked.append(waiter)
            install(package, waiter, now, whole=whole)

        monkeypatch.setattr(core, "install", note)
        async with await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
            request = {"command": "start", "package": str(package)}
            await stream.send_all(json.dumps(request).encode() + b"\n")
            while not asked:
                await trio.lowlevel.checkpoint()
        assert list(packages.iterdir())
        (waiter,) = asked
        assert isinstance(waiter, Waiter)
        while waiter.left is None:
            await trio.lowlevel.checkpoint()
        waiter.set(Installed(waiter, ((ProcessId("e", "box", "local"), "it is no code"),)))
        while list(packages.iterdir()):
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("command", ["review", "review_install"])
async def test_the_node_learns_of_a_package_as_soon_as_its_user_is_asked_about_it(tmp_path: Path, command: str) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps([{"process_name": "p", "process_wasm_path": "/p.wasm"}]))
    (tmp_path / "metadata.json").write_text(json.dumps({"package": "asked", "publisher": "local"}))
    (tmp_path / "p.wasm").write_bytes(b"")
    packages = list[Package]()
    _, control, _ = make_control(asked=packages.append)
    line = json.dumps({"command": command, "package": str(tmp_path)}).encode()
    answer = await control.answer_untrusted(control.connected(nobody_listens), line)
    assert "ok" in answer, answer
    assert [str(each.id) for each in packages] == ["asked:local"]


async def nobody_listens(_: bytes) -> None:
    """A client that is told nothing."""
