"""The pytest plugin `nectar`: networks of nodes as fixtures, from a seed, with the evidence when a test fails.

docs/testing-your-package.md shows its use. Every pytest of an environment loads this file, also where nobody uses it:
so nothing of ours is imported before a fixture is set up, and no hook does more than look whether there is something to
do.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import re
import shlex
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testnet.model import seeds

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from testnet.sim.programs import Programs
    from testnet.testing.browsers import Visitors
    from testnet.testing.evidence import Evidence
    from testnet.testing.injections import Keeping
    from testnet.testing.origin import TestOrigin
    from testnet.testing.package_lab import PackageLab
    from testnet.testing.running import RunningTest

LEVELS = ("simulation", "loopback", "namespaces")
"""The values of `testnet.model.lab.Level`, without the cost of importing it."""
BOTH = ("simulation", "loopback")
"""The levels of `nectar_lab`, unless its test says otherwise."""
MAX_SEEDS = 10_000
"""The most seeds of one test."""
MARKERS = (
    'nectar_level(*levels): where `nectar_lab` or `testnet` is: "simulation", "loopback", "namespaces"; with several '
    "the test runs at each of them.",
    "nectar_seeds(count): run the test with so many seeds, each an item of its own.",
    "nectar_slow(seconds): the test takes about so many seconds of real time; see --nectar-max-seconds.",
)
_BASE = "nectar_base"
_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of the command line."""

    seed: int | None
    """The seed of every test; None: each has its own."""
    base: int
    """The number that these seeds follow from."""
    levels: tuple[str, ...]
    """At which tests are run; others are left out."""
    max_seconds: float
    journals: Path | None
    """The folder for the journals of all tests; None: only failed tests keep one, each in its tmp_path."""
    keeping: Keeping = None
    """Which faults of a test are kept; None: all of them."""
    left_out: frozenset[int] = frozenset()
    """Which requests of a test are left out."""
    example: str | None = None
    """The example of Hypothesis that is run alone."""


SETTINGS = pytest.StashKey[Settings]()
EVIDENCE = pytest.StashKey[list["Evidence"]]()
"""The evidence of each network of a test, while there is one."""
RUNNING: pytest.StashKey[RunningTest] = pytest.StashKey()
"""The test while it runs, for networks that it opens without a fixture."""
FOLDER = pytest.StashKey[Path]()
"""The folder for its journals, if it has no tmp_path."""


# --- command line ---------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options (a hook of pytest)."""
    group = parser.getgroup("nectar", "networks of Nectar nodes")
    group.addoption("--nectar-seed", metavar="S", type=_seed, help="seed of every test, or `random` for new ones")
    group.addoption(
        "--nectar-level",
        metavar="LEVEL",
        action="append",
        type=_level,
        default=[],
        help="of the tests with a network, run those at this level alone; may be given again",
    )
    group.addoption(
        "--nectar-max-seconds",
        metavar="N",
        type=_seconds,
        default=math.inf,
        help="leave out tests marked with nectar_slow that take longer",
    )
    group.addoption("--nectar-journals", metavar="DIR", help="keep the journal of every test in this folder")
    group.addoption(
        "--nectar-faults",
        metavar="JSON",
        type=_keeping,
        help="keep these of a test's faults alone, as the journal of a shrunk failure says it",
    )
    group.addoption(
        "--nectar-left-out",
        metavar="JSON",
        type=_left_out,
        default=frozenset(),
        help="leave these of a test's requests out, as the journal of a shrunk failure says it",
    )
    group.addoption("--nectar-example", metavar="TEXT", help="run this example of Hypothesis alone, from a journal")


