"""The plugin as authors of packages meet it: their test files, run by pytest, and what pytest says of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from testnet.journal.journal import read_journal_untrusted
from testnet.model.lab import PACKAGES
from testnet.runs.plans import plan_of
from testnet.sim.run import PASSED, VIOLATED
from tests.testnet.plugin_runs import QUIET, REPEAT, printed, properties, run, seeds_of

pytest_plugins = ("pytester",)

GREETS = """
    def test_greets(sim):
        sim.boot("one.nec", "two.nec", packages=["hello"])
        outcome = sim.ask("one.nec", "two.nec@hello:hello:sys", {"Greet": "Ada"})
        assert outcome.body == {"Greeting": "Hello, Ada, from two.nec"}
"""
FAILS = """
    from testnet.faults import Partition

    def test_fails(sim):
        sim.boot("one.nec", "two.nec", packages=["hello"])
        with sim.apply(Partition()):
            sim.begin("one.nec", "our@hello:hello:sys", {"Ask": {"node": "two.nec", "name": "Ada", "timeout": 9}})
            sim.rest(2.5)
            assert sim.ask("one.nec", "our@hello:hello:sys", {"Greet": "Ada"}).kind == "offline"
"""
FORGES = """
    import pytest
    from kernel.router.trace import TraceStep
    from testnet.model.invariants import Violation

    def boot(sim):
        '''What delivers to two.nec once more what it was given.'''
        sim.boot("one.nec", "two.nec", packages=["hello"])
        simulation, seen = sim.lab, []
        observe = simulation.observe
        simulation.observe = lambda *step: (seen.append(step), observe(*step))
        sim.ask("one.nec", "two.nec@hello:hello:sys", {"Greet": "Ada"})
        taken = [each for each in seen if each[-1].claimed and each[-1].step is TraceStep.SENT]
        return lambda: observe(*taken[0])
