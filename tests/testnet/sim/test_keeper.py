"""A node keeps another's backup, in virtual time: whatever happens to it, what was complete is there."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from kernel.contract.guest import Failure
from nectar_node.backup.format.access import access_key
from nectar_node.backup.format.errors import RemoteFailed
from nectar_node.backup.format.keys import phrase_key
from nectar_node.backup.playing import play
from nectar_node.backup.prune import keep_recent, prune
from nectar_node.backup.stores.node_backups import NodeBackups
from nectar_node.backup.stores.node_messages import KEEPER_PROCESS, RESTARTED, TIMEOUT_SECONDS, NodeAnswer, NodeRequest
from nectar_node.backup.stores.node_remote import NodeRemote
from nectar_node.base.folder import NodeFolder
from testnet.model.lab import NodePlan
from testnet.sim.node import SimNode
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.nectar_node.backup.lab import SMALL, Lab

OWNER, KEEPER, VISITOR = "owner.nec", "keeper.nec", "visitor.nec"
GIB = 1 << 30


class SimMessenger:
    """Sends requests in the name of a simulated node's user."""

    def __init__(self, lab: Simulation, node: str) -> None:
        self._lab = lab
        self.node = node

    def ask(self, keeper: str, request: NodeRequest) -> NodeAnswer:
        target = f"{keeper}@{KEEPER_PROCESS}"
        self._lab.rest(request.after)
        answer = node_of(self._lab, self.node).ask(target, request.body, TIMEOUT_SECONDS, request.blob)
        if isinstance(answer, Failure):
            reason = answer.error.reason
            return NodeAnswer(failure=f"cannot be reached ({reason.value})", restarted=reason.value in RESTARTED)
        return NodeAnswer(answer.message.body, None if answer.blob is None else bytes(answer.blob.bytes))


def node_of(lab: Simulation, name: str) -> SimNode:
    return lab.nodes[name]


def remote(lab: Simulation, node: str = OWNER, key: bytes | None = None) -> NodeRemote:
    return NodeRemote(KEEPER, OWNER, SimMessenger(lab, node), key)


@pytest.fixture
def lab(programs: Programs) -> Simulation:
    lab = Simulation(20261130, programs)
    lab.boot(*(NodePlan(name, ()) for name in (OWNER, KEEPER, VISITOR)))
    accept(lab)
    return lab


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)


def accept(lab: Simulation) -> None:
    keeper = node_of(lab, KEEPER)
    keeper.core.keeper.accept(OWNER, GIB, append_only=False)
    keeper.go_on()
    lab.wait(lambda: keeper.core.kept, 10.0)


def kept(lab: Simulation) -> dict[str, int]:
    """The files in the keeper's folder, and their lengths."""
    disk, root = node_of(lab, KEEPER).disk, f"{KEEPER}/kept"
    paths = [path for path in disk.paths() if path[0] == root]
    return {"/".join(path[2:]): len(disk.live.files[path]) for path in paths}


@pytest.mark.parametrize("seed", range(6))
def test_what_was_complete_is_restored_however_often_the_keeper_loses_its_power(lab: Simulation, seed: int) -> None:
    files, chance = Lab(seed), Random(seed)
    files.fill(150_000, 20_000, 10)
    files.run(via=remote(lab))
    possible = [dict(files.files.files)]
    for _ in range(6):
        files.files.write_file(b"node/0/file", files.random.randbytes(100_000))
        lab.at(chance.uniform(0.0, 0.6), lambda: lab.cut_power(KEEPER))
        now = dict(files.files.files)
        try:
            files.run(via=remote(lab))
            possible = [now]
        except RemoteFailed:
            possible.append(now)  # perhaps only the answer was lost
        lab.rest(1.0)
        lab.start(KEEPER)
        lab.wait(lambda: lab.ready(KEEPER), 60.0)
        lab.rest(10.0)
        assert files.restored(remote=remote(lab)).files in possible
        assert kept(lab) == node_of(lab, KEEPER).core.keeper.objects.owners[OWNER].sizes


