"""Each row with real nodes: processes over TCP on loopback, real guests, signals, and links to one of them that break.

All rows share one network. Each has a sending process of its own on one node, so most are played at the same time;
those that break the same node follow each other (`Play.chain`).
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import Any

from kernel.contract.limits import MAX_IN_FLIGHT_MESSAGES
from nectar_node.contract.config import REGISTRAR_NAME
from net.base.limits import MAX_QUEUED_MESSAGES
from testnet.faults.refusal import Refusal
from testnet.faults.stall import Stall
from testnet.model.where import Where
from tests.conformance.lab import OUR, THEIR
from tests.conformance.steps import blob, flood, on_returned, receive, receive_until, respond, send, wait_for
from tests.failures.ghosts import HOST
from tests.failures.network import (
    DEAF,
    FLOODERS,
    FLOODING_PACKAGES,
    GATE,
    HIDDEN,
    LIMIT,
    MUTE,
    PAUSES,
    QUEUE_FULL,
    RESTARTS,
    ROUTERS,
    TIMEOUT,
    TOLD,
    Network,
    at,
)
from tests.failures.page import NOTHING, Observed
from tests.waiting import until

NO_ROUTE = "127.255.255.255"
"""Loopback's broadcast address: a connection there fails at once, with no route."""
_SHORT_TIMEOUT = 2
"""Of a request that is sure to run into it."""
_TAKEN_TIMEOUT = 3
"""Long enough for the target to take the request before it is killed."""
_MIB = 1 << 20


# --- nobody there, or not who it should be --------------------------------------------------------------------------


def unknown_name(net: Network, row: str) -> Observed:
    return net.play(row, at("nobody.nec"))


def refused(net: Network, row: str) -> Observed:
    with socket.socket() as closed:
        closed.bind((HOST, 0))  # kept, so that nobody else listens there
        net.ghosts.register("refuses.nec", closed.getsockname()[1])
        return net.play(row, at("refuses.nec"))


def unreachable(net: Network, row: str) -> Observed:
    net.ghosts.register("far.nec", 9, NO_ROUTE)
    return net.play(row, at("far.nec"))


def swallowed_before_the_handshake(net: Network, row: str) -> Observed:
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        net.ghosts.register("silent.nec", silent.getsockname()[1])
        return net.play(row, at("silent.nec"))


def wrong_key(net: Network, row: str) -> Observed:
    net.ghosts.haunt("impostor.nec", right_key=False)
    return net.play(row, at("impostor.nec"))


def older_protocol(net: Network, row: str) -> Observed:
    net.ghosts.haunt("older.nec", version=0)
    return net.play(row, at("older.nec"))


# --- a link or a node that fails ------------------------------------------------------------------------------------


def acquaint(net: Network, row: str, node: str) -> None:
    """See to a session."""
    net.tell(row, wait_for(at(node), "", respond("early"), expects=TIMEOUT))
    net.nodes.message(OUR, net.probe(row).address, '"Forget"')


def reset(net: Network, row: str) -> Observed:
    acquaint(net, row, THEIR)
    net.links.cut(Where(THEIR))
    return net.play(row, at(THEIR))


def swallowed_after_the_handshake(net: Network, row: str) -> Observed:
    acquaint(net, row, THEIR)
    with net.links.applied(Stall(Where(THEIR))):
        return net.play(row, at(THEIR), arrives=False)


def paused_for(seconds: int, node: str, beside: str | None = None) -> Callable[[Network, str], Observed]:
    """`beside`: the row in which the sender has too much of its own on its way to that node."""

    def play(net: Network, row: str) -> Observed:
        acquaint(net, row, node)
        net.nodes.pause(node)
        playing = net.pool.submit(net.play, row, at(node), arrives=True)
        if beside is not None:
            net.tell(beside, flood(at(node, "c"), MAX_IN_FLIGHT_MESSAGES))
            net.later[beside] = net.pool.submit(net.play, beside, at(node))
        try:
            time.sleep(seconds)  # this long pause is what the row is about
        finally:
            net.nodes.resume(node)
        seen = playing.result()
        again = wait_for(at(node), "", respond("again"), expects=TIMEOUT)
        until(lambda: net.tell(row, again)["outcome"] == "response")  # it heals
        assert (net.probe(row).address, TOLD) in net.requests(node, "b")
        return seen

    return play


def played_beside(net: Network, row: str) -> Observed:
    """Another row has played it."""
    return net.later[row].result()


def router_dead(net: Network, row: str) -> Observed:
    acquaint(net, row, HIDDEN)
    _kill_router(net)
    return net.play(row, at(HIDDEN))


