"""A host that sends nonsense, too much, too slowly or nothing ends in one sentence, in bounded time.

The host is an ssh server in a thread of this process, with a program in place of the agent.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nectar_node.base.decoding import HexBytes
from nectar_node.base.errors import NodeError
from testnet.hosts import network, ssh
from testnet.hosts.far import FarGround, FarNetwork, FarNodes, check_quiet
from testnet.hosts.file import Host, HostsFile
from testnet.hosts.kept import KeptHosts
from testnet.hosts.network import asked, reach
from testnet.hosts.ssh import Patience

asyncssh = pytest.importorskip("asyncssh")

Program = Callable[[Any], Awaitable[None]]
ONE_FILE = json.dumps({"name": "nodes/a.nec/log", "size": 3}).encode() + b"\nabc"
WHOLE = gzip.compress(ONE_FILE + b'{"count": 1}\n')
PATIENCE = Patience(60.0, 0.2, 1 << 14)


@contextmanager
def serving(folder: Path, program: Program) -> Iterator[KeptHosts]:
    """Yield a testnet with one host, where `program` answers whatever command comes."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    host_key, user_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    user_key.write_private_key(folder / "key")
    (folder / "authorized").write_bytes(user_key.export_public_key())

    async def serve() -> Any:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=str(folder / "authorized"),
            process_factory=program,
            encoding=None,
        )

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    port = server.get_port()
    (folder / "known").write_bytes(f"[127.0.0.1]:{port} ".encode() + host_key.export_public_key())
    host = Host("one", "127.0.0.1", ("a.nec",), user="lab", key=folder / "key", port=port)
    file = HostsFile((host,), folder / "known")
    try:
        yield KeptHosts(file, ("a.nec",), "127.9.0.", HexBytes(bytes(32)), {"one": "python3"})
    finally:

        async def end() -> None:
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def whole(process: Any) -> None:
    process.stdout.write(WHOLE)
    process.exit(0)


async def endless(process: Any) -> None:
    while True:
        process.stdout.write(bytes(1 << 16))
        await process.stdout.drain()


async def loud(process: Any) -> None:
    while True:
        process.stderr.write(b"no\n" * 10_000)
        await process.stderr.drain()


async def hangs(process: Any) -> None:
    await asyncio.Event().wait()


async def drips(process: Any) -> None:
    while True:
        process.stdout.write(b"x")
        await asyncio.sleep(0.01)


async def dies(process: Any) -> None:
    process.stdout.write(gzip.compress(ONE_FILE)[:-8])
    await process.stdout.drain()
    process.channel.get_connection().abort()


async def stays_after_the_end(process: Any) -> None:
    process.stdout.write(WHOLE)
    process.stdout.write_eof()
    await asyncio.Event().wait()


async def complains(process: Any) -> None:
    process.stderr.write(b"Traceback\n\x1b[31mdisk on fire\n")
    process.exit(3)


def collected(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    monkeypatch.setattr(ssh.HostConnection.save, "__defaults__", (PATIENCE,))
    monkeypatch.setattr(network, "MAX_BYTES", 1 << 20)
    with serving(tmp_path, program) as kept, reach(kept) as hosts:
        counts, lacking = hosts.collect(tmp_path / "to")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["one"]
    return counts["one"], lacking


def test_a_host_that_sends_its_files_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert collected(tmp_path, whole, monkeypatch) == (1, [])
    assert (tmp_path / "to" / "one" / "nodes" / "a.nec" / "log").read_bytes() == b"abc"


@pytest.mark.parametrize(
    ("program", "count", "told"),
    [
        (endless, 0, "one sends more than 1048576 bytes."),
        (loud, 0, "one sends its files too slowly"),
        (hangs, 0, "one sends its files too slowly"),
        (drips, 0, "one sends its files too slowly: less than 16384 bytes in 0.2 s."),
        (dies, 1, "The connection to one has ended"),
        (stays_after_the_end, 1, "one sends its files too slowly"),
        (complains, 0, "one cannot send its files: "),
    ],
)
def test_a_host_that_does_not_is_told_of_in_one_sentence_and_what_came_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program, count: int, told: str
) -> None:
    found, [sentence] = collected(tmp_path, program, monkeypatch)
    assert (found, sentence[: len(told)], "\n" in sentence) == (count, told, False)


async def answers_nonsense(process: Any) -> None:
    await process.stdin.readline()
    process.stdout.write(b'{"ok": 1}\n')
    await asyncio.Event().wait()


async def answers_for_ever(process: Any) -> None:
    await process.stdin.readline()
    await endless(process)


async def ends(process: Any) -> None:
    await process.stdin.readline()
    process.stderr.write(b"no\n")
    process.exit(1)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (answers_nonsense, "What one answers is not valid: is another release there?"),
        (answers_for_ever, f"one answers with more than {ssh.MAX_LINE_BYTES} bytes."),
        (ends, "The program on one has ended: no."),
        (hangs, "one does not answer within 0 s."),
    ],
)
def test_an_agent_that_answers_otherwise_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program, told: str
) -> None:
    monkeypatch.setattr(ssh, "CLOSE_SECONDS", 0.2)
    with serving(tmp_path, program) as kept, asked(kept) as hosts:
        with pytest.raises(NodeError) as refused:
            hosts.ask("one", "hello", seconds=0.3 if program is hangs else 60.0)
        assert str(refused.value) == told


def test_chaos_says_that_a_host_is_lost_and_not_that_its_nodes_are_down(tmp_path: Path) -> None:
    with serving(tmp_path, ends) as kept, asked(kept) as hosts:
        nodes = FarNodes(hosts, tmp_path)
        ground = FarGround(nodes, hosts, hosts)
        with pytest.raises(NodeError) as refused:
            check_quiet(FarNetwork(tmp_path, nodes), ground)
        assert str(refused.value) == "The host one is lost: The program on one has ended: no."
        assert (ground.why_no_links() or "").startswith("the host one is lost: ")
