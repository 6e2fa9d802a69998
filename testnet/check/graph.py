"""Graphs of numbers: the parts in which each reaches each, and short circles through an edge."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence


def strong_parts(after: Mapping[int, Sequence[int]], size: int) -> list[int]:
    """Return for each node 0 … size - 1 the number of its part, in which all reach each other (Tarjan 1972, without
    recursion)."""
    part = [-1] * size
    index = [-1] * size
    low = [0] * size
    stack: list[int] = []
    parts = visited = 0
    for root in range(size):
        if index[root] >= 0:
            continue
        work = [(root, 0)]
        while work:
            node, tried = work.pop()
            if tried == 0:
                index[node] = low[node] = visited
                visited += 1
                stack.append(node)
            nexts = after.get(node, ())
            while tried < len(nexts):
                other = nexts[tried]
                tried += 1
                if index[other] < 0:
                    work += [(node, tried), (other, 0)]
                    break
                if part[other] < 0:
                    low[node] = min(low[node], index[other])
            else:
                if low[node] == index[node]:
                    while True:
                        member = stack.pop()
                        part[member] = parts
                        if member == node:
                            break
                    parts += 1
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[node])
    return part


def shortest_path(
    after: Mapping[int, Sequence[int]], source: int, target: int, part: Sequence[int]
) -> list[int] | None:
    """Return the nodes of a shortest way from `source` to `target` within their part, both included; None: there is
    none."""
    if part[source] != part[target]:
        return None
    came: dict[int, int] = {source: -1}
    waiting = deque([source])
    while waiting:
        node = waiting.popleft()
        if node == target:
            way = [node]
            while came[way[-1]] >= 0:
                way.append(came[way[-1]])
            return way[::-1]
        for other in after.get(node, ()):
            if other not in came and part[other] == part[source]:
                came[other] = node
                waiting.append(other)
    return None
