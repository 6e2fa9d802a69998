"""A cluster of Dask as the place where plans are played.

Dask's scheduler gives orders to workers, and gives them to others when a worker dies. What it does by itself when that
happens again and again is bounded: then the seeds of the order are played one by one, and one whose workers still die
has the verdict DIED.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from importlib import metadata
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nectar_node.base.decoding import BadShape
from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import is_shipped
from testnet.cluster import archive
from testnet.cluster.messages import (
    DECIDING,
    MAX_BATCH,
    ClusterOrder,
    encode,
    objection,
    read_answer_untrusted,
    versions,
)
from testnet.cluster.playing import carry, play
from testnet.journal.journal import JournalEnd
from testnet.runs.plans import find_scenario
from testnet.scenarios.scenario import Plan, Scenario
from testnet.sweep.players import PlayersLost
from testnet.sweep.verdict import DIED, RunVerdict

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 10
LOOK_SECONDS = 1.0
"""Between two looks at how many workers there are."""
LOST_SECONDS = 30.0
"""For how long the scheduler may be away."""
ORDERS_EACH = 2
"""Orders for each thread of a worker: one that is played, and one that is there already when it ends."""
ORDERS_A_SECOND = 500
"""The most orders that a scheduler is given; where seeds are shorter than that allows, an order has several."""

_ADDRESS = re.compile(r"(dask|dask\+tls|tls)://([^\s/:@?#]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})/?")


def dask_address(on: str) -> str:
    """Return Dask's own address for `dask://HOST:PORT`, or for `tls://HOST:PORT`, which may be written `dask+tls://`.
    Raises BadInput."""
    match = _ADDRESS.fullmatch(on)
    if match is None or not 0 < int(match[3]) < 1 << 16:
        raise BadInput(
            f"--on takes dask://HOST:PORT, the address of a Dask scheduler, or tls://HOST:PORT, and not {on!r}."
        )
    return f"{'tcp' if match[1] == 'dask' else 'tls'}://{match[2]}:{match[3]}"


class DaskCluster:
    """The workers of a scheduler; leaving the context takes back what they have not begun."""

    def __init__(self, on: str) -> None:
        """Connect to the scheduler that `on` names, and check its workers. Raises BadInput."""
        self._address = dask_address(on)
        self._client = _connect(self._address, on)
        self._on = on
        self._versions = versions()
        self._cargo = _Cargo()
        self._carried: dict[str, Future[Any]] = {}
        """Zips on the cluster, by hash."""
        self._pending: list[Plan] = []
        """Plans that have begun for our caller, and are in no order yet."""
        self._sent: dict[Future[Any], Sequence[Plan]] = {}
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()
        self._numbers = count()
        self._nonce = os.urandom(8).hex()
        self._slots, self._looked, self._heard = 1, -LOOK_SECONDS, time.monotonic()
        self._seed_seconds = 1.0
        """What a seed takes, as an average that forgets."""
        try:
            self._check_workers()
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sent and self._client.status == "running":
            self._client.cancel(list(self._sent))
        self._sent.clear()
        self._carried.clear()
        self._client.close(timeout=CONNECT_SECONDS)

    @property
    def workers(self) -> int:
        """Return how many workers there are now."""
        return len(self._client.nthreads())

    @property
    def busy(self) -> int:
        """Return how many plans are being played (`testnet.sweep.players`)."""
        return len(self._pending) + sum(map(len, self._sent.values()))

    @property
    def free(self) -> bool:
        """Return whether `begin` can be called."""
        self._look()
        return self.busy < ORDERS_EACH * self._slots * self._batch

    def begin(self, plan: Plan) -> None:
        """Begin to play a plan; it is sent with the next call of `verdicts`."""
        self._pending.append(plan)

    def verdicts(self, patience: float | None) -> list[RunVerdict]:
        """Return the verdicts that have come, or come within `patience` seconds; None: wait for one. Raises
        PlayersLost: the scheduler has gone, or a worker refuses to play."""
        self._send()
        found: list[RunVerdict] = []
        until = None if patience is None else time.monotonic() + patience
        while not found and (until is None or time.monotonic() < until):
            self._look()
            found = [verdict for future in self._arrived() for verdict in self._finish(future)]
        return found

    def play(self, plan: Plan) -> RunVerdict:
        """Play a plan and wait for its verdict; nothing else may be in play."""
        assert not self.busy
        self.begin(plan)
        return self.verdicts(None)[0]

    # --- orders ---

    @property
    def _batch(self) -> int:
        wanted = self._slots / ORDERS_A_SECOND / max(self._seed_seconds, 1e-3)
        return min(MAX_BATCH, max(1, round(wanted)))

    def _send(self) -> None:
        size = self._batch
        while self._pending:
            plans, self._pending = self._pending[:size], self._pending[size:]
            self._order(plans)

    def _order(self, plans: Sequence[Plan]) -> None:
        code, own = self._cargo.code, self._cargo.of(plans)
        order = ClusterOrder(
            archive.name_of(code), archive.name_of(own), os.getcwd(), self._versions, [plan.value() for plan in plans]
        )
        future = self._client.submit(
            play,
            encode(order),
            self._carry(order.code, code),
            self._carry(order.own, own),
            key=f"nectar-play-{self._nonce}-{next(self._numbers)}",
        )
        self._sent[future] = plans
        future.add_done_callback(self._ended.put)

    def _carry(self, name: str, data: bytes) -> Future[Any]:
        if name not in self._carried:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "large graph": it is sent once
                self._carried[name] = self._client.submit(carry, data, key=f"nectar-{name}")
        return self._carried[name]

    # --- answers ---

    def _arrived(self) -> Iterator[Future[Any]]:
        """Yield futures that have ended; wait for the first for a moment."""
        try:
            yield self._ended.get(timeout=min(0.25, LOOK_SECONDS))
            while True:
                yield self._ended.get_nowait()
        except Empty:
            return

    def _finish(self, future: Future[Any]) -> Iterator[RunVerdict]:
        plans = self._sent.pop(future, None)
        if plans is None:
            return
        if future.status == "finished":
            yield from self._read(future.result(), plans)
        elif future.status == "error":
            yield from self._again(future.exception(), plans)
        else:  # cancelled, or lost with the scheduler
            raise self._gone()

    def _read(self, data: object, plans: Sequence[Plan]) -> Iterator[RunVerdict]:
        try:
            answer = read_answer_untrusted(data, len(plans))
        except BadShape as error:
            raise PlayersLost(f"A worker of {self._on} has sent what is no answer: {error}.") from None
        if answer.refused:
            raise PlayersLost(f"{answer.refused[0].upper()}{answer.refused[1:]}.")
        self._seed_seconds += 0.2 * (answer.seconds / len(plans) - self._seed_seconds)
        for end, plan in zip(answer.ends, plans, strict=True):
            yield RunVerdict(end.digest, end.events, end.seconds, end.result, end.text, plan)

    def _again(self, error: BaseException | None, plans: Sequence[Plan]) -> Iterator[RunVerdict]:
        from distributed import KilledWorker

        if not isinstance(error, KilledWorker):
            raise PlayersLost(f"A worker of {self._on} cannot play: {type(error).__name__}: {error}.")
        if len(plans) > 1:  # it may be the fault of one of them
            for plan in plans:
                self._order([plan])
            return
        text = "each worker of the cluster that ran it died: its log, or that of its machine, says why"
        yield RunVerdict(**_fields(JournalEnd("", 0, 0.0, DIED, text)), plan=plans[0])

    # --- the scheduler and its workers ---

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if self._client.status == "running":
            self._heard = now
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            self._slots = max(1, sum(each["nthreads"] for each in workers.values()))
        elif self._client.status == "closed" or now - self._heard > LOST_SECONDS:
            raise self._gone()

    def _gone(self) -> PlayersLost:
        return PlayersLost(f"The scheduler at {self._on} has gone, and what was being played with it.")

    def _check_workers(self) -> None:
        """Refuse workers with other versions. Those that come later refuse by themselves (`playing`)."""
        found = {name: self._client.run(metadata.version, name, on_error="return") for name in DECIDING}
        for address in sorted(found[DECIDING[0]]):
            there = [found[name].get(address, "") for name in DECIDING]
            if wrong := objection(self._versions, [each if isinstance(each, str) else "" for each in there]):
                raise BadInput(f"The worker {address} {wrong}: install the same there as here.")


def _fields(end: JournalEnd) -> dict[str, Any]:
    return {name: getattr(end, name) for name in ("digest", "events", "seconds", "result", "text")}


class _Cargo:
    """The zips that plans need: our code, and the files of their scenarios and faults with their packages."""

    def __init__(self) -> None:
        self.code = archive.code()
        self._scenarios: dict[str, Scenario] = {}
        self._files: set[Path] = set()
        self._known: set[tuple[str, tuple[str, ...]]] = set()
        self._own = archive.own_files(iter(()))

    def of(self, plans: Sequence[Plan]) -> bytes:
        """Return the zip of a user's files; it grows when a plan needs more than those before. Raises BadInput."""
        needed = {file for plan in plans for file in self._needs(plan)}
        if not needed <= self._files:
            self._files |= needed
            self._own = archive.own_files(iter(sorted(self._files)))
        return self._own

    def _needs(self, plan: Plan) -> Iterator[Path]:
        for kind in {str(step.value()["kind"]) for step in plan.schedule}:
            path, colon, _ = kind.rpartition(":")
            if colon:
                yield Path(path)
        path, colon, _ = plan.scenario.rpartition(":")
        if not colon or (plan.scenario, plan.nodes) in self._known:
            return
        self._known.add((plan.scenario, plan.nodes))
        scenario = self._scenarios.setdefault(plan.scenario, find_scenario(plan.scenario))
        yield Path(path)
        for node in scenario.topology(plan.nodes):
            yield from (folder for folder in map(Path, node.packages) if not is_shipped(folder))


