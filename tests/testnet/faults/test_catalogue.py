"""Faults by kind and parameters: what is taken, what is refused and with which sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from testnet.faults import FAULTS
from testnet.faults.bandwidth import Bandwidth
from testnet.faults.bit_flips import BitFlips
from testnet.faults.catalogue import RESERVED, about, find, kind_of, make, parameter_names, parameters
from testnet.faults.crash import Crash
from testnet.faults.latency import Latency
from testnet.faults.partition import Partition
from testnet.faults.reset import ConnectionReset
from testnet.model.fields import nodes_of
from testnet.model.rule import Fault, LinkFault, NodeFault
from testnet.model.where import ANY, Where
from tests.testnet.faults.events import A, B
from tests.testnet.faults.kinds import NEEDED

OWN = '''
from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from testnet.model.rule import PASS, Delay, Event, Verdict


@dataclass(frozen=True, slots=True)
class Late:
    """Everything from one node is late."""

    node: str
    seconds: float = 1.0
    _seen: list[int] = field(default_factory=list, init=False, compare=False)

    def judge(self, event: Event, chance: Random) -> Verdict:
        return Delay(self.seconds) if event.link.source == self.node else PASS

    def words(self) -> str:
        return f"{self.node} is late"
'''


def refusal(kind: str, given: dict[str, object], folder: Path = Path()) -> str:
    with pytest.raises(BadInput) as refused:
        make(kind, given, folder)
    return str(refused.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_is_made_of_what_is_written_of_it(kind: str) -> None:
    fault = make(kind, NEEDED.get(kind, {}))
    written = json.loads(json.dumps(parameters(fault)))
    assert kind_of(fault) == kind
    assert make(kind, written) == fault
    assert set(written) <= set(parameter_names(FAULTS[kind]))


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_says_what_it_does_in_a_line(kind: str) -> None:
    fault = make(kind, NEEDED.get(kind, {}))
    assert about(FAULTS[kind]).endswith(".")
    assert len(about(FAULTS[kind])) <= 120
    assert fault.words()
    assert isinstance(fault, LinkFault | NodeFault)
    assert not set(RESERVED) & set(parameter_names(FAULTS[kind]))


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_names_the_nodes_that_its_parameters_name(kind: str) -> None:
    if "between" in parameter_names(FAULTS[kind]):
        given = {**NEEDED.get(kind, {}), "between": [A, B]}
        assert nodes_of(make(kind, given)) == (A, B)
    else:
        assert len(nodes_of(make(kind, NEEDED.get(kind, {})))) == 1


@pytest.mark.parametrize(
    ("fault", "written"),
    [
        (Partition(Where(A, B)), {"between": [A, B]}),
        (Partition(Where(A, B, both=False)), {"source": A, "target": B}),
        (Partition(Where(A, ANY)), {"node": A}),
        (Partition(), {}),
        (Latency(1.0, 0.5, Where(A)), {"seconds": 1.0, "jitter": 0.5, "node": A}),
        (ConnectionReset(byte=7), {"probability": 1.0, "byte": 7}),
        (Crash(A), {"node": A}),
    ],
)
def test_parameters_are_written_in_full(fault: Fault, written: dict[str, object]) -> None:
    assert parameters(fault) == written


def test_values_are_taken_as_what_they_mean() -> None:
    assert make("latency", {"seconds": 2}) == Latency(2.0)
    assert make("reset", {"byte": None}) == ConnectionReset()
    assert make("bandwidth", {"bytes_per_second": 5}) == Bandwidth(5.0)
    assert find("bit_flips") is BitFlips


@pytest.mark.parametrize(
    ("kind", "given", "sentence"),
    [
        ("latency", {"seconds": -1}, "latency: seconds must be at least 0, and not -1."),
        ("latency", {"seconds": float("nan")}, "latency: seconds must be a number, and not nan."),
        ("latency", {"seconds": float("inf")}, "latency: seconds must be a number, and not inf."),
        ("latency", {"seconds": 10**400}, f"latency: seconds must be a number, and not 1{'0' * 59}…."),
        ("latency", {"seconds": "1"}, "latency: seconds must be a number, and not '1'."),
        ("latency", {"seconds": True}, "latency: seconds must be a number, and not True."),
        ("bit_flips", {"probability": 1.5}, "bit_flips: probability must be from 0 to 1, and not 1.5."),
        ("bit_flips", {"probability": -0.1}, "bit_flips: probability must be from 0 to 1, and not -0.1."),
        ("bit_flips", {"each": "bit"}, "bit_flips: each must be 'byte' or 'piece', and not 'bit'."),
        ("bit_flips", {"each": []}, "bit_flips: each must be 'byte' or 'piece', and not []."),
        ("bandwidth", {"bytes_per_second": 0}, "bandwidth: bytes_per_second must be at least 1, and not 0."),
        ("reset", {"byte": 1.5}, "reset: byte must be a whole number, and not 1.5."),
        ("reset", {"byte": -1}, "reset: byte must be at least 0, and not -1."),
        ("reset", {"byte": False}, "reset: byte must be a whole number, and not False."),
        ("crash", {"node": "A"}, "crash: node must be a node's name, such as a.nec, and not 'A'."),
        ("crash", {"node": ["a.nec"]}, "crash: node must be a text, and not ['a.nec']."),
        ("crash", {}, "crash needs the parameter 'node'; it has node."),
        ("pause", {"node": A, "seconds": 1}, "pause has no parameter 'seconds'; it has node."),
        (
            "bandwidth",
            {"between": [A, B]},
            "bandwidth needs the parameter 'bytes_per_second'; it has bytes_per_second, between, node, source, target.",
        ),
        ("stall", {"where": A}, "stall has no parameter 'where'; it has byte, between, node, source, target."),
        ("bandwidth", {"_free_at": {}}, "bandwidth has no parameter '_free_at'; "),
        ("partitoin", {}, "There is no fault 'partitoin'; did you mean partition? There are bandwidth, bit_flips, "),
        ("x" * 4096, {}, f"There is no fault '{'x' * 60}…'. There are bandwidth, bit_flips, "),
        ("x" * 4097, {}, "A kind of 4097 characters is too long: 4096 are the most."),
        ("\0.py:Late", {}, "'\\x00.py' is not a file: embedded null byte."),
        ("latency", {"seconds": 16**5000}, "latency: seconds must be a number, and not a number of too many digits."),
        ("reset", {"byte": [16**5000]}, "reset: byte must be a whole number, and not a number of too many digits."),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(kind: str, given: dict[str, object], sentence: str) -> None:
    said = refusal(kind, given)
    assert said.startswith(sentence)
    assert said.count("\n") == 0


def test_an_unknown_kind_hears_of_all_that_exist_and_of_its_own() -> None:
    said = refusal("no", {})
    assert all(kind in said for kind in FAULTS)
    assert said.endswith("and path/to/file.py:Class for one of your own.")


# --- of a user's own ------------------------------------------------------------------------------------------------


def test_a_fault_of_ones_own_is_named_by_its_file_and_class_from_where_one_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make("own.py:Late", {"node": A}, file.parent) == make(f"{file}:Late", {"node": A})
    kind = f"{file.resolve()}:Late"
    fault = make(kind, {"node": A, "seconds": 2})
    assert fault.words() == "a.nec is late"
    assert kind_of(fault) == kind
    assert make(kind, parameters(fault)) == fault
    file.write_text(OWN.replace("is late", "is very late"))
    assert make(f"{file}:Late", {"node": A}).words() == "a.nec is very late"
    assert refusal(f"{file}:Late", {}) == f"{file}:Late needs the parameter 'node'; it has node, seconds."
    assert refusal(f"{file}:Late", {"node": 1}) == f"{file}:Late: node must be a text, and not 1."
    monkeypatch.chdir(file.parent)
    assert kind_of(make("own.py:Late", {"node": A})) == kind


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("class Late", "class Early", "{file} has no class 'Late'; it has Early."),
        ("@dataclass(frozen=True, slots=True)", "", "{kind} is not a fault: it must be a dataclass."),
        ("def words", "def word", "{kind} is not a fault: it has no words."),
        (
            "def judge",
            "def begin",
            "{kind} is not a fault: it needs judge(event, chance), or begin(nodes) and end(nodes).",
        ),
        (
            "seconds: float = 1.0",
            "seconds: complex = 1j",
            "{kind} is not a fault: a schedule cannot hold the type of its field seconds: "
            "use str, int, float, bool, a Literal or a Where.",
        ),
        (
            "seconds: float = 1.0",
            "at: float = 1.0",
            "{kind} is not a fault: no field can be called at, because that is when it happens.",
        ),
        (
            "seconds: float = 1.0",
            "seconds: Flaot = 1.0",
            "{kind} is not a fault: the types of its fields cannot be read (name 'Flaot' is not defined).",
        ),
        ("import PASS", "import PASSED", "{file} cannot be loaded: line 7: ImportError: cannot import name 'PASSED'"),
        ("class Late:", "class Late", "{file} cannot be loaded: line 11: expected ':'."),
        ("@dataclass(frozen", "raise SystemExit('no')\n@dataclass(frozen", "{file} cannot be loaded: line 10: SystemE"),
    ],
)
def test_a_file_that_holds_no_fault_is_refused_in_one_sentence(file: Path, old: str, new: str, sentence: str) -> None:
    assert old in OWN
    file.write_text(OWN.replace(old, new))
    kind = f"{file.resolve()}:Late"
    said = refusal(kind, {"node": A})
    assert said.startswith(sentence.format(file=file, kind=kind))
    assert said.count("\n") == 0


def test_a_where_leaves_no_room_for_fields_of_its_parameters(file: Path) -> None:
    file.write_text(
        OWN.replace("    node: str\n", "    node: str\n    where: Where = Where()\n").replace(
            "\n\n@data", "\nfrom testnet.model.where import Where\n\n@data", 1
        )
    )
    assert refusal(f"{file}:Late", {}).endswith("with a Where, no field can be called node.")


def test_what_a_class_of_ones_own_raises_is_a_sentence(file: Path) -> None:
    check = "    def __post_init__(self) -> None:\n        raise ValueError('not today')\n\n    def words"
    file.write_text(OWN.replace("    def words", check))
    assert refusal(f"{file}:Late", {"node": A}) == f"{file}:Late does not take these parameters: not today"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "def words(self) -> str:",
            "def words(self) -> str:\n        return 1",
            "its words() must give a text, and not 1",
        ),
        ("def words(self) -> str:", "def words(self) -> str:\n        raise KeyError", "cannot be described: KeyError"),
    ],
)
def test_who_cannot_say_what_it_does_is_refused(file: Path, old: str, new: str, sentence: str) -> None:
    file.write_text(OWN.replace(old, new))
    assert sentence in refusal(f"{file}:Late", {"node": A})


def test_a_file_must_be_there_and_pythons(tmp_path: Path) -> None:
    missing = tmp_path / "no.py"
    assert refusal(f"{missing}:Late", {}) == f"{missing} cannot be read: No such file or directory."
    text = tmp_path / "own.txt"
    text.write_text(OWN)
    assert refusal(f"{text}:Late", {}) == f"{text} is not a Python file: its name must end with .py."


def test_a_class_within_a_function_has_no_name() -> None:
    class Inner:
        names = ()

        def words(self) -> str:
            return "looks like a fault"

    with pytest.raises(BadInput, match="its class must stand by itself in a file"):
        kind_of(Inner())