def _keeping(text: str) -> Keeping:
    from testnet.testing.injections import parse_keeping

    try:
        return parse_keeping(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _left_out(text: str) -> frozenset[int]:
    from testnet.testing.injections import parse_left_out

    try:
        return parse_left_out(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seed(text: str) -> int | str:
    try:
        seed = seeds.parse_seed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text if seed is None else seed


def _level(text: str) -> str:
    if text not in LEVELS:
        raise argparse.ArgumentTypeError(f"there is no level {text!r}; there are {', '.join(LEVELS)}")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def pytest_configure(config: pytest.Config) -> None:
    """Read the plugin's options (a hook of pytest); raises UsageError."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    given = config.getoption("--nectar-seed")
    config.stash[SETTINGS] = Settings(
        given if isinstance(given, int) else None,
        _base(config, given),
        tuple(config.getoption("--nectar-level")),
        config.getoption("--nectar-max-seconds"),
        _journals(config),
        config.getoption("--nectar-faults"),
        config.getoption("--nectar-left-out"),
        config.getoption("--nectar-example"),
    )


def _base(config: pytest.Config, given: object) -> int:
    """Return the base of all seeds; workers of pytest-xdist take it from their starter, so that all collect the same
    tests."""
    told: dict[str, Any] = getattr(config, "workerinput", {})
    if _BASE in told:
        return int(told[_BASE])
    return random.SystemRandom().randrange(seeds.MAX_SEED) if given == "random" else seeds.BASE


def _journals(config: pytest.Config) -> Path | None:
    given = config.getoption("--nectar-journals")
    if given is None:
        return None
    folder = config.invocation_params.dir / str(given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"--nectar-journals: {folder} cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.W_OK):
        raise pytest.UsageError(f"--nectar-journals: nothing can be written to {folder}.")
    return folder


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the base of the seeds to a worker (a hook of pytest-xdist)."""
    node.workerinput[_BASE] = node.config.stash[SETTINGS].base


# --- collection -----------------------------------------------------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item for each level and seed (a hook of pytest); the seed comes last, so that it can be cut off the
    name."""
    levels = _levels(metafunc.definition)
    if len(levels) > 1 or "nectar_lab" in metafunc.fixturenames:
        _parametrize(metafunc, "nectar_level", levels or BOTH, levels or BOTH)
    marker = metafunc.definition.get_closest_marker("nectar_seeds")
    if marker is not None:
        numbers = range(_count(metafunc.definition, marker))
        if metafunc.config.stash[SETTINGS].seed is None:
            _parametrize(metafunc, "nectar_seed", numbers, [f"seed{number}" for number in numbers])


def _parametrize(metafunc: pytest.Metafunc, fixture: str, values: Sequence[object], ids: Sequence[str]) -> None:
    if fixture not in metafunc.fixturenames:
        name = metafunc.definition.name
        raise pytest.Collector.CollectError(f"{name}: its marker needs a fixture: sim, testnet or nectar_lab.")
    metafunc.parametrize(fixture, values, ids=ids, indirect=True)


def _levels(item: pytest.Item) -> tuple[str, ...]:
    """Return the levels that the marker of a test names; raises CollectError."""
    marker = item.get_closest_marker("nectar_level")
    if marker is None:
        return ()
    wrong = [level for level in marker.args if level not in LEVELS]
    if wrong or not marker.args or marker.kwargs:
        raise _misused(item, marker, f'("simulation", …), of {", ".join(LEVELS)}')
    return tuple(dict.fromkeys(marker.args))


def _count(item: pytest.Item, marker: pytest.Mark) -> int:
    match marker.args:
        case (int(count),) if not marker.kwargs and not isinstance(count, bool) and 1 <= count <= MAX_SEEDS:
            return count
    raise _misused(item, marker, f"(20), a number from 1 to {MAX_SEEDS}")


def _misused(item: pytest.Item, marker: pytest.Mark, wanted: str) -> pytest.Collector.CollectError:
    return pytest.Collector.CollectError(f"{item.name}: the marker is used as {marker.name}{wanted}.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not chosen."""
    settings = config.stash[SETTINGS]
    if not settings.levels and settings.max_seconds == math.inf:
        return
    left_out = [item for item in items if not _chosen(settings, item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _chosen(settings: Settings, item: pytest.Item) -> bool:
    used = _used_levels(item)
    marker = item.get_closest_marker("nectar_slow")
    seconds = 0.0 if marker is None else _slow_seconds(item, marker)
    return seconds <= settings.max_seconds and (not settings.levels or not used or bool(used & {*settings.levels}))


def _slow_seconds(item: pytest.Item, marker: pytest.Mark) -> float:
    match marker.args:
        case (int() | float() as seconds,) if not marker.kwargs and seconds >= 0:
            return float(seconds)
    raise pytest.UsageError(f"{item.nodeid}: the marker is used as nectar_slow(30), in seconds.")


def _used_levels(item: pytest.Item) -> set[str]:
    """Return the levels at which a test has a network; none: it has none."""
    fixtures: Sequence[str] = getattr(item, "fixturenames", ())
    used = {"simulation"} if "sim" in fixtures else set()
    parameters: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    if "nectar_level" in parameters:
        return used | {str(parameters["nectar_level"])}
    return used | ({*(_levels(item) or ("loopback",))} if "testnet" in fixtures else {*_levels(item)})


# --- fixtures -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def nectar_programs() -> Programs:
    """The compiled processes of simulated nodes: one store for all tests, kept where nodes keep theirs."""
    from testnet.sim.programs import Programs

    return Programs()


@pytest.fixture
def nectar_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test, a whole number: `--nectar-seed`, or one that follows from the test's name."""
    settings = request.config.stash[SETTINGS]
    if settings.seed is not None:
        return settings.seed
    return seeds.derive(settings.base, seeds.without_index(request.node.nodeid), getattr(request, "param", 0))


@pytest.fixture
def nectar_level(request: pytest.FixtureRequest) -> str:
    """The level of `testnet` or `nectar_lab` in this test."""
    if (level := getattr(request, "param", None)) is not None:
        return str(level)
    return (*_levels(request.node), "loopback")[0]


@pytest.fixture
def sim(request: pytest.FixtureRequest, nectar_seed: int, tmp_path: Path) -> Iterator[PackageLab]:
    """A network in virtual time (`testnet.testing.package_lab.PackageLab`), in which nothing runs yet.

    The invariants are watched. When the test has passed, no request may be outstanding that nobody waits for.
    """
    with _network(request, "simulation", nectar_seed, tmp_path) as lab:
        yield lab


@pytest.fixture
def testnet(
    request: pytest.FixtureRequest, nectar_level: str, nectar_seed: int, tmp_path: Path
) -> Iterator[PackageLab]:
    """A network of real nodes, each a process of this machine, which end with the test.

    They are on loopback, unless the test's marker says otherwise. When the test has passed, the invariants are checked
    in their traces. The fixture blocks: in an async test, call it in a thread.
    """
    if nectar_level == "simulation":
        pytest.fail("the fixture testnet is on real nodes: take sim or nectar_lab for a simulation", pytrace=False)
    with _network(request, nectar_level, nectar_seed, tmp_path) as lab:
        yield lab


@pytest.fixture
def nectar_lab(
    request: pytest.FixtureRequest, nectar_level: str, nectar_seed: int, tmp_path: Path
) -> Iterator[PackageLab]:
    """A network at each level that the test's marker names, one after the other; by default in a simulation and on
    loopback."""
    with _network(request, nectar_level, nectar_seed, tmp_path) as lab:
        yield lab


@pytest.fixture(scope="session")
def nectar_chromium() -> Iterator[Browser]:
    """A real browser without a window (the extra `browser`), which ends with the session."""
    from nectar_node.base.errors import BadInput
    from testnet.testing.browsers import run_chromium

    with ExitStack() as stack:
        try:
            browser = stack.enter_context(run_chromium())
        except BadInput as error:
            pytest.fail(str(error), pytrace=False)
        yield browser


@pytest.fixture
def nectar_visitors(nectar_chromium: Browser) -> Iterator[Visitors]:
    """The visitors of this test (`testnet.testing.browsers.Visitors`), who leave with it.

    The test fails if a page has reported an error that it does not `allow`.
    """
    from testnet.testing.browsers import Visitors

    visitors = Visitors(nectar_chromium)
    try:
        yield visitors
        errors = visitors.errors()
    finally:
        visitors.close()
    if errors:
        pytest.fail("A page has reported: " + "; ".join(errors), pytrace=False)


@contextmanager
def _network(request: pytest.FixtureRequest, named: str, seed: int, folder: Path) -> Iterator[PackageLab]:
    from testnet.model.lab import Level
    from testnet.testing.evidence import Evidence
    from testnet.testing.networks import open_run, unavailable
    from testnet.testing.package_lab import PackageLab

    level, item = Level(named), request.node
    if (reason := unavailable(level)) is not None:
        pytest.skip(f"no {named}: {reason}")
    journal = _journal_path(request.config, item, folder / f"nectar-{named}.journal")
    with open_run(level, seed, folder / "testnet", request.getfixturevalue("nectar_programs")) as run:
        settings = request.config.stash[SETTINGS]
        lab = PackageLab(
            run, (item.path.parent, request.config.invocation_params.dir), settings.keeping, settings.left_out
        )
        evidence = Evidence(_origin(item, seed), journal, seed, level, run, lab)
        item.stash.setdefault(EVIDENCE, []).append(evidence)
        yield lab


def _journal_path(config: pytest.Config, item: pytest.Item, usual: Path) -> Path:
    kept = config.stash[SETTINGS].journals
    if kept is None:
        return usual
    digest = hashlib.blake2s(item.nodeid.encode()).hexdigest()[
        :8
    ]  # two names may differ only in what the file's name leaves out
    return kept / f"{_IN_NAMES.sub('-', item.nodeid)[:150]}-{digest}-{usual.name}"


def _origin(item: pytest.Item, seed: int | None) -> TestOrigin:
    from testnet.testing.origin import TestOrigin

    config = item.config
    settings = config.stash[SETTINGS]
    places = (config.invocation_params.dir, item.path, config.rootpath, config.inipath)
    return TestOrigin(item.nodeid, _repeat(item, seed), *places, seed, settings.keeping, settings.left_out)


def _repeat(item: pytest.Item, seed: int | None) -> str:
    """Return the command that repeats the test, to be typed in the same folder."""
    from testnet.testing.injections import keeping_text

    settings = item.config.stash[SETTINGS]
    file, colons, rest = seeds.without_index(item.nodeid).partition("::")
    with_path = os.path.relpath(item.path, item.config.invocation_params.dir) if colons else file
    parts = ["pytest", shlex.quote(with_path + colons + rest)]
    if seed is not None:
        parts += ["--nectar-seed", str(seed)]
    if settings.keeping is not None:
        parts += ["--nectar-faults", shlex.quote(keeping_text(settings.keeping))]
    if settings.left_out:
        parts += ["--nectar-left-out", shlex.quote(json.dumps(sorted(settings.left_out), separators=(",", ":")))]
    if settings.example is not None:
        parts += ["--nectar-example", shlex.quote(settings.example)]
    return " ".join(parts)


# --- reports --------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Check the invariants when the test itself has passed, while its network is still there."""
    # Not in a test's traceback; one of our own sentences has none, and pytest says so of a hidden one.
    __tracebackhide__ = lambda found: not isinstance(found.value, pytest.fail.Exception)  # noqa: E731 - pytest
    with _running(item):
        result = yield
    for evidence in item.stash.get(EVIDENCE, ()):
        if (violation := evidence.finish()) is not None:
            pytest.fail(f"An invariant does not hold: {violation}", pytrace=False)
    return result


@contextmanager
def _running(item: pytest.Item) -> Iterator[None]:
    """Let networks know of the test that are opened without a fixture."""
    if "nectar_programs" not in getattr(item, "fixturenames", ()) or item.stash.get(EVIDENCE, ()):
        yield
        return
    from testnet.testing.examples import BadExample, run_only
    from testnet.testing.running import RunningTest, test_runs

    settings = item.config.stash[SETTINGS]
    if settings.example is not None:
        try:
            run_only(getattr(item, "obj", None) or (lambda: None), settings.example)
        except BadExample as error:
            pytest.fail(f"--nectar-example: {error}.", pytrace=False)
    seed = getattr(item, "funcargs", {}).get("nectar_seed")
    item.stash[RUNNING] = running = RunningTest(
        _origin(item, seed),
        lambda part: _journal_path(item.config, item, _folder(item) / part),
        settings.journals is not None,
    )
    with test_runs(running):
        yield


def _folder(item: pytest.Item) -> Path:
    """Return the tmp_path of the test, or one of the same kind: a test with Hypothesis rarely asks for it."""
    found: dict[str, Any] = getattr(item, "funcargs", {})
    if isinstance(given := found.get("tmp_path"), Path):
        return given
    if FOLDER not in item.stash:
        factory: pytest.TempPathFactory = getattr(item.config, "_tmp_path_factory")  # noqa: B009 - it is private
        item.stash[FOLDER] = factory.mktemp(_IN_NAMES.sub("_", item.name)[:30], numbered=True)
    return item.stash[FOLDER]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write the evidence into files, properties and, if the test has failed, the report."""
    found = item.stash.get(EVIDENCE, [])
    error = None if call.excinfo is None or call.excinfo.errisinstance(pytest.skip.Exception) else call.excinfo.value
    if found and (call.when == "call" or error is not None):
        _keep(item, found, error)
    report = yield
    running = item.stash.get(RUNNING, None)
    if call.when == "call" and running is not None and running.last is not None:
        section = running.last.write()
        report.user_properties += running.last.evidence.properties()
        if report.failed and running.last.error is not None:
            report.sections.append(("nectar", section))
    if report.failed:
        report.sections.extend(("nectar", evidence.section(error)) for evidence in found)
    if call.when == "teardown":
        found.clear()  # frees whole networks
        if RUNNING in item.stash:
            del item.stash[RUNNING]
    return report


def _keep(item: pytest.Item, found: Sequence[Evidence], error: BaseException | None) -> None:
    properties: list[tuple[str, object]] = [("nectar_seed", found[0].seed)]
    for evidence in found:
        evidence.conclude(error)
        if error is not None or item.config.stash[SETTINGS].journals is not None:
            evidence.write()
        properties += evidence.properties()
    others = [each for each in item.user_properties if not each[0].startswith("nectar_")]
    item.user_properties[:] = [*others, *properties]