"""


# --- fixtures -------------------------------------------------------------------------------------------------------


def test_a_seed_fixture_of_ones_own_is_taken_and_told(pytester: pytest.Pytester) -> None:
    own = """
    import pytest

    @pytest.fixture
    def nectar_seed():
        return 5

    def test_fails(sim):
        assert sim.seed != 5
    """
    result = run(pytester, own)
    result.assert_outcomes(failed=1)
    assert seeds_of(result) == [5]


def test_two_nodes_greet_each_other_at_exact_virtual_times(pytester: pytest.Pytester) -> None:
    run(pytester, GREETS).assert_outcomes(passed=1)
    source = """
        def test_times(sim):
            sim.boot("one.nec")
            began, seen = sim.now, []
            sim.at(1.25, lambda: seen.append(sim.now))
            sim.rest(3600.0)
            assert (sim.now, seen) == (began + 3600.0, [began + 1.25])
    """
    run(pytester, source).assert_outcomes(passed=1)


def test_a_package_is_a_folder_beside_the_test_or_where_pytest_was_started(
    pytester: pytest.Pytester, hello: Path
) -> None:
    source = """
        def test_boots(sim):
            sim.boot("one.nec", packages=["mine"])
            assert sim.ask("one.nec", "our@mine:mine:local", {"Greet": "Ada"}).kind == "response"
    """
    tests = pytester.mkdir("tests")
    (tests / "test_boots.py").write_text(pytester.makepyfile(source).read_text())
    for place in (pytester.path / "mine", tests / "mine"):
        hello_as(hello, "mine", place)
        pytester.runpytest_inprocess(*QUIET, "tests").assert_outcomes(passed=1)
        (place / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ('sim.boot("one.nec", packages=["helo"])', "There is no package 'helo' in * that come with the node: *hello*"),
        ('sim.boot("one.nec", packages=["empty"])', "*empty is not a package: *"),
        ('sim.boot("One")', "'One' is not a node's name: give one such as one.nec."),
        ('sim.boot("one.nec", "one.nec")', "one.nec is there already; `start` and `restart` boot it again."),
        ('sim.ask("two.nec", "our@hello:hello:sys", 1)', "There is no node 'two.nec'; none was booted yet."),
        ('(sim.boot("a.nec"), sim.crash("b.nec"))', "There is no node 'b.nec'; there are a.nec."),
        ('(sim.boot("a.nec"), sim.ask("a.nec", "hello", 1))', "'hello' is not an address: * such as two.nec@counter:*"),
        ('(sim.boot("a.nec"), sim.ask("a.nec", "our@a:a:sys", {1}))', "*a value that JSON can say: *set*"),
        ("sim.rest(-1)", "rest takes the seconds that are to pass, and not -1."),
        ("sim.inject(Crash('x.nec'))", "There is no node 'x.nec'; none was booted yet."),
    ],
)
def test_what_cannot_be_is_one_sentence_at_the_line_of_the_test(
    pytester: pytest.Pytester, call: str, sentence: str
) -> None:
    pytester.mkdir("empty")
    result = run(pytester, f"from testnet.faults import Crash\ndef test_it(sim):\n    {call}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E * {sentence.replace('[', '[[]')}"])
    assert not [line for line in result.outlines if line.startswith(("/", "..")) and "package_lab" in line]


def test_a_module_that_cannot_run_is_said_at_boot(pytester: pytest.Pytester, hello: Path) -> None:
    hello_as(hello, "mine", pytester.path / "mine")
    (pytester.path / "mine" / "mine.wasm").write_bytes(b"\\0asm")
    result = run(pytester, 'def test_it(sim):\n    sim.boot("one.nec", packages=["mine"])\n')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E * *mine.wasm is not a process that can run here: *."])


def test_each_test_has_a_network_of_its_own_and_all_share_what_is_compiled(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        engines = set()

        @pytest.mark.parametrize("turn", [1, 2])
        def test_one(sim, turn):
            sim.boot("one.nec")
            engines.add(id(sim.lab.engine))
            assert sim.nodes == ("one.nec",) and len(engines) == 1
    """
    run(pytester, source).assert_outcomes(passed=2)


