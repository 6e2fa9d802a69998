"""Browsers send bodies that go to files: whole simulated nodes with a real guest, a simulated disk, in virtual time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from kernel.contract.address import ProcessId
from kernel.contract.process import Process
from nectar_node.contract.http import HttpAnswer
from nectar_node.http.bodies import body_files
from nectar_node.http.bodies.body_files import (
    CROWDED_SECONDS,
    MAX_OF_ONE,
    PIECE_BYTES,
    PIECE_SECONDS,
)
from nectar_node.storage import operations as ops
from nectar_node.storage.ledger import Quotas
from testnet.browsers.sent_bodies import SentBody
from testnet.sim.programs import Programs
from testnet.sim.simulation import NodeSpec, Simulation
from tests import web_tables
from tests.nectar_node.system.test_http_server import BASE, EARLY, LATE, NODE, Site, site

WEB = ProcessId("web", "site", "local")
FOLDER = "/site:local/data/sent"
TAKE = f"{BASE}/take"
QUOTA = 8 << 20
SMALL = b"small"
BODY = random.Random(1).randbytes(3 * PIECE_BYTES + 1)


class BodySite(Site):
    """A site whose package takes bodies into the folder `sent`."""

    def take(self, path: str = "/take", folder: str = FOLDER, *, server: str = LATE, **fields: object) -> Any:
        """What the server says to a bind that has bodies go to a folder."""
        flags = {"authenticated": False, "local_only": False, "cache": False}
        return self.tell({"Bind": {"path": path, **flags, "body_to": folder, **fields}}, server=server)

    def post(self, body: bytes = BODY, path: str = TAKE, method: str = "POST", **headers: str) -> HttpAnswer:
        return self.browse(method, path, headers, body)

    def told(self, answer: HttpAnswer) -> dict[str, Any] | None:
        """What the process was told of the file."""
        assert answer.status == 200, bytes(answer.body)
        told: dict[str, Any] = json.loads(bytes(answer.body).partition(b" ")[2])
        return told.get("body_file")

    def begin(self, body: bytes = BODY, *, says_length: bool = True, stalls: bool = False) -> tuple[object, SentBody]:
        """Let a browser send, and do not wait; one that stalls gets nothing through after the head."""
        token = self.node.door.request(
            "POST", TAKE, (("host", "localhost"),), body, ("127.0.0.1", 1), says_length=says_length
        )
        sent = self.node.door.bodies[token]
        if stalls:
            sent.stall()
        return token, sent

    def stall_at(self, size: int, body: bytes = BODY) -> tuple[object, SentBody]:
        """Let a browser send until the node has read so much."""
        token, sent = self.begin(body)
        self.simulation.wait(lambda: sent.read >= size, 5)
        sent.stall()
        return token, sent

    def status(self, token: object) -> int | None:
        answer = self.node.door.answers.get(token)
        return None if answer is None else answer.status

    def read(self, path: str) -> bytes:
        data = self.node.disk.get(ops.Location(f"{NODE}/vfs", tuple(path.strip("/").split("/"))))
        assert data is not None, path
        return data

    def files(self) -> list[str]:
        """In a moment, the files of the package, and what lies in the folder that no process reaches."""
        self.simulation.rest(0.2)
        drives = f"{NODE}/vfs", "site:local"
        disk = self.node.disk
        found = ["/".join(path[2:]) for path in disk.files if path[:2] == drives]
        return found + ["/".join(path[2:]) for path in disk.folders if path[:2] == drives and ops.BODIES in path]

    def used(self) -> ops.Usage:
        """What the package's account has."""
        return self.node.ledger.account("site:local").drives

    @property
    def process(self) -> Process:
        return self.node.core.kernel.processes[WEB]

    def left(self) -> dict[str, int]:
        return web_tables.of_server(self.node.core._http_server)


@pytest.fixture
def web(tmp_path: Path, nectar_programs: Programs) -> Iterator[BodySite]:
    with closing(Simulation(1, nectar_programs)) as simulation:
        spec = NodeSpec(NODE, (site(tmp_path / "pkg", "web"),), quotas=Quotas(bytes=QUOTA))
        made = BodySite(simulation, simulation.boot_node(spec))
        simulation.settle()
        assert made.take() == {"Ok": None}
        yield made
        made.simulation.rest(1)
        assert not made.left()
        assert not [each for each in made.files() if ops.BODIES in each]


