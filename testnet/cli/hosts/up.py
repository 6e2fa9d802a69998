"""`nectar testnet up --hosts FILE`: starts nodes on the machines that a file names."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from nectar_node.base.errors import AlreadyRunning, BadInput, NodeError
from nectar_node.cli.logs import FOLLOW_INTERVAL
from nectar_node.console import output
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.launch import parse_names
from nectar_node.launcher.local_network import LocalNetwork, check_name
from testnet.hosts.file import Host, read_hosts_file
from testnet.hosts.kept import KeptHosts, keep, kept_for
from testnet.hosts.network import NO_EXTRAS, Hosts, NodeExtras, Row, reach

NEWS_SECONDS = 30.0
"""Seconds in which a host must say what is new; one that does not is lost."""


def up_hosts(
    network: LocalNetwork,
    file: Path | None,
    names: str,
    *,
    detach: bool,
    invite_only: bool | None,
    as_json: bool,
    packages: Sequence[Path] = (),
    extras: NodeExtras = NO_EXTRAS,
) -> int:
    """Start a registrar and nodes on the machines in `file`, or in that of the last time; without `detach`, show their
    logs until Ctrl-C and end them then. `packages` are sent to the machines. Raises NodeError."""
    kept = _kept(network, file)
    wanted = _wanted(kept, names)
    keep(network.folder, kept)
    with reach(kept) as hosts:
        began = time.monotonic()
        hosts.install(lambda sentence: None if as_json else output.say(sentence))
        keep(network.folder, hosts.kept)
        if packages:
            extras = extras._replace(packages=hosts.send_packages(packages))
        hosts.begin(detach=detach)
        try:
            started = hosts.start(wanted, invite_only, extras)
            if not started:
                raise AlreadyRunning(
                    f"The testnet of {network.folder} runs already ({', '.join(wanted)}): "
                    f"see `{network.command('testnet status')}`, or stop it with `{network.command('testnet down')}`."
                )
            _tell(network, kept, started, time.monotonic() - began, detach=detach, as_json=as_json)
            return 0 if detach else _watch(hosts, started)
        except KeyboardInterrupt:
            if detach:
                raise
            output.say("Stopping.")
            return 0
        finally:
            hosts.end()


def _kept(network: LocalNetwork, file: Path | None) -> KeptHosts:
    network.secure()
    if file is not None:
        return kept_for(network.folder, read_hosts_file(file))
    from testnet.cli.hosts.forwarding import kept_in

    kept = kept_in(network.folder)
    if kept is None:
        raise BadInput("Say with --hosts FILE on which machines the nodes are to run.")
    return kept


def _wanted(kept: KeptHosts, names: str) -> list[str]:
    wanted = parse_names(names) if names else kept.file.names()
    for name in wanted:
        check_name(name)
        kept.host_of(name)
    return list(dict.fromkeys([REGISTRAR_NAME, *wanted]))


def _tell(
    network: LocalNetwork, kept: KeptHosts, started: dict[str, Row], seconds: float, *, detach: bool, as_json: bool
) -> None:
    if as_json:
        output.print_json({"nodes": list(started.values()), "seconds": round(seconds, 3)})
        return
    for name, row in started.items():
        output.say(f"{name} runs on {row['host']}, as process {row['pid']}.")
        if row.get("http") is not None:
            output.say(_tell_web(kept.host(row["host"]), name, str(row["http"])))
        if row["warning"] is not None:
            output.complain(row["warning"])
    stop = f"Stop with `{network.command('testnet down')}`." if detach else "Ctrl-C stops."
    output.say(f"Ready after {output.duration(seconds)}. {stop}")


def _tell_web(host: Host, name: str, url: str) -> str:
    """Say how a browser here reaches a node that listens on the loopback of its machine."""
    port = urlsplit(url).port
    user = "" if host.user is None else f"{host.user}@"
    ssh = ["ssh", "-N", "-L", f"{port}:127.0.0.1:{port}", "-p", str(host.port), f"{user}{host.address}"]
    return f"Browsers on {host.name} reach {name} at {url}: `{shlex.join(ssh)}` brings it here."


def _watch(hosts: Hosts, started: dict[str, Row]) -> int:
    """Print what the nodes log until Ctrl-C, the last one ends, or a host is lost; return the exit code."""
    running = dict(started)
    width = max(map(len, running))
    lost: dict[str, NodeError] = {}
    while running:
        answers, errors = hosts.try_each({name: {} for name in hosts.names if name not in lost}, "news", NEWS_SECONDS)
        for answer in answers.values():
            for name, line in answer["lines"]:
                output.say(f"{name:{width}} | {line}")
            for name, code in answer["ended"].items():
                if running.pop(name, None) is not None:
                    output.complain(f"{name} has ended with exit code {code}.")
        for host, error in errors.items():
            lost[host] = error
            output.complain(f"{error} Its nodes end by themselves, and all others now.")
        if lost:
            return 1
        time.sleep(FOLLOW_INTERVAL * 2)
    return 0
