"""What is on the screen of `nectar testnet watch`."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from testnet.watch.figures import ErrorFigures, Figures, LinkFigures, NodeFigures
from testnet.watch.screen import screen, share, short
from testnet.watch.snapshot import COUNTS, Letter, LinksLook, NodeLook, NodeState, Snapshot

COUNTED = dict.fromkeys(COUNTS, 1234567)
LATELY = dict.fromkeys(COUNTS, 4321)


def node(number: int, state: NodeState = NodeState.RUNNING) -> NodeFigures:
    running = state is NodeState.RUNNING
    counts = COUNTED if running else {}
    look = NodeLook(0.0, f"node{number}.nec", state, 12345, counts=counts, peers=("x.nec",) * 5)
    return NodeFigures(look, 3600.0, not running, 100.0 * number if running else None, LATELY if running else {})


def link(number: int) -> LinkFigures:
    return LinkFigures(
        (f"node{number}.nec", "z.nec"), 2.0**number, 0.0, 1 << number, 1, 7, 7, ("latency",) * (number % 2)
    )


def figures(nodes: int = 3, links: int = 3, faults: int = 2, letters: int = 2, down: int = 0) -> Figures:
    rows = tuple({"number": each, "words": f"pause node{each}.nec", "left": 3.2} for each in range(faults))
    states = [NodeState.DOWN if each < down else NodeState.RUNNING for each in range(nodes)]
    picture = Snapshot(0.0, links=LinksLook(0.0, "running", faults=rows))
    letter = Letter("2026-01-01T00:00:00", "a.nec", "a.nec@p:q:r", "b.nec@p:q:r", "connection lost")
    return Figures(
        picture,
        tuple(node(each, state) for each, state in enumerate(states)),
        tuple(map(link, range(links))),
        (ErrorFigures(letter, 3),) * letters,
    )


def shown(what: Figures, width: int = 80, height: int | None = 24, folder: str = ".nectar") -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height or 100, highlight=False)
    console.print(screen(what, folder, width, height))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@given(st.integers(1, 60), st.lists(st.tuples(st.integers(1, 40), st.integers(1, 9)), min_size=1, max_size=5))
def test_no_more_lines_are_shared_out_than_there_are_and_none_is_left_that_somebody_wants(
    room: int, sections: list[tuple[int, int]]
) -> None:
    wanted = [want for want, _ in sections]
    given = share(room, wanted, [least for _, least in sections])
    assert sum(given) == min(room, sum(wanted))
    assert all(lines <= want for lines, want in zip(given, wanted, strict=True))


def test_each_section_has_its_least_before_any_has_more() -> None:
    assert share(12, [20, 20, 20], [6, 3, 2]) == [7, 3, 2]
    assert share(15, [2, 20, 20], [6, 3, 2]) == [2, 7, 6]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 50), (40, 10), (20, 5)])
@pytest.mark.parametrize("nodes", [1, 4, 11, 60])
def test_it_fits_whatever_there_is(width: int, height: int, nodes: int) -> None:
    lines = shown(figures(nodes, 3 * nodes, nodes, nodes, nodes // 2), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_what_does_not_fit_is_counted_and_where_all_fits_it_is_complete() -> None:
    lines = shown(figures())
    assert not [line for line in lines if "…" in line or "more" in line]
    assert lines[1].split() == ["NODE", "STATE", "SINCE", "PEERS", "MSG/S", "ANSWERED", "OFFLINE", "TIMEOUT"]
    assert lines[2].split()[:3] == ["node0.nec", "running", "1:00:00"]
    lines = shown(figures(nodes=5, down=0), 120, 40)
    assert [line.split()[0] for line in lines[2:7]] == [f"node{number}.nec" for number in range(5)]
    lines = shown(figures(nodes=70, links=50), height=None)
    assert not [line for line in lines if "more" in line]
    lines = shown(figures(nodes=40, down=2))
    names = [line.split()[0] for line in lines if line.startswith("node") and "⇄" not in line]
    assert names[:3] == ["node0.nec", "node1.nec", "node21.nec"]  # those from 2048 a second on are about as busy
    assert f"and {40 - len(names)} more" in lines


def test_faults_are_in_words_with_their_end() -> None:
    assert "    1  pause node1.nec  in 3.2 s" in shown(figures())


def test_a_testnet_that_has_gone_down_says_what_to_do() -> None:
    title = shown(figures(nodes=2, down=2, faults=0))[0]
    assert title.startswith(".nectar: 2 down; `nectar testnet up` starts it")
    elsewhere = shown(figures(nodes=2, down=2, faults=0), 120, folder="/mine")[0]
    assert elsewhere.startswith("/mine: 2 down; `nectar testnet up --dir /mine` starts it")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999.4, "999"),
        (999.6, "1.0k"),
        (12_345, "12.3k"),
        (99_960, "100k"),
        (999_600, "1.0M"),
        (5e13, "50000G"),
    ],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert short(number) == text
