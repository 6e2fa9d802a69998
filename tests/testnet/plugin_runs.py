"""Runs of pytest with the plugin, and what they print."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

SEED = re.compile(r"^seed      (\d+)$", re.MULTILINE)
REPEAT = re.compile(r"^repeat    cd \S+ && pytest (.+)$", re.MULTILINE)
QUIET = ("-p", "no:cacheprovider", "-p", "no:faulthandler")
"""In this process the end of that plugin would take away the signal handlers by which Wasmtime catches traps."""


def run(pytester: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    """Of one file of tests, in this process."""
    pytester.makepyfile(source)
    return pytester.runpytest_inprocess(*QUIET, *arguments)


def printed(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines)


def seeds_of(result: pytest.RunResult) -> list[int]:
    return [int(each) for each in SEED.findall(printed(result))]


def properties(file: Path, test: str) -> dict[str, str]:
    """Those that JUnit's XML has of a test."""
    (case,) = [each for each in ElementTree.parse(file).iter("testcase") if each.get("name") == test]
    return {str(each.get("name")): str(each.get("value")) for each in case.iter("property")}
