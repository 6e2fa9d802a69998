"""What lies in deploy/ is accepted by the programs that it is for, and its commands run a node."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNIT = ROOT / "deploy" / "systemd" / "nectar-node@.service"
INSTALLED = "/opt/nectar/bin/nectar"
LIMIT = 60.0
"""Seconds after which a node is taken to hang; no test waits for it to pass."""


def nectar() -> str:
    """The command, as this environment has it."""
    return str(Path(sys.executable).parent / "nectar")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed.")
def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(INSTALLED, nectar()))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- the image --------------------------------------------------------------------------------------------------------

CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
STATE = "/var/lib/nectar"


def instruction(name: str) -> str:
    """The last instruction of that name in the Containerfile."""
    text = CONTAINERFILE.read_text().replace("\\\n", " ")
    return str(re.findall(rf"^{name} +(.*)$", text, re.MULTILINE)[-1])


def environment_of_the_image() -> dict[str, str]:
    """What the image sets, as its last ENV says."""
    return dict(word.partition("=")[::2] for word in instruction("ENV").split())


def health_command() -> list[str]:
    return list(json.loads(instruction("HEALTHCHECK").partition("CMD ")[2]))


@contextmanager
def node_as_in_the_image(
    folder: Path, *options: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The process of the image's entry point, with its folder elsewhere, and the environment."""
    told = {key: value.replace(STATE, str(folder)) for key, value in environment_of_the_image().items()}
    told |= {"PATH": f"{Path(nectar()).parent}:{os.defpath}", "XDG_CACHE_HOME": str(folder / "cache"), **environment}
    command = [*json.loads(instruction("ENTRYPOINT")), *options]
    process = subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process, told
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.long
def test_the_command_of_the_image_runs_a_node_that_is_healthy_and_ends_in_order(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    tmp_path.chmod(0o700)
    more = {"NECTAR_NODE": "registrar.nec", "NECTAR_PORT": port, "NECTAR_ADVERTISE": f"127.0.0.1:{port}"}
    with node_as_in_the_image(tmp_path, "--no-packages", **more) as (node, environment):
        healthy = functools.partial(subprocess.run, health_command(), env=environment, capture_output=True, text=True)
        limit = time.monotonic() + LIMIT
        while healthy(timeout=LIMIT).returncode:  # each asks anew, as a container's engine does
            assert node.poll() is None
            assert time.monotonic() < limit
        node.send_signal(signal.SIGTERM)
        assert node.wait(LIMIT) == 0
        assert healthy(timeout=LIMIT).returncode == 1


def test_image_compose_file_and_chart_say_the_same() -> None:
    compose = (ROOT / "deploy" / "compose" / "compose.yaml").read_text()
    chart = (ROOT / "deploy" / "helm" / "nectar-node" / "templates" / "statefulset.yaml").read_text()
    user = instruction("USER").partition(":")[0]
    port = environment_of_the_image()["NECTAR_PORT"]
    assert instruction("EXPOSE") == port
    assert f':{port}"' in compose
    assert f"containerPort: {port}" in chart
    assert f'uid: "{user}"' in compose
    assert f"runAsUser: {user}" in chart
    assert json.dumps(health_command()) in chart
    assert json.dumps(["CMD", *health_command()]) in compose
    assert instruction("VOLUME") == STATE
    assert f"state:{STATE}" in compose
    assert f"mountPath: {STATE}" in chart
    for variable in re.findall(r"NECTAR_[A-Z]+", chart):
        assert variable in environment_of_the_image()


# --- the compose file and the chart, with the programs that they are for (`make deploy`) -----------------------------

TOOLS = Path(sys.prefix) / "deploy" / "bin"
CHART = ROOT / "deploy" / "helm" / "nectar-node"
with_tools = pytest.mark.skipif(not (TOOLS / "podman-compose").exists(), reason="`make deploy` installs the tools.")


def tool(name: str, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of that environment."""
    command = [str(TOOLS / name), *map(str, words)]
    told = {**os.environ, **environment}
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=3 * LIMIT, check=False)


@with_tools
def test_the_compose_file_keeps_to_the_specification_and_demands_a_name() -> None:
    file = ROOT / "deploy" / "compose" / "compose.yaml"
    checked = tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    assert checked.returncode == 0, checked
    without = tool("podman-compose", "--file", file, "config")
    assert without.returncode != 0
    assert "the name of the node, such as some.nec" in without.stderr
    read = tool("podman-compose", "--file", file, "config", NECTAR_NODE="a.nec", NECTAR_ADVERTISE="192.0.2.7:9000")
    assert read.returncode == 0, read
    assert "NECTAR_NODE: a.nec" in read.stdout


RENDER = """
import json, sys
from helm_python.chart import Chart, lint
folder, values = sys.argv[1], json.loads(sys.argv[2])
found = lint(folder, values, strict=True, kube_version="v1.30.0")
assert not found["errors"] and all(row["severity"] < 2 for row in found["messages"]), found
with Chart.load(folder) as chart:
    print(json.dumps(chart.render(values, name="my", namespace="lab")))
"""


def rendered(values: dict[str, object]) -> subprocess.CompletedProcess[str]:
    return tool("python", "-c", RENDER, CHART, json.dumps(values))


@with_tools
@pytest.mark.parametrize(
    ("values", "there", "not_there"),
    [
        ({}, ['value: "my-nectar.lab.svc:9000"'], ["kind: Secret", "NECTAR_JOIN", "args:", "metrics"]),
        ({"join": {"text": "t"}}, ['join: "dA=="', "secretName: my-nectar-join", "NECTAR_JOIN"], []),
        ({"join": {"existingSecret": "mine"}}, ["secretName: mine"], ["kind: Secret"]),
        (
            {"metrics": {"port": 9100}, "options": ["--trace"]},
            ["- --trace", "- 0.0.0.0:9100", "containerPort: 9100"],
            [],
        ),
        ({"advertise": "192.0.2.7:9000", "persistence": {"keep": False}}, ['"192.0.2.7:9000"', "Delete"], [".svc"]),
    ],
)
def test_helm_lints_and_renders_the_chart_and_kubernetes_knows_every_field(
    tmp_path: Path, values: dict[str, object], there: list[str], not_there: list[str]
) -> None:
    done = rendered({"name": "some.nec", **values})
    assert done.returncode == 0, done
    files = {Path(name).name: text for name, text in json.loads(done.stdout).items()}
    together = "\n---\n".join(text for name, text in files.items() if name != "NOTES.txt")
    assert [text for text in there if text not in together] == []
    assert [text for text in not_there if text in together] == []
    for name, text in files.items():
        if name != "NOTES.txt" and text.strip():
            (tmp_path / name).write_text(text)
            checked = tool("kubernetes-validate", "--strict", tmp_path / name)
            assert checked.returncode == 0, checked


@with_tools
@pytest.mark.parametrize(
    "values", [{}, {"name": "UP"}, {"name": "a.nec", "typo": 1}, {"name": "a.nec", "metrics": {"port": -1}}]
)
def test_values_that_make_no_node_are_refused(values: dict[str, object]) -> None:
    assert rendered(values).returncode != 0
