"""Mutants that show only where two or three conditions come together: several faults, or a fault in a state."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

PAIRS = (
    Mutant(
        "two-under-way-to-a-peer-that-restarts",
        "When a peer restarts to which two messages or more are under way, they are sent again (G4).",
        "net/session/session.py",
        "        failed = self.outbox.fail_begun() if restarted else []\n",
        "        failed = self.outbox.fail_begun() if restarted and len(self.outbox._begun) < 2 else []\n",
        "store",
        70,
    ),
    Mutant(
        "only-one-of-those-under-way-fails",
        "When a peer restarts to which several messages are under way, only the first comes back (G24).",
        "net/session/session.py",
        "        failed = self.outbox.fail_begun() if restarted else []\n",
        "        failed = self.outbox.fail_begun()[:1] if restarted else []\n",
        "store",
        70,
    ),
    Mutant(
        "forget-what-came-at-the-fourth-connection",
        "From the fourth connection on a node has forgotten which messages it has taken, and takes them again (G4).",
        "net/session/session.py",
        "        known = self.inbox.known(*self._peer_lineage) if self._peer_lineage is not None else None\n",
        "        if self._binding > 3:\n            self.inbox, self._peer_lineage = Inbox(*self._credit), None\n"
        "        known = self.inbox.known(*self._peer_lineage) if self._peer_lineage is not None else None\n",
        "store",
        70,
    ),
    Mutant(
        "proofs-die-with-revocations",
        "After a reboot a node that has revoked anything cannot prove what other nodes have issued (G21).",
        "nectar_node/peers/vouching.py",
        "        self._proofs.restore(kept.proofs)\n",
        "        self._proofs.restore(kept.proofs if kept.revoked.number == 1 else ())\n",
        "handoff",
    ),
)
