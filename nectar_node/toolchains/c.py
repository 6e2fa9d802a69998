"""Processes in C: Clang, which comes with the Zig compiler, makes a small core module of what the author wrote and of
`sdk/c/nectar.h`, without a C library.

Warnings are errors. Where the C standard leaves it open what happens, as after an overflow of signed integers, a
process traps.
"""

from __future__ import annotations

from pathlib import Path

from nectar_node.base.errors import DoesNotCompile
from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.toolchains import debug, once, zig

SDK = SDK_FOLDER / "c"
_PARTS = (SDK / "nectar.h", SDK / "implementation")
_FLAGS = (
    *("-std=c23", "-Wall", "-Wextra", "-Werror"),
    *("-fsanitize=undefined", "-fsanitize-trap=undefined"),
    *("-ffunction-sections", "-fdata-sections", f"-I{SDK}"),
)


def build(source: Path, output: Path) -> None:
    """Compile the process `source`, a C file, with the files beside it that it includes, to the core module `output`.

    Raises DoesNotCompile, with the line of the author's file that is wrong; NoTools, if the compiler cannot be
    installed; OSError.
    """
    source = source.resolve()
    if not source.is_file() or source.suffix != ".c":
        raise DoesNotCompile(f"{source} is not a C file.")
    parts = (source.parent, *_PARTS)
    versions = f"c {zig.VERSION} {source.name} {_FLAGS[:-1]} {debug.VERSION}"
    made = once.compiled(parts, versions, lambda place: compile_guest(source, place))
    once.deliver(made, output)


def compile_guest(source: Path, output: Path, cache: Path | None = None) -> None:
    """Compile as `build` does, without looking for what was compiled before; raises what it raises. `cache`: the
    compiler's own.
    """
    options: list[str | Path] = ["build-exe", *zig.GUEST, "-fno-strip", "-O", "ReleaseSmall"]
    options += ["-cflags", *_FLAGS, "--", source.name]
    zig.run_zig([*options, f"-femit-bin={output}"], source, output, source.parent, cache)
    debug.split(output, {str(source.parent): debug.called(source.parent), str(SDK): "sdk/c/"})
