"""The commands about other nodes' backups that a node keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.control.requests import Fields, node_untrusted
from nectar_node.core.core import NodeCore
from nectar_node.system.kept_objects import MAX_QUOTA, Owner


class CannotKeep(NodeError):
    """Nothing can be kept for that node now."""


class NotRemoved(NodeError):
    """What was kept for a node is still there, or a part of it."""


class Keeping:
    """Those commands of one node."""

    def __init__(
        self,
        core: NodeCore,
        kept: Callable[[], Awaitable[None]],
        removed: Callable[[str], Awaitable[str | None]],
    ) -> None:
        """`kept` returns when what has changed is durable; `removed` removes a node's backup, and returns why that
        failed, if it did.
        """
        self._core = core
        self._kept = kept
        self._removed = removed
        self.commands: dict[str, Callable[[object, Fields], Awaitable[dict[str, object]]]] = {
            "accept": self._on_accept,
            "keeps": self._on_keeps,
            "refuse": self._on_refuse,
        }

    async def _on_accept(self, _: object, fields: Fields) -> dict[str, object]:
        """Agree to keep a node's backup, or change what was agreed."""
        owner, keeper = node_untrusted(fields.name, self._core.our), self._core.keeper
        if not 0 < fields.quota <= MAX_QUOTA:
            raise BadInput("A quota is a number of bytes, and not 0.")
        problem = keeper.problem(owner)
        if problem is not None:
            raise CannotKeep(problem)
        keeper.accept(owner, fields.quota, append_only=fields.append_only)
        await self._kept()
        return _row(keeper.objects.owners[owner])

    async def _on_keeps(self, _: object, __: Fields) -> dict[str, object]:
        owners = self._core.keeper.objects.owners
        return {"keeps": [_row(owners[name]) for name in sorted(owners)]}

    async def _on_refuse(self, _: object, fields: Fields) -> dict[str, object]:
        """Keep nothing more for a node; with `removes`, remove what there is, too."""
        owners = self._core.keeper.objects.owners
        owner = owners.get(fields.name)
        if owner is None:
            known = f"it keeps those of {', '.join(sorted(owners))}" if owners else "it keeps none"
            raise BadInput(f"{self._core.our} keeps no backup of {fields.name[:64]!r}: {known}.")
        row = _row(owner)
        if fields.removes:
            problem = await self._removed(owner.name)
            if problem is not None:
                raise NotRemoved(f"The backup of {owner.name} is still there, or a part of it: {problem}.")
        else:
            self._core.keeper.refuse(owner.name, None)
            await self._kept()
        return row | {"removed": fields.removes}


def _row(owner: Owner) -> dict[str, object]:
    accepted = owner.acceptance
    return {
        "owner": owner.name,
        "quota": None if accepted is None else accepted.quota,
        "append_only": accepted is not None and accepted.append_only,
        "bytes": owner.bytes,
        "objects": len(owner.sizes),
        "restorable": accepted is not None and bool(accepted.access),
    }
