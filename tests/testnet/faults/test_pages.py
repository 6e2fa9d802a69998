"""The pages about faults say what is so: their table, and the code that they show."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

import testnet.faults
from nectar_node.contract.config import module_cache
from testnet.faults import FAULTS, IN_SIMULATIONS_ONLY
from testnet.faults.catalogue import make, parameter_names
from testnet.model.rule import NodeFault
from testnet.model.where import PARAMETERS, Where
from tests.testnet.faults.kinds import NEEDED, ONLY_IN_SIMULATIONS

ROOT = Path(__file__).resolve().parents[3]
TABLE = (ROOT / "docs/faults.md").read_text()
WRITING = (ROOT / "docs/writing-a-fault.md").read_text()
NUMBERS = {27: "twenty-seven"}


def rows() -> dict[str, tuple[str, str]]:
    """By kind: its parameters, and where it works."""
    cells = (line.strip("| ").split(" | ") for line in TABLE.splitlines() if line.startswith("| `"))
    return {kind.strip("`"): (parameters, where) for kind, parameters, where, _ in cells}


def described(kind: str) -> str:
    """The parameters of a kind, as the table has them."""
    has_links = {each.type for each in fields(FAULTS[kind])} & {"Where", Where}
    plain = [each for each in fields(FAULTS[kind]) if each.init and each.name != "where"]
    words = [f"`{each.name}`" + ("" if each.default is MISSING else f" = {shown(each.default)}") for each in plain]
    assert bool(has_links) == (set(PARAMETERS) <= set(parameter_names(FAULTS[kind])))
    return ", ".join([*words, "links"] if has_links else words)


def shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


class Verbs:
    """Nodes to which nothing is done; it notes what should be."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getattr__(self, verb: str) -> object:
        def note(*arguments: object, **more: object) -> None:
            self.asked.add(verb)

        return note


def test_the_table_has_each_fault_once_in_order() -> None:
    assert list(rows()) == list(FAULTS)
    assert f"comes with [{NUMBERS[len(FAULTS)]} faults]" in WRITING


@pytest.mark.parametrize("kind", FAULTS)
def test_the_table_has_each_faults_parameters(kind: str) -> None:
    assert rows()[kind][0] == described(kind)


@pytest.mark.parametrize("kind", FAULTS)
def test_the_table_says_where_each_fault_works(kind: str) -> None:
    fault, verbs = make(kind, NEEDED.get(kind, {})), Verbs()
    if isinstance(fault, NodeFault):
        fault.begin(verbs)  # type: ignore[arg-type]  # it takes any verb
    simulated = bool(verbs.asked & set(ONLY_IN_SIMULATIONS))
    assert rows()[kind][1] == ("simulation" if simulated else "everywhere")
    assert (kind in IN_SIMULATIONS_ONLY) == simulated


def test_the_code_of_the_page_does_as_it_says(tmp_path: Path) -> None:
    flicker, simulated, scheduled = re.findall(r"```python\n(.*?)```", WRITING, re.DOTALL)
    (schedule,) = re.findall(r"```toml\n(.*?)```", WRITING, re.DOTALL)
    printed = re.findall(r"```text\n(.*?)```", WRITING, re.DOTALL)
    (tmp_path / "flicker.py").write_text(flicker)
    (tmp_path / "schedule.toml").write_text(schedule)
    code = re.sub(r'"""|^\s*$|^(from|import) .*$', "", flicker, flags=re.MULTILINE)
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    modules = module_cache()  # what is compiled already need not be compiled again
    assert modules is not None
    for number, source in enumerate((simulated, scheduled)):
        (tmp_path / f"main{number}.py").write_text(source)
        ran = subprocess.run(
            [sys.executable, f"main{number}.py"],
            cwd=tmp_path,
            env={
                "PYTHONPATH": str(ROOT),
                "HOME": str(tmp_path),
                "PATH": "/usr/bin:/bin",
                "XDG_CACHE_HOME": str(modules.parents[1]),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (ran.stdout, ran.stderr) == (printed[number], "")


def test_the_page_says_which_classes_have_another_name_than_their_kind() -> None:
    others = {kind: each.__name__ for kind, each in FAULTS.items() if kind.title().replace("_", "") != each.__name__}
    assert len(others) == 3
    assert all(f"`{kind}` is `{name}`" in TABLE for kind, name in others.items())
    assert all(getattr(testnet.faults, each.__name__) is each for each in FAULTS.values())
