"""Each row in virtual time: whole node cores, real guests, real Noise; links without delay, so that times are exact."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

import net.session.outbox
from kernel.contract import limits
from kernel.contract.address import Address
from kernel.router.trace import TraceStep
from testnet.faults.no_route import NoRoute
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.refusal import Refusal
from testnet.model.rule import Fault
from testnet.model.where import Where
from testnet.sim.simulation import REGISTRAR, LinkBehaviour, SimNode
from tests.conformance.lab import OUR, THEIR, SimLab, SimProbe
from tests.conformance.steps import Step, blob, flood, on_returned, receive, receive_until, respond, send, wait_for
from tests.failures.page import NOTHING, Observed

_ROUTERS = ("left.nec", "right.nec")
NO_DELAY = LinkBehaviour(0.0, 0.0)
TIMEOUT = 60
"""Seconds that a request gives its answer."""
_HORIZON = 100
"""Seconds after which nothing more is to come."""
_TRACE = "trace"
_ASKED, _TOLD = "asked", "told"
_SOURCES = ("net: ", "kernel: ", "a:probes:sys: ended")
_REGISTRAR = re.compile(REGISTRAR + "|registration|[Tt]he registrar ")
_MIB = 1 << 20


@dataclass(slots=True)
class Scene:
    """A probe that asks and tells, its target, and what their nodes had logged before."""

    lab: SimLab
    sender: SimProbe
    target: str
    at: float = 0.0
    registrar: bool = False
    """Whether what the logs say of the registrar is of interest."""
    marks: dict[str, int] = field(default_factory=dict)


def acquainted(lab: SimLab, **more: bool) -> Scene:
    """Both nodes have a session, and all that they said of it is in the past."""
    scene = strangers(lab, **more)
    lab.probe("early").tell(send(scene.target, "early"))
    _mark(scene)
    return scene


def strangers(lab: SimLab, *, sender_networks: bool = True, target_networks: bool = True) -> Scene:
    """Both nodes know the registrar alone."""
    a = lab.probe("a", network=sender_networks)
    b = lab.probe("b", far=True, network=target_networks)
    scene = Scene(lab, a, b.address)
    _mark(scene)
    return scene


def known_by_name(lab: SimLab) -> Scene:
    """The first node has the other's record; they have no session."""
    scene = strangers(lab)
    lab.our.core.network.look_up(THEIR, lab.now)
    lab.our.go_on()
    lab.rest()
    assert lab.our.core.network.record(THEIR) is not None
    _mark(scene)
    return scene


def _mark(scene: Scene) -> None:
    scene.lab.our.core.trace(Address.parse(scene.sender.address), _TRACE)
    scene.lab.our.traced.clear()
    scene.marks = {name: len(node.shown_log) for name, node in scene.lab.simulation.nodes.items()}


def _said(scene: Scene, node: SimNode) -> list[str]:
    """What the node has logged since, of the two nodes and their messages; but not how often it would have said so."""
    lines = [line for line in node.shown_log[scene.marks.get(node.name, 0) :] if ": … " not in line]
    return [line for line in lines if line.startswith(_SOURCES) and (scene.registrar or not _REGISTRAR.search(line))]


def begin(scene: Scene, *steps: Step, **more: Any) -> None:
    """Send one message that wants no answer, and one request for which the target does `steps`."""
    asks = send(scene.target, "", *(steps or (respond(),)), expects=TIMEOUT, context=_ASKED)
    scene.at = scene.sender.begin(send(scene.target, _TOLD, context=_TOLD, **more), asks)


def observe(scene: Scene, target: SimNode | None = None) -> Observed:
    """Let everything happen that is to happen; what was seen."""
    lab = scene.lab
    lab.until(scene.at + _HORIZON)
    outcomes = [each for each in scene.sender.seen() if each.kind in ("error", "response")]
    asked = [each for each in outcomes if each.context == _ASKED]
    told = [each for each in outcomes if each.context == _TOLD]
    assert len(asked) == 1, asked  # G5
    assert len(told) <= 1, told
    assert asked[0].at is not None
    there = f" {scene.target.partition('@')[0]} log "
    arrived = any(there in line and f'"body":"{_TOLD}"' in line for line in lab.simulation.journal)
    steps = [each.record for each in lab.our.traced if each.record.expects]
    return Observed(
        str(asked[0].failure).capitalize() if asked[0].failure else "answer",
        str(told[0].failure).capitalize() if told else "arrives" if arrived else "nothing",
        _reasons(lab.our, scene.sender),
        asked[0].at - scene.at,
        tuple(step.reason for step in steps if step.step is TraceStep.FAILED),
        any(step.step is TraceStep.ARRIVED for step in steps),
        TIMEOUT,
        _said(scene, lab.our),
        _said(scene, target or lab.other),
    )


