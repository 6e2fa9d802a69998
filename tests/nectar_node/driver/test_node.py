"""A node as an operating system process, where only the real one shows it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import trio

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from nectar_node.base.descriptors import share
from nectar_node.base.errors import CannotStart
from nectar_node.base.folder import NodeFolder
from nectar_node.base.log import MAX_FILE_BYTES, older
from nectar_node.contract.config import NodeConfig
from nectar_node.driver.log_budget import LINES
from nectar_node.driver.prepared_node import make_core, prepare
from nectar_node.packages.boot import Boot
from nectar_node.storage.disk import perform
from nectar_node.storage.operations import Job
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.kernel.wasm.component_texts import number
from tests.kernel.wasm.guests import wat

PATIENCE_MILLISECONDS = 20_000


def test_a_node_that_is_told_to_shut_down_by_message_answers_and_ends_cleanly(network: LocalTestnet) -> None:
    name = "shut-down.nec"
    network.add(name)
    pid = network.pid(name)
    assert pid is not None
    ended = select.poll()
    descriptor = os.pidfd_open(pid)
    try:
        ended.register(descriptor, select.POLLIN)
        assert network.message(name, "our@kernel:distro:sys", '"Shutdown"')["body"] == '"Ok"'
        assert ended.poll(PATIENCE_MILLISECONDS), "it runs on"
    finally:
        os.close(descriptor)
    assert "terminal:terminal:sys: has the node shut down" in network.log(name)
    assert not network.place(name).control.exists()


def test_a_node_without_http_loads_neither_a_server_nor_a_client_of_http() -> None:
    code = "import sys, nectar_node.driver.node; print([*sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    modules = {name.strip("[]', \n").split(".")[0] for name in loaded.split(",")}
    assert "trio" in modules
    assert not {"hypercorn", "h11", "h2", "wsproto", "httpx", "httpcore"} & modules


async def test_g21_at_a_boot_a_packages_processes_hold_what_they_held_and_scripts_do_not(tmp_path: Path) -> None:
    package = tmp_path / "app"
    package.mkdir()
    (package / "manifest.json").write_text('[{"process_name": "main", "process_wasm_path": "/main.wasm"}]')
    main, script = (ProcessId(name, "app", "local") for name in ("main", "17"))
    held = Capability(Address("a.nec", main), '"held"')
    folder = NodeFolder(tmp_path / "a.nec")
    config = NodeConfig("a.nec", folder, None, tmp_path, packages=(package,))
    for boot in (1, 2):
        prepared = prepare(config, share(1024, 10))
        core = make_core(prepared)
        if boot == 1:
            for process in (main, script):
                core.kernel.grants.grant(process, [held])
            core.keep(trio.current_time())
            job = core.settle(trio.current_time()).popleft()
            assert isinstance(job, Job)
            assert perform(job.operation, database=prepared.database) is None
        else:
            core.boot(Boot(tuple(prepared.packages)), trio.current_time())
        prepared.database.close()
        prepared.engine.close()
        os.close(prepared.lock)
    assert [core.kernel.grants.of(process) for process in (main, script)] == [(held,), ()]


def test_g23_a_process_that_prints_without_end_fills_no_log_and_what_is_left_out_is_counted(
    network: LocalTestnet, tmp_path: Path
) -> None:
    """It prints, and then traps: whoever asked is told when all has been printed. A full log was put aside before."""
    printing = """(local $left i32)
        (call $receive (i32.const 2048))
        (local.set $left (i32.const 20000))
        (loop $again
          (call $print-to-terminal (i32.const 0) (i32.const 64) (i32.const 5))
          (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (unreachable)"""
    flood, name = tmp_path / "flood.wasm", "prints.nec"
    flood.write_bytes(wat(printing, "receive", "print-to-terminal", extra='(data (i32.const 64) "flood")'))
    log = network.place(name).log
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * MAX_FILE_BYTES)
    network.add(name)
    assert (older(log).stat().st_size, log.stat().st_size < 1000) == (MAX_FILE_BYTES, True)
    assert nectar("start", flood, "--node", name, folder=network.folder).code == 0
    assert network.message(name, "our@flood:flood:local", "x")["outcome"] == "timeout"
    network.stop(name)
    _, *lines = (entry.split("\n")[0] for entry in network.log(name).split(" flood:flood:local: "))
    left_out = [int(line.split()[1].replace(",", "")) for line in lines if line.endswith("left out")]
    written = len(lines) - len(left_out)
    assert LINES <= written < 20_001
    assert written + sum(left_out) == 20_001  # the last one says that it trapped


def test_a_start_shows_what_is_compiled_while_it_waits(network: LocalTestnet, tmp_path: Path) -> None:
    large, name = tmp_path / "large.wasm", "compiles.nec"
    custom = b"\x20" + uuid.uuid4().hex.encode() + bytes(1 << 20)  # nobody has compiled it before
    code = wat("(call $receive (i32.const 2048))", "receive")
    large.write_bytes(code + b"\0" + number(len(custom)) + custom)
    network.add(name)
    ended = nectar("start", large, "--node", name, folder=network.folder)
    told = f"large.wasm: compiles core module 1 of 1, 0 % of {large.stat().st_size:,} bytes are done"
    assert (ended.code, ended.err.splitlines()) == (0, [told])
    assert f" compiler: {told}\n" in network.log(name)
    again = nectar("start", large, "--node", name, "--json", folder=network.folder)
    assert (again.code, again.err) == (0, "")


def test_a_registrar_that_cannot_write_the_genesis_file_says_so(tmp_path: Path) -> None:
    staging = tmp_path / ".testnet.json.new"
    staging.mkdir()
    with pytest.raises(CannotStart, match=rf"^{tmp_path}/testnet\.json cannot be written: Is a directory\.$"):
        LocalTestnet(tmp_path).start()
