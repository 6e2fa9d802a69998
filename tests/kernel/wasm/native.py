"""Components that call WASI 0.2 themselves: a puppet whose world has some of its interfaces besides the process's."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from kernel.wasm.canonical.wit import INTERFACES
from tests.kernel.wasm.official import run, wit_file, world
from tests.kernel.wasm.puppet import Import, imports_of, puppet

WASI_WIT = """
package wasi:random@0.2.0 {
  interface random { get-random-u64: func() -> u64; }
}
package wasi:io@0.2.0 {
  interface error { resource error; }
  interface poll { resource pollable { block: func(); } }
  interface streams {
    use error.{error};
    variant stream-error { last-operation-failed(error), closed }
    resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
  }
}
package wasi:clocks@0.2.0 {
  interface monotonic-clock {
    use wasi:io/poll@0.2.0.{pollable};
    subscribe-duration: func(when: u64) -> pollable;
  }
}
package wasi:cli@0.2.0 {
  interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }
  interface exit { exit: func(status: result); }
  interface environment { get-environment: func() -> list<tuple<string, string>>; }
}
"""
RANDOM = Import("wasi:random/random@0.2.0", "get-random-u64", (), ("i64",))
STDOUT = Import("wasi:cli/stdout@0.2.0", "get-stdout", (), ("i32",))
WRITE = Import("wasi:io/streams@0.2.0", "[method]output-stream.blocking-write-and-flush", ("i32",) * 4, ())
SLEEP = Import("wasi:clocks/monotonic-clock@0.2.0", "subscribe-duration", ("i64",), ("i32",))
BLOCK = Import("wasi:io/poll@0.2.0", "[method]pollable.block", ("i32",), ())
EXIT = Import("wasi:cli/exit@0.2.0", "exit", ("i32",), ())
ENVIRONMENT = Import("wasi:cli/environment@0.2.0", "get-environment", ("i32",), ())
NATIVE = [RANDOM, STDOUT, WRITE, SLEEP, BLOCK, EXIT, ENVIRONMENT]


def number_of(module: str, wanted: Import) -> int:
    """Under which number the native puppet of a version imports a function."""
    return len(INTERFACES[module].functions) + NATIVE.index(wanted)


@lru_cache(None)
def native_component(module: str) -> bytes:
    """The puppet of a version, calling WASI 0.2 directly."""
    interfaces = sorted({each.module for each in NATIVE})
    imported = "".join(f"  import {name};\n" for name in interfaces)
    head = f"world {world(module)} {{\n"
    text = wit_file(module).read_text().replace(head, head + imported) + WASI_WIT
    core = puppet([*imports_of(INTERFACES[module]), *NATIVE])
    with TemporaryDirectory() as folder:
        wit = Path(folder) / "native.wit"
        wit.write_text(text)
        embedded = run("component", "embed", "--world", world(module), wit, given=core)
        return run("component", "new", given=embedded)