def _reasons(node: SimNode, sender: SimProbe) -> tuple[str, ...]:
    return tuple(
        each.reason.value for each in node.core.dead_letters.latest if str(each.envelope.source) == sender.address
    )


# --- the rows -------------------------------------------------------------------------------------------------------


def unknown_name(lab: SimLab) -> Observed:
    scene = strangers(lab)
    scene.target = "nobody.nec@b:probes:sys"
    begin(scene)
    return observe(scene)


def meeting(meet: Callable[[SimLab], Scene], fault: Fault | None = None) -> Callable[[SimLab], Observed]:
    """Who meets so speaks while the fault holds."""

    def row(lab: SimLab) -> Observed:
        scene = meet(lab)
        with lab.simulation.apply(fault) if fault is not None else nullcontext():
            begin(scene)
            return observe(scene)

    return row


def without_registrar(meet: Callable[[SimLab], Scene]) -> Callable[[SimLab], Observed]:
    """The registrar crashes when they have met."""

    def row(lab: SimLab) -> Observed:
        scene = meet(lab)
        scene.registrar = True
        lab.simulation.crash(REGISTRAR)
        lab.rest(9)
        begin(scene)
        return observe(scene)

    return row


def refused(lab: SimLab) -> Observed:
    scene = strangers(lab)
    lab.simulation.crash(THEIR)
    begin(scene)
    return observe(scene)


def swallowed_after_the_handshake(lab: SimLab) -> Observed:
    scene = acquainted(lab)
    begin_at_silence(scene)
    with lab.simulation.apply(Partition(Where(THEIR))):
        begin(scene)
        return observe(scene)


def begin_at_silence(scene: Scene) -> None:
    """Make both sides hear each other now, so that silence counts from here."""
    scene.lab.probe("early").begin(send(scene.target, "now"))
    scene.lab.simulation.rest(0.0)


def reset(lab: SimLab) -> Observed:
    scene = acquainted(lab)
    lab.cut()
    begin(scene)
    return observe(scene)


def wrong_key(lab: SimLab) -> Observed:
    scene = strangers(lab)
    lab.replace_by_impostor(THEIR)
    lab.rest()
    begin(scene)
    return observe(scene, lab.simulation.nodes[THEIR])


def older_protocol(lab: SimLab) -> Observed:
    scene = strangers(lab)
    lab.simulation.restart(THEIR, version=0)
    lab.rest()
    _mark(scene)
    begin(scene)
    return observe(scene, lab.simulation.nodes[THEIR])


def restarted_before_it_took_it(lab: SimLab) -> Observed:
    scene = acquainted(lab)
    with lab.simulation.apply(Pause(THEIR)):
        begin(scene)
        lab.simulation.restart(THEIR)
    return observe(scene, lab.simulation.nodes[THEIR])


def restarted_after_it_took_it(lab: SimLab) -> Observed:
    scene = acquainted(lab)
    begin(scene, receive())
    lab.until(lab.now + 1)
    lab.simulation.restart(THEIR)
    return observe(scene, lab.simulation.nodes[THEIR])


def paused_for(seconds: int) -> Callable[[SimLab], Observed]:
    def row(lab: SimLab) -> Observed:
        scene = acquainted(lab)
        begin_at_silence(scene)
        with lab.simulation.apply(Pause(THEIR)):
            begin(scene)
            lab.until(scene.at + seconds)
        return observe(scene)

    return row


def behind_routers(lab: SimLab) -> Scene:
    """The target's node is reached through two routers; both nodes have a session through one of them."""
    for router in _ROUTERS:
        lab.simulation.add(router)
    lab.simulation.settle()
    lab.nodes.append(lab.simulation.add("hidden.nec", routers=_ROUTERS))
    lab.simulation.settle()
    lab.rest()
    return acquainted(lab)


def router_dead(lab: SimLab) -> Observed:
    scene = behind_routers(lab)
    (router,) = (peer.router for peer in lab.our.core.network.peers() if peer.name == lab.other.name)
    assert router in _ROUTERS
    lab.simulation.crash(router)
    begin(scene)
    return observe(scene)


def all_routers_dead(lab: SimLab) -> Observed:
    scene = behind_routers(lab)
    for router in _ROUTERS:
        lab.simulation.crash(router)
    begin(scene)
    return observe(scene)


