"""The languages of processes: where each has its examples, and how they are compiled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kernel.wasm.engine import Engine
from nectar_node.contract.config import module_cache
from nectar_node.toolchains import c, javascript, python
from packages.build import PACKAGES, ROOT

EXAMPLES = ("echo", "hello", "counter", "pool", "web_chat", "store")
"""The packages that each language has."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language of processes."""

    name: str
    examples: Path
    """A folder of packages, each with its sources, and with its manifest in `pkg/`."""
    suffix: str
    """A pattern; of the source of a process, which is called what its .wasm file is called."""
    build: Callable[[Path, Path], None] | None
    """Compile a source to a .wasm file; None: it lies there compiled."""

    def package(self, name: str, folder: Path) -> Path:
        """Make the package `name` in `folder`, compiled, and return where it is.

        Its publisher is sys, as that of the package of the same name that comes with the node: so its processes are
        called the same in all languages.
        """
        source, made = self.examples / name, folder / self.name / name
        made.mkdir(parents=True)
        manifest = json.loads((source / "pkg" / "manifest.json").read_text())
        for path in sorted(source.glob(f"*{self.suffix}")):
            wasm = f"{path.stem}.wasm"
            if self.build is None and (source / "pkg" / wasm).exists():
                shutil.copy(source / "pkg" / wasm, made / wasm)
            elif self.build is not None and _is_process(path, manifest):
                self.build(path, made / wasm)
                # A node compiles a process that it does not know while others wait for its start.
                Engine(module_cache(), replayable=False).load((made / wasm).read_bytes())
        (made / "manifest.json").write_text(json.dumps(manifest))
        (made / "metadata.json").write_text(json.dumps({"package": name, "publisher": "sys"}))
        return made


CHILDREN = {"child"}
"""Sources of processes that are in no manifest, since others spawn them."""


def _is_process(source: Path, manifest: list[dict[str, str]]) -> bool:
    return source.stem in CHILDREN | {Path(each["process_wasm_path"]).stem for each in manifest}


LANGUAGES = (
    Language("zig", PACKAGES, ".zig", None),
    Language("c", ROOT / "sdk" / "c" / "examples", ".c", c.build),
    Language("python", ROOT / "sdk" / "python" / "examples", ".py", python.build),
    Language("javascript", ROOT / "sdk" / "javascript" / "examples", ".[jt]s", javascript.build),
)
