"""Guests in Rust and C++, compiled with their own standard libraries to components of WASI 0.2, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernel.contract.guest import Arrival, Failure
from nectar_node.storage import operations as ops
from testnet.sim.node import NodeSpec, SimNode
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.testnet.sim.ledger import lay_down

ME = "visitor:visitor:some.nec"
LANGUAGES = ("rust", "cpp")
PANICS = {"rust": "thread '<unnamed>' panicked at 'no bread', tests/guests/wasip2/visitor.rs:", "cpp": "no bread"}
REFUSED = {"rust": ("NotFound", "PermissionDenied"), "cpp": ("No such file or directory", "Operation not permitted")}


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def simulation(programs: Programs) -> Iterator[Simulation]:
    with closing(Simulation(1, programs)) as simulation:
        yield simulation


@pytest.fixture
def node(simulation: Simulation, language: str, tmp_path: Path) -> SimNode:
    return booted(simulation, language, tmp_path / language)


def booted(simulation: Simulation, language: str, folder: Path) -> SimNode:
    """A node that runs the guest."""
    node = simulation.boot_node(NodeSpec("a.nec", (lay_down(folder, f"wasip2/{language}.wasm", "visitor"),)))
    simulation.settle()
    return node


def outcome(node: SimNode, text: str, blob: bytes | None = None) -> Arrival | Failure:
    return node.ask(f"our@{ME}", text.encode(), 60, blob)


def ask(node: SimNode, text: str) -> str:
    answer = outcome(node, text)
    assert isinstance(answer, Arrival), (answer, node.shown_log[-3:])
    return answer.message.body.decode()


def test_it_receives_and_answers(node: SimNode) -> None:
    assert ask(node, "echo ü€😀") == "ü€😀"
    large = "x" * 1_000_000
    assert ask(node, f"echo {large}") == large
    assert ask(node, "nothing that it knows") == "what?"


def test_g11_it_loads_a_blob_and_gives_one_back(node: SimNode) -> None:
    blob = bytes(range(256)) * 4096
    answer = outcome(node, "echo with", blob)
    assert isinstance(answer, Arrival)
    assert answer.message.body == b"with"
    assert answer.blob is not None
    assert answer.blob.bytes == blob


def test_g9_it_waits_for_an_answer(node: SimNode, simulation: Simulation, tmp_path: Path, language: str) -> None:
    other = lay_down(tmp_path / "other", f"wasip2/{language}.wasm", "other")
    node.install(other)
    simulation.rest(2.0)
    assert ask(node, "ask other other some.nec echo there and back") == "there and back"
    assert ask(node, "ask nobody other some.nec echo") == "no answer"


def test_a_sleep_is_virtual_and_as_long_as_it_says(node: SimNode, simulation: Simulation) -> None:
    before = simulation.now
    assert ask(node, "sleep 12345") == "12345 ms"
    assert 12.345 <= simulation.now - before < 12.35


def test_g28_it_sees_neither_variables_nor_arguments(node: SimNode) -> None:
    assert ask(node, "env") in ("0 variables", "0 variables, 0 arguments")


def test_its_clock_is_that_of_the_simulation(node: SimNode, simulation: Simulation) -> None:
    assert abs(int(ask(node, "clock")) - simulation.wall_clock("a.nec") * 1e9) < 1e9
    first = int(ask(node, "clock"))
    simulation.rest(100.0)
    assert 100 <= (int(ask(node, "clock")) - first) / 1e9 < 100.1


def test_g28_it_writes_and_reads_files_of_its_packages_drive(node: SimNode, language: str) -> None:
    missing, _ = REFUSED[language]
    assert ask(node, "read /note.txt") == f"refused: {missing}"
    assert ask(node, "write /note.txt some text") == "9 bytes"
    assert ask(node, "write /more.txt " + "y" * 100_000) == "100000 bytes"
    assert ask(node, "read /note.txt") == "some text"
    assert ask(node, "read /more.txt") == "y" * 100_000
    assert ask(node, "list /") == "more.txt note.txt"
    assert ask(node, "remove /more.txt") == "removed"
    assert ask(node, "list /") == "note.txt"
    assert node.disk.get(ops.Location("a.nec/vfs", ("visitor:some.nec", "note.txt"))) == b"some text"


def test_g28_no_path_leads_out_of_its_drive(node: SimNode) -> None:
    for path in ("/../other:some.nec/note.txt", "../note.txt", "/a/../../note.txt"):
        assert ask(node, f"read {path}").startswith("refused: "), path
        assert ask(node, f"write {path} text").startswith("refused: "), path


def test_what_it_prints_is_in_the_log_with_its_name(node: SimNode) -> None:
    assert ask(node, "print bread and butter") == "printed"
    assert f"{ME}: bread and butter" in node.shown_log
    assert f"{ME}: BREAD AND BUTTER" in node.shown_log
    assert f"{ME}: a.nec@{ME} begins" in node.shown_log


def test_g23_a_panic_ends_it_alone_and_its_message_is_in_the_log(
    node: SimNode, simulation: Simulation, language: str
) -> None:
    answer = outcome(node, "panic no bread")
    assert isinstance(answer, Failure)
    assert any(line.startswith(f"{ME}: {PANICS[language]}") for line in node.shown_log), node.shown_log
    simulation.rest(2.0)
    assert ask(node, "echo again") == "again", "it has been started again"


def test_g23_it_ends_alone_when_it_leaves(node: SimNode, simulation: Simulation) -> None:
    assert isinstance(outcome(node, "exit 3"), Failure)
    simulation.rest(2.0)
    assert ask(node, "echo again") == "again"


def told(language: str, folder: Path, seed: int = 1) -> tuple[list[str], list[str]]:
    """What such a guest tells and answers, in a run of its own."""
    with closing(Simulation(seed, Programs())) as simulation:
        node = booted(simulation, language, folder)
        words = ("random", "clock", "sleep 1500", "write /a b", "list /", "random", "panic p", "random", "print q")
        answers = []
        for text in words:
            answers.append(outcome(node, text))
            simulation.rest(2.0)
        bodies = [each.message.body.decode() if isinstance(each, Arrival) else "failed" for each in answers]
        return bodies, [*simulation.journal, *node.shown_log]


def test_the_same_seed_gives_the_same_journal_and_another_seed_other_numbers(language: str, tmp_path: Path) -> None:
    first, again, other = (told(language, tmp_path / f"{n}", seed) for n, seed in enumerate((1, 1, 2)))
    assert first == again
    numbers, others = ([number for n in (0, 5, 7) for number in run[0][n].split()] for run in (first, other))
    assert len({*numbers, *others}) == 2 * len(numbers) == 12, "each number is another, after a new start as well"
