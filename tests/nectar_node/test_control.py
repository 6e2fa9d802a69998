"""The control socket, on a real one: lines of JSON, whatever they are, and clients that go away."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from kernel.guest import GuestConfig
from nectar_node import control
from nectar_node.control import Client, Control
from nectar_node.core import CoreConfig, NodeCore
from net.directory import StaticDirectory
from net.identity import Identity
from net.peers import Network, NetworkConfig

OUR = "our.nec"


def make_control() -> tuple[NodeCore, Control]:
    """The commands of a node that runs nothing."""
    network = Network(Identity(OUR, bytes(32)), StaticDirectory({}), NetworkConfig(), os.urandom, 0.0)
    ids = iter(range(1, 1 << 20))
    roots = ("drives", "state", "records")
    core = NodeCore(CoreConfig(OUR, *roots, lambda: next(ids), lambda address: GuestConfig(address, 1 << 20)), network)
    return core, Control(core, dict, lambda: carry_out(core))


def carry_out(core: NodeCore) -> None:
    """Answer whoever waits."""
    while (action := core.next_action()) is not None:
        token = getattr(action, "token", None)
        if isinstance(token, control.Waiter):
            token.set(getattr(action, "answer", None))


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[NodeCore]:
    core, commands = make_control()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.serve, commands, control.bind(folder / "control.sock"))
            yield core
            nursery.cancel_scope.cancel()


async def ask(stream: trio.SocketStream, **request: object) -> Any:
    await stream.send_all(json.dumps(request).encode() + b"\n")
    line = b""
    while not line.endswith(b"\n"):
        line += await stream.receive_some()
    return json.loads(line)


async def test_the_socket_is_for_its_user_only_and_replaces_one_that_a_crash_left(tmp_path: Path) -> None:
    for _ in range(2):
        control.bind(tmp_path / "control.sock").close()
    assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600


async def test_a_socket_deep_in_the_file_system_works_too(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    async with served(folder):
        handle = os.open(folder, os.O_RDONLY)
        async with await trio.open_unix_socket(f"/proc/self/fd/{handle}/control.sock") as stream:
            assert (await ask(stream, command="status"))["ok"]["name"] == OUR
        os.close(handle)


async def test_a_connection_may_ask_many_times(tmp_path: Path) -> None:
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        assert (await ask(stream, command="ps"))["ok"] == {"processes": []}
        assert (await ask(stream, command="peers"))["ok"] == {"peers": []}
        assert (await ask(stream, command="nonsense"))["error"]["kind"] == "BadInput"


async def test_a_message_to_nobody_is_a_timeout_with_its_reason(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("kind", ["loop", "pipe", "folder"])
async def test_what_is_no_file_cannot_be_shared_and_harms_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    match kind:
        case "loop":
            path.symlink_to(path)
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        assert (await ask(stream, command="share", file=str(path)))["error"]["kind"] == "BadInput"
        assert "ok" in await ask(stream, command="status")


async def test_a_mime_that_no_wire_can_carry_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        answer = await ask(stream, command="message", target="our@no:body:sys", blob="eA==", mime="\ud800")
        assert answer["error"]["kind"] == "BadInput"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
COMMANDS = st.sampled_from(["status", "ps", "peers", "message", "share", "unshare", "install", "nonsense"])
FIELDS = st.sampled_from(["target", "body", "timeout", "blob", "mime", "file", "path", "package"])
REQUESTS = st.builds(lambda c, f: json.dumps({**f, "command": c}).encode(), COMMANDS, st.dictionaries(FIELDS, JSON))


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()) | REQUESTS)
def test_whatever_a_client_sends_it_gets_one_answer(line: bytes) -> None:
    async def answer() -> dict[str, object]:
        _, commands = make_control()
        return await commands.answer_untrusted(Client(), line)

    assert set(trio.run(answer)) <= {"ok", "error"}
