"""A node's figures by the names that Prometheus knows them by (https://prometheus.io/docs/practices/naming/).

Nothing is counted here: the figures are those that `nectar testnet status`, `peers`, `df` and `errors` show, read when
somebody asks. Names of other nodes and of packages become labels, of which there is a fixed number: whoever comes later
is counted as `other`, so that strangers cannot make time series without bound.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from kernel.contract.address import ProcessId
from kernel.contract.message import Reason
from kernel.contract.process import Process
from nectar_node.core.core import NodeCore
from nectar_node.storage.ledger import NO_QUOTA, Ledger
from net.session.peer_status import PeerState

MAX_PEERS = 50
"""Other nodes that have labels of their own."""
MAX_PACKAGES = 100
"""Packages that have labels of their own."""
OTHER = "other"
"""The label of all others; no node and no package has that name."""


class Metric(NamedTuple):
    """One metric, with all its samples."""

    name: str
    """Without `_total`, if it is a counter."""
    counts: bool
    """Whether it only ever grows while the node runs: a counter. Else it is a gauge."""
    about: str
    labels: tuple[str, ...]
    """The names of its labels."""
    samples: Sequence[tuple[tuple[str, ...], float]]
    """The values of the labels, and the figure."""


class Labels:
    """Who has a label of their own: the first ones, for as long as the node runs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, name: str) -> str:
        """Return the label for a name."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


class Totals:
    """Sums of counters of what comes and goes: they do not shrink when a process or a session ends.

    What has been added between the last look and the end is not known.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._last: dict[Hashable, float] = {}

    def look(self, counters: Iterable[tuple[Hashable, str, float]]) -> list[tuple[tuple[str, ...], float]]:
        """Return the sums by label, after a look at all counters there are: each with what it is of, and its label."""
        seen: dict[Hashable, float] = {}
        for whose, label, value in counters:
            before = self._last.get(whose, 0.0)
            self._sums[label] = self._sums.get(label, 0.0) + (value - before if value >= before else value)
            seen[whose] = value
        self._last = seen
        return [((label,), total) for label, total in self._sums.items()]


