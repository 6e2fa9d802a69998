"""Browsers get files of packages: whole simulated nodes with a real guest, a simulated disk, in virtual time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import ANY
from urllib.parse import quote

import pytest

from kernel.contract.address import ProcessId
from nectar_node.contract.http import HttpAnswer, HttpGone
from nectar_node.http import file_answers
from nectar_node.http.file_answers import MAX_OF_ONE, PIECE_BYTES
from nectar_node.storage import operations as ops
from testnet.sim.programs import Programs
from testnet.sim.simulation import NodeSpec, Simulation
from tests.nectar_node.system.test_http_server import BASE, EARLY, NODE, Site, site

WEB = ProcessId("web", "site", "local")
DRIVE = "/site:local/data"
PAGES = {
    "index.html": b"<h1>home</h1>",
    "app.js": b"start()",
    "art/index.html": b"<h1>art</h1>",
    "art/big.png": bytes(range(256)) * 4096,
    "a b%.txt": b"odd",
}


class FileSite(Site):
    """A site whose package has the drive `data`."""

    def location(self, path: str) -> ops.Location:
        return self.node.core.vfs.readable(WEB, path)

    def write(self, path: str, data: bytes, drive: str = DRIVE) -> str:
        """Put a file into a drive, and return its path."""
        full = f"{drive}/{path}"
        for where, action, blob in (
            (drive, "CreateDrive", None),
            (full.rpartition("/")[0], "CreateDirAll", None),
            (full, "Write", data),
        ):
            asked = {"path": where, "action": action}
            outcome = self.simulation.ask(NODE, "our@vfs:distro:sys", asked, 20, blob)
            assert outcome.body in ("Ok", {"Err": {"CreateDirError": ANY}}), outcome
        return full

    def bind_files(self, path: str, **fields: object) -> object:
        flags = {"authenticated": False, "local_only": False, "cache": False}
        return self.tell({"Bind": {"path": path, **flags, **fields}})

    def say(self, answer: object, method: str = "GET", **headers: str) -> HttpAnswer:
        """What a browser gets when the process answers it that."""
        return self.browse(method, f"{BASE}/say?answer={quote(json.dumps(answer))}", headers)

    def messages(self) -> int:
        return self.node.core.kernel.processes[WEB].messages

    def begin(self, path: str) -> object:
        """Let a browser ask, and do not wait."""
        return self.node.door.request("GET", path, (("host", "localhost"),), b"", ("127.0.0.1", 1))

    def under_way(self) -> int:
        return len(self.node.core._http_server.files)


@pytest.fixture
def web(tmp_path: Path, nectar_programs: Programs) -> Iterator[FileSite]:
    with closing(Simulation(1, nectar_programs)) as simulation:
        node = simulation.boot_node(NodeSpec(NODE, (site(tmp_path / "pkg", "web"),)))
        simulation.settle()
        made = FileSite(simulation, node)
        yield made
        simulation.rest(1)
        assert not made.under_way()


@pytest.fixture
def pages(web: FileSite) -> FileSite:
    for path, data in PAGES.items():
        web.write(path, data)
    assert web.bind_files("/ui", folder=DRIVE) == {"Ok": None}
    return web


def test_a_folder_is_served_with_types_by_name_and_its_process_sleeps_on(pages: FileSite) -> None:
    before = pages.messages()
    got = {path: pages.get(f"{BASE}/ui/{quote(path)}") for path in PAGES}
    assert {path: bytes(answer.body) for path, answer in got.items()} == PAGES
    types = [dict(got[path].headers)["content-type"] for path in PAGES]
    html = "text/html; charset=utf-8"
    assert types == [html, "text/javascript; charset=utf-8", html, "image/png", "text/plain; charset=utf-8"]
    assert all(dict(answer.headers)["x-content-type-options"] == "nosniff" for answer in got.values())
    assert pages.messages() == before


def test_a_folder_has_its_index_and_a_slash(pages: FileSite) -> None:
    assert bytes(pages.get(f"{BASE}/ui/").body) == PAGES["index.html"]
    moved = pages.get(f"{BASE}/ui/art?x=1")
    assert (moved.status, dict(moved.headers)["location"]) == (302, f"http://localhost{BASE}/ui/art/?x=1")
    assert bytes(pages.get(f"{BASE}/ui/art/").body) == PAGES["art/index.html"]
    pages.write("empty/x/y", b"")
    assert pages.get(f"{BASE}/ui/empty/").status == 404
    assert (pages.get(f"{BASE}/ui/empty/x/y").status, pages.get(f"{BASE}/ui/none").status) == (200, 404)


def test_what_is_bound_below_a_folder_comes_before_it_and_the_deepest_folder_first(pages: FileSite) -> None:
    pages.write("other/app.js", b"other()")
    pages.bind_files("/ui/art", folder=f"{DRIVE}/other")
    pages.bind_files("/ui/one", file=f"{DRIVE}/app.js")
    pages.bind("/ui/asked")
    pages.bind("/")
    assert bytes(pages.get(f"{BASE}/ui/art/app.js").body) == b"other()"
    assert bytes(pages.get(f"{BASE}/ui/one").body) == b"start()"
    assert pages.seen(f"{BASE}/ui/asked")[1]["bound_path"] == f"{BASE}/ui/asked"
    assert pages.get(f"{BASE}/ui/none").status == 404
    assert pages.seen(f"{BASE}/uii")[1]["bound_path"] == f"{BASE}/"
    assert pages.browse("POST", f"{BASE}/ui/app.js").status == 200, "all but GET and HEAD is the process's"


def test_no_path_leads_out_of_a_folder(pages: FileSite) -> None:
    pages.write("secret", b"no", "/site:local/other")
    for path in (
        "../other/secret",
        "%2e%2e/other/secret",
        "..%2fother%2fsecret",
        "art%2fbig.png",
        "%00",
        "a%2f..%2f..",
    ):
        assert pages.get(f"{BASE}/ui/{path}").status in (400, 404), path
    assert pages.get(f"{BASE}/ui/" + "x/" * 200).status == 404
    assert pages.get(f"{BASE}/ui/" + "x" * 300).status == 404


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"folder": "/other:local/data"}, "MalformedRequest"),
        ({"folder": "/site:local"}, "MalformedRequest"),
        ({"folder": "/site:local/data/../../other:local/data"}, "MalformedRequest"),
        ({"folder": "/site:local/.databases/x"}, "MalformedRequest"),
        ({"folder": 7}, "MalformedRequest"),
        ({"folder": DRIVE, "file": DRIVE}, "MalformedRequest"),
        ({"folder": DRIVE, "cache": True}, "MalformedRequest"),
    ],
)
def test_a_folder_that_cannot_be_served_is_refused(web: FileSite, fields: dict[str, object], why: str) -> None:
    assert web.bind_files("/ui", **fields) == {"Err": why}
    assert web.get(f"{BASE}/ui/x").status == 404


def test_a_folder_below_a_parameter_is_refused(web: FileSite) -> None:
    assert web.bind_files("/:a", folder=DRIVE) == {"Err": "MalformedRequest"}


def test_early_packages_are_told_why_a_folder_is_not_served(web: FileSite) -> None:
    flags = {"authenticated": False, "local_only": False, "cache": False}
    answer = web.tell({"Bind": {"path": "/ui", **flags, "folder": "/other:local/data"}}, server=EARLY)
    assert answer == {"Err": {"PathBindError": {"error": "it may not read (/other:local/data)"}}}


def test_a_process_answers_with_a_file_under_its_own_status_and_headers(web: FileSite) -> None:
    web.bind("/say")
    path = web.write("lost.html", b"<h1>lost</h1>")
    answer = web.say({"status": 404, "headers": {"X-A": "b", "Content-Type": "text/x", "ETag": '"z"'}, "file": path})
    headers = dict(answer.headers)
    assert (answer.status, bytes(answer.body)) == (404, b"<h1>lost</h1>")
    assert (headers["x-a"], headers["content-type"], headers.get("etag")) == ("b", "text/x", None)
    assert web.say({"status": 200, "headers": {}, "file": None}).body == b""
    assert web.say({"status": 204, "headers": {}, "file": path}).status == 204
    assert web.say({"status": 200, "headers": {}, "file": 7}).status == 500


def test_a_guest_in_zig_has_helpers_for_both(pages: FileSite) -> None:
    serve = {"ServeFolder": {"path": "/zig", "folder": f"{DRIVE}/art"}}
    assert pages.simulation.ask(NODE, "our@web:site:local", serve, 20).body == "served"
    assert bytes(pages.get(f"{BASE}/zig/").body) == PAGES["art/index.html"]
    serve["ServeFolder"]["folder"] = "/other:local/data"
    assert pages.simulation.ask(NODE, "our@web:site:local", serve, 20).body == "refused"
    pages.bind("/file")
    answer = pages.get(f"{BASE}/file?answer={DRIVE}/app.js")
    assert (answer.status, bytes(answer.body)) == (200, b"start()")


def test_a_process_cannot_answer_with_what_it_may_not_read(web: FileSite) -> None:
    web.bind("/say")
    web.write("secret", b"theirs", "/other:local/data")
    assert web.say({"status": 200, "file": "/other:local/data/secret"}).status == 403
    assert "has no right to the file" in "\n".join(web.node.log)
    assert web.say({"status": 200, "file": "/etc/passwd"}).status == 404
    assert web.say({"status": 200, "file": f"{DRIVE}/none"}).status == 404


def test_a_large_file_comes_whole_and_no_more_than_a_piece_of_it_waits(web: FileSite) -> None:
    data = bytes(range(256)) * 4000 * 5
    web.bind_files("/big", file=web.write("big.bin", data))
    web.node.door.downloads.stop_reading()
    token = web.begin(f"{BASE}/big")
    web.simulation.rest(1000)
    assert web.node.door.downloads.come(token) == PIECE_BYTES
    web.node.door.downloads.read_on()
    web.simulation.rest(10)
    answer = web.node.door.answers[token]
    assert bytes(answer.body) == data
    assert dict(answer.headers)["content-type"] == "application/octet-stream"


def test_head_tells_the_length_and_reads_nothing(web: FileSite, monkeypatch: pytest.MonkeyPatch) -> None:
    web.bind_files("/big", file=web.write("big.bin", bytes(PIECE_BYTES * 3)))
    monkeypatch.delitem(web.node.disk._performers, ops.ReadAt)
    answer = web.browse("HEAD", f"{BASE}/big")
    assert (answer.status, answer.body) == (200, b"")
    assert "etag" in dict(answer.headers)


@pytest.mark.parametrize(
    ("asked", "status", "part", "said"),
    [
        ("bytes=2-4", 206, slice(2, 5), "bytes 2-4/700000"),
        ("bytes=600000-", 206, slice(600_000, None), "bytes 600000-699999/700000"),
        ("bytes=-400000", 206, slice(300_000, None), "bytes 300000-699999/700000"),
        ("bytes=700000-", 416, slice(0, 0), "bytes */700000"),
        ("bytes=0-1,3-4", 200, slice(None), None),
        ("bytes=" + ",".join(f"{n}-" for n in range(1000)), 200, slice(None), None),
    ],
)
def test_a_range_of_a_file_is_what_was_asked_for_and_many_are_the_whole(
    web: FileSite, asked: str, status: int, part: slice, said: str | None
) -> None:
    data = bytes(range(200)) * 3500
    web.bind_files("/big", file=web.write("big.bin", data))
    answer = web.get(f"{BASE}/big", range=asked)
    assert (answer.status, bytes(answer.body)) == (status, data[part])
    assert dict(answer.headers).get("content-range") == said


def test_a_version_of_a_file_is_not_sent_twice_and_each_write_makes_another(web: FileSite) -> None:
    path = web.write("x.txt", b"one")
    web.bind_files("/x", file=path)
    etag = dict(web.get(f"{BASE}/x").headers)["etag"]
    same = web.get(f"{BASE}/x", **{"if-none-match": etag})
    assert (same.status, same.body, "content-type" in dict(same.headers)) == (304, b"", False)
    assert web.get(f"{BASE}/x", **{"if-range": etag, "range": "bytes=1-"}).body == b"ne"
    web.node.disk.perform(ops.WriteAt(web.location(path), 0, b"two"))
    assert web.get(f"{BASE}/x", **{"if-none-match": etag}).body == b"two"
    changed = web.get(f"{BASE}/x", **{"if-range": etag, "range": "bytes=1-"})
    assert (changed.status, changed.body) == (200, b"two")


@pytest.mark.parametrize("how", ["remove", "write", "shorten", "replace", "append"])
def test_a_file_that_changes_while_it_is_sent_ends_the_answer_and_no_byte_of_another_version_comes(
    web: FileSite, how: str
) -> None:
    path = web.write("big.bin", bytes(PIECE_BYTES * 3))
    web.bind_files("/big", file=path)
    web.node.door.downloads.stop_reading()
    token = web.begin(f"{BASE}/big")
    web.simulation.rest(1)
    at = web.location(path)
    changes: dict[str, ops.Operation] = {
        "remove": ops.RemoveFile(at),
        "write": ops.WriteAt(at, PIECE_BYTES * 2, b"1"),
        "shorten": ops.SetLength(at, PIECE_BYTES * 2),
        "replace": ops.Replace(at, b"1" * PIECE_BYTES * 3),
        "append": ops.Append(at, b"1"),
    }
    assert not isinstance(web.node.disk.perform(changes[how]), ops.DiskError)
    web.node.door.downloads.read_on()
    web.simulation.rest(1)
    assert token in web.node.door.downloads.broken
    assert token not in web.node.door.answers


def test_a_disk_that_fails_before_an_answer_is_a_500_and_in_its_midst_ends_it(
    web: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.bind_files("/big", file=web.write("big.bin", bytes(PIECE_BYTES * 3)))
    fails = ops.DiskError(ops.DiskFault.OTHER, "Input/output error")
    with monkeypatch.context() as broken:
        broken.setitem(web.node.disk._performers, ops.ReadAt, lambda _: fails)
        before = web.simulation.now
        assert web.get(f"{BASE}/big").status == 500
        assert web.simulation.now - before < 0.1
    web.node.door.downloads.stop_reading()
    token = web.begin(f"{BASE}/big")
    web.simulation.rest(1)
    with monkeypatch.context() as broken:
        broken.setitem(web.node.disk._performers, ops.ReadAt, lambda _: fails)
        web.node.door.downloads.read_on()
        web.simulation.rest(1)
    assert token in web.node.door.downloads.broken
    assert len(web.get(f"{BASE}/big").body) == PIECE_BYTES * 3


def test_so_many_slow_readers_of_a_package_are_served_and_its_other_pages_and_the_disk_go_on(web: FileSite) -> None:
    web.bind_files("/big", file=web.write("big.bin", bytes(PIECE_BYTES * 2)))
    web.bind("/x")
    web.cache("/page", "hello")
    web.node.door.downloads.stop_reading()
    tokens = [web.begin(f"{BASE}/big") for _ in range(MAX_OF_ONE)]
    web.simulation.rest(1)
    refused = web.get(f"{BASE}/big")
    assert (refused.status, dict(refused.headers)["retry-after"]) == (503, "1")
    assert web.get(f"{BASE}/x").status == web.get(f"{BASE}/page").status == 200
    assert web.under_way() == MAX_OF_ONE
    for token in tokens[1:]:
        web.node.core.http(HttpGone(token), web.simulation.now)
    assert web.under_way() == 1
    web.node.door.downloads.read_on()
    web.simulation.rest(1)
    assert len(web.node.door.answers[tokens[0]].body) == PIECE_BYTES * 2


def test_a_browser_that_goes_while_the_disk_reads_counts_until_it_has(web: FileSite) -> None:
    web.bind_files("/big", file=web.write("big.bin", bytes(PIECE_BYTES * 2)))
    token = web.begin(f"{BASE}/big")
    web.node.core.http(HttpGone(token), web.simulation.now)
    assert web.under_way() == 1
    web.simulation.rest(1)
    assert web.under_way() == 0
    assert token not in web.node.door.answers


def test_whatever_happens_to_a_file_an_answer_is_one_of_its_versions_or_visibly_broken(web: FileSite) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    path = web.write("f", b"")
    web.bind_files("/f", file=path)
    at, versions = web.location(path), {b""}
    asked: list[object] = []
    for step in range(150):
        match chance.randrange(8):
            case 0 | 1:
                data = bytes([step]) * chance.choice((1, PIECE_BYTES, PIECE_BYTES * 2 + 1, PIECE_BYTES * 5))
                web.node.disk.perform(ops.Replace(at, data))
                versions.add(data)
            case 2:
                web.node.disk.perform(ops.RemoveFile(at))
            case 3:
                web.node.door.downloads.stop_reading()
            case 4:
                web.node.door.downloads.read_on()
            case 5 if asked:
                web.node.core.http(HttpGone(chance.choice(asked)), web.simulation.now)
                web.node.go_on()
            case _:
                asked.append(web.begin(f"{BASE}/f"))
        web.simulation.rest(chance.choice((0, 0.0005, 0.01)))
    web.node.door.downloads.read_on()
    web.simulation.rest(10)
    whole = [web.node.door.answers[token] for token in asked if token in web.node.door.answers]
    assert {answer.status for answer in whole} <= {200, 404, 503}
    assert all(bytes(answer.body) in versions for answer in whole if answer.status == 200)


def test_an_answer_ends_with_the_right_to_read_it(web: FileSite) -> None:
    """G20."""
    path = web.write("big.bin", bytes(PIECE_BYTES * 3))
    web.bind_files("/big", file=path)
    web.node.door.downloads.stop_reading()
    token = web.begin(f"{BASE}/big")
    web.simulation.rest(1)
    web.node.core.vfs.mount(path, ops.Location("elsewhere", ("x",)))
    web.node.door.downloads.read_on()
    web.simulation.rest(1)
    assert token in web.node.door.downloads.broken


def test_a_file_that_is_being_written_is_waited_for(web: FileSite, monkeypatch: pytest.MonkeyPatch) -> None:
    path = web.write("big.bin", bytes(PIECE_BYTES * 2))
    web.bind_files("/big", file=path)
    whole, until = web.node.disk._files.version, web.simulation.now + 1
    monkeypatch.setattr(web.node.disk._files, "version", lambda file: "" if web.simulation.now < until else whole(file))
    answer = web.get(f"{BASE}/big")
    assert (answer.status, len(answer.body)) == (200, PIECE_BYTES * 2)
    assert web.simulation.now - until < file_answers.SETTLE_SECONDS + 0.1
    until += 1000
    assert web.get(f"{BASE}/big").status == 503
    small = web.write("small.txt", b"now")
    web.bind_files("/small", file=small)
    answer = web.get(f"{BASE}/small")
    assert (bytes(answer.body), dict(answer.headers).get("etag")) == (b"now", None)


def test_a_failure_of_our_own_code_ends_one_answer(web: FileSite, monkeypatch: pytest.MonkeyPatch) -> None:
    web.bind_files("/big", file=web.write("big.bin", bytes(PIECE_BYTES * 2)))
    web.simulation.contained = []
    with monkeypatch.context() as broken:
        broken.setattr(web.node.core._http_server.files, "_select", None)
        assert web.get(f"{BASE}/big").status == 500
    assert web.get(f"{BASE}/big").status == 200
    web.node.door.downloads.stop_reading()
    token = web.begin(f"{BASE}/big")
    web.simulation.rest(1)
    with monkeypatch.context() as broken:
        broken.setattr(web.node.core._http_server.files, "_place", None)
        web.node.door.downloads.read_on()
        web.simulation.rest(1)
    assert token in web.node.door.downloads.broken
    assert [each.what for each in web.simulation.contained] == [EARLY, EARLY]


def test_a_node_that_crashes_while_it_sends_breaks_the_connection(web: FileSite) -> None:
    web.bind_files("/big", file=web.write("big.bin", bytes(PIECE_BYTES * 2)))
    web.node.door.downloads.stop_reading()
    token = web.begin(f"{BASE}/big")
    web.simulation.rest(1)
    web.simulation.crash(NODE)
    assert token not in web.node.door.answers
    web.node.core.http(HttpGone(token), web.simulation.now)
