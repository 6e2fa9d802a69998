"""Mutants of what keeps hostile peers and neighbours away, where no scenario could notice: tests do."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_OWN_FILES = "tests/nectar_node/base/test_own_files.py"
_HALF_OPEN = "tests/net/session/test_half_open.py"
_BOUNDS = "tests/net/peering/test_network_bounds.py"

DEFENCES = (
    Mutant(
        "links-are-followed",
        "A link in a node's folder is opened, whoever has put it there.",
        "nectar_node/base/own_files.py",
        '    if stat.S_ISLNK(found.st_mode):\n        raise NotOurs(f"{path} is a link',
        '    if stat.S_ISLNK(found.st_mode) and path.name == "key":\n        raise NotOurs(f"{path} is a link',
        f"{_OWN_FILES}::test_a_file_that_is_a_link_is_neither_written_nor_read_nor_made",
    ),
    Mutant(
        "any-owner-will-do",
        "What belongs to another user is used as if it were ours.",
        "nectar_node/base/own_files.py",
        "    if found.st_uid != os.geteuid():\n",
        "    if False:\n",
        f"{_OWN_FILES}::test_what_belongs_to_another_user_is_refused",
    ),
    Mutant(
        "others-may-write",
        "A trust anchor that everybody could have altered is believed.",
        "nectar_node/base/own_files.py",
        "    if found.st_mode & stat.S_IWOTH:\n        return True\n",
        "",
        f"{_OWN_FILES}::test_a_file_that_others_can_write_is_refused_with_the_command_that_mends_it",
    ),
    Mutant(
        "the-umask-decides",
        "What is made has the mode that the umask leaves.",
        "nectar_node/base/own_files.py",
        "    os.fchmod(descriptor, 0o600)  # what the umask has left of that\n",
        "",
        f"{_OWN_FILES}::test_what_is_made_is_for_us_alone",
    ),
    Mutant(
        "no-reserve-of-descriptors",
        "What is to be kept is not written while there is no descriptor left.",
        "nectar_node/base/descriptors.py",
        " or not RESERVE.held:\n",
        " or True:\n",
        "tests/nectar_node/base/test_descriptors.py::test_what_is_to_be_kept_is_written_with_those_in_reserve",
    ),
    Mutant(
        "newcomers-are-refused",
        "Whoever fills the places for unfinished handshakes keeps everybody else out.",
        "net/peering/sessions.py",
        "        if crowded_out is None:\n",
        "        if crowded_out is not None:\n",
        f"{_HALF_OPEN}::test_honest_dials_from_an_attackers_address_succeed_at_the_first_retry_at_the_latest",
    ),
    Mutant(
        "finished-connections-without-bound",
        "Peers take all descriptors of a node, and it cannot write any more.",
        "net/peering/connections.py",
        "        return len(self._connections) - len(self._half_open) >= self._most_others\n",
        "        return False\n",
        f"{_BOUNDS}::test_where_connections_are_few_whoever_finds_none_is_told_so_and_gets_in_when_one_ends",
    ),
)