@pytest.mark.parametrize("says_length", [True, False])
def test_a_process_is_told_of_a_file_with_all_that_the_browser_has_sent(web: BodySite, says_length: bool) -> None:
    token, _ = web.begin(says_length=says_length)
    web.simulation.wait(lambda: web.status(token) is not None, 5)
    told = web.told(web.node.door.answers[token])
    assert told is not None
    assert told == {"path": told["path"], "length": len(BODY), "hash": blake3(BODY).hexdigest()}
    assert told["path"].startswith(f"{FOLDER}/")
    assert web.read(told["path"]) == BODY
    assert web.files() == [told["path"].removeprefix("/site:local/")]
    assert web.used() == ops.Usage(len(BODY), 3), "the drive, the folder and the file"


def test_such_a_file_is_durable_when_the_process_is_asked(web: BodySite) -> None:
    told = web.told(web.post())
    assert told is not None
    web.simulation.cut_power(NODE)
    web.node = web.simulation.start(NODE)
    assert web.read(told["path"]) == BODY


def test_requests_without_a_body_and_pages_are_as_ever(web: BodySite) -> None:
    assert web.told(web.get(TAKE)) is None
    assert web.told(web.browse("POST", TAKE)) is None
    token, _ = web.begin(b"", says_length=False)
    web.simulation.wait(lambda: web.status(token) is not None, 5)
    assert web.told(web.node.door.answers[token]) is None
    web.simulation.rest(1)
    assert web.files() == [], "an empty body is no file"
    web.bind("/upload")
    assert bytes(web.post(path=f"{BASE}/upload").body) == BODY


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"folder": "/other:local/data"}, "it may not write"),
        ({"folder": "/site:local/pkg/sent"}, "read-only"),
        ({"folder": "/site:local/.bodies/x"}, "is not there yet"),
        ({"folder": "/site:local"}, "a path is"),
        ({"folder": "/site:local/data/../x"}, "stands for a folder"),
        ({"folder": "/site:local/data/a."}, "ends with a dot"),
        ({"folder": 7}, "body_to is no text"),
        ({"body_limit": 0}, "body_limit is no number"),
        ({"body_limit": True}, "body_limit is no number"),
        ({"body_limit": 1 << 41}, "body_limit is no number"),
    ],
)
def test_a_folder_that_bodies_cannot_go_to_is_refused(web: BodySite, fields: dict[str, Any], why: str) -> None:
    assert why in json.dumps(web.take("/no", server=EARLY, **fields))
    assert web.get(f"{BASE}/no").status == 404


def test_a_body_over_the_limit_is_refused_before_it_is_read_or_where_it_exceeds_it(web: BodySite) -> None:
    assert web.take(body_limit=len(BODY) - 1) == {"Ok": None}
    token, sent = web.begin()
    assert (web.status(token), sent.read) == (413, 0)
    token, sent = web.begin(BODY + bytes(PIECE_BYTES * 4), says_length=False)
    web.simulation.wait(lambda: web.status(token) is not None, 5)
    assert (web.status(token), sent.read) == (413, PIECE_BYTES * 4)
    web.simulation.rest(1)
    assert web.files() == []
    assert web.used().bytes == 0


def test_a_body_for_which_there_is_no_room_is_refused_before_it_is_read_or_where_the_room_ends(web: BodySite) -> None:
    body = bytes(QUOTA + 1)
    token, sent = web.begin(body)
    web.simulation.wait(lambda: web.status(token) is not None, 5)
    assert (web.status(token), sent.read) == (507, 0)
    token, sent = web.begin(body, says_length=False)
    web.simulation.wait(lambda: web.status(token) is not None, 5)
    assert web.status(token) == 507
    assert QUOTA <= sent.read <= QUOTA + PIECE_BYTES
    web.simulation.rest(1)
    assert web.files() == []
    assert web.used().bytes == 0
    assert web.told(web.post()) is not None


def test_the_disks_floor_holds_for_bodies(web: BodySite) -> None:
    web.simulation.fill_disk(NODE)
    assert web.post().status == 507
    web.simulation.free_disk(NODE)
    assert web.told(web.post()) is not None


