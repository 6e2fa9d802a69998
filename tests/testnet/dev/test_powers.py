"""What `nectar dev` asks about before the nodes are asked."""

from __future__ import annotations

import json
from pathlib import Path

from nectar_node.authoring.templates import Language, Template, create
from nectar_node.packages.startable import read_startable
from testnet.dev.powers import Wants, ungranted

ONE = "one.nec"
KERNEL = "kernel:distro:sys"


def asking(folder: Path, *capabilities: str) -> Path:
    """A new package that asks for these."""
    create(folder, Language.ZIG, Template.ECHO)
    manifest = folder / "pkg" / "manifest.json"
    (entry,) = json.loads(manifest.read_text())
    manifest.write_text(json.dumps([entry | {"request_capabilities": list(capabilities)}]))
    return folder


def test_a_package_without_powers_is_asked_nothing(tmp_path: Path) -> None:
    package = read_startable(asking(tmp_path / "calm", "timer:distro:sys"), ONE)
    assert ungranted(package, ONE, (), frozenset()) == Wants()


def test_a_power_is_asked_for_once_and_a_yes_or_a_no_is_what_start_is_told(tmp_path: Path) -> None:
    package = read_startable(asking(tmp_path / "bold", KERNEL), ONE)
    (power,) = ungranted(package, ONE, (), frozenset()).powers
    assert power == KERNEL
    assert ungranted(package, ONE, (power,), frozenset()) == Wants()
    assert ungranted(package, ONE, (), frozenset({power})) == Wants({}, (power,))


def test_a_power_that_was_denied_and_is_not_asked_for_any_more_is_not_denied_to_start(tmp_path: Path) -> None:
    package = read_startable(asking(tmp_path / "calm"), ONE)
    assert ungranted(package, ONE, (), frozenset({KERNEL})) == Wants()
