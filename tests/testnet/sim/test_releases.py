"""Releases go from node to node in virtual time: what is fetched is what was published, whoever serves it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from kernel.contract.address import PackageId
from nectar_node.releases.files import FileHasher, ReleaseFile
from nectar_node.releases.limits import PIECE_BYTES
from nectar_node.sharing import process, serving
from nectar_node.sharing.wire.limits import ABANDONED_SECONDS
from net.base.token_buckets import Allowance
from testnet.faults.latency import Latency
from testnet.faults.partition import Partition
from testnet.model.lab import NodePlan, SentRequest
from testnet.model.releases import Files, ReleaseLie
from testnet.model.where import Where
from testnet.releases import holdings
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation

ANN, BOB, CID = NODES = ("ann.nec", "bob.nec", "cid.nec")
CHESS = PackageId("chess", ANN)
PROCESS = "our@packages:distro:sys"
LARGE = Random(1).randbytes(3 * PIECE_BYTES + 77)
FILES: Files = {"manifest.json": b"[]", "main.wasm": LARGE, "ui/page.html": b"a page", "ui/empty": b""}


@pytest.fixture
def lab(programs: Programs) -> Simulation:
    lab = Simulation(20261201, programs)
    lab.boot(*(NodePlan(name, ()) for name in NODES))
    lab.settle()
    return lab


def publish(lab: Simulation, version: str, files: Files = FILES) -> bytes:
    made = lab.releases(ANN).publish(CHESS, version, files)
    assert made is not None
    return made


def begin(lab: Simulation, node: str, version: str | None = None, *sources: str, id: str = "1") -> SentRequest:
    wanted = {"id": id, "package": str(CHESS), "version": version, "from": list(sources), "files": True}
    return lab.begin(node, PROCESS, {"Fetch": wanted}, 600)


def fetch(lab: Simulation, node: str, version: str | None = None, *sources: str) -> Any:
    """What the node answers its user when a fetch has ended."""
    request = begin(lab, node, version, *sources)
    lab.wait(lambda: request.outcome is not None, 600.0)
    assert request.outcome is not None
    return request.outcome.body


def fetched(lab: Simulation, node: str, version: str | None = None, *sources: str) -> dict[str, Any]:
    body = fetch(lab, node, version, *sources)
    assert "Fetched" in body, body
    told: dict[str, Any] = body["Fetched"]
    return told


def why_not(lab: Simulation, node: str, version: str | None = None, *sources: str) -> str:
    body = fetch(lab, node, version, *sources)
    ((_, error),) = body["Err"].items()
    return str(error["error"])


def test_a_release_comes_from_its_publisher_whole_and_no_part_of_it_stays_elsewhere(lab: Simulation) -> None:
    release = publish(lab, "1.0.0")
    told = fetched(lab, BOB)
    assert (told["release"], told["version"], told["fetched"]) == (
        release.hex(),
        "1.0.0",
        sum(map(len, FILES.values())),
    )
    assert lab.releases(BOB).files(release) == FILES
    lab.rest(1.0)
    assert lab.releases(BOB).unfinished == 0
    lab.cut_power(BOB)
    lab.start(BOB)
    assert lab.releases(BOB).files(release) == FILES


def test_whoever_has_it_serves_it_when_the_publisher_is_gone(lab: Simulation) -> None:
    first = publish(lab, "1.0.0")
    fetched(lab, BOB)
    lab.crash(ANN)
    assert fetched(lab, CID, None, BOB)["release"] == first.hex()
    assert lab.releases(CID).files(first) == FILES


def test_files_that_an_older_version_has_are_not_fetched_again(lab: Simulation) -> None:
    publish(lab, "1.0.0")
    fetched(lab, BOB)
    second = publish(lab, "1.1.0", {**FILES, "ui/page.html": b"another page"})
    assert fetched(lab, BOB)["fetched"] == len(b"another page")
    assert lab.releases(BOB).files(second) == {**FILES, "ui/page.html": b"another page"}


def test_an_older_version_is_found_behind_the_newest_and_one_that_is_none_is_refused(lab: Simulation) -> None:
    first = publish(lab, "1.0.0")
    publish(lab, "1.1.0", {**FILES, "new": b"x"})
    told = fetched(lab, BOB, "1.0.0")
    assert (told["release"], told["number"], told["newest"]) == (first.hex(), 1, 2)
    assert "has no version 1.0.5" in why_not(lab, BOB, "1.0.5")


@pytest.mark.parametrize("ends", ["crash", "cut_power"])
def test_a_fetch_goes_on_where_a_crash_broke_it_off(lab: Simulation, ends: str) -> None:
    release = publish(lab, "1.0.0", {**FILES, "more": Random(2).randbytes(12 * PIECE_BYTES)})
    begin(lab, BOB)
    lab.wait(lambda: written(lab, BOB) > 8 * PIECE_BYTES, 60.0)
    getattr(lab, ends)(BOB)
    lab.start(BOB)
    told = fetched(lab, BOB)
    assert told["fetched"] < told["bytes"]
    files = lab.releases(BOB).files(release)
    assert files is not None
    assert files["main.wasm"] == LARGE
    assert files["more"] == Random(2).randbytes(12 * PIECE_BYTES)


def written(lab: Simulation, node: str) -> int:
    files = lab.node(node).disk.files
    return sum(len(file) for path, file in files.items() if path[1:2] == (".fetching",))


def test_what_was_cancelled_goes_on_and_is_removed_if_nobody_goes_on_for_a_week(
    lab: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SWEEP_SECONDS", 20.0)
    publish(lab, "1.0.0", {**FILES, "more": Random(2).randbytes(12 * PIECE_BYTES)})
    request = begin(lab, BOB)
    lab.wait(lambda: written(lab, BOB) > 5 * PIECE_BYTES, 60.0)
    assert lab.ask(BOB, PROCESS, {"Progress": {"id": "1"}}, 5).body["Progress"]["bytes"] > 0
    assert lab.ask(BOB, PROCESS, {"Cancel": {"id": "1"}}, 5).body == "Ok"
    lab.wait(lambda: request.outcome is not None, 5.0)
    assert request.outcome is not None
    assert "Cancelled" in request.outcome.body["Err"]
    lab.restart(BOB)
    lab.wait(lambda: lab.ready(BOB), 60.0)
    lab.rest(1.0)
    lab.step_clock(BOB, ABANDONED_SECONDS - 60.0)
    lab.rest(25.0)
    assert lab.releases(BOB).unfinished > 0
    lab.rest(60.0)
    assert lab.releases(BOB).unfinished == 0


def test_a_source_that_vanishes_is_replaced_by_another(lab: Simulation) -> None:
    release = publish(lab, "1.0.0", {**FILES, "more": Random(2).randbytes(12 * PIECE_BYTES)})
    fetched(lab, BOB)
    request = begin(lab, CID, None, BOB)
    lab.wait(lambda: written(lab, CID) > 5 * PIECE_BYTES, 60.0)
    lab.crash(ANN)
    lab.wait(lambda: request.outcome is not None, 300.0)
    assert lab.releases(CID).files(release) == lab.releases(BOB).files(release)


def test_a_fetch_outlives_a_cut(lab: Simulation) -> None:
    release = publish(lab, "1.0.0", {**FILES, "more": Random(2).randbytes(12 * PIECE_BYTES)})
    request = begin(lab, BOB)
    lab.wait(lambda: written(lab, BOB) > 5 * PIECE_BYTES, 60.0)
    with lab.apply(Partition(Where(BOB, ANN))):
        lab.rest(20.0)
    lab.wait(lambda: request.outcome is not None, 300.0)
    assert lab.releases(BOB).files(release) is not None


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("alters", "sends other bytes than were published"),
        ("cuts_off", "cannot read it"),
        ("forges_document", "sends another document than was published"),
        ("forges_head", "shows a head that ann.nec has not signed with the key that it has now"),
    ],
)
def test_a_mirror_that_lies_is_named_and_nothing_of_its_lie_is_taken(
    lab: Simulation, how: ReleaseLie, told: str
) -> None:
    release = publish(lab, "1.0.0", {**FILES, "more": Random(2).randbytes(12 * PIECE_BYTES)})
    fetched(lab, BOB)
    assert lab.releases(BOB).lie(CHESS, how)
    with lab.apply(Latency(0.3, 0.0, Where(CID, ANN))):  # so that the mirror is asked for most of it
        dropped = fetched(lab, CID, None, BOB)["dropped"]
    assert lab.releases(CID).files(release) == lab.releases(ANN).files(release)
    assert [name for name, _, _ in dropped] == [BOB]
    assert told in dropped[0][1]


def test_a_mirror_cannot_go_back_behind_what_was_seen(lab: Simulation) -> None:
    publish(lab, "1.0.0")
    fetched(lab, BOB)
    publish(lab, "2.0.0", {**FILES, "new": b"x"})
    fetched(lab, CID)
    lab.crash(ANN)
    sentence = why_not(lab, CID, None, BOB)
    assert "shows release 1, which is behind" in sentence or "goes back to release 1" in sentence


def test_two_releases_with_one_number_are_told_and_whoever_has_seen_one_takes_no_other(lab: Simulation) -> None:
    publish(lab, "1.0.0")
    both: tuple[Files, Files] = ({**FILES, "which": b"first"}, {**FILES, "which": b"second"})
    first, second = lab.releases(ANN).publish_two(CHESS, "2.0.0", both, lab.releases(BOB))
    assert first != second
    assert "has signed two different releases" in why_not(lab, CID, None, BOB)
    assert "has signed two different releases" in why_not(lab, BOB)
    publish(lab, "3.0.0", {**FILES, "which": b"third"})
    assert "has signed two different releases" in why_not(lab, BOB)
    assert fetched(lab, CID)["version"] == "3.0.0"


def test_heads_of_a_former_key_are_refused_once_the_new_record_is_known(lab: Simulation) -> None:
    publish(lab, "1.0.0")
    fetched(lab, BOB)
    lab.leave(ANN)
    lab.rotate_key(ANN)
    lab.start(ANN)
    lab.settle()
    assert fetched(lab, CID, None, BOB)["version"] == "1.0.0"
    lab.releases(CID).shelf._heads.clear()
    lab.crash(ANN)
    assert "has not signed with the key that it has now" in why_not(lab, CID, None, BOB)


def test_pieces_that_are_not_the_file_that_is_named_are_installed_at_no_attempt(
    lab: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = FileHasher.done

    def lying(hasher: FileHasher) -> ReleaseFile:
        file = done(hasher)
        return ReleaseFile(file.path, file.size, bytes(32), file.pieces) if file.pieces else file

    monkeypatch.setattr(FileHasher, "done", lying)
    publish(lab, "1.0.0")
    for _ in range(2):
        assert "are not the file that the release names" in why_not(lab, BOB)
    lab.restart(BOB)
    lab.wait(lambda: lab.ready(BOB), 60.0)
    assert "are not the file that the release names" in why_not(lab, BOB)


def test_what_does_not_fit_is_refused_before_it_begins(lab: Simulation) -> None:
    publish(lab, "1.0.0")
    sharing = lab.nodes[BOB].core._sharing
    sharing._quota = len(LARGE)
    assert "raise --releases-quota" in why_not(lab, BOB)
    sharing._quota = 1 << 40
    disk = lab.node(BOB).disk
    disk.capacity = disk.used + 1_000_000
    assert "the disk has no room" in why_not(lab, BOB)
    assert written(lab, BOB) < 1000
    disk.capacity = 1 << 40
    fetched(lab, BOB)


def test_a_full_disk_in_the_middle_leaves_what_has_come_for_the_next_time(lab: Simulation) -> None:
    release = publish(lab, "1.0.0", {**FILES, "more": Random(2).randbytes(12 * PIECE_BYTES)})
    request = begin(lab, BOB)
    lab.wait(lambda: written(lab, BOB) > 5 * PIECE_BYTES, 60.0)
    lab.fill_disk(BOB)
    lab.wait(lambda: request.outcome is not None, 60.0)
    assert request.outcome is not None
    assert "the disk is full" in request.outcome.body["Err"]["Full"]["error"]
    assert lab.releases(BOB).files(release) is None
    lab.free_disk(BOB)
    told = fetched(lab, BOB)
    assert told["fetched"] < told["bytes"]


def test_a_package_that_no_node_can_have_published_is_told_so(lab: Simulation) -> None:
    wanted: dict[str, Any] = {"id": "1", "package": "chess:local", "version": None, "from": [], "files": True}
    body = lab.ask(BOB, PROCESS, {"Fetch": wanted}, 60).body
    assert "local is no node's name" in body["Err"]["Failed"]["error"]


def test_a_publisher_without_a_record_proves_nothing(lab: Simulation) -> None:
    wanted: dict[str, Any] = {"id": "1", "package": "chess:nobody.nec", "version": None, "from": [], "files": True}
    body = lab.ask(BOB, PROCESS, {"Fetch": wanted}, 600).body
    assert "nobody.nec cannot be reached (no such name)" in body["Err"]["Offline"]["error"]


def test_others_may_ask_and_not_order(lab: Simulation) -> None:
    publish(lab, "1.0.0")
    found = lab.ask(BOB, f"{ANN}@packages:distro:sys", {"Search": {"word": "CHESS", "after": ""}}, 60)
    assert found.body == {"Found": [["chess:ann.nec", "1.0.0", holdings.ABOUT]]}
    after = lab.ask(BOB, f"{ANN}@packages:distro:sys", {"Search": {"word": "", "after": "chess:ann.nec"}}, 60)
    assert after.body == {"Found": []}
    for order in ({"Cancel": {"id": "1"}}, {"Progress": {"id": "1"}}):
        assert "Refused" in lab.ask(BOB, f"{ANN}@packages:distro:sys", order, 60).body["Err"]


def test_nonsense_is_one_error(lab: Simulation) -> None:
    release = publish(lab, "1.0.0").hex()
    bodies: list[Any] = [
        None,
        "Head",
        {"Head": {}},
        {"Head": {"package": "chess"}},
        {"Release": {"package": str(CHESS), "hash": None, "version": None}},
        {"Release": {"package": str(CHESS), "hash": "00", "version": None}},
        {"Piece": {"release": release, "file": -1, "piece": 0}},
        {"Piece": {"release": release, "file": 1.5, "piece": 0}},
        {"Search": {"word": "x" * 4000, "after": ""}},
        {"Search": {"word": 3, "after": ""}},
    ]
    for body in bodies:
        assert "BadRequest" in lab.ask(BOB, f"{ANN}@packages:distro:sys", body, 60).body["Err"], json.dumps(body)
    for file, piece in ((9999, 0), (0, 9999)):
        body = {"Piece": {"release": release, "file": file, "piece": piece}}
        assert "NotFound" in lab.ask(BOB, f"{ANN}@packages:distro:sys", body, 60).body["Err"]


def test_a_peer_that_asks_without_end_gets_its_share_and_others_theirs(lab: Simulation) -> None:
    publish(lab, "1.0.0")
    head = {"Head": {"package": str(CHESS)}}
    lab.nodes[ANN].core._sharing._serving._allowance = Allowance(50, 1.0, 10)
    requests = [lab.begin(BOB, f"{ANN}@packages:distro:sys", head, 60) for _ in range(100)]
    answered = lab.begin(CID, f"{ANN}@packages:distro:sys", head, 60)
    lab.wait(lambda: all(each.outcome is not None for each in (*requests, answered)), 60.0)
    bodies = [each.outcome.body for each in requests if each.outcome is not None and each.outcome.kind == "response"]
    assert sum(body != "Ok" and "Busy" in body["Err"] for body in bodies) == 50
    assert answered.outcome is not None
    assert answered.outcome.body == "Ok"


def test_a_peer_that_asks_for_everything_holds_no_more_than_its_share(
    lab: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = publish(lab, "1.0.0")
    monkeypatch.setattr(serving, "MAX_REQUESTS", 4)
    piece = {"Piece": {"release": release.hex(), "file": 0, "piece": 0}}
    requests = [lab.begin(BOB, f"{ANN}@packages:distro:sys", piece, 60) for _ in range(100)]
    lab.wait(lambda: all(each.outcome is not None for each in requests), 60.0)
    bodies = [each.outcome.body for each in requests if each.outcome is not None]
    assert sum(body == "Ok" for body in bodies) >= 4
    assert sum("Busy" in body.get("Err", ()) for body in bodies if body != "Ok") > 50
    assert not lab.nodes[ANN].core._sharing._serving._guests


def test_one_release_is_fetched_once_at_a_time_and_not_too_many(lab: Simulation) -> None:
    publish(lab, "1.0.0", {**FILES, "more": Random(2).randbytes(12 * PIECE_BYTES)})
    begin(lab, BOB)
    lab.rest(0.05)
    again = begin(lab, BOB, id="2")
    lab.rest(0.01)
    assert again.outcome is not None
    assert "is being fetched already" in again.outcome.body["Err"]["Busy"]["error"]