def test_two_bodies_that_fit_alone_and_not_together_are_not_both_begun(web: BodySite) -> None:
    first, sent = web.stall_at(PIECE_BYTES, bytes(QUOTA * 2 // 3))
    assert web.post(bytes(QUOTA // 2)).status == 507
    sent.go_on()
    web.simulation.wait(lambda: web.status(first) is not None, 5)
    assert web.status(first) == 200


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, 3 * PIECE_BYTES])
def test_a_browser_that_goes_away_in_the_middle_leaves_nothing(web: BodySite, size: int) -> None:
    before = web.process.messages
    token, sent = web.stall_at(size)
    sent.vanish()
    web.simulation.rest(1)
    assert web.status(token) is None
    assert web.files() == []
    assert web.used().bytes == 0
    assert web.process.messages == before, "the process has heard of nothing"


def test_a_sender_that_is_too_slow_gets_408_and_leaves_nothing(web: BodySite) -> None:
    before = web.simulation.now
    token, sent = web.stall_at(PIECE_BYTES)
    web.simulation.wait(lambda: web.status(token) is not None, 100)
    assert web.status(token) == 408
    assert PIECE_SECONDS <= web.simulation.now - before < PIECE_SECONDS + 1
    sent.go_on()
    web.simulation.rest(1)
    assert web.files() == []


def test_a_slow_link_takes_as_long_as_it_takes(web: BodySite) -> None:
    token, sent = web.begin()
    sent.latency = PIECE_SECONDS - 1
    web.simulation.wait(lambda: web.status(token) is not None, 300)
    assert web.status(token) == 200


@pytest.mark.parametrize("power", [False, True])
def test_what_a_crash_leaves_of_a_body_is_gone_after_the_next_boot_with_its_quota(web: BodySite, power: bool) -> None:
    web.stall_at(PIECE_BYTES * 2)
    assert any(ops.BODIES in each for each in web.files())
    (web.simulation.cut_power if power else web.simulation.crash)(NODE)
    web.node = web.simulation.start(NODE)
    assert web.files() == []
    web.simulation.settle()
    assert web.take() == {"Ok": None}
    assert web.told(web.post(bytes(QUOTA - 2048))) is not None


def test_so_many_bodies_are_read_at_a_time_and_further_ones_wait_unread(web: BodySite) -> None:
    begun = [web.begin(SMALL, stalls=True) for _ in range(MAX_OF_ONE)]
    token, sent = web.begin(SMALL)
    web.simulation.rest(CROWDED_SECONDS - 1)
    assert (web.status(token), sent.read) == (None, 0)
    assert len(web.node.core._http_server.bodies) == MAX_OF_ONE + 1
    begun[3][1].vanish()
    web.simulation.wait(lambda: web.status(token) is not None, 5)
    assert web.status(token) == 200
    begun[0][1].go_on()
    late, _ = web.begin(SMALL)
    later, _ = web.begin(SMALL)
    web.simulation.rest(PIECE_SECONDS)
    assert [web.status(each) for each in (begun[0][0], begun[1][0], late, later)] == [200, 408, 200, 200]


def test_a_body_that_hardly_comes_gives_way_to_one_that_waits_and_otherwise_has_its_time(web: BodySite) -> None:
    begun = [web.begin(SMALL, stalls=True)[0] for _ in range(MAX_OF_ONE)]
    web.simulation.rest(PIECE_SECONDS - 2)
    assert {web.status(each) for each in begun} == {None}
    token, _ = web.begin(SMALL)
    web.simulation.rest(1)
    assert web.status(token) == 200
    assert {web.status(each) for each in begun} == {408}
    begun = [web.begin(SMALL, stalls=True)[0] for _ in range(MAX_OF_ONE)]
    waiting, sent = web.begin(SMALL)
    web.simulation.rest(CROWDED_SECONDS - 1)
    assert (web.status(waiting), {web.status(each) for each in begun}) == (None, {None})
    sent.vanish()
    web.simulation.rest(PIECE_SECONDS - CROWDED_SECONDS)
    assert {web.status(each) for each in begun} == {None}, "nobody waits any more"
    web.simulation.rest(2)
    assert {web.status(each) for each in begun} == {408}
    assert len(web.files()) == 1, "that of who has waited"


def test_a_body_that_gets_no_turn_is_503(web: BodySite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_files, "WAIT_SECONDS", 1.5 * CROWDED_SECONDS)
    begun = [web.begin(bytes(PIECE_BYTES + 1), stalls=True)[1] for _ in range(MAX_OF_ONE)]
    token, sent = web.begin()
    web.simulation.rest(CROWDED_SECONDS - 1)
    for each in begun:
        each.go_on()
        each.stall()
    web.simulation.rest(CROWDED_SECONDS / 2 + 2)
    assert (web.status(token), sent.read) == (503, 0)
    for each in begun:
        each.vanish()


def test_a_file_is_the_packages_from_when_its_process_is_asked(web: BodySite) -> None:
    web.take("/never")
    assert web.post(path=f"{BASE}/never").status == 408
    assert len(web.files()) == 1
    web.take("/end")
    assert web.post(path=f"{BASE}/end").status == 500
    assert len(web.files()) == 2


def test_the_end_of_a_process_ends_what_is_sent_to_it(web: BodySite) -> None:
    token, _ = web.stall_at(PIECE_BYTES)
    waits = [web.begin(SMALL, stalls=True)[0] for _ in range(MAX_OF_ONE)]
    web.take("/end")
    assert web.get(f"{BASE}/end").status == 500
    web.simulation.rest(1)
    assert {web.status(each) for each in (token, *waits)} == {503}
    assert web.files() == []


def test_only_who_may_come_in_is_read(web: BodySite) -> None:
    web.take(authenticated=True)
    token, sent = web.begin()
    assert (web.status(token), sent.read) == (401, 0)
    cookie = web.sign_in()
    headers = {"cookie": f"kinode-auth_{NODE}={cookie}"}
    assert web.told(web.browse("POST", TAKE, headers, BODY)) is not None


def test_who_is_signed_out_in_the_middle_has_sent_nothing(web: BodySite) -> None:
    web.take(authenticated=True)
    cookie = web.sign_in()
    headers = (("host", "localhost"), ("cookie", f"kinode-auth_{NODE}={cookie}"))
    token = web.node.door.request("POST", TAKE, headers, BODY, ("127.0.0.1", 1))
    sent = web.node.door.bodies[token]
    web.simulation.wait(lambda: sent.read > 0, 5)
    sent.stall()
    sessions = web.node.core.sessions
    sessions.revoke(cookie.partition(".")[0])
    sent.go_on()
    web.simulation.wait(lambda: web.status(token) is not None, 5)
    assert web.status(token) == 401
    web.simulation.rest(1)
    assert web.files() == []


JOBS = [ops.MakeFolder, ops.Create, ops.SetLength, ops.WriteAt, ops.Sync, ops.Rename, ops.RemoveFile]


@pytest.mark.parametrize("kind", JOBS)
def test_a_disk_that_fails_is_500_and_leaves_at_most_what_the_next_boot_removes(
    web: BodySite, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = ops.DiskError(ops.DiskFault.OTHER, "Input/output error")
    with monkeypatch.context() as broken:
        broken.setitem(web.node.disk._performers, kind, lambda _: fails)
        if kind is ops.RemoveFile:
            web.stall_at(PIECE_BYTES)[1].vanish()
        else:
            assert web.post().status == 500
        web.simulation.rest(1)
    assert not web.left()
    if kind is ops.RemoveFile:
        assert any(ops.BODIES in each for each in web.files())
        web.simulation.crash(NODE)
        web.node = web.simulation.start(NODE)
        web.simulation.settle()
        web.take()
    assert web.files() == []
    assert web.told(web.post()) is not None


@pytest.mark.parametrize("step", ["_written", "_place", "_offer", "_go_on"])
def test_a_failure_of_our_own_code_ends_one_body(web: BodySite, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = web.node.core._http_server.bodies
    web.simulation.contained = []
    whole: Callable[..., None] = getattr(bodies, step)

    def fails(*_: object) -> None:
        monkeypatch.setattr(bodies, step, whole)
        raise ZeroDivisionError

    monkeypatch.setattr(bodies, step, fails)
    assert web.post().status == 500
    web.simulation.rest(1)
    assert web.told(web.post()) is not None
    assert [each.what for each in web.simulation.contained] == [EARLY]
    assert len(web.files()) == 1


def test_whatever_happens_to_bodies_each_is_whole_or_nothing_and_no_quota_is_held(web: BodySite) -> None:
    seed = 7
    chance, sent = random.Random(seed), list[tuple[object, SentBody, bytes]]()
    for _ in range(60):
        body = chance.randbytes(chance.choice((1, 1000, PIECE_BYTES, PIECE_BYTES * 2, PIECE_BYTES * 3 + 7)))
        token, link = web.begin(body, says_length=chance.random() < 0.7)
        link.latency = chance.choice((0.0, 0.01, 2.0))
        sent.append((token, link, body))
        for _ in range(chance.randrange(3)):
            other = chance.choice(sent)[1]
            chance.choice((other.stall, other.go_on, other.vanish))()
        if chance.random() < 0.1:
            web.simulation.fill_disk(NODE)
            web.simulation.rest(0.02)
            web.simulation.free_disk(NODE)
        web.simulation.rest(chance.choice((0.0, 0.002, 0.05)))
    web.simulation.rest(200)
    whole = dict[str, int]()
    for token, link, body in sent:
        assert link.gone or web.status(token) in (200, 408, 503, 507), seed
        if web.status(token) == 200:
            told = web.told(web.node.door.answers[token])
            assert told is not None
            assert web.read(told["path"]) == body, seed
            whole[told["path"].removeprefix("/site:local/")] = len(body)
    there = set(web.files())
    assert set(whole) <= there, seed
    gone = sum(link.gone for _, link, _ in sent)
    assert len(there) <= len(whole) + gone, seed
    assert whole
    assert not web.left(), seed
    sizes = sum(len(web.read(f"/site:local/{each}")) for each in there)
    assert web.used() == ops.Usage(sizes, 2 + len(there)), seed
