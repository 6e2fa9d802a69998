"""A counter in each language: a state that loads and saves itself, and one that an earlier version has saved."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nectar_node.packages.manifest import read_package
from packages.build import ROOT
from testnet.testing.package_lab import PackageLab
from tests.languages.toolchain import Language
from tests.packages.lab import Described

ONE = "one.nec"
COUNTER = "our@counter:counter:sys"
PROBE = ROOT / "tests" / "guests" / "probe.wasm"
"""Does what it is told; here it saves what the first version of the counter has saved."""
WRONG = ("Add", {"Add": -1}, {"Add": "5"}, {"Add": 1.5}, {"Add": True}, {"Add": 10**20}, 7, None, {"Sub": 1})


def ask(lab: PackageLab, body: Any) -> Any:
    return lab.ask(ONE, COUNTER, body).body


def test_it_adds_and_says_in_one_sentence_what_it_does_not_know(lab: PackageLab, boot: Callable[..., None]) -> None:
    boot("counter", ONE)
    assert ask(lab, "Get") == {"Count": 0}
    assert ask(lab, {"Add": 5}) == {"Count": 5}
    for body in WRONG:
        assert ask(lab, body) == {"Err": 'expected {"Add": NUMBER} or "Get"'}, body
    assert ask(lab, {"Add": 37}) == ask(lab, "Get") == {"Count": 42}


def test_it_answers_as_the_interface_of_its_package_says(
    lab: PackageLab, boot: Callable[..., None], language: Language
) -> None:
    boot("counter", ONE)
    folder = language.examples / "counter"
    described, process = Described((folder,)), f"counter:{read_package(folder, ONE).id}"
    for body in ("Get", {"Add": 5}, *WRONG):
        described.check(process, body, ask(lab, body))
    assert described.seen == {(process, "get"), (process, "add")}


def test_g27_it_goes_on_counting_after_a_crash(lab: PackageLab, boot: Callable[..., None]) -> None:
    boot("counter", ONE)
    for _ in range(2):
        ask(lab, {"Add": 5})
    lab.restart(ONE)
    assert ask(lab, {"Add": 1}) == {"Count": 11}


def test_what_the_first_version_has_saved_is_migrated(
    lab: PackageLab, language: Language, compiled: Callable[[Language, str], Path], tmp_path: Path
) -> None:
    package = shutil.copytree(compiled(language, "counter"), tmp_path / "counter")
    new = (package / "counter.wasm").read_bytes()
    shutil.copy(PROBE, package / "counter.wasm")
    lab.boot(ONE, packages=[package])
    ask(lab, [{"SetState": "\x07\x00\x00\x00\x00\x00\x00\x00"}, {"Respond": {"body": '"Saved"'}}])
    (package / "counter.wasm").write_bytes(new)
    lab.restart(ONE)
    assert ask(lab, "Get") == {"Count": 7}
    ask(lab, {"Add": 1})
    lab.restart(ONE)
    assert ask(lab, "Get") == {"Count": 8}
