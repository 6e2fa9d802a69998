"""The greeter, as it comes with the node and as the documentation shows it: what it does not understand it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kernel.contract.guest import Arrival
from nectar_node.toolchains.zig import compile_guest
from packages.build import ROOT
from testnet.sim.programs import Programs
from tests.packages.lab import Lab

HELLO, GREETER = "our@hello:hello:sys", "our@greeter:greeter:local"
MANIFEST = [{"process_name": "greeter", "process_wasm_path": "/greeter.wasm", "public": True}]
DOCUMENTS = ("docs/writing-a-process.md", "sdk/zig/README.md")
PATIENCE = 5


def says(lab: Lab, target: str, body: bytes) -> object:
    answer = lab.node.ask(target, body, PATIENCE)
    assert isinstance(answer, Arrival)
    return json.loads(answer.message.body)


def test_hello_tells_broken_json_from_what_it_does_not_do(engine: Programs) -> None:
    lab = Lab(engine, ("hello",))
    assert lab.ask(HELLO, {"Greet": "Ada"}) == {"Greeting": "Hello, Ada, from one.nec"}
    assert says(lab, HELLO, b'{"Greet": ') == {"Err": "not JSON that I know"}
    assert says(lab, HELLO, b"") == {"Err": "not JSON that I know"}
    assert lab.ask(HELLO, {"Greeting": "x"}) == {"Err": "not a Greet or an Ask"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_greeter_of_the_documentation_does_as_it_says(engine: Programs, tmp_path: Path, document: str) -> None:
    pytest.importorskip("ziglang")
    sources = re.findall(r"```zig\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    (source,) = (each for each in sources if "Greeting" in each)
    folder = tmp_path / "greeter"
    folder.mkdir()
    (folder / "greeter.zig").write_text(source)
    compile_guest(folder / "greeter.zig", folder / "greeter.wasm", ROOT / ".zig-cache")
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    lab = Lab(engine, (folder,))
    assert lab.ask(GREETER, {"Greet": "Ada"}) == {"Greeting": "Hello, Ada, from one.nec"}
    assert says(lab, GREETER, b'{"Greet": ') == {"Err": "not JSON that I know"}
    assert lab.ask(GREETER, {"Err": "x"}) == {"Err": "not a Greet"}
