"""A guest of any interface on a simulated node, which sends system processes what it is told to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kernel.contract.guest import Arrival
from kernel.wasm.canonical.wit import INTERFACES, Interface
from testnet.sim.node import NodeSpec, SimNode
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.kernel.wasm.official import component
from tests.kernel.wasm.puppet import Script, dumped, imports_of, puppet

NODE = "a.nec"
EARLY = ("nectar:process/standard@0.7.0", "kinode:process/standard@0.7.0", "kinode:process/standard@0.8.0")
LATE = ("kinode:process/standard@1.0.0", "hyperware:process/standard@1.0.0")


class PuppetGuest:
    """The process main:guest:x.nec, a component compiled for one interface."""

    def __init__(
        self, folder: Path, programs: Programs, module: str, wanted: Sequence[object], package: str = "guest:x.nec"
    ) -> None:
        self.interface: Interface = INTERFACES[module]
        self.id = f"main:{package}"
        source = folder / package
        source.mkdir()
        (source / "guest.wasm").write_bytes(component(module, puppet(imports_of(self.interface))))
        entry = {"process_name": "main", "process_wasm_path": "guest.wasm", "request_capabilities": wanted}
        (source / "manifest.json").write_text(json.dumps([entry]))
        self.lab = Simulation(1, programs)
        self.node: SimNode = self.lab.boot_node(NodeSpec(NODE, (source,)))
        self.lab.wait(lambda: self.lab.ready(NODE), 60.0)

    def restart(self) -> None:
        """Let the node crash and boot again."""
        self.lab.restart(NODE)
        self.lab.wait(lambda: self.lab.ready(NODE), 60.0)
        self.node = self.lab.nodes[NODE]

    def send(self, process: tuple[str, str, str], body: bytes, blob: bytes | None = None) -> tuple[bytes, bytes | None]:
        """Let the guest send a request and return what its `receive` got: the body, and the blob if there is one."""
        script = Script(self.interface)
        carried = None if blob is None else (None, blob)
        script.call("send-and-await-response", (NODE, process), (False, 10, body, None, ()), carried, slot=0)
        script.call("get-blob", slot=1)
        answer = self.node.ask(f"our@{self.id}", script.dump().body(), 60)
        assert isinstance(answer, Arrival)
        memory = answer.message.body
        outcome: Any = dumped(memory, script.function("send-and-await-response"), 0)
        found: Any = dumped(memory, script.function("get-blob"), 1)
        failed, (source, (_, (response, _))) = outcome
        assert not failed
        assert tuple(source[1]) == process  # guests compare it with the name that they know
        return bytes(response[1]), bytes(found[1]) if found is not None and blob is None else None

    def ask(self, process: str, request: object, blob: bytes | None = None) -> Any:
        """Let the guest ask `process`:distro:sys in JSON, and return the answer."""
        return json.loads(self.send((process, "distro", "sys"), json.dumps(request).encode(), blob)[0])
