"""One point of a curve: `python -m bench.growth.measures SUBJECT SIZE` measures it and prints its costs as JSON.

Each point is a process of its own, so that its memory is that of its size. Times are of processors: on a machine that
has other work too, a clock on the wall measures that work.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import trio
import trio.testing

from bench import guests
from bench.crowd import Member, arrive, directory, server
from bench.lab import RECEIVER, SENDER, folder, printed, running, send_file
from bench.lookups import OUTSTANDING, fill
from bench.measure import peak_kib, processor_time, resident_kib
from bench.rig import number, rig
from nectar_node.contract.config import REGISTRAR_NAME
from testnet.model.lab import NodePlan
from testnet.real.local import LocalTestnet
from testnet.runs.play import HELLO
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation

LAPS = 3
WAVE = 250
"""Peers that dial at once."""
IDLE_SECONDS = 60.0
"""Virtual seconds of a simulation in which nobody asks for anything."""
STARTS = 3
"""Starts of a registrar, of which the fastest counts: what it needs for a few names is little beside the rest."""
LOOKUPS = 10_000
"""Look-ups, each for another name; where there are fewer names, none: a session takes more than these would."""

SPARE = 8 << 30
"""Bytes of the disk that are left to others."""

Costs = dict[str, float]


def processes(count: int) -> Costs:
    """Start so many processes on one machine, and pass messages through all of them."""
    with rig() as bench:
        relay, echo = guests.relay(), guests.echo()
        bench.start("99998", relay)  # compiles both, and makes what is made once
        bench.start("99999", echo)
        bench.settle()
        memory, begin = resident_kib(), time.process_time()
        for index in range(count - 1):
            bench.start(number(index), relay)
        bench.start(number(count - 1), echo)
        bench.settle()
        started, after = time.process_time(), resident_kib()
        first = next(each for each in bench.machine.kernel.processes if each.process == number(0))
        bench.ask(first, b"")
        asked = time.process_time()
        for _ in range(LAPS):
            bench.ask(first, b"")
        lap = (time.process_time() - asked) / LAPS
        return {"starting all": started - begin, "a message through all": lap, "memory": (after - memory) / 1024}


def nodes(count: int) -> Costs:
    """Boot so many nodes in one simulation, let each greet the next, and leave them alone for a while."""
    lab = Simulation(0, Programs(), journal=False)
    lab.boot(NodePlan("first.nec", ("hello",)))
    names = [f"n{index}.nec" for index in range(count)]
    memory, begin = resident_kib(), time.process_time()
    lab.boot(*(NodePlan(name, ("hello",)) for name in names))
    booted = time.process_time()
    asked = [
        lab.begin(source, HELLO, {"Ask": {"node": target, "name": "bench", "timeout": 30}}, 60)
        for source, target in pairwise([*names, names[0]])
    ]
    waiting = list(asked)

    def answered() -> bool:
        while waiting and waiting[-1].outcome:
            waiting.pop()
        return not waiting

    lab.wait(answered, 60.0)
    assert all("Answered" in each.outcome.body for each in asked if each.outcome is not None)
    greeted = time.process_time()
    lab.rest(IDLE_SECONDS)
    idle = time.process_time()
    return {
        "booting": booted - begin,
        "greeting": greeted - booted,
        "an idle minute": idle - greeted,
        "memory": (resident_kib() - memory) / 1024,
    }


def peers(count: int) -> Costs:
    """Let so many peers dial one node, then send it one more message each."""
    return trio.run(_peers, count)


async def _peers(count: int) -> Costs:
    with server(count) as dialed:
        known = directory(count, dialed.port)
        before = await dialed.report()
        members: list[Member] = []
        async with trio.open_nursery() as nursery:
            for first in range(0, count, WAVE):
                wave = await arrive(known, min(WAVE, count - first), nursery, first=first)
                assert not wave.failed
                members += wave.members
            arrived = await dialed.report()
            for each in members:
                each.send(b"again")
            while (after := await dialed.report())["messages"] < 2 * count:
                await trio.testing.wait_all_tasks_blocked(0.2)
            nursery.cancel_scope.cancel()
    assert arrived["live"] == count, arrived
    return {
        "dialing": arrived["seconds"] - before["seconds"],
        "a message of each": after["seconds"] - arrived["seconds"],
        "memory": (arrived["kib"] - before["kib"]) / 1024,
    }


def files(size: int) -> Costs:
    """Send a file of so many bytes, a hole, from disk to disk."""
    where = Path(tempfile.gettempdir())
    if shutil.disk_usage(where).free < size + SPARE:
        sys.exit(f"{where} has no room for it")
    with folder(where) as place, running(SENDER, RECEIVER, where=where) as net:
        small, file = place / "small.bin", place / "file.bin"
        for path, length in ((small, 1000), (file, size)):
            with path.open("wb") as new:
                new.truncate(length)
        send_file(net, small, RECEIVER)
        pids = [pid for name in (SENDER, RECEIVER) if (pid := net.pid(name)) is not None]
        memory, begin = [resident_kib(pid) for pid in pids], [processor_time(pid) for pid in pids]
        command = _of_children()
        send_file(net, file, RECEIVER)
        sender, receiver = (processor_time(pid) - before for pid, before in zip(pids, begin, strict=True))
        command = _of_children() - command
        grown = [(peak_kib(pid) - before) / 1024 for pid, before in zip(pids, memory, strict=True)]
    return {
        "the sender": sender,
        "the receiver": receiver,
        "the command": command,
        "the sender's growth": grown[0],
        "the receiver's growth": grown[1],
    }


def _of_children() -> float:
    """Return the processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def names(count: int) -> Costs:
    """Start a registrar with so many names, and look some of them up; what one without any needs is subtracted."""
    where = Path(tempfile.gettempdir())
    with folder(where) as place:
        net, empty = LocalTestnet(place / "net"), LocalTestnet(place / "empty")
        fill(net, count)
        starts = [[_started(each) for _ in range(STARTS)] for each in (empty, net)]
        (bare_seconds, bare_kib), (seconds, kib) = (
            [min(each) for each in zip(*taken, strict=True)] for taken in starts
        )
        costs = {"its start": seconds - bare_seconds, "memory": (kib - bare_kib) / 1024}
        if count >= LOOKUPS:
            with net.start():
                costs["10,000 look-ups"] = _looked_up(net)
    return costs


def _started(net: LocalTestnet) -> tuple[float, float]:
    """Return the seconds and the KiB that a registrar needs to start."""
    with net.start():
        pid = _registrar(net)
        return processor_time(pid), resident_kib(pid)


def _looked_up(net: LocalTestnet) -> float:
    """Return the registrar's seconds of LOOKUPS look-ups, without those of a session and of a name that is new."""
    used = [processor_time(_registrar(net))]
    for lookups in (1, 1, LOOKUPS):
        printed("bench.asker", str(net.folder), str(lookups), str(min(lookups, OUTSTANDING)))
        used.append(processor_time(_registrar(net)))
    one, many = (after - before for before, after in pairwise(used[1:]))
    return many - one


def _registrar(net: LocalTestnet) -> int:
    pid = net.pid(REGISTRAR_NAME)
    assert pid is not None
    return pid


MEASURES: dict[str, Callable[[int], Costs]] = {each.__name__: each for each in (processes, nodes, peers, files, names)}

if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](int(sys.argv[2]))))
