"""An earlier version of the project, to measure this one beside it: its clone lies in the user's cache."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from nectar_node.toolchains import once
from packages.build import ROOT

BEFORE = "9825385"
"""The last commit before components ran on fibers, and before simulations kept what nobody reads out of their way."""


def home_before() -> Path:
    """Return the folder of commit BEFORE, cloned and installed in the user's cache."""
    return once.tools(f"bench-{BEFORE}", _install)


def python_of(home: Path) -> Path:
    """Return the interpreter that has what that version needs."""
    return home / ".venv" / "bin" / "python"


def _install(place: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", ROOT, place], check=True)
    subprocess.run(["git", "checkout", "--quiet", BEFORE], cwd=place, check=True)
    subprocess.run([sys.executable, "-m", "venv", place / ".venv"], check=True)
    # Not itself: its folder moves once it is whole.
    needed = tomllib.loads((place / "pyproject.toml").read_text())["project"]["dependencies"]
    subprocess.run([python_of(place), "-m", "pip", "install", "--quiet", *needed], check=True)