def all_routers_dead(net: Network, row: str) -> Observed:
    acquaint(net, row, HIDDEN)
    _kill_router(net)  # the other one is dead already
    return net.play(row, at(HIDDEN))


def _kill_router(net: Network) -> None:
    # A node behind routers that still waits for an acknowledgement would dial the other one itself, without a router.
    until(lambda: not any(net.peer(*pair)["queued_messages"] for pair in ((HIDDEN, OUR), (OUR, HIDDEN))))
    router = str(net.peer(HIDDEN)["router"])
    assert router in ROUTERS
    net.nodes.kill(router)


def restarted_before_it_took_it(net: Network, row: str) -> Observed:
    """The node is killed and started again, with one row's messages on their way to it, and the other's taken."""
    after = "restarted after it took it"
    visit = wait_for(at(OUR, GATE), "", respond(), expects=TIMEOUT)
    taken = net.pool.submit(net.play, after, at(RESTARTS, "c"), visit, receive(), timeout=_TAKEN_TIMEOUT, arrives=True)
    net.later[after] = taken
    came_by(net, at(RESTARTS, "c"))  # behind the message: so that has arrived too (G4)
    net.nodes.pause(RESTARTS)
    playing = net.pool.submit(net.play, row, at(RESTARTS), arrives=False)
    until(lambda: int(net.peer(RESTARTS)["queued_messages"]) >= 2)
    port = net.nodes.endpoint(RESTARTS)[1]
    net.nodes.kill(RESTARTS)
    net.nodes.add(RESTARTS, replace(net.options[RESTARTS], port=port))
    return playing.result()


def came_by(net: Network, who: str) -> None:
    """Wait until `who` has asked the gate."""
    until(lambda: any(source == who for source, _ in net.requests(OUR, GATE)))


def answer_undeliverable(net: Network, row: str) -> Observed:
    """The row's process is the one who answers; the node that waits for the answer is killed."""
    answers = net.probe(row)
    net.targets[row] = at(RESTARTS)
    visit = wait_for(at(OUR, GATE), "", respond(), expects=TIMEOUT)
    steps = (on_returned(respond("again")), visit, receive_until("go"), respond("first"))
    net.ask(RESTARTS, "b", send(answers, "", *steps, expects=TIMEOUT), respond("sent"))
    came_by(net, answers.address)
    net.nodes.kill(RESTARTS)
    began = time.monotonic()
    net.ask(OUR, GATE, send(answers, "go"), respond("sent"))
    until(lambda: len(answers.seen("returned")) >= 1)
    after = time.monotonic() - began
    until(lambda: len(answers.seen("returned")) == 2)
    first, again = answers.seen("returned")
    assert (first.body, again.body) == ("first", "again")  # G15: the prompt was restored, or this had gone nowhere
    reasons = net.reasons(OUR, answers.address)
    return Observed(NOTHING, str(first.failure).capitalize(), reasons[:1], after)


# --- the registrar --------------------------------------------------------------------------------------------------


def registrar_down_record_kept(net: Network, row: str) -> Observed:
    with net.links.applied(Refusal(Where(THEIR))):
        net.links.cut(Where(THEIR))
        for node, other in ((OUR, THEIR), (THEIR, OUR)):
            until(lambda node=node, other=other: _apart(net.peer(other, node)))  # type: ignore[misc]
    wait([chain for name, chain in net.chains.items() if name not in (THEIR, PAUSES, REGISTRAR_NAME)])
    net.nodes.kill(REGISTRAR_NAME)
    net.registrar_killed.set()
    return net.play(row, at(THEIR))


def _apart(peer: dict[str, Any]) -> bool:
    return peer["state"] not in ("up", "connecting")


def registrar_down_no_record(net: Network, row: str) -> Observed:
    assert net.registrar_killed.wait(LIMIT)
    seen = net.play(row, at("unheard-of.nec"))
    for node in (OUR, THEIR):  # their logs say so when they have given it up
        until(lambda node=node: _apart(net.peer(REGISTRAR_NAME, node)))  # type: ignore[misc]
    return seen


# --- the message itself ---------------------------------------------------------------------------------------------


def target_may_not_use_the_network(net: Network, row: str) -> Observed:
    return net.play(row, at(THEIR, DEAF), timeout=_SHORT_TIMEOUT)


def no_such_process(net: Network, row: str) -> Observed:
    return net.play(row, at(THEIR, "nobody"), timeout=_SHORT_TIMEOUT)


def sender_may_not_use_the_network(net: Network, row: str) -> Observed:
    return net.play(row, at(THEIR))


def body_too_large(net: Network, row: str) -> Observed:
    return _sent(net, row, size=10 * _MIB + 1)


