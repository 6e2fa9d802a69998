"""The resources of a simulated node that others occupy, and that are free again when they have gone."""

from __future__ import annotations

from net.session.peer_status import PeerState
from testnet.model.hostile_names import is_hostile
from testnet.model.lab import NodeHolding
from testnet.sim.names import REGISTRAR
from testnet.sim.node import SimNode


def holding(node: SimNode) -> NodeHolding:
    """Return the figures of the node's net and kernel; `memory` is the sum of all bytes in them."""
    net, kernel = node.core.network.statistics(), node.core.kernel
    mailboxes = [process.mailbox for process in kernel.processes.values()]
    waiting = sum(mailbox.bytes for mailbox in mailboxes)
    strangers = [peer for peer in node.core.network.peers() if is_hostile(peer.name)]
    counts = {
        "connections": net["connections"],
        "live sessions": net["live"],
        "live sessions with hostile peers": sum(peer.state is PeerState.UP for peer in strangers),
        "messages for others": net["outgoing_messages"],
        "bytes for others": net["outgoing_bytes"],
        "bytes of others": net["incoming_bytes"],
        "places": net["places"],
        "circuits": net["circuits"],
        "messages in flight": kernel.statistics()["abroad"],
        "accounted bytes": node.core.memory.used,
        "processes": len(kernel.processes),
        "messages in inboxes": sum(map(len, mailboxes)),
    }
    if node.name == REGISTRAR:
        counts["names"] = len(node.core.network.records())
    held = net["outgoing_bytes"] + net["incoming_bytes"] + waiting
    return NodeHolding(held, node.core.memory.capacity, counts)
