"""A short, repeatable slice of the network's fuzzing, and the proof that nothing is left out of it."""

from __future__ import annotations

import ast
import random
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from tests.fuzz.attack import SEEDS, attack
from tests.fuzz.mutation import mutations
from tests.fuzz.siege import siege
from tests.fuzz.targets import TARGETS
from tests.seeds import sample

ROOT = Path(__file__).resolve().parents[2]
FROM_OTHER_NODES = (
    "nectar_node/peers/envelope.py",
    "nectar_node/system/net.py",
    "nectar_node/peers/grant_rows.py",
    "nectar_node/system/kept_requests.py",
    "nectar_node/system/kept_objects.py",
    "nectar_node/system/kept_access.py",
    "nectar_node/backup/format/access.py",
    "nectar_node/releases/document.py",
    "nectar_node/releases/head.py",
    "nectar_node/releases/proof.py",
    "nectar_node/releases/rules.py",
    "nectar_node/interfaces/lexer.py",
    "nectar_node/interfaces/messages.py",
    "nectar_node/interfaces/parser.py",
    "nectar_node/interfaces/resolver.py",
    "nectar_node/sharing/fetch.py",
    "nectar_node/sharing/heads.py",
    "nectar_node/sharing/wire/messages.py",
    "nectar_node/backup/stores/node_messages.py",
)
"""Files of the node that read what another node sent, or kept of it."""
GUESTS_SAY = {
    f"nectar_node/system/net.py:{name}"
    for name in ("Net._look_untrusted", "Net._look_packed_untrusted", "_packed_untrusted")
}
"""Of those, what a process of this node says; tests/nectar_node/system/test_net.py has that."""
ROUNDS = 60
MAX_PEAK_BYTES = 24 << 20
"""Of a run of the session machine: two nodes, their messages and all that the attacker may make them hold."""


def untrusted() -> Iterator[str]:
    """`file:function` of each function that reads what somebody else wrote."""
    for path in sorted([*(ROOT / "net").rglob("*.py"), *(ROOT / name for name in FROM_OTHER_NODES)]):
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text())
        classes = [each for each in tree.body if isinstance(each, ast.ClassDef) and not _is_protocol(each)]
        for prefix, body in [("", tree.body), *((f"{each.name}.", each.body) for each in classes)]:
            for each in body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.endswith("_untrusted"):
                    yield f"{name}:{prefix}{each.name}"


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)


def called(wanted: set[str]) -> set[str]:
    """The same of those that the targets call with their seeds; looks no further when it has all that are wanted."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name.endswith("_untrusted"):
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT):
                found.add(f"{path.relative_to(ROOT).as_posix()}:{frame.f_code.co_qualname}")

    sys.setprofile(note)
    try:
        for target in reversed(TARGETS.values()):
            for seed in target.seeds:
                target.run(seed)
                if wanted <= found:
                    return found
    finally:
        sys.setprofile(None)
    return found


def test_every_function_that_reads_what_a_peer_wrote_is_called_by_a_target() -> None:
    expected = set(untrusted()) - GUESTS_SAY
    assert len(expected) > 25
    assert expected - called(expected) == set(), "a function without a fuzz target: add one to tests/fuzz/targets.py"


@pytest.mark.parametrize("name", sorted(set(TARGETS) - {"attack", "siege"}))
def test_no_bytes_make_a_target_raise_what_it_does_not_document(name: str) -> None:
    target = TARGETS[name]
    for data in mutations(target.seeds, seed=name, count=ROUNDS):
        target.run(data)


@pytest.mark.parametrize("seed", sample(range(2)))
def test_no_attacker_in_the_middle_makes_a_false_message_or_an_endless_one(seed: int) -> None:
    chance = random.Random(seed)
    for data in mutations(SEEDS, seed=seed, count=8):
        attack(data + chance.randbytes(150))


@pytest.mark.parametrize("seed", sample(range(4)))
def test_no_peer_that_keeps_no_rule_makes_a_message_without_an_end(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(8):
        siege(chance.randbytes(300))


@pytest.mark.parametrize("run", [attack, siege])
def test_whatever_the_other_side_does_memory_is_bounded(run: object) -> None:
    assert callable(run)
    chance = random.Random(7)
    tracemalloc.start()
    try:
        for _ in range(4):
            run(chance.randbytes(400))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MAX_PEAK_BYTES
