"""What one node shows to monitoring: its metrics, its spans, or both. What it does not show is not loaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from nectar_node.base import log
from nectar_node.contract.config import NodeConfig
from nectar_node.contract.traces import Traced
from nectar_node.core.core import NodeCore
from nectar_node.storage.ledger import Ledger
from nectar_node.telemetry.metrics import Metric, NodeMetrics

if TYPE_CHECKING:
    from nectar_node.driver.telemetry.metrics_server import MetricsServer
    from nectar_node.driver.telemetry.span_export import SpanExport


class NodeTelemetry:
    """The telemetry of one boot."""

    def __init__(self, config: NodeConfig, core: NodeCore, ledger: Ledger, offset: Callable[[], float]) -> None:
        """`offset` returns the seconds from the core's times to Unix time. Raises BadInput if an extra is missing."""
        self.url: str | None = None
        """Where the metrics are, once the node listens; None: nowhere."""
        self._spans: SpanExport | None = None
        self.tasks: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        """What runs beside the node, and what it is called in the log."""
        self._server: MetricsServer | None = None
        self._metrics = NodeMetrics(core, ledger)
        if config.metrics is not None:
            from nectar_node.driver.telemetry.metrics_server import MetricsServer

            self._server = MetricsServer(*config.metrics, self._collect)
            self.tasks.append(("the metrics", self._server.serve))
        if config.spans is not None:
            from nectar_node.driver.telemetry.span_export import SpanExport

            self._spans = SpanExport(config.name, config.spans, offset)
            self.tasks.append(("the export of spans", self._spans.run))
            core.trace(None, self, config.spans.share)

    def _collect(self) -> Iterator[Metric]:
        yield from self._metrics.collect()
        if self._spans is not None:
            yield from self._spans.metrics()

    def take(self, action: Traced) -> None:
        """Take a record for the spans; its token is this object."""
        if self._spans is not None:
            self._spans.take(action)

    async def close(self) -> None:
        """Send what is left of spans, within a moment: the node goes down."""
        if self._spans is not None:
            await self._spans.close()

    async def listen(self) -> None:
        """Begin to listen, if there are metrics. Raises CannotListen."""
        if self._server is not None:
            self.url = await self._server.listen()
            log.write_line("metrics", f"Prometheus gets them at {self.url}")