def _connect(address: str, on: str) -> Client:
    try:
        from distributed import Client
        from distributed.security import Security
    except ImportError as missing:
        raise BadInput("For sweeps on a cluster, install the extra: pip install 'nectar-node[cluster]'.") from missing
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what goes wrong is told in sentences
    warnings.filterwarnings("ignore", module="distributed")
    security = Security(require_encryption=True) if address.startswith("tls://") else None
    files = {} if security is None else security.get_tls_config_for_role("client")
    if security is not None and not (files.get("ca_file") and files.get("cert")):
        raise BadInput(
            "For TLS, Dask needs the files of an authority and of a certificate: set "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY."
        )
    ended: SimpleQueue[Client | Exception] = SimpleQueue()

    def connect() -> None:
        try:
            ended.put(Client(address, timeout=CONNECT_SECONDS, set_as_default=False, security=security))
        except Exception as error:  # of any kind, from Dask or from who answers in place of a scheduler
            ended.put(error)

    # In a thread of its own: Dask waits without end for the first words of something that accepts and is silent.
    threading.Thread(target=connect, daemon=True).start()
    try:
        client = ended.get(timeout=2 * CONNECT_SECONDS)
    except Empty:
        raise BadInput(f"What listens at {on} is not a scheduler of Dask: it says nothing.") from None
    if not isinstance(client, Exception):
        return client
    why = (str(client).strip().splitlines() or [type(client).__name__])[0]
    raise BadInput(f"The scheduler at {on} does not answer: {why}. `dask scheduler` starts one.")
