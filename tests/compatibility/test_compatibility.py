"""The page on compatibility is what guests of each interface find."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import pytest

from testnet.sim.programs import Programs
from tests.compatibility.all_guests import measure_all
from tests.compatibility.case import GENERATIONS, NOTHING, Any, Ask, Each, Play, Table, by
from tests.compatibility.guest import guests
from tests.compatibility.measure import TABLES, measure
from tests.compatibility.page import PAGE, Verdicts, page


@pytest.fixture(scope="module")
def programs() -> Programs:
    return Programs()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> dict[str, Verdicts]:
    return measure_all(tmp_path_factory.mktemp("guests"), programs)


def test_the_page_says_what_is_measured(measured: dict[str, Verdicts]) -> None:
    assert page(measured) == PAGE.read_text(), "run `make compatibility`"


def test_two_interfaces_of_one_generation_find_the_same(measured: dict[str, Verdicts]) -> None:
    assert measured["nectar-0.7.0"] == measured["kinode-0.7.0"]
    assert measured["kinode-1.0.0"] == measured["hyperware-1.0.0"]


def test_what_has_no_answer_is_followed_by_a_look_at_what_it_did() -> None:
    for table in TABLES:
        for case, following in zip_longest(table.cases, table.cases[1:]):
            if isinstance(case, Ask) and any(by(each, case.answer) is NOTHING for each in GENERATIONS):
                assert isinstance(following, Play), case.name


def test_another_answer_than_the_expected_one_is_not_support(tmp_path: Path, programs: Programs) -> None:
    wrong = Table(
        "wrong",
        "vfs:distro:sys",
        (
            Ask("another shape", {"path": "/$PKG/drive", "action": "CreateDrive"}, {"Ok": None}),
            Ask("another type", {"path": "/$PKG/drive", "action": "Metadata"}, {"Metadata": {"len": Any(str)}}),
            Ask("another blob", {"path": "/$PKG/pkg/manifest.json", "action": "Read"}, "Read", gets=b"other"),
            Ask("nobody", {}, Any(object), "nobody:tester:nobody.nec"),
            Ask("no answer", {}, NOTHING),
            Play("no effect of it", lambda guest: "nothing has happened"),
            Ask("unknown to C", Each("early", None), Any(object)),
            Play("another effect", lambda guest: "no effect"),
        ),
    )
    with guests(tmp_path, programs) as (*_, late):
        found = measure(late, (wrong,))
    came = {name: verdict for (_, name), verdict in found.items()}
    assert came == {
        "another shape": '"Ok"',
        "another type": '{"Metadata":{"file_type":"Directory","len":0,"modified":0}}',
        "another blob": "another blob",
        "nobody": "Timeout",
        "no answer": "nothing has happened",
        "no effect of it": "nothing has happened",
        "unknown to C": "—",
        "another effect": "no effect",
    }
