"""Commands on a testnet whose nodes are on other machines: each is carried out where the nodes are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nectar_node.base import own_files
from nectar_node.base.errors import NodeError
from nectar_node.base.folder import HOSTS_FILE
from nectar_node.console import output
from nectar_node.launcher.local_network import LocalNetwork

if TYPE_CHECKING:
    from testnet.hosts.kept import KeptHosts


def kept_in(folder: Path) -> KeptHosts | None:
    """Return what the folder says of other machines; None: its nodes are here. Raises BadFolder."""
    if not (folder / HOSTS_FILE).is_file():
        return None
    from testnet.hosts.kept import read_kept  # which testnets on one machine do without

    own_files.tighten(folder)
    return read_kept(folder)


def forward(kept: KeptHosts, folder: Path, node: str, words: list[str], *, as_json: bool) -> int:
    """Carry out a command where a node is, print what it prints, and return its exit code. Raises NodeError."""
    from testnet.hosts.network import asked

    host = kept.host_of(node).name
    with asked(kept, [host]) as hosts:
        option = LocalNetwork(folder).command("")[len("nectar ") :]
        code, out, err = hosts.run(host, [*words, *(["--json"] if as_json else [])], option)
    return tell_printed(code, out, err)


def tell_printed(code: int, out: str, err: str) -> int:
    """Print what a command elsewhere has printed, and return its exit code."""
    for line in out.splitlines():
        output.say(line)
    for line in err.splitlines():
        output.complain(line)
    return code


def status(kept: KeptHosts, folder: Path, *, as_json: bool) -> int:
    """Show the nodes of all hosts; a host that is lost is named, and the exit code is then 1."""
    from testnet.hosts.network import asked

    lost: dict[str, NodeError] = {}
    answers: dict[str, dict[str, Any]] = {}
    with asked(kept, kept.pythons, lost) as hosts:
        words: dict[str, object] = {"words": ["testnet", "status", "--json"]}
        answers, errors = hosts.try_each(dict.fromkeys(hosts.names, words), "run")
    rows: list[dict[str, Any]] = []
    faults: dict[int, Any] = {}
    links: dict[str, str] = {}
    for host in kept.file.hosts:
        try:
            found = _status_untrusted(host.name, answers.get(host.name))
        except NodeError as error:
            errors[host.name], found = error, _NOTHING
        known = {row["name"]: row for row in found["nodes"]}
        links[host.name] = found["links"]["state"]
        faults |= {row["number"]: row for row in found["links"].get("faults", [])}
        state = "silent" if host.name in lost or host.name in errors else "down"
        rows += ({"host": host.name, **known.get(name, {"name": name, "state": state})} for name in host.nodes)
    reasons = [str(error) for error in (lost | errors).values()]
    if as_json:
        told = {"hosts": links, "faults": [faults[number] for number in sorted(faults)]}
        output.print_json({"folder": str(folder), "nodes": rows, "links": told, "lost": reasons})
        return 1 if reasons else 0
    columns = ("NODE", "HOST", "STATE", "PID", "PROCESSES")
    table = [tuple(output.cell(row, key) for key in ("name", "host", "state", "pid", "processes")) for row in rows]
    output.print_table(columns, table, ("HOST", "STATE", "PID", "PROCESSES"), ("PID", "PROCESSES"))
    for reason in reasons:
        output.complain(reason)
    if faults:
        many = "1 fault holds" if len(faults) == 1 else f"{len(faults)} faults hold"
        output.complain(f"{many}: see `{LocalNetwork(folder).command('testnet fault list')}`.")
    return 1 if reasons else 0


_NOTHING: dict[str, Any] = {"nodes": [], "links": {"state": "none"}}


def _status_untrusted(host: str, answer: dict[str, Any] | None) -> dict[str, Any]:
    """Return the status of a host in its answer; without one, nothing. Raises NodeError."""
    match answer:
        case None:
            return _NOTHING
        case {"code": 0, "out": str(out)}:
            try:
                found = json.loads(out)
            except (ValueError, RecursionError):
                found = None
            match found:
                case {"nodes": [*nodes], "links": {"state": str()}} if all(
                    isinstance(node, dict) and isinstance(node.get("name"), str) for node in nodes
                ):
                    return dict(found)
        case {"err": str(sentence)}:
            raise NodeError(f"{host}: {sentence.strip()}")
    raise NodeError(f"What {host} answers is not valid: is another release there?")


def down(kept: KeptHosts, folder: Path, *, as_json: bool) -> int:
    """End nodes and links on all hosts that can be reached; the exit code is 1 if there is another one."""
    from testnet.hosts.network import asked

    lost: dict[str, NodeError] = {}
    with asked(kept, kept.pythons, lost) as hosts:
        answers, errors = hosts.try_each({name: {} for name in hosts.names}, "stop")
    ended = {name: how for answer in answers.values() for name, how in answer["ended"].items()}
    reasons = [str(error) for error in (lost | errors).values()]
    if as_json:
        output.print_json({"folder": str(folder), "ended": ended, "lost": reasons})
        return 1 if reasons else 0
    for name, how in ended.items():
        output.say(f"{name} {how}.")
    for reason in reasons:
        output.complain(reason)
    if not ended and not reasons:
        output.say(f"No node of the testnet in {folder} was running.")
    return 1 if reasons else 0


def add_fault(kept: KeptHosts, kind: str, given: dict[str, Any], seconds: float | None) -> dict[str, Any]:
    """Let a fault hold on the links of all hosts, and return its row. Raises NodeError."""
    from nectar_node.base.errors import BadInput
    from testnet.faults.catalogue import make
    from testnet.hosts.network import asked

    if ":" in kind:
        raise BadInput("A fault in a file of yours is for testnets on one machine: other hosts do not have the file.")
    make(kind, given)
    with asked(kept) as hosts:
        return hosts.add_fault(kind, given, seconds)


def faults(kept: KeptHosts) -> list[dict[str, Any]]:
    """Return the faults that hold on any host. Raises NodeError."""
    from testnet.hosts.network import asked

    with asked(kept) as hosts:
        return hosts.faults()


def remove_faults(kept: KeptHosts, number: int | None) -> list[dict[str, Any]]:
    """Remove a fault from all hosts, or all of them, and return their rows. Raises NodeError."""
    from testnet.hosts.network import asked

    with asked(kept) as hosts:
        return hosts.remove_faults(number)


def hosts_of(kept: KeptHosts, words: Iterable[str]) -> list[str]:
    """Return the hosts of these nodes, or of these names; raises BadInput."""
    names = [host.name for host in kept.file.hosts]
    return [word if word in names else kept.host_of(word).name for word in words]
