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
        "        if self._binding > 3:\n"
        "            self.inbox, self._peer_lineage = Inbox(*self._credit), None\n"
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
    Mutant(
        "a-failed-request-with-a-blob",
        "A request with a blob that the net gives back is taken off the list, and nobody is told (G5).",
        "kernel/router/incoming.py",
        "            if entry is not None:\n                self._outcomes.fail(entry, reason)\n",
        "            if entry is not None and entry.blob is None:\n"
        "                self._outcomes.fail(entry, reason)\n",
        "chains",
        40,
    ),
    Mutant(
        "only-the-first-that-waits",
        "Of several messages that wait for a process of a booting node only the first one goes on (G5).",
        "kernel/router/incoming.py",
        "            for waiter in self._starting.take(process):\n",
        "            for waiter in list(self._starting.take(process))[:1]:\n",
        "store",
        70,
    ),
    Mutant(
        "revocations-die-with-what-is-held",
        "What was revoked before a reboot is worth something after it, if anybody holds anything (G21).",
        "kernel/capabilities/grants.py",
        "        self._revocations.restore(revoked)\n",
        "        if not held:\n            self._revocations.restore(revoked)\n",
        "handoff",
    ),
    Mutant(
        "several-changes-are-not-kept",
        "A replica that is sent several changes at once does not make them durable.",
        "packages/store/store.zig",
        "    if (table.version() > before) save();\n",
        "    if (table.version() > before and entries.len < 3) save();\n",
        "store",
    ),
    Mutant(
        "a-primary-that-boots-does-not-ask",
        "A primary that starts again does not find out what its replica lacks.",
        "packages/store/store.zig",
        "    if (role == .Primary) copy(table.version(), .{ .wanted = table.version(), .put = false });\n",
        "",
        "store",
        70,
    ),
    Mutant(
        "one-attempt-after-a-boot",
        "A primary that starts again while its replica is away does not try again.",
        "packages/store/store.zig",
        "            if (confirmed != version) copy(confirmed orelse version, .{ .wanted = version, .put = false });\n",
        "            if (confirmed != null and confirmed != version) copy(confirmed orelse version, .{ "
        ".wanted = version, .put = false });\n",
        "store",
        40,
    ),
    Mutant(
        "copied-before-it-is-kept",
        "A replica says that it has changes before they are durable.",
        "packages/store/store.zig",
        "    if (table.version() > before) save();\n    reply(.{ .Copied = .{ .version = table.version() } });\n",
        "    reply(.{ .Copied = .{ .version = table.version() } });\n    if (table.version() > before) save();\n",
        "store",
        70,
    ),
    Mutant(
        "copy-before-it-is-kept",
        "A primary sends a change to its replica before it has made it durable itself.",
        "packages/store/store.zig",
        "    save();\n    copy(sent orelse confirmed orelse before, .{ .wanted = before + 1, .put = true });\n",
        "    copy(sent orelse confirmed orelse before, .{ .wanted = before + 1, .put = true });\n    save();\n",
        "store",
    ),
    Mutant(
        "watches-once",
        "A primary whose replica was away, and is away again, does not try again by itself.",
        "packages/store/store.zig",
        "            watching = false;\n            const version",
        "            const version",
        "store",
    ),
    Mutant(
        "failed-beside-others",
        "A request that the net gives back while others are outstanding is taken off the list, and "
        "nobody is told (G5).",
        "kernel/router/incoming.py",
        "            if entry is not None:\n                self._outcomes.fail(entry, reason)\n",
        "            if entry is not None and len(self._outstanding) < 2:\n"
        "                self._outcomes.fail(entry, reason)\n",
        "store",
    ),
    Mutant(
        "kept-only-if-the-replica-has-the-rest",
        "A primary whose replica is behind does not make a change durable.",
        "packages/store/store.zig",
        "    save();\n    copy(sent orelse",
        "    if (confirmed == null or confirmed.? == before) save();\n    copy(sent orelse",
        "store",
    ),
)
