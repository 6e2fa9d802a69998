"""The Python SDK in a real guest on a real node: each part is tried, and mistakes are told in the author's lines."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from blake3 import blake3

from kernel.wasm.engine import Engine
from nectar_node.base.errors import DoesNotCompile
from nectar_node.contract.config import LOOPBACK, module_cache
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.toolchains import python
from packages.build import ROOT
from testnet.real.local import LocalTestnet
from tests.waiting import until
from tests.web_sockets import web_socket

HERE = Path(__file__).parent / "python"
NODE = "one.nec"
PROCESS = "our@try_all:tries:local"
BASE = "/try_all:tries:local"
ASKS = ("vfs", "timer", "kv", "sqlite", "http-server", "http_client")
EXAMPLES = sorted((ROOT / "sdk" / "python" / "examples").iterdir())


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    folder = tmp_path_factory.mktemp("tries")
    package = folder / "tries"
    python.build(HERE / "try_all.py", package / "try_all.wasm")
    Engine(module_cache(), replayable=False).load((package / "try_all.wasm").read_bytes())
    entry = {
        "process_name": "try_all",
        "process_wasm_path": "/try_all.wasm",
        "on_exit": "Restart",
        "request_capabilities": [f"{each}:distro:sys" for each in ASKS],
        "request_networking": True,
        "public": True,
    }
    other = {**entry, "process_name": "other"}  # changes files that the first one watches
    (package / "manifest.json").write_text(json.dumps([entry, other]))
    with LocalTestnet(folder / "testnet") as network:
        network.boot({NODE: BootOptions(packages=(package,), http=(LOOPBACK, 0))})
        yield network


def ask(network: LocalTestnet, body: object, timeout: int = 30, process: str = PROCESS) -> Any:
    answer = network.message(NODE, process, json.dumps(body), timeout)
    assert answer["outcome"] == "response", answer
    return json.loads(str(answer["body"]))


def attempt(network: LocalTestnet, name: str) -> Any:
    return ask(network, {"Try": name})


def test_ten_requests_are_handled_at_once_and_each_gets_its_own_answer(network: LocalTestnet) -> None:
    assert attempt(network, "many_at_once") == [{"Slept": 0.3}] * 10


def test_blobs_are_taken_while_their_message_is_handled(network: LocalTestnet) -> None:
    assert "take it before the next await" in attempt(network, "blobs")


def test_a_state_of_floats_and_big_integers_is_saved(network: LocalTestnet) -> None:
    first = attempt(network, "state")
    assert first == {"number": 0.75, "big": 2**80, "text": "ü"}
    assert attempt(network, "state")["number"] == 1.0


def test_the_clock_goes_and_chance_is_not_that_of_the_build(network: LocalTestnet) -> None:
    draws = [attempt(network, "clock_and_random") for _ in range(2)]
    assert 0 <= draws[1]["time"] - draws[0]["time"] < 60
    assert abs(draws[1]["time"] - time.time()) < 60
    # A second process of the same file has the same memory to begin with.
    draws += [ask(network, {"Try": "clock_and_random"}, process="our@other:tries:local") for _ in range(2)]
    for source in ("random", "urandom", "uuid", "secret"):
        assert len({each[source] for each in draws}) == 4


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("files", "not found"),
        ("keys_and_values", "NoDb"),
        ("plain_question", "Timeout"),
        (
            "sql",
            [
                {"name": "water", "price": 0.0, "data": None},
                {"name": "green tea", "price": 2.5, "data": "AP8="},
            ],
        ),
    ],
)
def test_a_client_of_a_system_process_does_as_it_says(network: LocalTestnet, name: str, found: object) -> None:
    assert attempt(network, name) == found


def test_a_change_of_another_process_in_a_watched_folder_is_told(network: LocalTestnet) -> None:
    attempt(network, "watch")
    network.message(NODE, "our@other:tries:local", json.dumps({"Try": "files"}), 30)
    until(lambda: "/tries:local/notes/a.txt" in ask(network, "Seen"))
    assert attempt(network, "unwatch") == "not found"


def test_a_server_that_may_not_be_asked_is_refused_with_the_reason(network: LocalTestnet) -> None:
    assert "RequestFailed" in attempt(network, "internet")


def test_a_child_is_spawned_and_its_failure_is_a_timeout(network: LocalTestnet) -> None:
    taken, answered, timeout = attempt(network, "children")
    assert (taken, answered) == ("a process called child runs already", {"Slept": 0})
    assert timeout == "our@child:tries:local has not answered"
    until(lambda: "ZeroDivisionError: a bug of the author" in network.log(NODE))


def test_on_exit_and_capabilities_are_set_and_read(network: LocalTestnet) -> None:
    found = attempt(network, "exit_and_capabilities")
    assert found["restart"] is True
    assert {"vfs:distro:sys", "try_all:tries:local"} <= set(found["issuers"])


def test_logging_goes_to_the_nodes_log(network: LocalTestnet) -> None:
    attempt(network, "logs")
    until(lambda: "printed" in network.log(NODE))
    log = network.log(NODE)
    for line in ("tries: a warning with ü", "tries: caught", "tries: ValueError", "printed"):
        assert line in log
    assert "never shown" not in log


def test_what_a_handler_raises_is_its_answer_or_the_end_of_the_process(network: LocalTestnet) -> None:
    assert ask(network, {"Fail": "refused"}) == {"Err": "as it was to be"}
    assert ask(network, {"Fail": "offline"}) == {"Err": "nobody.nec@a:b:c is offline"}
    assert network.message(NODE, PROCESS, "no JSON", 10)["body"] == (
        '{"Err":"not JSON: Expecting value, at character 0"}'
    )
    ask(network, {"Slow": 0})
    assert network.message(NODE, PROCESS, '{"Fail": "bug"}', 10)["outcome"] == "timeout"
    until(lambda: network.message(NODE, PROCESS, '"Seen"', 10)["outcome"] == "response")


def test_a_request_is_forwarded_with_its_blob(network: LocalTestnet) -> None:
    assert ask(network, {"Forward": PROCESS}) == {"Length": None}


def test_pages_are_served(network: LocalTestnet) -> None:
    port = int(str(network.status(NODE)["http"]).rpartition(":")[2])

    def fetch(method: str, path: str, body: bytes = b"") -> tuple[int, bytes, str | None]:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        connection.request(method, f"{BASE}{path}", body)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers["X-Id"]

    assert fetch("GET", "/games/7?a=b") == (200, b'{"id":"7","query":{"a":"b"}}', None)
    assert fetch("POST", "/games/8", b"abc") == (201, b"cba", "8")
    assert fetch("GET", "/nothing")[0] == 404
    hashed = blake3(b"12345").hexdigest()[:8]
    assert fetch("POST", "/sent", b"12345") == (200, f"5 12345 {hashed}".encode(), None)
    assert fetch("POST", "/sent", b"123456")[0] == 413
    assert fetch("GET", "/sent")[:2] == (200, b"nothing")


def test_websockets_are_told_of_from_their_beginning_to_their_end(network: LocalTestnet) -> None:
    port = int(str(network.status(NODE)["http"]).rpartition(":")[2])

    async def talk() -> None:
        with trio.fail_after(60):
            async with web_socket(port, f"{BASE}/rooms/3") as client:
                await client.send("abc")
                assert await client.receive() == "cba"
                await client.send(b"\x00\x01")
                assert await client.receive() == b"\x01\x00"
                await client.send("end")
                assert (await client.end())[0] == 1000

    trio.run(talk)
    until(lambda: ask(network, "Seen")[-2:] == ["open /rooms/3", "close /rooms/3"])


# --- building


# Each compiles for many seconds: those whose words differ little are for the soak.
@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("slip.py", "import nectar\n\ndef f(:\n", "slip.py:3: SyntaxError: invalid syntax"),
        pytest.param(
            "missing.py",
            "import nectar\nimport numpie\n",
            "missing.py:2: ModuleNotFoundError: No module named 'numpie'",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "empty.py",
            "import nectar\n",
            "empty.py does not compile: TypeError: empty.py has nothing to run",
            marks=pytest.mark.long,
        ),
        ("a-b.py", "", "a-b.py cannot be imported"),
        ("early.py", "from nectar import node\nnode.our()\n", "early.py:2: RuntimeError: a process has no address"),
        pytest.param(
            "asks.py",
            "from nectar import kernel\n\nkernel.send('a:b:c')\n",
            "asks.py does not compile: it asks the node for something while it is imported",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence_with_the_authors_line(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DoesNotCompile) as caught:
        python.build(tmp_path / name, tmp_path / "out.wasm")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.wasm").exists()


def test_the_bindings_for_type_checkers_are_those_that_the_compiler_makes(tmp_path: Path) -> None:
    python.bindings(tmp_path)
    for path in sorted((ROOT / "sdk" / "python" / "bindings").rglob("*.py")):
        assert path.read_bytes() == (tmp_path / path.relative_to(ROOT / "sdk" / "python" / "bindings")).read_bytes()


@pytest.mark.parametrize("folder", [*EXAMPLES, HERE], ids=lambda path: path.name)
def test_the_types_of_an_example_are_right(folder: Path) -> None:
    sdk = ROOT / "sdk" / "python"
    found = sorted(path for path in folder.glob("*.py") if path.name != "wrong_line.py")
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-version=3.11", *map(str, found)],
        cwd=folder,
        env={"MYPYPATH": f"{sdk}:{sdk / 'bindings'}", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