def test_async_tests_take_sim_as_it_is_and_testnet_in_a_thread(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntrio_mode = true")
    source = """
        import trio

        async def test_sim(sim):
            sim.boot("one.nec", packages=["hello"])
            await trio.sleep(0)
            assert sim.ask("one.nec", "our@hello:hello:sys", {"Greet": "Ada"}).kind == "response"

        async def test_testnet(testnet):
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await trio.sleep(0.01)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(tick)
                await trio.to_thread.run_sync(lambda: testnet.boot("one.nec", packages=["hello"]))
                ask = lambda: testnet.ask("one.nec", "our@hello:hello:sys", {"Greet": "Ada"})
                assert (await trio.to_thread.run_sync(ask)).kind == "response"
                nursery.cancel_scope.cancel()
            assert ticks > 5
    """
    run(pytester, source).assert_outcomes(passed=2)


def test_chaos_is_drawn_from_the_seed_and_over_after_its_block(pytester: pytest.Pytester) -> None:
    source = """
        import pytest

        @pytest.mark.nectar_seeds(10)
        def test_it(sim):
            sim.boot("one.nec", "two.nec", packages=["hello"])
            with sim.chaos(5.0) as schedule:
                sim.rest(6.0)
            print("drawn", [step.words() for step in schedule])
            sim.rest(30.0)
            assert sim.ask("one.nec", "two.nec@hello:hello:sys", {"Greet": "Ada"}).kind == "response"
    """
    runs = [re.findall("drawn .*", printed(run(pytester, source, "-s"))) for _ in range(2)]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 5


# --- seeds ----------------------------------------------------------------------------------------------------------


def test_a_failure_says_its_seed_its_time_its_faults_its_journal_and_how_to_repeat_it(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, FAILS)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines_random(
        [
            r"-+ nectar -+",
            r"seed      \d+",
            r"time      2\.\d{9} s \(virtual\), simulation",
            r"faults    partition all nodes from each other \(since 0\.\d{3} s\)",
            r"waiting   one\.nec@terminal:terminal:sys still waits for one\.nec@hello:hello:sys .*",
            r"journal   /.+\.journal; until then:",
            r"  2\.\d+ one\.nec answered: one\.nec@hello:hello:sys → one\.nec@terminal:terminal:sys .*Hello, Ada.*",
            r"repeat    cd /\S+ && pytest test_a_failure\S+::test_fails --nectar-seed \d+",
        ]
    )


def test_the_command_of_the_report_repeats_the_run_to_the_same_digest(pytester: pytest.Pytester) -> None:
    first = run(pytester, FAILS, "--nectar-seed", "random", "--junitxml=first.xml")
    (command,) = REPEAT.findall(printed(first))
    again = pytester.runpytest_subprocess(*QUIET, *command.split(), "--junitxml=again.xml")
    told = [properties(pytester.path / name, "test_fails") for name in ("first.xml", "again.xml")]
    assert seeds_of(first) == seeds_of(again), command
    assert told[0]["nectar_digest"] == told[1]["nectar_digest"], command


def test_without_a_seed_a_run_repeats_itself_and_random_seeds_are_others_in_each_run(pytester: pytest.Pytester) -> None:
    source = (
        "def test_a(nectar_seed):\n    print('seed', nectar_seed)\ndef test_b(nectar_seed):\n    test_a(nectar_seed)\n"
    )
    runs = [re.findall(r"seed \d+", printed(run(pytester, source, "-s"))) for _ in range(2)]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 2
    source = "def test_a(nectar_seed):\n    print('seed', nectar_seed)\n"
    runs = [re.findall(r"seed \d+", printed(run(pytester, source, "-s", "--nectar-seed=random"))) for _ in range(2)]
    assert runs[0] != runs[1]


def test_a_test_with_several_seeds_is_an_item_for_each_and_one_item_with_a_given_seed(
    pytester: pytest.Pytester,
) -> None:
    source = """
        import pytest

        @pytest.mark.nectar_seeds(3)
        @pytest.mark.parametrize("letter", ["a", "b"])
        def test_it(sim, letter):
            assert letter == "a"
    """
    result = run(pytester, source)
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["*::test_it[[]b-seed2]*"])
    assert len(set(seeds_of(result))) == 3
    command = REPEAT.findall(printed(result))[-1].replace("'", "").split()
    assert command[0].endswith("::test_it[b]")
    again = run(pytester, source, *command)
    again.assert_outcomes(failed=1)
    assert seeds_of(again) == seeds_of(result)[-1:]


# --- invariants -----------------------------------------------------------------------------------------------------


def test_a_violation_fails_the_test_and_says_which_invariant_does_not_hold(pytester: pytest.Pytester) -> None:
    source = FORGES + "\n    def test_it(sim):\n        sim.at(1.0, boot(sim))\n        sim.rest(5.0)\n"
    result = run(pytester, source, "--junitxml=out.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E * G4: two.nec@hello:hello:sys was given request * twice", "*test_it*"])
    journal = Path(properties(pytester.path / "out.xml", "test_it")["nectar_journal"]).read_text()
    assert re.search(r"^\d+\.\d{9} - violation G4: ", journal, re.MULTILINE)
    assert f'"result": "{VIOLATED}"' in journal


def test_a_violation_that_the_test_has_swallowed_fails_it_all_the_same(pytester: pytest.Pytester) -> None:
    source = FORGES + "\n    def test_it(sim):\n        with pytest.raises(Violation):\n            boot(sim)()\n"
    result = run(pytester, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["An invariant does not hold: G4: two.nec@hello:hello:sys was given request * twice"])


