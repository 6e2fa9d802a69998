"""Every promise of docs/processes.md, shown by real Wasm guests: `make conformance` prints the table.

One file for each group of promises; every test is named after its promise. A test that says nothing runs on one node in
virtual time; what a promise says of several nodes runs beyond, the body the same.
"""

from __future__ import annotations

import pytest

spanning = pytest.mark.parametrize("lab", ["one node", "two nodes"], indirect=True)
"""On one node and on two, in virtual time, over real Noise sessions."""
two_nodes = pytest.mark.parametrize("lab", ["two nodes"], indirect=True)
"""On two only."""
everywhere = pytest.mark.parametrize("lab", ["one node", "two nodes", "sockets"], indirect=True)
"""The same, and on two real nodes over TCP."""
