"""Mutants of what a package gets only if its user says so, and of what ends with it."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_CONSENT = "tests/nectar_node/cli/test_consent.py::"
_TREES = "tests/conformance/test_trees.py::"

CONSENT = (
    Mutant(
        "power-without-a-question",
        "A package is given power over others though nobody has said that it may have it (G18).",
        "nectar_node/packages/review.py",
        "if each.capability not in granted and not is_ours)",
        "if False)",
        _CONSENT + "test_a_client_that_says_nothing_of_power_gets_none_from_the_node",
    ),
    Mutant(
        "anybody-is-sys",
        "A folder that calls itself a package of the node's own takes that one's place (G21).",
        "nectar_node/packages/review.py",
        "not (is_ours or said.allows_sys or same)",
        "not (is_ours or said.allows_sys or True)",
        _CONSENT + "test_g21_nobody_elses_package_calls_itself_one_of_the_nodes_own",
    ),
    Mutant(
        "anybody-takes-a-place",
        "A package from elsewhere takes another's place, with its files, without a question.",
        "nectar_node/packages/review.py",
        "replaces = None if before == origin",
        "replaces = None if before",
        _CONSENT + "test_a_package_from_elsewhere_takes_the_place_of_another_only_if_its_user_says_so",
    ),
    Mutant(
        "denied-until-the-reboot",
        "What its user has denied a package it has again at the next start (G21).",
        "nectar_node/packages/review.py",
        "return denied | (before - wanted), wanted - denied",
        "return denied, wanted - denied",
        _CONSENT + "test_g21_what_is_denied_stays_denied_until_it_is_granted",
    ),
    Mutant(
        "a-tree-without-its-grandchildren",
        "A kill with --tree ends the children of a process and leaves theirs (G22).",
        "kernel/contract/descent.py",
        "                    left.append(child)",
        "                    if kin in roots:\n                        left.append(child)",
        _TREES + "test_g22_a_tree_ends_with_children_and_grandchildren_and_nobody_else",
    ),
    Mutant(
        "who-has-returned-hides-its-children",
        "A kill with --tree misses the children of those who have ended (G22).",
        "kernel/contract/descent.py",
        "for child in reversed(kin.children or ()):",
        "for child in reversed((kin.lives and kin.children) or ()):",
        _TREES + "test_g22_those_who_spawn_without_end_and_return_end_with_the_kill_and_none_escapes",
    ),
    Mutant(
        "a-kill-leaves-the-restart",
        "One of a tree that waits for its restart when the tree ends starts again (G22).",
        "kernel/router/lifecycle.py",
        "        self._cancel_restarts(set(killed))\n",
        "",
        _TREES + "test_g22_one_that_waits_for_its_restart_ends_with_its_tree",
    ),
)
