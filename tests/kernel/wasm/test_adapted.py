"""Packages compiled for the existing node: their core module uses WASI preview 1, and an adapter inside the component
turns that into interfaces of WASI 0.2, mostly of a release candidate that no runtime has any more. They run unmodified,
because it is the core module that runs here, and the adapter's place is taken by preview 1 itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.contract.guest import End, GuestConfig, Poll, Print, SendResponse
from kernel.wasm.canonical.wit import INTERFACES, Interface
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import MEMORY, OUR, arrival, loaded, poll, wat
from tests.kernel.wasm.official import component, run

RELEASES = ["0.2.0-rc-2023-11-10", "0.2.0-rc-2023-12-05", "0.2.0", "0.2.9"]
WIT = """package wasi:random@{release};
interface random {{ get-random-u64: func() -> u64; }}
world adapter {{ import random; }}"""
ADAPTER = """(module
  (import "env" "memory" (memory 0))
  (import "wasi:random/random@{release}" "get-random-u64" (func $random (result i64)))
  (func (export "random_get") (param $at i32) (param $size i32) (result i32)
    (i64.store (local.get $at) (call $random))
    (i32.const 0)))"""
PREVIEW_1 = '(import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))'
GUEST = """(drop (call $random_get (i32.const 512) (i32.const 8)))
  (call $print-to-terminal (i32.const 0) (i32.const 512) (i32.const 8))
  (call $receive (i32.const 1024))
  (call $send-response (i32.const 0) (i32.load (i32.const 1096)) (i32.load (i32.const 1100))
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0))"""
"""Prints eight random bytes, and answers one request with its own body."""


def adapted(interface: Interface, release: str, folder: Path) -> bytes:
    """A component as the existing node's toolchain makes them."""
    wit, text, adapter = folder / "adapter.wit", folder / "adapter.wat", folder / "adapter.wasm"
    wit.write_text(WIT.format(release=release))
    text.write_text(ADAPTER.format(release=release))
    run("component", "embed", "--world", "adapter", wit, text, "-o", adapter)
    core = wat(GUEST, "print-to-terminal", "receive", "send-response", interface=interface, imports=PREVIEW_1)
    return component(interface.module, core, f"wasi_snapshot_preview1={adapter}")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("module", ["kinode:process/standard@0.7.0", "hyperware:process/standard@1.0.0"])
def test_a_package_runs_whatever_release_of_wasi_its_adapter_was_made_for(
    replayable: Engine, tmp_path: Path, module: str, release: str
) -> None:
    wasm = adapted(INTERFACES[module], release, tmp_path)
    assert f"import wasi:random/random@{release}" in run("component", "wit", given=wasm).decode()
    config = GuestConfig(OUR, MEMORY, entropy=lambda count: b"r" * count, clock=lambda: 0)
    guest = loaded(replayable, wasm).start(config)
    assert isinstance(guest, Fiber)
    assert poll(guest) is Poll.RECEIVE, guest.end
    assert guest.effects == [Print(0, "rrrrrrrr")]
    guest.effects.clear()
    guest.resume(arrival(b"body"))
    assert poll(guest) is Poll.ENDED
    assert guest.end == End(None)
    (answer,) = guest.effects
    assert isinstance(answer, SendResponse)
    assert answer.response.body == b"body"
