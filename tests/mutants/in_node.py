"""Mutants of `nectar_node/`: what joins kernel, net and disk."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

NODE = (
    Mutant(
        "upgrade-drops-what-waits",
        "What waits for a process when another version of its package starts is not handed to the new one.",
        "nectar_node/packages/installer.py",
        "            self._act(Expect(package.processes))\n",
        "",
        "tests/nectar_node/core/test_upgrades.py::"
        "test_g5_requests_that_wait_when_the_new_version_starts_are_answered_by_it",
    ),
    Mutant(
        "comes-back-too-late",
        "A version that comes back after a failed trial runs, also if its package was uninstalled meanwhile.",
        "nectar_node/packages/installer.py",
        "        if number <= self._decided.get(id, 0):\n",
        "        if number < 0:\n",
        "tests/nectar_node/core/test_upgrades.py::"
        "test_a_package_that_is_uninstalled_while_its_version_before_comes_back_stays_away",
    ),
    Mutant(
        "hash-of-what-was-overwritten",
        "The hash of a file has bytes in it that a write has replaced which reached behind them.",
        "nectar_node/storage/long_operations.py",
        "            if running is not None and offset < running.length:\n",
        "            if running is not None and offset < 0:\n",
        "tests/nectar_node/storage/test_running_hashes.py::"
        "test_a_write_that_begins_before_the_end_of_what_is_hashed_and_ends_behind_it_is_in_the_hash",
    ),
    Mutant(
        "trial-has-no-end",
        "A version that has run well for long gives way to the one before when it traps.",
        "nectar_node/packages/installer.py",
        "        if trial.until is not None and now > trial.until:\n",
        "        if trial.until is None:\n",
        "tests/nectar_node/core/test_upgrades.py::"
        "test_a_version_that_traps_in_its_first_seconds_gives_way_to_the_one_before",
    ),
    Mutant(
        "installed-is-noted-later",
        "Which version is installed is not written in the commit that says which one runs.",
        "nectar_node/packages/installer.py",
        "        installation.note()\n",
        "",
        "tests/nectar_node/core/test_upgrades.py::"
        "test_g26_after_a_crash_at_every_write_of_an_upgrade_one_version_is_installed_and_runs",
    ),
    Mutant(
        "former-key-is-enough",
        "Heads that a former key has signed are not signed anew after a change of the key.",
        "nectar_node/core/core.py",
        "        self.published.sign_anew(now)\n",
        "",
        "tests/nectar_node/core/test_published.py::test_heads_are_signed_anew_at_the_boot_after_a_change_of_the_key",
    ),
    Mutant(
        "source-from-the-frame",
        "Where a request came from is read from what the frame says, and not from the session (G3).",
        "nectar_node/peers/envelope.py",
        "    sender, receiver = _address_untrusted(node, source), _address_untrusted(our, target)\n"
        "    answer_to = None if reply_to is None else _reply_to_untrusted(reply_to)\n",
        "    receiver = _address_untrusted(our, target)\n"
        "    answer_to = None if reply_to is None else _reply_to_untrusted(reply_to)\n"
        "    sender = _address_untrusted(node if answer_to is None else answer_to.address.node, source)\n",
        "chains",
    ),
    Mutant(
        "answer-who-passed-it-on",
        "A request that was passed on is answered to the node it came from, and not to the one that asked (G10).",
        "nectar_node/peers/envelope.py",
        "    answer_to = None if reply_to is None else _reply_to_untrusted(reply_to)\n",
        "    answer_to = None if reply_to is None else ReplyTo(sender, _reply_to_untrusted(reply_to).id)\n",
        "chains",
    ),
    Mutant(
        "skip-the-capability-signature",
        "A capability is accepted whoever has signed it, if its issuer's key is known (G20).",
        "nectar_node/peers/vouching.py",
        " statement, signature) is True",
        " statement, signature) is not None",
        "handoff",
    ),
    Mutant(
        "believe-what-third-nodes-issued",
        "Only the capabilities that this node has issued are verified (G20).",
        "nectar_node/peers/vouching.py",
        "        statement = _statement(issuer, params, issue)\n        return",
        "        if issuer.node != self._our:\n"
        "            return True\n"
        "        statement = _statement(issuer, params, issue)\n"
        "        return",
        "handoff",
    ),
    Mutant(
        "sign-without-params",
        "The signature of a capability is good for everything else that its issuer issues (G20).",
        "nectar_node/peers/vouching.py",
        "cbor2.dumps([str(issuer), params, issue])",
        "cbor2.dumps([str(issuer), issue])",
        "handoff",
    ),
    Mutant(
        "sign-without-issue",
        "The signature of a capability that was revoked is good for one that was not (G21).",
        "nectar_node/peers/vouching.py",
        "cbor2.dumps([str(issuer), params, issue])",
        "cbor2.dumps([str(issuer), params])",
        "handoff",
    ),
    Mutant(
        "accept-revoked-capabilities",
        "A capability that was revoked is accepted when it comes back from another node (G21).",
        "nectar_node/peers/vouching.py",
        "        if issuer.node == self._our and not self._grants.is_issue(issuer.process, issue):\n"
        "            return False\n",
        "",
        "handoff",
    ),
    Mutant(
        "proofs-die-at-reboot",
        "After a reboot a node cannot prove any more what other nodes have issued (G21).",
        "nectar_node/peers/vouching.py",
        "        self._proofs.restore(kept.proofs)\n",
        "",
        "handoff",
    ),
    Mutant(
        "boot-without-expecting-anybody",
        "What comes to a node before it has started its packages finds no process, and its sender waits in vain (G5).",
        "nectar_node/packages/boot.py",
        "        self._installer.expect(each.processes for each in plan.new)\n"
        "        self._installer.expect([tuple(each.remnant.process for each in plan.again)])\n",
        "",
        "registrar_outage",
        10,
    ),
    Mutant(
        "sync-is-answered-at-once",
        "A guest is told that its file is on the disk before it is.",
        "nectar_node/system/vfs_actions.py",
        '    "SyncAll": Action("write", lambda call: ops.Sync(call.location)),\n',
        '    "SyncAll": Action("write", lambda call: ops.Stat(call.location)),\n',
        "file_transfer",
    ),
    Mutant(
        "commits-are-not-synced",
        "What was acknowledged is lost when the power fails (G26, G27).",
        "nectar_node/storage/database.py",
        '"PRAGMA synchronous=FULL"',
        '"PRAGMA synchronous=OFF"',
        "tests/conformance/test_crash_at_every_write.py::"
        "test_g26_whatever_was_kept_is_there_after_a_crash_at_any_write",
    ),
    Mutant(
        "an-upgrade-comes-in-two-commits",
        "A crash leaves a version of a package by half (G26).",
        "nectar_node/core/store.py",
        "        self._pending.clear()\n",
        "        *self._writing, last = self._writing or (Row('none', '', None),)\n"
        "        self._writing = tuple(self._writing)\n"
        "        self._pending = {(last.kind, last.key): last.value} if self._writing else {}\n"
        "        self._writing = self._writing or (last,)\n",
        "tests/conformance/test_crash_at_every_write.py::"
        "test_g26_whatever_was_kept_is_there_after_a_crash_at_any_write",
    ),
    Mutant(
        "states-are-not-in-the-sum",
        "A store with saved states counts as damaged at the next boot (G27).",
        "nectar_node/storage/database.py",
        "                total += self._write_states(states)\n",
        "                self._write_states(states)\n",
        "tests/nectar_node/storage/test_database.py::"
        "test_g27_states_of_any_number_of_processes_are_written_in_one_commit",
    ),
    Mutant(
        "newcomers-to-the-disk-come-last",
        "A package whose long jobs are never done has the disk for itself (G23).",
        "nectar_node/storage/turns.py",
        "            party = (self._fresh or self._others).popleft()\n",
        "            party = (self._others or self._fresh).popleft()\n",
        "crowded_disk",
        3,
    ),
    Mutant(
        "disk-jobs-are-never-given-up",
        "A hash that its requester has got Timeout for goes on, and those behind it wait (G23).",
        "nectar_node/system/vfs.py",
        "            self._out.append(StopJob(pending.ticket))\n",
        "",
        "crowded_disk",
        3,
    ),
    Mutant(
        "quotas-are-not-kept",
        "A package takes as much of the disk as there is (G23).",
        "nectar_node/storage/ledger.py",
        "        if bytes > 0 and used.bytes + bytes > quota.bytes + lent:\n",
        "        if bytes > 0 and used.bytes < 0:\n",
        "crowded_disk",
        3,
    ),
    Mutant(
        "a-system-process-that-fails-answers-nobody",
        "Whoever asked something that a system process's own code fails at waits until the time is up.",
        "nectar_node/system/processes.py",
        "            process.recover(cause, now)\n",
        "            pass\n",
        "tests/nectar_node/test_own_failure.py"
        "::test_a_request_that_a_system_process_fails_at_is_answered_at_once_and_nothing_else_ends",
    ),
    Mutant(
        "an-epoch-is-not-compared",
        "A node takes a capability of an epoch that is over in its issuer's record (G21).",
        "nectar_node/peers/vouching.py",
        "        return record is not None and 0 < record.epoch >= issue\n",
        "        return record is not None and issue < 0\n",
        "tests/nectar_node/peers/test_vouching.py"
        "::test_g21_a_ticket_of_an_epoch_that_is_over_is_refused_from_its_issuer_and_from_a_third_node",
    ),
    Mutant(
        "held-beyond-its-epoch",
        "What a process holds of an epoch that is over stays with it (G21).",
        "nectar_node/peers/vouching.py",
        "                self._grants.void(self._proofs.void(record.name, record.epoch))\n",
        "                self._proofs.void(record.name, record.epoch)\n",
        "tests/nectar_node/peers/test_vouching.py"
        "::test_g21_what_is_held_of_an_epoch_that_is_over_is_taken_and_does_not_leave",
    ),
)