class NodeMetrics:
    """All metrics of one node."""

    def __init__(self, core: NodeCore, ledger: Ledger) -> None:
        """`ledger` is that of the node's disk."""
        self._core = core
        self._ledger = ledger
        self._peer_labels, self._package_labels = Labels(MAX_PEERS), Labels(MAX_PACKAGES)
        self._sent, self._received = Totals(), Totals()
        self._handled, self._computed = Totals(), Totals()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, with the figures of now."""
        yield _info(self._core.our)
        yield from self._messages()
        yield from self._network()
        yield from self._peers()
        yield from self._packages()

    def _messages(self) -> Iterator[Metric]:
        core, kernel = self._core, self._core.kernel.statistics()
        outcomes = [((outcome,), float(kernel[outcome])) for outcome in ("answered", "offline", "timeout")]
        reasons = [((reason.value,), float(core.dead_letters.by_reason[reason])) for reason in Reason]
        crashes = core.dead_letters.count - core.dead_letters.by_reason.total()
        failures = [((part,), float(count)) for part, count in core.failures.items()]
        yield _gauge("nectar_processes", "Processes that run.", kernel["processes"])
        yield _gauge("nectar_requests_outstanding", "Requests that wait for their outcome.", kernel["outstanding"])
        yield _gauge("nectar_messages_abroad", "Messages that others have not taken yet.", kernel["abroad"])
        yield _counter("nectar_messages_handled", "Messages that processes were handed.", kernel["messages"])
        yield Metric("nectar_requests", True, "Requests from here, by their outcome.", ("outcome",), outcomes)
        yield _counter("nectar_responses_dropped", "Responses that nobody waited for.", kernel["dropped"])
        yield Metric("nectar_dead_letters", True, "Messages that reached nobody.", ("reason",), reasons)
        yield _counter("nectar_process_crashes", "Processes that have trapped.", crashes)
        yield Metric("nectar_own_failures", True, "Failures of the node's own code.", ("part",), failures)
        yield _gauge("nectar_memory_budget_bytes", "Memory for what waits in the node.", core.memory.capacity)
        yield _gauge("nectar_memory_used_bytes", "Memory that what waits has.", core.memory.used)

    def _network(self) -> Iterator[Metric]:
        net = self._core.network.statistics()
        yield _gauge("nectar_connections", "Connections to other nodes.", net["connections"])
        yield _gauge("nectar_sessions", "Nodes that there is a session with.", net["sessions"])
        yield _gauge("nectar_sessions_live", "Nodes that are connected.", net["live"])
        yield _gauge("nectar_outgoing_messages", "Messages on their way to other nodes.", net["outgoing_messages"])
        yield _gauge("nectar_outgoing_bytes", "Bytes of messages on their way to other nodes.", net["outgoing_bytes"])
        yield _gauge(
            "nectar_incoming_bytes", "Bytes that others have sent and nobody has taken.", net["incoming_bytes"]
        )
        yield _gauge("nectar_router_places", "Nodes that this one is a router for.", net["places"])
        yield _gauge("nectar_router_circuits", "Connections that it joins for them.", net["circuits"])

    def _peers(self) -> Iterator[Metric]:
        peers = [(self._peer_labels.of(peer.name), peer) for peer in self._core.network.peers()]
        about = "Bytes that were {} the node, in the present session and earlier ones."
        for name, word, totals in (("sent", "sent to", self._sent), ("received", "received from", self._received)):
            samples = totals.look((peer.name, label, getattr(peer, f"bytes_{name}")) for label, peer in peers)
            yield Metric(f"nectar_peer_{name}_bytes", True, about.format(word), ("peer",), samples)
        yield _by_label(
            "nectar_peer_live",
            "Whether the node is connected; of others, how many are.",
            "peer",
            ((label, float(peer.state is PeerState.UP)) for label, peer in peers),
        )
        yield _by_label(
            "nectar_peer_queued_messages",
            "Messages that wait to be sent to it.",
            "peer",
            ((label, peer.queued_messages) for label, peer in peers),
        )
        yield _by_label(
            "nectar_peer_queued_bytes",
            "Bytes that wait to be sent to it.",
            "peer",
            ((label, peer.queued_bytes) for label, peer in peers),
        )
        yield Metric(
            "nectar_peer_round_trip_seconds",
            False,
            "The time of a ping and its answer.",
            ("peer",),
            [((label,), peer.round_trip) for label, peer in peers if label != OTHER and peer.round_trip is not None],
        )

    def _packages(self) -> Iterator[Metric]:
        core, labels = self._core, self._package_labels
        for package in core.packages:
            labels.of(str(package))  # what users have installed comes before what is only left of others
        running = [(labels.of(str(each.address.process.package_id)), each) for each in core.kernel.processes.values()]
        used = [(label, each, core.machine.statistics(each.address.process)) for label, each in running]
        handled = self._handled.look((_life(each), label, each.messages) for label, each in running)
        computed = self._computed.look(
            (_life(each), label, of.cpu_seconds) for label, each, of in used if of is not None and of.cpu_seconds
        )
        yield _by_label(
            "nectar_package_processes", "Its processes that run.", "package", ((label, 1) for label, _ in running)
        )
        yield Metric("nectar_package_messages_handled", True, "Messages they were handed.", ("package",), handled)
        yield Metric("nectar_package_cpu_seconds", True, "Processor time they have had.", ("package",), computed)
        yield _by_label(
            "nectar_package_inbox_messages",
            "Messages that wait for them.",
            "package",
            ((label, len(each.mailbox)) for label, each in running),
        )
        yield _by_label(
            "nectar_package_inbox_bytes",
            "Bytes of these.",
            "package",
            ((label, each.mailbox.bytes) for label, each in running),
        )
        yield _by_label(
            "nectar_package_memory_bytes",
            "Linear memory they have.",
            "package",
            ((label, of.memory_bytes) for label, _, of in used if of is not None),
        )
        accounts = [
            (labels.of(id), self._ledger.account(id)) for id in map(str, core.packages) if self._ledger.is_known(id)
        ]
        yield _by_label(
            "nectar_package_disk_bytes",
            "What it has on the disk.",
            "package",
            ((label, account.used.bytes) for label, account in accounts),
        )
        yield _by_label(
            "nectar_package_disk_quota_bytes",
            "What it may have there.",
            "package",
            ((label, account.quota.bytes) for label, account in accounts if account.quota.bytes != NO_QUOTA),
        )


def _life(process: Process) -> tuple[ProcessId, float]:
    """Return what tells a process from an earlier one of its name."""
    return process.address.process, process.started_at


def _info(our: str) -> Metric:
    return Metric("nectar_node_info", False, "The name of the node.", ("node",), [((our,), 1.0)])


def _gauge(name: str, about: str, value: float) -> Metric:
    return Metric(name, False, about, (), [((), value)])


def _counter(name: str, about: str, value: float) -> Metric:
    return Metric(name, True, about, (), [((), value)])


def _by_label(name: str, about: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    """Return a gauge with the sums of the values by label."""
    sums: dict[str, float] = {}
    for whose, value in values:
        sums[whose] = sums.get(whose, 0.0) + value
    return Metric(name, False, about, (label,), [((whose,), value) for whose, value in sums.items()])
