"""How cost grows: the exponent of a curve, its picture, and the section of docs/performance.md."""

from __future__ import annotations

import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.growth import __main__ as growth
from bench.growth import page
from bench.growth.curves import Growth, Subject, exponent
from bench.growth.drawing import HEIGHT, WIDTH, svg
from bench.growth.subjects import SUBJECTS
from bench.markdown import PAGE

SUBJECT = Subject("Sheep & goats", "animals", (1, 10, 100, 1_000), ("counting",), ("memory",))
NAMESPACE = "{http://www.w3.org/2000/svg}"


def squares(most: int) -> Growth:
    """Counting that takes the square of the number, and no memory."""
    sizes = [size for size in SUBJECT.sizes if size <= most]
    return Growth("2026-12-01", "a machine", {size: {"counting": float(size**2), "memory": 0.0} for size in sizes})


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_its_power(power: float) -> None:
    assert exponent([(size, 3 * size**power) for size in (10, 100, 1_000)]) == pytest.approx(power)


def test_what_a_cost_begins_with_does_not_hide_how_it_grows() -> None:
    points = [(float(size), 1_000 + size**2) for size in (10, 100, 1_000, 10_000, 100_000)]
    assert exponent(points) == pytest.approx(2.0, abs=0.01)


def test_one_point_has_no_exponent() -> None:
    assert exponent([(10, 1.0)]) is None
    assert exponent([]) is None


def test_a_cost_of_nothing_is_no_point_of_a_curve() -> None:
    assert Growth("", "", {1: {"a": 0.0}, 10: {"a": -1.0}, 100: {"a": 2.0}, 1000: {}}).curve("a") == [(100, 2.0)]


def test_a_picture_has_a_curve_with_its_exponent_inside_its_frame() -> None:
    root = ElementTree.fromstring(svg(SUBJECT, squares(1_000)))
    assert root.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    assert root.findtext(f"{NAMESPACE}title") == "Sheep & goats"
    texts = [each.text for each in root.iter(f"{NAMESPACE}text")]
    assert "counting: n^2.00" in texts
    assert {"animals", "seconds of processor time"} < set(texts)
    assert "MiB of memory" not in texts
    dots = [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in root.iter(f"{NAMESPACE}circle")]
    assert len(dots) == 4
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in dots)
    steps = {(round(x - before_x), round(before_y - y)) for (before_x, before_y), (x, y) in pairwise(dots)}
    assert len(steps) == 1  # a power law is a straight line


def test_labels_of_curves_that_end_at_one_height_are_a_line_apart() -> None:
    subject = Subject("", "", (1, 10), ("a", "b"), ())
    same = Growth("", "", {size: {"a": 1.0 * size, "b": 1.0 * size} for size in (1, 10)})
    texts = ElementTree.fromstring(svg(subject, same)).iter(f"{NAMESPACE}text")
    heights = [float(each.attrib["y"]) for each in texts if each.text in {"a", "b"}]
    assert heights[1] - heights[0] >= 14


def test_more_than_linear_growth_stands_out_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SUBJECTS", {"sheep": SUBJECT})
    measured = squares(100)
    measured.left_out[1_000] = "it took more than 5 s"
    del measured.costs[1]["memory"]
    lines = page.section({"sheep": measured}).splitlines()
    assert "| counting | 1 s | 1e+04 s | **2.00** |" in lines
    assert "| memory | not taken | too little |  |" in lines
    assert lines[-1] == "Left out: 1,000, since it took more than 5 s."


def test_the_page_and_its_pictures_are_those_of_the_measurements(tmp_path: Path) -> None:
    (tmp_path / page.MEASURED).parent.mkdir()
    shutil.copy(PAGE, tmp_path)
    measured = page.load()
    assert measured.keys() == SUBJECTS.keys()
    page.write(measured, tmp_path)
    files = [Path(PAGE.name), page.MEASURED, *map(page.picture, measured)]
    for file in files:
        assert (tmp_path / file).read_text() == (page.DOCS / file).read_text(), file


@pytest.mark.long
def test_a_point_is_measured_in_a_process_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    assert growth.main(["processes", "--most", "10", "--print"]) == 0
    shown = capfd.readouterr().out.splitlines()
    assert "processes  30 left out: larger than was asked for" in shown


def test_a_point_that_takes_too_long_is_left_out_and_so_are_larger_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_command", lambda name, size: _sleeper(size))
    monkeypatch.setattr(growth, "SUBJECTS", {"sheep": SUBJECT})
    measured = growth.measure("sheep", 0.5, None)
    assert measured.costs == {}
    assert measured.left_out == {1: "it took more than 0.5 s"} | dict.fromkeys(
        (10, 100, 1_000), "a smaller one took too long"
    )


def test_a_point_that_fails_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('the disk has no room for it')"]
    monkeypatch.setattr(growth, "_command", lambda name, size: failing if size == 10 else _printer(size))
    monkeypatch.setattr(growth, "SUBJECTS", {"sheep": SUBJECT})
    measured = growth.measure("sheep", 30.0, 100)
    assert measured.costs == {1: {"counting": 1.0}, 100: {"counting": 100.0}}
    assert measured.left_out == {10: "the disk has no room for it", 1_000: "larger than was asked for"}


def _sleeper(size: int) -> list[str]:
    return [sys.executable, "-c", "import time; time.sleep(60)"]


def _printer(size: int) -> list[str]:
    return [sys.executable, "-c", f"print({json.dumps(json.dumps({'counting': size}))})"]
