"""The accounts of a recorded core: what disk threads have changed in them is noted when the core looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nectar_node.storage import operations as ops
from nectar_node.storage.ledger import DiskAccount, Ledger, OverQuota

Asks = Callable[[str, Callable[[], object]], Any]
"""Returns what the world says, or what was noted: plain values."""


class TapedLedger(Ledger):
    """A ledger as the core sees it; the accounts of saved states are the core's own."""

    def __init__(self, inner: Ledger, asks: Asks) -> None:
        super().__init__(inner.drives, inner.quotas)
        self._inner = inner
        self._asks = asks
        self._taped: dict[str, DiskAccount] = {}

    def account(self, package: str) -> DiskAccount:
        """Return the package's account."""
        account = self._taped.get(package)
        if account is None:
            account = self._taped[package] = _TapedAccount(self._inner.account(package), self._asks)
        return account

    @property
    def with_states(self) -> set[str]:
        """The packages that have saved states."""
        return self._inner.with_states


class _TapedAccount(DiskAccount):
    def __init__(self, inner: DiskAccount, asks: Asks) -> None:
        self._inner = inner
        self._asks = asks
        self.quota, self.text, self.quotas = inner.quota, inner.text, inner.quotas

    def __getattribute__(self, name: str) -> Any:
        if name == "states":
            return object.__getattribute__(self, "_inner").states
        if name == "known":
            inner, asks = object.__getattribute__(self, "_inner"), object.__getattribute__(self, "_asks")
            return asks("known", lambda: inner.known)
        return object.__getattribute__(self, name)

    @property
    def used(self) -> ops.Usage:
        """All that the package has."""
        inner = self._inner
        return ops.Usage(*self._asks("used", lambda: list(inner.used)))

    def claim_state(self, bytes: int, states: int) -> None:
        """Take so much more, or less, for saved states; raises OverQuota."""
        inner = self._inner

        def really() -> object:
            try:
                inner.claim_state(bytes, states)
            except OverQuota as error:
                return [error.errno, error.strerror]
            return None

        before = inner.states
        refused = self._asks("claim", really)
        if refused is not None:
            raise OverQuota(*refused)
        if inner.states == before and (bytes or states):  # in a replay nobody was asked
            inner.settle_state(bytes, states)

    def settle_state(self, bytes: int, states: int) -> None:
        """Correct what saved states take by so much."""
        self._inner.settle_state(bytes, states)