def test_a_visitor_with_the_phrase_restores_and_is_forgotten_at_the_next_boot(lab: Simulation) -> None:
    files = Lab(1)
    files.fill(100_000)
    files.run(via=remote(lab))
    remote(lab).introduce(access_key(phrase_key(files.phrase)))
    with pytest.raises(RemoteFailed):
        remote(lab, VISITOR).list("packs/")
    knowing = remote(lab, VISITOR, phrase_key(files.phrase))
    knowing.enter()
    assert files.restored(remote=remote(lab, VISITOR)).files == files.files.files
    lab.restart(KEEPER)
    lab.wait(lambda: lab.ready(KEEPER), 60.0)
    with pytest.raises(RemoteFailed):
        remote(lab, VISITOR).list("packs/")
    assert files.restored(remote=knowing).files == files.files.files  # it proves that it knows the phrase once more


def test_new_keys_are_known_to_a_keeper_at_once(lab: Simulation, tmp_path: Path) -> None:
    place = NodeFolder(tmp_path / OWNER)
    place.path.mkdir()
    backups = NodeBackups(place, tmp_path, messenger=SimMessenger(lab, OWNER))
    backups.add("vault", f"node://{KEEPER}")
    phrase = backups.rotate()
    remote(lab, VISITOR, phrase_key(phrase)).enter()
    assert remote(lab, VISITOR).list("keys/")


def test_an_owner_prunes_and_what_it_has_removed_is_gone_from_the_keepers_disk(lab: Simulation) -> None:
    files = Lab(1)
    for size in (100_000, 50_000, 20_000):
        files.fill(size)
        files.run(via=remote(lab))
    before = kept(lab)
    pruned = play(prune(files.job(), keep_recent(1, 0)), remote(lab))
    assert (pruned.kept, pruned.removed) == (1, 2)
    assert before.keys() - kept(lab).keys()
    assert kept(lab) == node_of(lab, KEEPER).core.keeper.objects.owners[OWNER].sizes
    assert files.restored(remote=remote(lab)).files == files.files.files


def test_g23_an_owner_that_stores_without_pause_does_not_keep_a_package_from_the_disk(lab: Simulation) -> None:
    keeper = node_of(lab, KEEPER)

    def write() -> float:
        began = lab.now
        body = b'{"path":"/terminal:sys/drive/file","action":"Write"}'
        keeper.ask("our@vfs:distro:sys", body, 60, b"x" * 1000)
        return lab.now - began

    keeper.ask("our@vfs:distro:sys", b'{"path":"/terminal:sys/drive","action":"CreateDrive"}', 60)
    alone = max(write() for _ in range(20))
    data = bytes(4096)
    for number in range(1000):
        body = f'{{"Put":{{"owner":"{OWNER}","name":"packs/{number:032x}"}}}}'.encode()
        node_of(lab, OWNER).begin_to_ask(f"{KEEPER}@{KEEPER_PROCESS}", body, 60, data)
    owner, beside = keeper.core.keeper.objects.owners[OWNER], list[float]()
    lab.wait(lambda: len(owner.unsettled) > 20, 10.0)
    while owner.unsettled:
        beside.append(write())
    assert len(beside) > 20
    assert max(beside) < 2 * alone


def test_who_asks_for_everything_and_reads_nothing_holds_little_of_the_keepers_memory(lab: Simulation) -> None:
    there, keeper = remote(lab), node_of(lab, KEEPER)
    data = Random(1).randbytes(4 << 20)
    there.put(f"packs/{1:032x}", data)
    body = f'{{"Get":{{"owner":"{OWNER}","name":"packs/{1:032x}","start":0,"length":{4 << 20}}}}}'.encode()
    lab.at(0.5, lambda: lab.pause(OWNER))
    for _ in range(200):
        node_of(lab, OWNER).begin_to_ask(f"{KEEPER}@{KEEPER_PROCESS}", body, 60)
    most = 0
    for _ in range(40):
        lab.rest(0.1)
        most = max(most, keeper.core.memory.used)
    assert 0 < most < 200 << 20
    lab.resume(OWNER)
    lab.rest(70.0)
    assert there.get(f"packs/{1:032x}", 0, 4 << 20) == data
    lab.rest(5.0)
    assert keeper.core.memory.used == 0
