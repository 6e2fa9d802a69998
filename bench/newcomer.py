"""`newcomer`: from an empty folder to a package that answers on two nodes and a failing fault test, by language.

It types the commands of the first section of docs/writing-a-process.md, and looks for what the page shows: where the
page is wrong, there is no figure. A block of the page is a terminal, and begins in the empty folder; `nectar dev` goes
on to the end. The cache is empty, so that compilers are fetched within the time; with `--keep-tools` those that this
machine has are used.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.measure import Result, Skipped, absolute
from nectar_node.authoring.templates import Language
from nectar_node.contract.config import user_cache

_ROOT = Path(__file__).resolve().parents[1]
PAGE = _ROOT / "docs" / "writing-a-process.md"
GOAL = 300.0
"""Seconds by language, on two cores, with an empty cache."""
LIMIT = 1200.0
"""Seconds after which something is taken never to come."""
_STAYS = "nectar dev"
_LEFT_OUT = "…"
_NEW = "nectar new "
_SEEDED = re.compile(r"\d+\.\d{6,}|--nectar-seed \d+")
"""What differs between two runs."""


@dataclass(frozen=True, slots=True)
class Typed:
    """One command of the page."""

    command: str
    block: int
    shown: tuple[str, ...] = ()
    """Lines that the page shows after it."""


def commands(page: str) -> list[Typed]:
    """Return the commands of a page's first section, in order, without their comments."""
    first = page.partition("\n## ")[0]
    found: list[Typed] = []
    for number, block in enumerate(re.findall(r"^```console\n(.*?)^```$", first, re.DOTALL | re.MULTILINE)):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Typed(re.sub(r"\s+# .*", "", line[2:]), number))
            elif line != _LEFT_OUT:
                found[-1] = replace(found[-1], shown=(*found[-1].shown, line))
    return found


def missing(typed: Typed, seen: str) -> list[str]:
    """Return the lines of the page that a command has not shown, but for times and seeds."""
    have = _plain(seen)
    return [line for line in typed.shown if _plain(line) not in have]


def _plain(text: str) -> str:
    return " ".join(_SEEDED.sub("N", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)).split())


def run(keep_tools: bool = False) -> list[Result]:
    """Live through the page once in each language, with what the page needs: this project and pytest, installed."""
    with tempfile.TemporaryDirectory(prefix="nectar-newcomer-") as place:
        environment = Path(place) / "venv"
        venv.create(environment, with_pip=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, str(_ROOT), "pytest"], check=True)  # not of the clone's, which has compilers already
        return [_live(language, keep_tools, environment / "bin") for language in Language]


def _live(language: Language, keep_tools: bool, binaries: Path) -> Result:
    name = f"newcomer_{language}"
    if language is Language.RUST and shutil.which("cargo") is None:
        return Skipped(name, "needs cargo")
    typed = commands(PAGE.read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="nectar-newcomer-") as place:
        folder = Path(place)
        (folder / "cache").mkdir(mode=0o700)
        if keep_tools:
            _take_tools(folder / "cache")
        began = time.perf_counter()
        by_command = _type(typed, language, folder, binaries)
        seconds = time.perf_counter() - began
    figure = absolute(name, [seconds], "seconds", GOAL)
    waits = {each.command: round(wait, 1) for each, wait in zip(typed, by_command, strict=True) if wait >= 0.1}
    tools = "those of this machine" if keep_tools else "fetched"
    return replace(figure, detail={"commands typed": len(typed), "compiler and its parts": tools, **waits})


def _take_tools(cache: Path) -> None:
    """Let the cache have the compilers that this machine has, and nothing that they have compiled."""
    ours = user_cache("toolchains")
    theirs = cache / "nectar" / "toolchains"
    theirs.mkdir(parents=True, mode=0o700)
    for path in [] if ours is None else ours.iterdir():
        if path.is_dir() and path.name != "zig-cache":
            shutil.copytree(path, theirs / path.name, symlinks=True, copy_function=_linked)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _type(typed: list[Typed], language: Language, folder: Path, binaries: Path) -> list[float]:
    """Type all commands in an empty folder; return the seconds that each has taken to show what the page shows."""
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "200"}
    for name in ("NECTAR_DIR", "NECTAR_NODE", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"):
        variables.pop(name, None)
    home = folder / "home"
    home.mkdir()
    seconds: list[float] = []
    here, block = home, 0
    with _terminals() as terminals:
        for each in typed:
            if each.block != block:
                here, block = home, each.block
            command = f"{each.command} --lang {language}" if each.command.startswith(_NEW) else each.command
            began = time.perf_counter()
            if command.startswith("cd "):
                here = here / command.removeprefix("cd ")
                assert here.is_dir(), here
            elif command == _STAYS:
                terminals.append(_Terminal.open(command, here, variables))
                terminals[-1].sees(each)
            else:
                ended = subprocess.run(
                    command, shell=True, cwd=here, env=variables, capture_output=True, text=True, timeout=LIMIT
                )
                seen = ended.stdout + ended.stderr
                if lacking := missing(each, seen):
                    raise RuntimeError(f"`{command}` has not shown {lacking[0]!r}, as the page says, but:\n{seen}")
            seconds.append(time.perf_counter() - began)
    return seconds


@dataclass(slots=True)
class _Terminal:
    """A command that goes on, and what it has shown."""

    process: subprocess.Popen[bytes]
    screen: int
    shown: bytearray = field(default_factory=bytearray)

    @classmethod
    def open(cls, command: str, folder: Path, variables: dict[str, str]) -> _Terminal:
        """Start it on a terminal of its own."""
        screen, theirs = pty.openpty()
        words = ["setsid", "--ctty", *command.split()]
        process = subprocess.Popen(words, cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        return cls(process, screen)

    def sees(self, typed: Typed) -> None:
        """Wait until it shows what the page says."""
        deadline = time.monotonic() + LIMIT
        while lacking := missing(typed, self.shown.decode("utf-8", "replace")):
            ready = select.select([self.screen], [], [], max(0.0, deadline - time.monotonic()))[0]
            try:
                data = os.read(self.screen, 1 << 16) if ready else b""
            except OSError:  # it has ended
                data = b""
            if not data:
                seen = self.shown.decode("utf-8", "replace")
                raise RuntimeError(f"`{typed.command}` has not shown {lacking[0]!r}, as the page says, but:\n{seen}")
            self.shown += data

    def close(self) -> None:
        """End it as a person does, or else in any way."""
        if self.process.poll() is None:
            os.write(self.screen, b"q")
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.screen)


@contextmanager
def _terminals() -> Iterator[list[_Terminal]]:
    opened: list[_Terminal] = []
    try:
        yield opened
    finally:
        for each in opened:
            each.close()
