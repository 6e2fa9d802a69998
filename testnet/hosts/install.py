"""The project on a host: its wheel, in an environment of its own that is made once for each wheel and its dependencies.

A Python there that has this very release is used as it is.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import shlex
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nectar_node.base.errors import BadInput, NodeError
from testnet.hosts.release import running_release
from testnet.hosts.ssh import CommandDone, HostConnection, Ssh

PROJECT = "nectar-node"
INSTALL_SECONDS = 900.0
"""Seconds that a host has to install the project: a slow line fetches some 60 MB of dependencies."""
_BUILD_SECONDS = 300.0
_DIED = (1980, 1, 1, 0, 0, 0)
"""The time of all files in a wheel: the same code makes the same bytes."""
_PROBE = "from testnet.hosts.release import running_release; print(running_release())"
_RECENT = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))"


def find_python(connection: HostConnection, ssh: Ssh, known: str | None) -> str | None:
    """Return the Python of a host that has this release: the one that its entry names, or the `known` one; None: it is
    to be installed."""
    release = running_release()
    for python in dict.fromkeys((known or connection.host.python, connection.host.python)):
        done = ssh.call(connection.run(f"{quoted(python)} -P -c {shlex.quote(_PROBE)}"))
        if done.code == 0 and done.out.decode(errors="replace").strip() == release:
            return python
    return None


def install(connection: HostConnection, ssh: Ssh, wheel: Path, wheels: Path | None, say: Callable[[str], None]) -> str:
    """Install a wheel on a host, unless that has been done, and return the Python of its environment; raises NodeError.

    `wheels` is a folder here with its dependencies; None: the host has a package registry.
    """
    host = connection.host
    needed = sorted(wheels.glob("*.whl")) if wheels is not None else []
    if wheels is not None and not needed:
        raise BadInput(f"There are no wheels in {wheels}: `pip wheel --wheel-dir {wheels} …` makes them.")
    digest = hashlib.sha256()
    for path in (wheel, *needed):
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    environment = f"{host.folder}-environments/{digest.hexdigest()[:16]}"
    place = quoted(environment)
    python = f"{environment}/bin/python"
    if ssh.call(connection.run(f"test -e {place}/ready")).code == 0:
        return python
    say(f"Installing on {host.name}.")
    recent = ssh.call(connection.run(f"{quoted(host.python)} -c {shlex.quote(_RECENT)}"))
    if recent.code:
        reason = f" ({last_line(recent)})" if recent.err.strip() else ""
        raise NodeError(
            f"{host.name} has no Python 3.11 to 3.14 called {host.python}{reason}: install one, or name another "
            "with `python`."
        )
    made = ssh.call(
        connection.run(
            f"rm -rf {place} && umask 077 && mkdir -p {place}/wheels && {quoted(host.python)} -m venv {place}",
            seconds=INSTALL_SECONDS,
        )
    )
    if made.code:
        raise NodeError(
            f"{host.name} cannot make an environment with {host.python} ({last_line(made)}): on Debian, install "
            "python3-venv there."
        )
    for path in (wheel, *needed):
        done = ssh.call(
            connection.run(f"cat > {place}/wheels/{shlex.quote(path.name)}", path.read_bytes(), INSTALL_SECONDS)
        )
        if done.code:
            raise NodeError(f"{path.name} cannot be copied to {host.name}: {last_line(done)}.")
    offline = f"--no-index --find-links {place}/wheels " if needed else ""
    pip = f"{place}/bin/python -m pip install --quiet --disable-pip-version-check --no-input {offline}"
    done = ssh.call(connection.run(f"{pip}{place}/wheels/{shlex.quote(wheel.name)}", seconds=INSTALL_SECONDS))
    if done.code:
        advice = (
            "the folder of `wheels` lacks something that its Python needs"
            if needed
            else "if it has no package registry, name a folder of wheels here with `wheels`"
        )
        raise NodeError(f"The project cannot be installed on {host.name} ({last_line(done)}): {advice}.")
    ssh.call(connection.run(f"rm -rf {place}/wheels && touch {place}/ready"))
    return python


def quoted(path: str) -> str:
    """Return a path for the shell there, in which a leading ~/ is the home."""
    return f'"$HOME"/{shlex.quote(path[2:])}' if path.startswith("~/") else shlex.quote(path)


def last_line(done: CommandDone) -> str:
    """Return the last thing that a command has complained of, which is an error of pip's if there is one."""
    lines = [line.strip() for line in done.err.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or [f"exit code {done.code}"])[-1].removeprefix("ERROR:").strip().rstrip(".")


def build_wheel(into: Path) -> Path:
    """Return the wheel of the project as it runs here: built from its clone, or packed again from what is installed.
    Raises NodeError."""
    found = distribution(PROJECT)
    clone = _clone(found)
    if clone is None:
        return _repacked(found, into)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    try:
        done = subprocess.run(
            [*command, "--wheel-dir", str(into), str(clone)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BUILD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NodeError(f"The wheel of {clone} cannot be built: {error}.") from error
    built = sorted(into.glob("nectar_node-*.whl"))
    if done.returncode or not built:
        said = last_line(CommandDone(done.returncode, b"", done.stderr))
        raise NodeError(f"The wheel of {clone} cannot be built ({said}): is there a package registry for hatchling?")
    return built[0]


def _clone(found: Distribution) -> Path | None:
    """Return the folder of an editable installation; None: it is none."""
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path))


def _repacked(found: Distribution, into: Path) -> Path:
    root = Path(str(found.locate_file("")))
    info = f"nectar_node-{found.version}.dist-info"
    left_out = {f"{info}/{name}" for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")}
    names = sorted(
        str(path)
        for path in found.files or ()
        if ".." not in path.parts and "__pycache__" not in path.parts and str(path) not in left_out
    )
    wheel = into / f"nectar_node-{found.version}-py3-none-any.whl"
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            data = (root / name).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.writerow((name, f"sha256={digest}", len(data)))
            file.writestr(zipfile.ZipInfo(name, _DIED), data)
        rows.writerow((f"{info}/RECORD", "", ""))
        file.writestr(zipfile.ZipInfo(f"{info}/RECORD", _DIED), record.getvalue())
    return wheel


def installed_everywhere(
    connections: list[HostConnection],
    ssh: Ssh,
    known: dict[str, str],
    wheels: Path | None,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Return the Python with this release on each host, by the host's name, and install it where there is none."""
    pythons: dict[str, str] = {}
    missing: list[HostConnection] = []
    for connection in connections:
        python = find_python(connection, ssh, known.get(connection.host.name))
        if python is None:
            missing.append(connection)
        else:
            pythons[connection.host.name] = python
    if missing:
        with tempfile.TemporaryDirectory(prefix="nectar-wheel-") as folder:
            wheel = build_wheel(Path(folder))
            for connection in missing:
                python = install(connection, ssh, wheel, wheels, say)
                if find_python(connection, ssh, python) != python:
                    raise NodeError(
                        f"{connection.host.name} has another release in {python}: remove that environment there."
                    )
                pythons[connection.host.name] = python
    return pythons


def command_line(python: str, module: str, *words: str) -> str:
    """Return the shell command that runs a module on a host."""
    return " ".join([quoted(python), "-P", "-m", module, *map(quoted, words)])
