"""A world in which bytes take time."""

import heapq
import random
from collections.abc import Callable

from tests.net.world import Node, World


class SlowWorld(World):
    """Bytes take time; each direction of each wire keeps its order."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng = rng
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        self.last: dict[tuple[int, int], float] = {}

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a time."""
        self.count += 1
        heapq.heappush(self.heap, (when, self.count, action))

    def _carry(self, node: Node, connection: int, data: bytes) -> None:
        wire = self.open.get((id(node), connection))
        key = (id(node), connection)
        when = max(self.last.get(key, 0.0), self.now + self.rng.choice([0.0, 0.001, 0.02, 0.2]))
        self.last[key] = when
        middle = self.rng.randrange(len(data) + 1)

        def deliver() -> None:
            if wire is not None and self.open.get(key) is wire:
                super(SlowWorld, self)._carry(node, connection, data[:middle])
                super(SlowWorld, self)._carry(node, connection, data[middle:])

        self.at(when, deliver)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        self.settle()
        while True:
            deadline = self.next_deadline()
            arrival = self.heap[0][0] if self.heap else None
            when = min((item for item in (deadline, arrival) if item is not None), default=None)
            if when is None or when > end:
                break
            self.now = max(self.now, when)
            if arrival is not None and arrival <= self.now:
                heapq.heappop(self.heap)[2]()
            for node in list(self.nodes.values()):
                node_deadline = node.network.next_deadline()
                if node_deadline is not None and node_deadline <= self.now:
                    node.network.on_timer(self.now)
            self.settle()
        self.now = end
