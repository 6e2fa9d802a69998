"""One or more nodes in virtual time, and how the tests of this folder speak to their packages."""

from __future__ import annotations

import json
import weakref
from functools import cache
from pathlib import Path
from typing import Any

from kernel.contract.address import ProcessId
from kernel.contract.guest import Arrival, Failure
from nectar_node.interfaces.fitting import misfit
from nectar_node.interfaces.messages import ProcessApi
from nectar_node.interfaces.shapes import VariantShape
from nectar_node.packages.interfaces import package_api
from nectar_node.packages.manifest import read_package
from packages.build import PACKAGES
from testnet.sim.programs import Programs
from testnet.sim.simulation import SimNode, Simulation

SEED = 20260301


class Lab:
    """Nodes that all run the same packages. What is said to them is said to the first one, or to `where`."""

    def __init__(
        self,
        engine: Programs,
        packages: tuple[str | Path, ...],
        nodes: tuple[str, ...] = ("one.nec",),
        disk_bytes: int = 1 << 40,
    ) -> None:
        """`packages`: names of those that come with the node, and folders of others; `disk_bytes`: of each node."""
        self.simulation = Simulation(SEED, engine)
        # What guests hold no garbage collector sees: tens of megabytes each, with an interpreter in them.
        weakref.finalize(self, self.simulation.close)
        folders = tuple(PACKAGES / name for name in packages)
        self.described = Described(folders)
        self._asked: dict[object, tuple[str, object]] = {}
        self._names = nodes
        for name in nodes:
            self.simulation.add(name, folders, disk_bytes)
        self.simulation.settle()

    @property
    def node(self) -> SimNode:
        """The first one."""
        return self.nodes[0]

    @property
    def nodes(self) -> tuple[SimNode, ...]:
        """All of them, each as `at` gives it."""
        return tuple(map(self.at, self._names))

    def at(self, name: str) -> SimNode:
        """The node of that name, in its present life, or in its last one if it is down."""
        return self.simulation.nodes.get(name) or self.simulation.down[name]

    def ask(self, target: str, body: object, timeout: int = 60, where: str | None = None) -> Any:
        """Send a request with a JSON body to a process of a node, and return the answer's."""
        return self.wait(self.begin(target, body, timeout, where), timeout)

    def begin(self, target: str, body: object, timeout: int = 60, where: str | None = None) -> object:
        """The same without waiting; `answer` has the outcome of what is returned, once it is there."""
        token = self.at(where or self._names[0]).begin_to_ask(target, json.dumps(body).encode(), timeout)
        self._asked[token] = target.partition("@")[2], json.loads(json.dumps(body))
        return token

    def answer(self, token: object) -> Any:
        """The JSON body of the answer; None: it is not there yet."""
        answers = (node.answer(token) for node in self.simulation.nodes.values())
        answer = next((each for each in answers if each is not None), None)
        if answer is None:
            return None
        if token in self._asked:
            self.described.check(*self._asked.pop(token), outcome(answer))
        return outcome(answer)

    def wait(self, token: object, timeout: float = 60.0) -> Any:
        """Let virtual time pass until the answer is there."""
        self.simulation.run_until(lambda: self.answer(token) is not None, self.simulation.now + timeout)
        return self.answer(token)

    def source(self, token: object) -> ProcessId:
        """Who answered."""
        answer = self.node.answer(token)
        assert isinstance(answer, Arrival), answer
        return answer.source.process

    def processes(self, package: str) -> list[str]:
        """The names of the processes of a package that run on the first node, in order."""
        return sorted(id.process for id in self.node.core.kernel.processes if id.package == package)


@cache
def _apis(folder: Path) -> tuple[ProcessApi, ...]:
    """What a package says of its messages, read once for all tests of a process."""
    return tuple(package_api(read_package(folder, "one.nec")))


class Described:
    """What the packages of these folders say of their messages (`api/*.wit`), and whether they keep to it."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._apis = {str(api.process): api for folder in folders for api in _apis(folder)}
        self.seen: set[tuple[str, str]] = set()
        """Messages that were answered, each the process and the name."""

    def check(self, process: str, body: object, answer: object) -> None:
        """What was answered is of the type that the interface has for that, and so is a body that was understood."""
        api = self._apis.get(process)
        if api is None or api.is_raw:
            return
        wrong = misfit(api.request, body)
        assert wrong is None or (isinstance(answer, dict) and "Err" in answer), (
            f"{process} has answered {body}: {wrong}"
        )
        key = next(iter(body)) if isinstance(body, dict) and body else body
        message = api.message(str(key))
        if wrong is not None or message is None or not isinstance(message.answers, tuple):
            return
        by_key = {each.key: each for each in message.answers}
        among = VariantShape(message.name, message.docs, message.answers, by_key)
        wrong = misfit(among, answer, "the answer")
        assert wrong is None, f"{process} answers {body} with {answer}: {wrong}"
        self.seen.add((process, message.name))


def outcome(answer: Arrival | Failure) -> Any:
    """The JSON body of what must be an answer."""
    assert isinstance(answer, Arrival), answer
    return json.loads(answer.message.body)
