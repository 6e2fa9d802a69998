"""For all tests: what depends neither on how they were started nor on how fast the machine is."""

from __future__ import annotations

import gc
import signal
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import seeds

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs have it, and hand it on
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Beside other work an example takes as long as it takes.
settings.register_profile("unhurried", settings(), deadline=None, max_examples=seeds.examples())
settings.load_profile("unhurried")

# Thousands of tests and their modules stay until the end: to look through them for garbage again and again, while they
# are loaded and at every full collection after that, takes a third of the time that it takes to load them.
gc.disable()

COLLECT_AFTER = 20_000
"""Objects more than before after which young garbage is looked for, in place of 700: nearly all that a test makes goes
without, and the tests in virtual time take a fifteenth less."""

LONGEST = (
    "levels/test_levels.py",
    "testnet/hosts/test_over_ssh.py",
    "testnet/hosts/test_life_over_ssh.py",
    "testnet/cluster/test_dask_cluster.py",
    "nectar_node/driver/recordings/test_chaos.py",
    "testnet/test_testing_your_package.py",
    "testnet/sim/test_determinism.py",
    "end_to_end/test_testnet.py",
    "testnet/cli/test_sim.py",
    "testnet/scenarios/test_seeds.py",
    "testnet/chaos/test_run.py",
    "kernel/wasm/test_versions.py",
    "testnet/testing/test_strategies.py",
    "testnet/real/test_lifeline.py",
    "packages/test_file_transfer.py",
    "testnet/real/test_socket_lab.py",
    "sdk/test_zig.py",
    "testnet/testing/test_pytest_plugin_real.py",
    "failures/test_in_memory.py",
    "testnet/real/nodes/test_namespaces.py",
    "net/session/test_half_open.py",
    "end_to_end/test_transfer.py",
    "levels/test_times.py",
    "levels/test_boot.py",
    "levels/test_nothing_is_left.py",
    "mutants/test_real_nodes.py",
    "failures/test_on_sockets.py",
    "testnet/cli/test_simulation_page.py",
    "testnet/web/test_watch_web.py",
)
"""Files that take long, of which some have few tests: they begin first, so that at the end
nobody waits for one. Those with real nodes stand between others, so that not all of them start nodes at once."""


def pytest_configure(config: pytest.Config) -> None:
    seeds.long_ones = "not long" not in config.getoption("markexpr")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Load another part of the files first in each worker of pytest-xdist. All of them load all files: in a new clone
    each would rewrite every assertion and compile every file itself, and now it finds what the others have compiled.
    """
    config = session.config
    told: dict[str, Any] | None = getattr(config, "workerinput", None)
    if told is None or config.args_source is not config.ArgsSource.TESTPATHS:
        return
    ignored = [config.invocation_params.dir / each for each in config.getoption("ignore") or ()]
    here = Path(__file__).parent
    files = [file for file in sorted(here.rglob("test_*.py")) if not any(map(file.is_relative_to, ignored))]
    count, number = told["workercount"], int(told["workerid"].removeprefix("gw"))
    for file in files[len(files) * number // count : len(files) * (number + 1) // count]:
        with suppress(Exception, pytest.skip.Exception):  # collecting it says what is wrong
            import_module(".".join(file.relative_to(here.parent).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    assert all((Path(__file__).parent / name).exists() for name in LONGEST)
    places = {f"tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    gc.enable()