def test_at_the_end_no_request_may_be_outstanding_that_nobody_waits_for(pytester: pytest.Pytester) -> None:
    source = """
        from testnet.faults import Partition

        def test_it(sim):
            sim.boot("one.nec", "two.nec", packages=["hello"])
            with sim.apply(Partition()):
                sim.begin("one.nec", "our@hello:hello:sys", {"Ask": {"node": "two.nec", "name": "Ada", "timeout": 9}})
                sim.rest(0.5)
            for process in sim.lab.nodes["one.nec"].core.kernel.processes.values():
                process.outstanding.clear()
    """
    result = run(pytester, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["An invariant does not hold: G5: request * never ended, and nobody waits"])


# --- JUnit and journals ---------------------------------------------------------------------------------------------


def test_junit_has_seed_level_seconds_and_digest_of_every_test_and_the_journal_of_those_that_fail(
    pytester: pytest.Pytester,
) -> None:
    run(pytester, GREETS + FAILS, "--junitxml=out.xml", "--nectar-seed=7").assert_outcomes(passed=1, failed=1)
    passed, failed = (properties(pytester.path / "out.xml", name) for name in ("test_greets", "test_fails"))
    assert list(passed) == ["nectar_seed", "nectar_level", "nectar_seconds", "nectar_digest"]
    assert (passed["nectar_seed"], passed["nectar_level"]) == ("7", "simulation")
    journal = Path(failed["nectar_journal"]).read_text().splitlines()
    assert journal[0].startswith('nectar-journal 1 {"scenario": "pytest", "seed": 7, "nodes": ["one.nec", "two.nec"]')
    assert f'"digest": "{failed["nectar_digest"]}"' in journal[-1]


def test_all_journals_are_kept_if_that_is_wanted_and_say_that_pytest_replays_them(pytester: pytest.Pytester) -> None:
    run(pytester, FAILS, "--nectar-journals=kept", "--nectar-seed=7")
    (file,) = (pytester.path / "kept").iterdir()
    journal = read_journal_untrusted(file)
    assert journal.end.result == "failed"
    with pytest.raises(BadInput, match=r"is the journal of a test, which pytest runs again with --nectar-seed 7\."):
        plan_of(journal.header, str(file))
    run(pytester, GREETS, "--nectar-journals=kept/here").assert_outcomes(passed=1)
    (whole,) = (pytester.path / "kept" / "here").iterdir()
    assert f'"result": "{PASSED}"' in whole.read_text().splitlines()[-1]


# --- choosing -------------------------------------------------------------------------------------------------------

