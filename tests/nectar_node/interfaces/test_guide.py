"""The interface in the guide to writing a process is that of its process."""

from __future__ import annotations

import re
from pathlib import Path

from nectar_node.interfaces.fitting import misfit
from tests.nectar_node.interfaces.samples import apis

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "writing-a-process.md"


def test_the_interface_in_the_guide_describes_the_process_in_the_guide() -> None:
    text = GUIDE.read_text()
    (block,) = re.findall(r"```wit\n(.*?)```", text, re.DOTALL)
    (api,) = apis(block, "greeter", package="greeter:local")
    assert api.response is not None
    assert '{"Greet": "Ada"}' in text
    assert '{"Greeting":"Hello, Ada, from one.nec"}' in text
    assert misfit(api.request, {"Greet": "Ada"}) is None
    assert misfit(api.response, {"Greeting": "Hello, Ada, from one.nec"}) is None
