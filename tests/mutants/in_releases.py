"""Mutants of releases from other nodes: `nectar_node/releases/`, `nectar_node/sharing/`."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_TESTS = "tests/testnet/sim/test_releases.py::"

RELEASES = (
    Mutant(
        "anybody-signs-heads",
        "A head counts whoever has signed it.",
        "nectar_node/releases/rules.py",
        "    check_signature(signed, key)\n    head = signed.head\n",
        "    head = signed.head\n",
        "releases",
    ),
    Mutant(
        "pieces-are-not-hashed",
        "A node takes the bytes that a mirror has altered.",
        "nectar_node/sharing/fetch.py",
        "                if piece_hash(told) != self.parts.pieces.hash(token):\n",
        "                if not told:\n",
        "releases",
    ),
    Mutant(
        "a-mirror-that-lies-is-asked-again",
        "A source whose bytes are not those that were published is asked for them for ever.",
        "nectar_node/sharing/sources.py",
        "        source.dropped, source.false = why, false\n        return True\n",
        "        return True\n",
        _TESTS + "test_a_mirror_that_lies_is_named_and_nothing_of_its_lie_is_taken",
    ),
    Mutant(
        "a-mirror-takes-releases-back",
        "A node goes back to an older release than it has seen.",
        "nectar_node/releases/rules.py",
        "    if head.number < seen.number:\n",
        "    if head.number < 0:\n",
        _TESTS + "test_a_mirror_cannot_go_back_behind_what_was_seen",
    ),
    Mutant(
        "a-chain-may-fork",
        "A node that has seen one of two releases with one number takes what follows the other.",
        "nectar_node/sharing/fetch.py",
        "            check_link(release, hash, None if seen is None else seen.head)\n",
        "",
        _TESTS + "test_two_releases_with_one_number_are_told_and_whoever_has_seen_one_takes_no_other",
    ),
    Mutant(
        "two-heads-of-one-number-are-one",
        "Of two releases that a publisher has signed with one number, a node takes the one that comes first.",
        "nectar_node/sharing/fetch.py",
        "            if first.head.document != signed.head.document:\n",
        "            if first.head.number != signed.head.number:\n",
        _TESTS + "test_two_releases_with_one_number_are_told_and_whoever_has_seen_one_takes_no_other",
    ),
    Mutant(
        "what-a-crash-has-left-is-whole",
        "A node that goes on with a fetch takes a file for whole because it is there.",
        "nectar_node/sharing/parts.py",
        "        if outcome == file.hash:\n            self._settle(number)",
        "        if not isinstance(outcome, DiskError):\n            self._settle(number)",
        _TESTS + "test_a_fetch_goes_on_where_a_crash_broke_it_off",
    ),
    Mutant(
        "pieces-make-any-file",
        "Pieces that fit their own hashes are taken for the file that the release names.",
        "nectar_node/sharing/parts.py",
        "            case _Do.WHOLE if outcome != self.release.files[number].hash:\n",
        "            case _Do.WHOLE if outcome is None:\n",
        _TESTS + "test_pieces_that_are_not_the_file_that_is_named_are_installed_at_no_attempt",
    ),
    Mutant(
        "parts-stay-for-ever",
        "What a fetch has left is never removed.",
        "nectar_node/sharing/leftovers.py",
        "if unix - each.time > ABANDONED_SECONDS and hash not in busy]",
        "if unix < each.time and hash not in busy]",
        _TESTS + "test_what_was_cancelled_goes_on_and_is_removed_if_nobody_goes_on_for_a_week",
    ),
    Mutant(
        "one-peer-has-all-of-the-disk",
        "A node reads for a peer whatever it asks for, at once.",
        "nectar_node/sharing/serving.py",
        "        full = guest.requests >= MAX_REQUESTS or guest.bytes + weight > MAX_WAITING_BYTES\n",
        "        full = False\n",
        _TESTS + "test_a_peer_that_asks_for_everything_holds_no_more_than_its_share",
    ),
    Mutant(
        "a-fetch-begins-without-room",
        "A fetch fills the disk, and fails in the midst of it.",
        "nectar_node/sharing/fetch.py",
        "            self._has_room = isinstance(outcome, int) and outcome >= token.wanted\n",
        "            self._has_room = isinstance(outcome, int)\n",
        _TESTS + "test_what_does_not_fit_is_refused_before_it_begins",
    ),
)
