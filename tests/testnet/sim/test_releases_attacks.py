"""What mirrors, peers and disks may do to releases: whoever wants one still gets it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from nectar_node.releases import shelf
from nectar_node.releases.document import Release, decode_release_untrusted
from nectar_node.releases.limits import PIECE_BYTES
from nectar_node.releases.shelf import HEADS, RELEASES
from nectar_node.sharing import leftovers
from nectar_node.sharing.fetch import FetchPhase
from nectar_node.sharing.serving import Serving
from nectar_node.sharing.wire.limits import DOCUMENT_BYTES_OF_REQUEST
from nectar_node.storage.database import Contents
from nectar_node.storage.operations import Row
from net.base.token_buckets import Allowance
from testnet.faults.latency import Latency
from testnet.model.lab import NodePlan
from testnet.model.releases import ReleaseLie
from testnet.model.where import Where
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.testnet.sim.test_releases import (
    ANN,
    BOB,
    CHESS,
    CID,
    FILES,
    NODES,
    PROCESS,
    begin,
    fetch,
    fetched,
    publish,
    written,
)

DOT = "dot.nec"
SWEPT = 0.0188
"""Seconds from the newest head to the sweep of leftovers: the document is about to arrive."""
WAITED_SECONDS = 30.0
"""In which a release is there that one honest source has, whoever else is asked."""


@pytest.fixture
def lab(programs: Programs) -> Simulation:
    lab = Simulation(20261202, programs)
    lab.boot(*(NodePlan(name, ()) for name in (*NODES, DOT)))
    lab.settle()
    return lab


def test_an_older_version_comes_from_a_mirror_too_when_the_publisher_is_gone(lab: Simulation) -> None:
    publish(lab, "1.0.0")
    second = publish(lab, "1.1.0", {**FILES, "new": b"x"})
    for number in range(2, 5):
        publish(lab, f"1.{number}.0", {**FILES, "new": b"%d" % number})
    fetched(lab, BOB, "1.1.0")
    lab.crash(ANN)
    assert fetched(lab, CID, "1.1.0", BOB)["release"] == second.hex()


def test_mirrors_that_never_answer_hold_up_nobody(lab: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(lab, "1.0.0", {"manifest.json": b"[]", "main.wasm": b"\0asm"})
    silent = set()
    for node in (BOB, DOT):
        fetched(lab, node)
        silent.add(lab.nodes[node].core._sharing._serving)
    read = Serving._read

    def never(serving: Serving, *rest: Any) -> None:
        if serving not in silent:
            read(serving, *rest)

    monkeypatch.setattr(Serving, "_read", never)
    began = lab.now
    assert fetched(lab, CID, None, BOB, DOT)["version"] == "1.0.0"
    assert lab.now - began < 10.0


@pytest.mark.parametrize("how", ["silent", "drips", "serves_half"])
def test_an_honest_source_beside_mirrors_that_keep_others_waiting_gives_all_of_it_in_time(
    lab: Simulation, how: ReleaseLie
) -> None:
    publish(lab, "1.0.0")
    release = publish(lab, "1.1.0", {**FILES, "more": Random(2).randbytes(5 * PIECE_BYTES)})
    for mirror in (BOB, DOT):
        fetched(lab, mirror)
        assert lab.releases(mirror).lie(CHESS, how)
    began = lab.now
    with lab.apply(Latency(0.3, 0.0, Where(CID, ANN))):  # so that the mirrors are asked for most of it
        told = fetched(lab, CID, None, BOB, DOT)
    assert (told["release"], told["dropped"]) == (release.hex(), [])
    assert lab.now - began < WAITED_SECONDS
    assert lab.releases(CID).files(release) == lab.releases(ANN).files(release)


def test_a_peer_that_asks_for_pieces_of_many_large_releases_takes_no_more_than_its_share(
    lab: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "DECODED_BYTES", 30_000)
    many = {f"a/{number:03}": b"%d" % number for number in range(300)}
    releases = [publish(lab, f"1.{number}.0", {**many, "only": b"%d" % number}) for number in range(4)]
    decoded = []

    def counted(document: bytes) -> Release:
        decoded.append(len(document))
        return decode_release_untrusted(document)

    monkeypatch.setattr(shelf, "decode_release_untrusted", counted)
    lab.nodes[ANN].core._sharing._serving._allowance = Allowance(100, 0.05, 10)
    pieces = [{"Piece": {"release": releases[number % 4].hex(), "file": 1, "piece": 0}} for number in range(200)]
    asked = [lab.begin(BOB, f"{ANN}@packages:distro:sys", piece, 60) for piece in pieces]
    honest = lab.begin(CID, f"{ANN}@packages:distro:sys", pieces[0], 60)
    lab.wait(lambda: all(each.outcome is not None for each in (*asked, honest)), 60.0)
    assert 0 < sum(decoded) <= 2 * 100 * DOCUMENT_BYTES_OF_REQUEST
    assert honest.outcome is not None
    assert honest.outcome.body == "Ok"


def test_an_old_name_record_is_said_to_be_a_reason_and_no_mirror_is_blamed(lab: Simulation) -> None:
    publish(lab, "1.0.0")
    lab.settle()
    fetched(lab, DOT)
    record = lab.nodes[DOT].core.network.record(ANN)
    lab.leave(ANN)
    lab.rotate_key(ANN)
    lab.start(ANN)
    lab.settle()
    fetched(lab, BOB)
    lab.crash(ANN)
    lab.nodes[CID].core._sharing.key_of = lambda name: None if record is None else record.public_key
    body = fetch(lab, CID, None, BOB)
    ((kind, error),) = body["Err"].items()
    assert kind == "Offline"
    assert "may be from before a change of its key: try again when ann.nec or its registrar" in error["error"]
    assert [false for _, _, false in error["dropped"]] == [False]


@pytest.mark.parametrize("at", [0, 27, 30, 33, 50])
def test_a_disk_that_fills_at_any_step_leaves_nothing_half_and_the_next_fetch_goes_on(lab: Simulation, at: int) -> None:
    publish(lab, "1.0.0")
    fetched(lab, BOB)
    release = publish(lab, "1.1.0", {**FILES, "new": Random(3).randbytes(2 * PIECE_BYTES)})
    disk = lab.node(BOB).disk
    request = begin(lab, BOB)
    began = lab.now
    lab.wait(lambda: lab.now - began >= at * 0.002 or request.outcome is not None, 60.0)
    disk.capacity = disk.used
    lab.wait(lambda: request.outcome is not None, 300.0)
    assert request.outcome is not None
    if "Fetched" not in request.outcome.body:
        ((kind, _),) = request.outcome.body["Err"].items()
        assert kind in ("Full", "Failed")
        assert lab.releases(BOB).files(release) in (None, lab.releases(ANN).files(release))
    disk.capacity = 1 << 40
    lab.rest(1.0)
    fetched(lab, BOB)
    assert lab.releases(BOB).files(release) == lab.releases(ANN).files(release)
    lab.rest(1.0)
    assert lab.releases(BOB).unfinished == 0


def test_a_page_of_packages_ends_behind_the_longest_name_that_there_is(lab: Simulation) -> None:
    longest = f"{'a' * 63}:{'.'.join(['b' * 62] * 4)}"
    search = {"Search": {"word": "", "after": longest}}
    publish(lab, "1.0.0")
    assert lab.ask(BOB, f"{ANN}@packages:distro:sys", search, 60).body["Found"][0][0] == "chess:ann.nec"


def test_what_is_swept_away_is_taken_from_no_fetch_that_begins_just_then(
    lab: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "ABANDONED_SECONDS", 1.0)
    release = publish(lab, "1.0.0", {**FILES, **{f"small/{number}": b"%d" % number for number in range(40)}})
    broken_off = begin(lab, BOB)
    lab.wait(lambda: written(lab, BOB) > PIECE_BYTES, 60.0)
    lab.ask(BOB, PROCESS, {"Cancel": {"id": "1"}}, 5)
    lab.wait(lambda: broken_off.outcome is not None, 5.0)
    lab.rest(2.0)
    sharing = lab.nodes[BOB].core._sharing

    def sweep() -> None:
        sharing._sweep_at = lab.now
        core = lab.nodes[BOB].core
        core._system._timers.set(sharing.id, lab.now)
        core.on_timer(lab.now)
        lab.nodes[BOB].go_on()

    request = begin(lab, BOB, None, CID)
    (order,) = sharing._orders.values()
    lab.wait(lambda: order.fetch.phase is FetchPhase.DOCUMENTS, 60.0)
    lab.at(SWEPT, sweep)
    lab.wait(lambda: request.outcome is not None, 300.0)
    assert request.outcome is not None
    assert request.outcome.body["Err"]["Busy"]["error"] == (
        "What an earlier fetch has left of chess:ann.nec 1.0.0 is being removed, since it is a week old: try again."
    )
    lab.rest(1.0)
    assert lab.releases(BOB).unfinished == 0
    fetched(lab, BOB)
    assert lab.releases(BOB).files(release) == lab.releases(ANN).files(release)


def test_a_reader_that_is_restored_from_an_older_copy_goes_back_to_what_it_knew_then_and_no_further(
    lab: Simulation,
) -> None:
    publish(lab, "0.9.0")
    fetched(lab, DOT)
    first = publish(lab, "1.0.0", {**FILES, "new": b"1"})
    fetched(lab, BOB)
    fetched(lab, CID)
    copy: list[Row] = []

    def save(contents: Contents) -> list[Row]:
        copy.extend(Row(kind, key, value) for kind in (HEADS, RELEASES) for key, value in contents[kind].items())
        return []

    def restore(contents: Contents) -> list[Row]:
        gone = (Row(kind, key, None) for kind in (HEADS, RELEASES) for key in contents[kind])
        return [*gone, *copy]

    while_down(lab, BOB, save)
    second = publish(lab, "1.1.0", {**FILES, "new": b"2"})
    fetched(lab, BOB)
    lab.crash(ANN)
    while_down(lab, BOB, restore)
    assert "is behind" in str(fetch(lab, BOB, None, DOT))
    assert fetched(lab, BOB, None, CID)["release"] == first.hex()
    lab.start(ANN)
    lab.wait(lambda: lab.ready(ANN), 60.0)
    told = fetched(lab, BOB)
    assert (told["release"], told["fetched"]) == (second.hex(), 0)
    lab.crash(ANN)
    assert "shows release 2, which is behind" in str(fetch(lab, BOB, None, CID))


def while_down(lab: Simulation, node: str, change: Callable[[Contents], list[Row]]) -> None:
    """Change the rows of a node's store while it does not run."""
    lab.leave(node)
    lab.tamper(node, change)
    lab.start(node)
    lab.wait(lambda: lab.ready(node), 60.0)