def no_such_process(lab: SimLab) -> Observed:
    scene = acquainted(lab)
    scene.target = f"{THEIR}@nobody:probes:sys"
    begin(scene)
    return observe(scene)


def answer_undeliverable(lab: SimLab) -> Observed:
    """The sender is the one who answers."""
    a, b = lab.probe("a"), lab.probe("b", far=True)
    retry: tuple[Step, ...] = (wait_for("our@timer:distro:sys", '{"SetTimer": 20000}', expects=40), respond("again"))
    scene = Scene(lab, b, a.address)
    a.tell(send(b, "", on_returned(*retry), receive_until("go"), respond("first"), expects=200))
    _mark(scene)
    with lab.simulation.apply(Refusal(Where(OUR))):
        lab.cut()
        b.inject(b"go")
        b.node.go_on()
        scene.at = lab.now
        lab.until(lab.now + 15)
        (returned,) = b.seen("returned")
        assert returned.body == "first"
        assert returned.at is not None
        seen = Observed(
            message=(returned.failure or "").capitalize(),
            reasons=_reasons(b.node, b),
            after=returned.at - scene.at,
            sender_log=_said(scene, b.node),
            target_log=_said(scene, a.node),
        )
    lab.until(lab.now + 60)
    assert a.bodies("response") == ["again"]  # G15: the prompt was restored
    return seen


def too_large_together(lab: SimLab) -> Observed:
    scene = acquainted(lab)
    asks = send(scene.target, size=10 * _MIB, metadata=_text(_MIB), expects=TIMEOUT, context=_ASKED)
    tells = send(scene.target, size=10 * _MIB, metadata=_text(_MIB), context=_TOLD)
    scene.at = scene.sender.begin(tells, asks)
    return observe(scene)


def _text(size: int) -> str:
    return '"' + "x" * (size - 2) + '"'


def too_much_of_its_own(lab: SimLab) -> Observed:
    """The sender has as much on its way to other nodes as it may have; the target takes it after ten seconds."""
    scene = acquainted(lab)
    with lab.simulation.apply(Pause(THEIR)):
        scene.sender.begin(flood(scene.target, limits.MAX_IN_FLIGHT_MESSAGES))
        begin(scene)
        lab.until(scene.at + 10)
    return observe(scene)


def queue_full(lab: SimLab) -> Observed:
    scene = acquainted(lab)
    with pytest.MonkeyPatch.context() as patch, lab.simulation.apply(Pause(THEIR)):
        patch.setattr(net.session.outbox, "MAX_QUEUED_MESSAGES", 3)
        lab.probe("early").begin(*(send(scene.target, str(number)) for number in range(3)))
        begin(scene)
        lab.until(lab.now + 1)
    return observe(scene)


def body_too_large(lab: SimLab) -> Observed:
    return _trapped(lab, size=10 * _MIB + 1)


def blob_too_large(lab: SimLab) -> Observed:
    return _trapped(lab, blob=blob(size=64 * _MIB + 1))


def _trapped(lab: SimLab, **more: Any) -> Observed:
    scene = acquainted(lab)
    scene.sender.tell(send(scene.target, context=_TOLD, **more))
    end = NOTHING if scene.sender.running else "the sender ends"
    return Observed(end, sender_log=_said(scene, lab.our), target_log=_said(scene, lab.other))


ROWS: dict[str, Callable[[SimLab], Observed]] = {
    "unknown name": unknown_name,
    "registrar down, record kept": without_registrar(known_by_name),
    "registrar down, no record": without_registrar(strangers),
    "refused": refused,
    "unreachable": meeting(strangers, NoRoute(Where(THEIR))),
    "swallowed before the handshake": meeting(strangers, Partition(Where(THEIR))),
    "swallowed after the handshake": swallowed_after_the_handshake,
    "reset": reset,
    "wrong key": wrong_key,
    "older protocol": older_protocol,
    "restarted before it took it": restarted_before_it_took_it,
    "restarted after it took it": restarted_after_it_took_it,
    "paused for 3 s": paused_for(3),
    "paused for 10 s": paused_for(10),
    "paused for 60 s": paused_for(60),
    "router dead": router_dead,
    "all routers dead": all_routers_dead,
    "target without networking": meeting(partial(acquainted, target_networks=False)),
    "sender without networking": meeting(partial(acquainted, sender_networks=False)),
    "no such process": no_such_process,
    "answer undeliverable": answer_undeliverable,
    "body too large": body_too_large,
    "blob too large": blob_too_large,
    "message too large": too_large_together,
    "too much of its own": too_much_of_its_own,
    "queue full": queue_full,
}
"""By the name on the page."""
