"""Which process comes from which, even if those between have ended: what `kill --tree` ends (G22).

A process that has ended stays as a ghost while it has children that live, so a process that spawned a child and is gone
does not hide it. Of ghosts without a child that lives, none stays but the first of a family, by which the rest of it is
found. So there are at most as many ghosts as children, and at most as many first ones as families, however long a chain
of processes grows that each spawn the next and end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kernel.contract.address import ProcessId


class Kin:
    """One life of a process, its restarts included, among its parents and children."""

    __slots__ = ("children", "id", "lives", "living_children", "parent")

    def __init__(self, id: ProcessId, parent: Kin | None) -> None:
        self.id = id
        self.parent = parent
        self.children: dict[Kin, None] | None = None
        """Its children, in the order in which they came, ghosts included; None: it never had any."""
        self.living_children = 0
        self.lives = True
        """Whether it runs, or waits for its restart."""


class Descent:
    """The families of one node."""

    def __init__(self) -> None:
        self._ghosts: dict[Kin, None] = {}
        self._former: dict[ProcessId, Kin] = {}
        """Processes that were restored at this boot, and their ancestors, until all have been."""

    def born(self, id: ProcessId, parent: Kin | None) -> Kin:
        """Add a process that begins; `parent` is None if it has none."""
        kin = Kin(id, parent)
        if parent is not None:
            if parent.children is None:
                parent.children = {}
            parent.children[kin] = None
            parent.living_children += 1
        return kin

    def restored(self, id: ProcessId, ancestors: Sequence[ProcessId]) -> Kin:
        """Add a process that ran before a reboot and descends from `ancestors`, the nearest first.

        An ancestor that does not run (yet) is a ghost until it is restored itself.
        """
        parent: Kin | None = None
        for each in reversed(ancestors):
            parent = self._former.get(each) or self._absent(each, parent)
        kin = self._former.get(id)
        if kin is None or kin.lives:
            kin = self._former[id] = self.born(id, parent)
            return kin
        kin.lives = True
        self._ghosts.pop(kin, None)
        if kin.parent is not None:
            kin.parent.living_children += 1
        return kin

    def _absent(self, id: ProcessId, parent: Kin | None) -> Kin:
        kin = self._former[id] = self.born(id, parent)
        kin.lives = False
        if parent is not None:
            parent.living_children -= 1
        self._ghosts[kin] = None
        return kin

    def all_restored(self) -> None:
        """Let go of the ids of what was restored: from now on a process of such an id is another one."""
        for kin in self._former.values():
            self._forget(kin)
        self._former.clear()

    def ended(self, kin: Kin) -> None:
        """Note that a process has ended for good."""
        kin.lives = False
        if kin.children:
            self._ghosts[kin] = None
        self._forget(kin)
        if kin.parent is not None:
            kin.parent.living_children -= 1
            self._forget(kin.parent)

    def _forget(self, kin: Kin | None) -> None:
        """Remove a ghost, and those above it, by which no child that lives is found any more."""
        while kin is not None and not kin.lives and not kin.living_children:
            parent = kin.parent
            if kin.children:  # ghosts count too
                if parent is None:
                    return
                assert parent.children is not None
                for child in kin.children:
                    child.parent = parent
                parent.children |= kin.children
                kin.children = None
            self._ghosts.pop(kin, None)
            if parent is None:
                return
            assert parent.children is not None
            parent.children.pop(kin, None)
            kin = parent

    def ghosts(self, chosen: Callable[[ProcessId], bool]) -> list[Kin]:
        """Return the processes that have ended and whose id is `chosen`."""
        return [kin for kin in self._ghosts if chosen(kin.id)]

    @staticmethod
    def below(roots: list[Kin]) -> Iterator[Kin]:
        """Yield those of the roots that live, and all that descend from any of them and live, each once,
        parents first.
        """
        seen, left = set(roots), roots[::-1]
        while left:
            kin = left.pop()
            if kin.lives:
                yield kin
            for child in reversed(kin.children or ()):
                if child not in seen:
                    seen.add(child)
                    left.append(child)
