"""A testnet over several machines: network namespaces with an ssh server each, real nodes, and links between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testnet.hosts.rig import Rig, run_rig, why_not

pytestmark = pytest.mark.skipif((reason := why_not()) is not None, reason=reason or "")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with run_rig(tmp_path) as rig:
        yield rig


def ask(rig: Rig, source: str, target: str, timeout: int = 60) -> str:
    """How the request from the hello package of one node to that of another has ended."""
    body = json.dumps({"Ask": {"node": target, "name": "x", "timeout": timeout}})
    words = ["message", "our@hello:hello:sys", body, "--timeout", str(timeout + 10), "--json"]
    done = rig.nectar("testnet", "run-there", source, *words)
    answer = json.loads(done.json["body"])
    return str(answer["Failed"]["kind"] if "Failed" in answer else next(iter(answer)))


def test_nodes_on_two_hosts_talk_are_parted_and_leave_nothing(rig: Rig) -> None:
    addresses = {name: rig.add(name) for name in ("one", "two")}
    file = rig.write({"one": (addresses["one"], ["a.nec"]), "two": (addresses["two"], ["b.nec"])})
    up = rig.nectar("testnet", "up", "--hosts", file, "--detach")
    print(up)
    assert up.code == 0
