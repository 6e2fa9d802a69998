"""Mutants of the store and of backups: `nectar_node/storage/`, `nectar_node/core/store.py`, `nectar_node/backup/`."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ON_BACKUPS = "tests/nectar_node/backup/"

BACKUPS = (
    Mutant(
        "head-before-its-packs",
        "The head of a copy is put while its packs are still on their way.",
        "nectar_node/backup/writing.py",
        "        while self._running:\n            yield from self._one_done()\n        if self._to_describe:\n",
        "        if self._to_describe:\n",
        "backup",
    ),
    Mutant(
        "a-put-that-fails-is-no-failure",
        "A pack that the remote has not taken counts as stored.",
        "nectar_node/backup/repository.py",
        "    if not isinstance(error, ObjectExists):\n        raise error\n    there =",
        "    if not isinstance(error, ObjectExists):\n        return\n    there =",
        "backup",
        60,
    ),
    Mutant(
        "keeper-counts-what-its-lost-disk-had",
        "A keeper whose disk was lost goes on to list what it kept there for others.",
        "nectar_node/system/keeper.py",
        "            self.objects.all_gone(owner)\n        else:\n            for _, name",
        "            pass\n        else:\n            for _, name",
        "backup",
        60,
    ),
    Mutant(
        "keeper-counts-what-a-crash-has-left",
        "A keeper that boots takes what was being put when it ended for whole, and answers so.",
        "nectar_node/system/keeper.py",
        "                self._begin(_Task(owner, _Stage.REMOVE, name=name))\n",
        "                self.objects.settle(owner, name)\n",
        "tests/testnet/scenarios/test_backup.py::"
        "test_what_is_said_to_be_safe_at_a_keeper_is_there_whatever_happens_to_it",
    ),
    Mutant(
        "an-interrupted-run-is-forgotten",
        "Packs of a run that was interrupted are not looked at, and stored again.",
        "nectar_node/backup/repository.py",
        "    yield from _read_directories(repository, unknown)\n",
        "    yield from _read_directories(repository, unknown[:0])\n",
        "backup",
    ),
    Mutant(
        "cache-of-lost-packs",
        "A file that has not changed is not stored again, although the remote has lost the list of its chunks.",
        "nectar_node/backup/run.py",
        "    intact = cache.packs <= repository.table.by_name.keys()\n",
        "    intact = True\n",
        _ON_BACKUPS + "test_run.py::test_a_lost_pack_is_stored_again_whatever_lies_in_it",
    ),
    Mutant(
        "cache-of-what-a-power-cut-has-taken",
        "A file that a power cut has put back to an older content is taken for the newer one.",
        "nectar_node/backup/run.py",
        "        if self.written is not None and before[0].changed >= self.written:\n            return None\n",
        "",
        _ON_BACKUPS + "test_run.py::test_a_file_that_a_power_cut_has_put_back_is_read_again",
    ),
    Mutant(
        "roll-back-is-taken",
        "A node goes on with a remote that shows an older state than it had.",
        "nectar_node/backup/run.py",
        "    if known is not None and (latest is None or latest < known.number):\n",
        "    if known is not None and latest is not None and latest < 0:\n",
        "backup",
        60,
    ),
    Mutant(
        "older-copy-is-restored",
        "A restore takes an older copy than the one that must be there.",
        "nectar_node/backup/repository.py",
        "    if (repository.latest or 0) < least:\n",
        "    if (repository.latest or 0) < 0:\n",
        "backup",
        60,
    ),
    Mutant(
        "another-copy-of-the-node-goes-on",
        "Two copies of one node write to one remote.",
        "nectar_node/backup/run.py",
        "    elif head.writer != job.writer and not job.takes_over:\n",
        "    elif head.writer != job.writer and not job.number:\n",
        _ON_BACKUPS + "test_run.py::test_two_copies_of_one_node_are_noticed",
    ),
    Mutant(
        "chunks-are-not-hashed",
        "A chunk that somebody with the keys has put in the place of another is restored.",
        "nectar_node/backup/format/packs.py",
        "        return chunk if chunk is not None and chunk_id(self.id_key, chunk) == place.chunk else None\n",
        "        return chunk\n",
        _ON_BACKUPS + "test_damage.py::test_a_chunk_in_the_place_of_another_is_noticed",
    ),
    Mutant(
        "prune-removes-what-is-in-use",
        "Pruning asks only the newest copy which chunks are in use.",
        "nectar_node/backup/prune.py",
        "_used(repository, [head for head in heads if head.number in kept])",
        "_used(repository, [newest[0]])",
        "backup",
        60,
    ),
    Mutant(
        "prune-deletes-first",
        "Pruning deletes old copies before the head that says so, and a crash leaves a chain that is broken.",
        "nectar_node/backup/prune.py",
        "    link, size = yield from put_head(job, head)\n    names =",
        "    yield from _delete_all([head_name(job.ring, number) for number in sorted(gone)])\n"
        "    link, size = yield from put_head(job, head)\n    names =",
        _ON_BACKUPS + "test_prune.py::test_a_crash_at_any_moment_of_pruning_costs_nothing",
    ),
    Mutant(
        "new-keys-drop-the-old",
        "After a change of keys, what was written with the old ones cannot be read.",
        "nectar_node/backup/format/keys.py",
        "    epochs = (*ring.epochs, Epoch(",
        "    epochs = (*ring.epochs[1:], Epoch(",
        "backup",
    ),
    Mutant(
        "snapshot-of-several-instants",
        "What a copy holds of a file is what the file has when it is read, and not when the snapshot was taken.",
        "testnet/sim/backup_disk.py",
        "                content = self.files[inner] = file.content()\n",
        "                content = self.files[inner] = file.data\n",
        "backup",
    ),
    Mutant(
        "sum-of-rows-stays",
        "The sum of the guards is not written with the rows, so a row that is gone cannot be noticed (G27).",
        "nectar_node/storage/database.py",
        '                _do(self._connection, "UPDATE total SET guard = ?", (total.to_bytes(_GUARD_BYTES, "big"),))\n',
        "",
        "backup",
    ),
    Mutant(
        "rows-are-not-guarded",
        "A flipped bit in a row is taken for what was written (G21).",
        "nectar_node/storage/database.py",
        "        return guard == _guard(kind, key, value)\n",
        "        return guard is not None\n",
        "tests/testnet/sim/test_database_files.py"
        "::test_g21_a_flipped_bit_in_a_value_is_noticed_where_sqlite_itself_does_not_see_it",
    ),
    Mutant(
        "commits-are-synced-later",
        "A commit is told as durable before it is (G27).",
        "nectar_node/storage/database.py",
        '"PRAGMA synchronous=FULL"',
        '"PRAGMA synchronous=NORMAL"',
        "tests/testnet/sim/test_database_files.py"
        "::test_g27_after_a_crash_at_every_write_it_holds_all_that_was_acknowledged_and_nothing_in_part",
    ),
)
