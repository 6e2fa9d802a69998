"""What the text of a failure names: requests by their ids, nodes that do not reach others, keys, files and values.

Each checker words its failures itself. What they have in common is that they name what they are about as it stands in
addresses and bodies of messages. So the requests of a failure are found by these words, whatever has failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testnet.report.exchanges import USER, ToldRequest, is_helper, node_of
from testnet.report.model import DrawnOperation, Picture

MOST_PAIRS = 2
"""Pairs of nodes that do not reach each other, of which the last attempt is told."""
MOST_ABOUT_A_WORD = 3
"""The last requests that mention what the text names."""
_HEALING = '"heal"'
"""In the bodies of greetings with which it is tried whether all nodes reach each other."""
_APART = re.compile(r"(\S+) does not reach (\S+)")
_UNHEARD = re.compile(r"^G24: (\S+) has given its net")
_QUOTED = re.compile(r"'([^']{1,200})'|\"([^\"]{1,200})\"")
_SPECIAL = re.compile(r"[\w.-]*[0-9_.-][\w.-]*[\w]|[\w]+[0-9_][\w]*")
"""Words such as file1.bin, k3 or line-7, which are no words of a language."""
_NUMBER = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True)
class Named:
    """What a failure is about."""

    ids: frozenset[str]
    """Requests whose ids the text says."""
    requests: tuple[ToldRequest, ...]
    """Those, and others that it is about, in the order of time; none: the text names none."""
    nodes: frozenset[str]
    """Nodes that it names."""
    apart: tuple[tuple[str, str], ...] = ()
    """Pairs of nodes of which the first does not reach the second."""


def named_by(text: str, picture: Picture, exchanges: Sequence[ToldRequest]) -> Named:
    """Return what a failure's text names; the operations that cannot be explained name their requests, too."""
    words = {word.strip(".,:;()[]'\"") for word in text.split()}
    nodes = frozenset(node for node in picture.nodes if node in words or any(w.endswith(f"@{node}") for w in words))
    nodes |= {node for node in picture.nodes if any(word.startswith(f"{node}@") for word in words)}
    ids = frozenset(each.request.id for each in exchanges if len(each.request.id) > 3 and each.request.id in words)
    apart = tuple((source, target.rstrip(".,:;")) for source, target in _APART.findall(text))
    apart = tuple(pair for pair in apart if {*pair} <= {*picture.nodes})[:MOST_PAIRS]
    found: dict[int, ToldRequest] = {}
    for several in (
        (each for each in exchanges if each.request.id in ids),
        (each for operation in picture.operations if operation.wrong for each in requests_of(operation, exchanges)),
        (each for pair in apart for each in _last_between(*pair, exchanges)),
        _unheard(text, exchanges),
    ):
        found.update((id(each), each) for each in several)
    if not found:
        found.update((id(each), each) for each in _mentioned(text, nodes, exchanges))
    return Named(ids, tuple(sorted(found.values(), key=lambda each: each.began)), nodes, apart)


def requests_of(operation: DrawnOperation, exchanges: Sequence[ToldRequest]) -> Iterator[ToldRequest]:
    """Yield the request that an operation was: what the user of its client's node asked at that moment."""
    for each in exchanges:
        if each.request.source == f"{operation.client}{USER}" and abs(each.began - operation.called) < 1e-6:
            yield each
            return


def is_of_healing(each: ToldRequest) -> bool:
    """Return whether it only tries whether nodes reach each other."""
    return is_helper(each) and _HEALING in each.request.beginning


def _last_between(source: str, target: str, exchanges: Sequence[ToldRequest]) -> list[ToldRequest]:
    """Return the last request from one node to another, with whatever has come of it."""
    there = [e for e in exchanges if (node_of(e.request.source), node_of(e.request.target)) == (source, target)]
    return there[-1:]


def _unheard(text: str, exchanges: Sequence[ToldRequest]) -> list[ToldRequest]:
    """Return the last messages of which a node has not heard what became of them, where it is that."""
    match = _UNHEARD.match(text)
    if match is None:
        return []
    return [
        each
        for each in exchanges
        if each.request.sender == match[1]
        and each.is_abroad
        and each.request.confirmed is None
        and each.outcome is None
        and each.answer is None
    ][-MOST_ABOUT_A_WORD:]


def _mentioned(text: str, nodes: frozenset[str], exchanges: Sequence[ToldRequest]) -> list[ToldRequest]:
    """Return the last requests that say what the text names, of the nodes that it names if these have any."""
    quoted = [one or other for one, other in _QUOTED.findall(text)]
    wanted = {word for word in (*quoted, *_SPECIAL.findall(text)) if len(word) > 1 and not _NUMBER.fullmatch(word)}
    wanted = {word for word in wanted if word not in nodes and not any(f"@{word}" in node for node in nodes)}
    if not wanted:
        return []
    asking = [each for each in exchanges if not is_helper(each) and each.request.expects]
    about = [each for each in asking if any(_says(each, word) for word in wanted)]
    there = [each for each in about if {node_of(each.request.source), node_of(each.request.target)} & nodes]
    return (there or about)[-MOST_ABOUT_A_WORD:]


def _says(each: ToldRequest, word: str) -> bool:
    """Return whether a body has this word, and not as a part of a longer one."""
    bodies = (each.request.beginning, "" if each.answer is None else each.answer.beginning)
    return any(re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", body) for body in bodies)
