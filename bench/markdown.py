"""The figures as a section of docs/performance.md, with the machine, the date and the interpreter that they are of."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from bench.measure import Result, Skipped
from bench.wan import PATHS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
"""The section is what is between these lines of the page."""
TITLES = {
    "transfer": "1 GiB from file to file between two nodes, whole command",
    "transfer_aes": "the same",
    "transfer_tcp": "the same",
    "transfer_disk": "the same on a disk",
    "transfer_memory_send.nec": "memory that a sender grows by, over all these files",
    "transfer_memory_recv.nec": "memory that a receiver grows by",
    "folders": "a folder of 10,000 files of 4 KB, whole command",
    "folders_rsync": "the same",
    "install": "a package of 20 MB from another node, whole command",
    "install_boot": "100 installed packages, at a node's boot",
    "local": "request and response between two Wasm processes of a node",
    "local_1mib": "the same with 1 MiB bodies",
    "blob_loaded": "a 1 MiB blob that is loaded",
    "blob_inherited": "a 16 MiB blob inherited through three processes",
    "remote": "request and response between Wasm processes on two nodes",
    "remote_window": "64 of them under way",
    "metrics": "request and response between two nodes that serve metrics",
    "traces": "the same, with the usual share of lineages traced",
    "traces_all": "the same, with all of them",
    "routed": "a file through a router",
    "stream_tcp": "large blobs from memory to memory of two nodes",
    "stream_ciphers": "the same",
    "stream_cipher": "the same",
    "latency": "99th percentile of an echo while four guests spin",
    "latency_cores": "two guests that spin",
    "fair": "99th percentile of a small request while 1 GiB flows on the same session",
    "check_published": "published histories, checked for linearizability",
    "exhaust_crash_points": "runs with a crash at each event in turn",
    "recorder_remote": "request and response between two nodes that record",
    "recorder_stream": "large blobs between them",
    "recorder_replay": "the replay of a recording",
    "check": "a history of 10,000 operations by 20 clients, checked for linearizability",
    "handshake": "from dial to first message",
    "handshake_crowd": "500 nodes that dial one at once",
    "idle": "an idle session, of 1,000 on one node",
    "start": "from spawn to the first message handled",
    "scale_memory": "10,000 idle processes, memory of each",
    "scale_spawn": "10,000 idle processes, time to spawn each",
    "scale_ring": "a message through a ring of all of them, a hop",
    "boot": "a node is ready",
    "boot_testnet": "a testnet of three is ready",
    "boot_many": "a killed node with 1,000 processes and 100,000 files is ready again",
    "http_static": "a cached page, for 16 browsers at a time",
    "http_answer": "a process's answer, for as many",
    "websocket_memory": "1,000 WebSockets, memory of each",
    "websocket_echo": "99th percentile of their echo by a process",
    "page_usable": "the node's own page can be used, in a browser with an empty cache",
    "page_testnet": "the page of a testnet of three shows it",
    "page_size": "what the node's own page loads until then",
    "sockets_memory": "10,000 idle WebSockets of one process, memory of each",
    "sockets_echo": "99th percentile of an echo beside them",
    "sockets_close": "until the node is rid of all",
    "sockets_left": "what each leaves behind",
    "beside_cached": "messages between two processes while browsers ask for another package's cached page",
    "beside_cached_message": "99th percentile of a message meanwhile",
    "beside_cached_page": "99th percentile of a third package's page meanwhile",
    "beside_answered": "the same messages while a process answers browsers",
    "beside_answered_message": "99th percentile of a message meanwhile",
    "beside_answered_page": "99th percentile of a third package's page meanwhile",
    "kv_set": "durable sets of one process in a database of keys and values",
    "kv_get": "gets of one process from it",
    "kv_get_floor": "a get, if kv took no time at all",
    "kv_get_echo": "a get, beside an answer of another guest",
    "kv_get_thread": "a get, beside a program that does not stand still meanwhile",
    "kv_get_window": "64 gets under way, beside the same",
    "kv_window_echo": "64 gets under way, beside answers of another guest",
    "state": "durable `set-state` calls of one process",
    "state_100": "the same of 100 processes together",
    "lookups": "look-ups at a registrar with 100,000 names",
    "lookup_time": "one of them",
    "registrar_start": "that registrar starts",
    "sim_speed": "virtual time in a simulated file transfer between five nodes, with faults",
    "sim_seeds": "seeds of small scenarios, swept on both cores",
    "cluster_seeds": "the same seeds on two workers of a Dask cluster, beside two processes",
    "sim_crowd_memory": "each of 100 nodes in one simulation",
    "sim_crowd_memory_greeted": "the same after ten greetings with others",
    "sim_crowd_boot": "the same, to boot",
    "sim_crowd_greet": "a greeting between two of them",
    "backup_first": "the first copy of a node in a folder",
    "backup_second": "the next one, after 1 percent of its files has changed",
    "backup_restore": "its restore",
    "backup_stored": "what both copies take",
    "backup_latency": "99th percentile of a small request while its node is copied",
    "backup_memory": "the most memory of any of that",
}
for _name, _title in {"zig": "Zig", "c": "C", "python": "Python", "javascript": "JavaScript"}.items():
    TITLES |= {
        f"languages_{_name}": f"request and response with a process in {_title}",
        f"languages_{_name}_before": "the same, against an earlier version",
        f"languages_{_name}_1mib": f"the same with a process in {_title} and 1 MiB bodies",
        f"languages_{_name}_1mib_before": "the same, against an earlier version",
        f"languages_{_name}_idle": f"each of ten idle processes in {_title}",
        f"languages_{_name}_first_start": f"a process in {_title}, with nothing compiled",
        f"languages_{_name}_first_start_path": "the same, on the longest path of two cores",
        f"languages_{_name}_first_start_bare": "the same, against Wasmtime alone",
        f"languages_{_name}_early_start": "another one while there is only quick code",
        f"languages_{_name}_start_again": "the same one again",
        f"languages_{_name}_compile_latency": "small messages while optimised code is compiled",
        f"languages_{_name}_second_start": "another one after that",
        f"languages_{_name}_seeds": f"seeds of the store in {_title}",
    }
    TITLES[f"newcomer_{_name}"] = f"from an empty folder to a package in {_title} on two nodes and a failing fault test"
for _path in PATHS:
    _lost = f", {100 * _path.stalls:g} % lost" if _path.stalls else ""
    _title = f"{1e3 * _path.round_trip:g} ms and {_path.megabits:g} Mbit/s{_lost}"
    TITLES |= {
        f"wan_{_path.name}_scp": f"a file over a link of {_title}",
        f"wan_{_path.name}_rsync": "the same",
        f"wan_{_path.name}_wait": "99th percentile of a small request meanwhile",
    }
TITLES["newcomer_rust"] = "the same in Rust"
TITLES["languages_python_different_idle"] = "the same of ten programs, without pages of files"
"""The titles of figures, in words; one without a title is called by its name."""


@dataclass(frozen=True, slots=True)
class Computer:
    """What figures depend on besides the code."""

    processor: str
    cores: int
    system: str
    interpreter: str

    def __str__(self) -> str:
        return f"{self.processor}, {self.cores} cores, {self.system}, {self.interpreter}"


def this_machine() -> Computer:
    """Return the machine that this runs on."""
    return Computer(
        _processor(Path("/proc/cpuinfo")) or platform.machine(),
        os.cpu_count() or 1,
        f"{platform.system()} {platform.release()}",
        f"{platform.python_implementation()} {platform.python_version()}",
    )


def _processor(information: Path) -> str | None:
    if not information.is_file():
        return None
    names = (line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line)
    return next(names, None)


def today() -> date:
    """Return the date in UTC, so that the page does not depend on where the machine is."""
    return datetime.now(UTC).date()


def section(results: Iterable[Result], machine: Computer, taken: date) -> str:
    """Return the section: when and where, then a table with a row for each figure."""
    rows = [_row(result) for result in results]
    head = ["| figure | value (least to greatest) | against | goal |", "|---|---|---|---|"]
    return "\n".join(["## Figures", "", f"Taken on {taken.isoformat()}: {machine}.", "", *head, *rows])


def _row(result: Result) -> str:
    title = TITLES.get(result.name, result.name)
    if isinstance(result, Skipped):
        return f"| {title} | not taken: {result.why} | | |"
    value = f"{result.median:g} {result.unit} ({result.min:g} to {result.max:g})"
    reference = result.reference
    against = "" if reference is None else f"{reference.name}: {reference.median:g} {reference.unit}"
    return f"| {title} | {value} | {against} | {result.goal}{'' if result.met else ': **missed**'} |"


def replaced(page: str, figures: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """Return the page with this section instead of its own, which is between `marks`. Raises ValueError if the page
    does not mark the place."""
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not (begin and end):
        raise ValueError(f"The page has no section between {marks[0]} and {marks[1]}.")
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"
