"""The plugin beside other plugins, and with real nodes, which end with their tests whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nectar_node.launcher.local_network import LocalNetwork
from testnet.journal.journal import read_journal_untrusted
from testnet.real.nodes.namespaces import unavailable
from tests.testnet.plugin_runs import QUIET, REPEAT, printed, run, seeds_of
from tests.waiting import until

pytest_plugins = ("pytester",)


# --- with others ----------------------------------------------------------------------------------------------------


REAL = """
        def test_real(testnet):
            testnet.boot()
            assert testnet.lab.running("registrar.nec")
"""


@pytest.mark.parametrize("real", ["", pytest.param(REAL, marks=pytest.mark.long)], ids=["simulated", "real"])
def test_workers_of_xdist_agree_on_random_seeds_and_have_networks_of_their_own(
    pytester: pytest.Pytester, real: str
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.nectar_seeds(2)
        def test_sim(sim, worker_id, tmp_path):
            sim.boot("one.nec")
            assert f"popen-{worker_id}" in str(tmp_path)
            assert False, worker_id
        """
        + real
    )
    result = pytester.runpytest_subprocess(*QUIET, "-n", "2", "--nectar-seed=random")
    result.assert_outcomes(passed=1 if real else 0, failed=2)
    again = pytester.runpytest_inprocess(*QUIET, *REPEAT.findall(printed(result))[0].split())
    assert len(set(seeds_of(result))) == 2
    assert set(seeds_of(again)) <= set(seeds_of(result))


def test_where_nobody_uses_it_nothing_of_ours_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            ours = {name for name in sys.modules if name.split(".")[0] in ("kernel", "net", "nectar_node", "testnet")}
            assert ours == {
                "testnet", "testnet.testing", "testnet.testing.pytest_plugin", "testnet.model", "testnet.model.seeds"
            }
            assert not {"wasmtime", "cbor2", "nacl", "blake3"} & {*sys.modules}
        """
    )
    pytester.runpytest_subprocess(*QUIET).assert_outcomes(passed=1)


# --- real nodes -----------------------------------------------------------------------------------------------------


def test_one_body_runs_in_virtual_time_and_on_real_nodes(pytester: pytest.Pytester) -> None:
    source = """
        from testnet.faults import Crash, Partition, Pause

        def test_it(nectar_lab):
            nectar_lab.boot("one.nec", "two.nec", packages=["hello"])
            with nectar_lab.apply(Pause("one.nec")):
                nectar_lab.rest(0.1)
            for fault in (Partition(), Crash("two.nec")):
                with nectar_lab.apply(fault):
                    ask = {"Ask": {"node": "two.nec", "name": "Ada", "timeout": 2}}
                    assert "Failed" in nectar_lab.ask("one.nec", "our@hello:hello:sys", ask).body
            nectar_lab.wait(lambda: "Answered" in nectar_lab.ask("one.nec", "our@hello:hello:sys", ask).body)
            assert any("hello" in line or "net" in line for line in nectar_lab.log("one.nec"))
    """
    result = run(pytester, source, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::test_it[[]simulation] PASSED*", "*::test_it[[]loopback] PASSED*"])


FORGES = """
    import json, time

    def test_it(testnet):
        testnet.boot("one.nec", "two.nec", packages=["hello"])
        testnet.ask("one.nec", "our@hello:hello:sys", {"Ask": {"node": "two.nec", "name": "Ada", "timeout": 30}})
        step = {"step": "sent", "id": 7, "parent": None, "root": 7, "claimed": True, "expects": True, "inherits": False}
        ends = {"source": "one.nec@hello:hello:sys", "target": "two.nec@hello:hello:sys"}
        rest = {"body": 1, "blob": None, "reason": None, "beginning": ""}
        line = json.dumps({"at": time.monotonic(), **step, **ends, **rest})
        testnet.lab.nodes.place("two.nec").trace.write_text(line + "\\n")
"""
"""The trace of a node tells of a request that nobody has sent."""
G3 = "G3: two.nec took request 7 to two.nec@hello:hello:sys from one.nec@hello:hello:sys, who never sent it"


def test_a_test_passes_in_vain_if_the_traces_of_its_nodes_show_a_violation(pytester: pytest.Pytester) -> None:
    result = run(pytester, FORGES, "--nectar-journals=journals")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"An invariant does not hold: {G3}"])
    (journal,) = (pytester.path / "journals").iterdir()
    events = [event.text for event in read_journal_untrusted(journal).events]
    assert f"violation {G3}" in events
    assert sum(text.startswith('message {"step":"arrived there"') for text in events) == 1


def test_nodes_end_when_their_test_fails_and_who_reads_of_it_is_told_what_they_answered_and_what_the_traces_show(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, FORGES + "        assert False\n", "--basetemp=base")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"violated  {G3}", "*one.nec sent: one.nec@hello:hello:sys*"])
    result.stdout.re_match_lines_random(
        [
            r"time      \d+\.\d{9} s \(real\), loopback",
            r'  \d+\.\d+ one\.nec user is told response of our@hello:hello:sys: .*"Hello, Ada, from two.nec".*',
        ]
    )
    assert running(pytester.path / "base") == {}


@pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n", "1"), marks=pytest.mark.long)], ids=["alone", "in a worker"]
)
def test_real_nodes_end_when_the_tests_are_interrupted(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(
        """
        from pathlib import Path

        def test_it(testnet):
            testnet.boot()
            Path("booted").touch()
            testnet.rest(60)
        """
    )
    command = [sys.executable, "-m", "pytest", *QUIET, "--basetemp=base", *workers]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, process_group=0) as tests:
        try:
            until(lambda: (pytester.path / "booted").exists())
            assert running(pytester.path / "base").keys() == {"registrar.nec"}
            os.killpg(tests.pid, signal.SIGINT)
            tests.communicate(timeout=60)
        finally:
            tests.kill()
    until(lambda: running(pytester.path / "base") == {})


@pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
def test_one_body_runs_in_namespaces_too(pytester: pytest.Pytester) -> None:
    source = """
        import os
        import pytest

        @pytest.mark.nectar_level("namespaces")
        def test_it(testnet):
            testnet.boot()
            registrar = testnet.lab.nodes.pid("registrar.nec")
            assert os.readlink(f"/proc/{registrar}/ns/net") != os.readlink("/proc/self/ns/net")
    """
    run(pytester, source).assert_outcomes(passed=1)


def test_namespaces_are_skipped_with_a_sentence_where_there_are_none(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        import pytest

        @pytest.mark.nectar_level("namespaces")
        def test_it(testnet): pass
    """
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = run(pytester, source, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * no namespaces: Network namespaces need root: *"])


def test_what_a_level_cannot_do_is_said_in_one_sentence(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        @pytest.mark.nectar_level("simulation")
        def test_it(testnet): pass
    """
    result = run(pytester, source)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the fixture testnet is on real nodes: take sim or nectar_lab for a simulation"])


def running(base: Path) -> dict[str, int]:
    """The nodes of all testnets below a folder that run, with their process ids."""
    found = (
        (name, LocalNetwork(folder).place(name).owner())
        for folder in base.glob("**/testnet")
        for name in LocalNetwork(folder).names()
    )
    return {name: pid for name, pid in found if pid is not None}
