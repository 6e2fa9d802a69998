"""The test of a package that README.md shows is one that passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_test_of_a_package_that_the_readme_shows_passes(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "test_shown.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_shown.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in ended.stdout, ended.stdout