CHOICE = """
    import pytest

    def test_plain(): pass

    def test_sim(sim): pass

    @pytest.mark.nectar_level("loopback", "namespaces")
    def test_marked(nectar_lab): pass

    @pytest.mark.nectar_slow(30)
    def test_both(nectar_lab): pass
"""


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ((), "plain sim marked[loopback] marked[namespaces] both[simulation] both[loopback]"),
        (("--nectar-level=simulation",), "plain sim both[simulation]"),
        (
            ("--nectar-level", "loopback", "--nectar-level", "namespaces"),
            "plain marked[loopback] marked[namespaces] both[loopback]",
        ),
        (("--nectar-max-seconds=29",), "plain sim marked[loopback] marked[namespaces]"),
    ],
)
def test_markers_and_options_choose_what_runs(
    pytester: pytest.Pytester, arguments: tuple[str, ...], chosen: str
) -> None:
    result = run(pytester, CHOICE, "--collect-only", "-q", "--strict-markers", *arguments)
    assert re.findall(r"::test_(\S+)", printed(result)) == chosen.split()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--nectar-seed=x", "*'x' is not a seed: give a whole number from 0 to 9223372036854775807, or random"),
        ("--nectar-seed=-1", "*'-1' is not a seed: *"),
        ("--nectar-level=moon", "*there is no level 'moon'; there are simulation, loopback, namespaces"),
        ("--nectar-max-seconds=long", "*'long' is not a number of seconds"),
        ("--nectar-journals=file/x", "*--nectar-journals: *file/x cannot be made: *"),
    ],
)
def test_a_bad_option_is_a_usage_error_of_one_sentence(
    pytester: pytest.Pytester, arguments: str, sentence: str
) -> None:
    pytester.makefile("", file="x")
    result = run(pytester, GREETS, arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([sentence])


@pytest.mark.parametrize(
    ("marker", "fixture", "sentence"),
    [
        ('nectar_level("moon")', "nectar_lab", 'nectar_level("simulation", *), of simulation, loopback, namespaces.'),
        ("nectar_seeds(0)", "sim", "nectar_seeds(20), a number from 1 to 10000."),
        ("nectar_seeds(2)", "tmp_path", "its marker needs a fixture: sim, testnet or nectar_lab."),
        ('nectar_slow("long")', "sim", "the marker is used as nectar_slow(30), in seconds."),
    ],
)
def test_a_misused_marker_is_one_sentence(pytester: pytest.Pytester, marker: str, fixture: str, sentence: str) -> None:
    source = f"import pytest\n@pytest.mark.{marker}\ndef test_it({fixture}): pass\n"
    result = run(pytester, source, "--nectar-max-seconds=5")
    assert result.ret in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
    assert re.search(re.escape(sentence).replace(r"\*", ".*"), printed(result) + "\n".join(result.errlines))


@pytest.fixture
def hello() -> Path:
    """The code of a package that greets."""
    return PACKAGES / "hello" / "pkg" / "hello.wasm"


def hello_as(hello: Path, name: str, folder: Path) -> None:
    """The same as a package of another name."""
    folder.mkdir(exist_ok=True)
    shutil.copy(hello, folder / f"{name}.wasm")
    entry = {"process_name": name, "process_wasm_path": f"/{name}.wasm", "on_exit": "None", "public": True}
    (folder / "manifest.json").write_text(json.dumps([entry]))


def test_a_history_that_cannot_be_explained_is_told_in_words_beside_the_messages(pytester: pytest.Pytester) -> None:
    source = """
    from testnet.check import Linearizable, RegisterModel

    def test_fails(sim):
        sim.boot("one.nec", packages=["hello"])
        history = sim.history(Linearizable(RegisterModel()), name="the key a")
        for number in range(9):
            history.call("one.nec", "write", number).ok()
        sim.ask("one.nec", "our@hello:hello:sys", {"Greet": "Ada"})
        history.call("one.nec", "read").ok(5)
    """
    result = run(pytester, source)
    result.assert_outcomes(failed=1)
    shown = result.stdout.str()
    assert "All traceback entries are hidden" not in shown
    told = shown[shown.index("until then:") : shown.index("explain   ")]
    assert '{"history"' not in told
    assert re.search(r"operation of one\.nec, unexplained: read\(\) → 5, called at \d", told)
    assert "one.nec answered: one.nec@hello:hello:sys → one.nec@terminal:terminal:sys" in told


def test_a_test_that_fails_by_itself_leaves_its_operations_in_the_journal(pytester: pytest.Pytester) -> None:
    source = """
    from testnet.check import Linearizable, RegisterModel

    def test_fails(sim):
        history = sim.history(Linearizable(RegisterModel()), name="the key a")
        history.call("one.nec", "write", 1).ok()
        history.call("one.nec", "read")
        assert False
    """
    result = run(pytester, source)
    result.assert_outcomes(failed=1)
    found = re.search(r"journal   (/.+\.journal); until then:", result.stdout.str())
    assert found is not None
    told = [json.loads(each) for each in re.findall(r" operation ({.*})", Path(found[1]).read_text())]
    assert [each["words"] for each in told] == ["write(1) → None", "read() (unknown)"]
