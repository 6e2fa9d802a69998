"""Links between hosts of their own: what pulls a cable, and when it is plugged in again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from testnet.faults.black_hole import BlackHole
from testnet.faults.partition import Partition
from testnet.faults.stall import Stall
from testnet.model.rule import Fault
from testnet.model.where import Where
from testnet.real.links.hosts import HostLinks, cut_off, run_host_links
from testnet.real.nodes import namespaces

A, B = "a.nec", "b.nec"


@pytest.mark.parametrize(
    ("fault", "node"),
    [
        (Partition(Where(A)), A),
        (Partition(Where(target=A)), A),
        (Partition(Where(A, both=False)), None),
        (Partition(Where(A, B)), None),
        (Partition(), None),
        (BlackHole(Where(A)), A),
        (Stall(Where(A)), None),
    ],
)
def test_what_is_gone_between_one_node_and_all_others_is_a_cable_that_is_pulled(fault: Fault, node: str | None) -> None:
    assert cut_off(fault) == node


@pytest.fixture
def links() -> Iterator[HostLinks]:
    if (why := namespaces.unavailable()) is not None:
        pytest.skip(why)
    with run_host_links() as links:
        yield links


def is_up(links: HostLinks, name: str) -> bool:
    """Whether the cable of a host is plugged in, as the host sees it."""
    command = [*links.hosts.command(name), "cat", "/sys/class/net/eth0/carrier"]
    return subprocess.run(command, capture_output=True, check=True).stdout == b"1\n"


def test_faults_that_pull_a_cable_hold_until_the_last_of_them_and_are_numbered_with_others(links: HostLinks) -> None:
    for name in (A, B):
        links.connect(name)
    first, second = links.apply(Partition(Where(A))), links.apply(Partition(Where(A)))
    assert (is_up(links, A), is_up(links, B)) == (False, True)
    links.remove(first)
    assert not is_up(links, A)
    links.remove(second)
    assert is_up(links, A)
    faults = (Partition(Where(A)), Stall(Where(A)), Partition(Where(A)))
    assert [links.apply(fault) for fault in faults] == [3, 4, 5]


def test_each_node_has_a_host_and_a_front_of_its_own(links: HostLinks) -> None:
    one, other = links.connect(A), links.connect(B)
    assert len({one.host, other.host, one.front[0], other.front[0]}) == 4
    assert one.prefix == tuple(links.hosts.command(A))
    assert links.connect(A) == one