def blob_too_large(net: Network, row: str) -> Observed:
    return _sent(net, row, blob=blob(size=64 * _MIB + 1))


def message_too_large(net: Network, row: str) -> Observed:
    return _sent(net, row, size=10 * _MIB, metadata='"' + "x" * (_MIB - 2) + '"')


def _sent(net: Network, row: str, **more: Any) -> Observed:
    """What becomes of messages that are as `more` says."""
    net.targets[row] = target = at(PAUSES)
    began = time.monotonic()
    answer = net.tell(row, send(target, TOLD, context=TOLD, **more), wait_for(target, expects=TIMEOUT, **more))
    after = time.monotonic() - began
    if answer["outcome"] == "response":
        return replace(net.outcomes(row, False), after=after)
    assert answer["reason"] == "process ended", answer
    return Observed("the sender ends", after=after)


def queue_full(net: Network, row: str) -> Observed:
    """As many messages as are held for a node that does not answer, in the name of many processes of many packages."""
    acquaint(net, row, PAUSES)
    net.nodes.pause(PAUSES)
    try:
        for package in range(FLOODING_PACKAGES):
            for number in range(FLOODERS):
                body = json.dumps([flood(at(PAUSES, "c"), MAX_IN_FLIGHT_MESSAGES), respond("sent")])
                net.nodes.message(OUR, f"our@flood{number}:flood{package}:local", body, TIMEOUT)
        assert net.peer(PAUSES)["queued_messages"] == MAX_QUEUED_MESSAGES
        return net.play(row, at(PAUSES), arrives=False)
    finally:
        net.nodes.resume(PAUSES)


# --- all together ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Play:
    """How a row is played."""

    function: Callable[[Network, str], Observed]
    chain: str | None = None
    """Rows of one chain follow each other, in order; others are played beside it."""
    long: bool = False
    """It takes long: it is played by `make soak` alone."""


ROWS: dict[str, Play] = {
    "unknown name": Play(unknown_name),
    "registrar down, record kept": Play(registrar_down_record_kept, THEIR),
    "registrar down, no record": Play(registrar_down_no_record, REGISTRAR_NAME),
    "refused": Play(refused),
    "unreachable": Play(unreachable),
    "swallowed before the handshake": Play(swallowed_before_the_handshake),
    "swallowed after the handshake": Play(swallowed_after_the_handshake, THEIR, long=True),
    "reset": Play(reset, THEIR),
    "wrong key": Play(wrong_key),
    "older protocol": Play(older_protocol),
    "restarted before it took it": Play(restarted_before_it_took_it, RESTARTS),
    "restarted after it took it": Play(played_beside, RESTARTS),
    "paused for 3 s": Play(paused_for(3, THEIR), THEIR),
    "paused for 10 s": Play(paused_for(10, PAUSES, "too much of its own"), PAUSES),
    "paused for 60 s": Play(paused_for(60, RESTARTS), RESTARTS, long=True),
    "router dead": Play(router_dead, HIDDEN),
    "all routers dead": Play(all_routers_dead, HIDDEN),
    "target without networking": Play(target_may_not_use_the_network),
    MUTE: Play(sender_may_not_use_the_network),
    "no such process": Play(no_such_process),
    "answer undeliverable": Play(answer_undeliverable, RESTARTS),
    "body too large": Play(body_too_large),
    "blob too large": Play(blob_too_large),
    "message too large": Play(message_too_large),
    "too much of its own": Play(played_beside, PAUSES),
    QUEUE_FULL: Play(queue_full, PAUSES, long=True),
}
"""By the name on the page."""


def play_all(net: Network, names: list[str]) -> dict[str, Future[Observed]]:
    """Play these rows; what was seen of each, or how it failed."""
    links: dict[str, list[str]] = {}
    for name in sorted(names, key=_order):
        links.setdefault(ROWS[name].chain or name, []).append(name)
    # All are in the table before any is played: some wait for others.
    begin: Future[None] = Future()
    net.chains.update((chain, net.pool.submit(_play_chain, net, begin, rows)) for chain, rows in links.items())
    begin.set_result(None)
    seen = {name: each for chain in net.chains.values() for name, each in chain.result().items()}
    for name, each in seen.items():
        if each.exception() is None:
            net.read_logs(name, each.result())
    return seen


def _play_chain(net: Network, begin: Future[None], rows: list[str]) -> dict[str, Future[Observed]]:
    begin.result()
    played = {}
    for row in rows:
        played[row] = net.pool.submit(ROWS[row].function, net, row)
        wait([played[row]])
    return played


def _order(name: str) -> bool:
    """Rows that need the registrar come first."""
    return name.startswith("registrar")
