"""The guests in Rust and C++ that the other tests run are what their sources compile to."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import NoTools
from tests.languages.wasip2 import GUESTS, cpp, fetcher, rust


def test_the_guest_in_cpp_is_what_its_source_compiles_to(tmp_path: Path) -> None:
    cpp(tmp_path / "cpp.wasm")
    assert (tmp_path / "cpp.wasm").read_bytes() == (GUESTS / "cpp.wasm").read_bytes()


def test_the_guest_in_rust_is_what_its_source_compiles_to(tmp_path: Path) -> None:
    try:
        rust(tmp_path / "rust.wasm")
    except NoTools as error:
        pytest.skip(str(error))
    assert (tmp_path / "rust.wasm").read_bytes() == (GUESTS / "rust.wasm").read_bytes()


def test_the_guest_that_asks_servers_is_what_its_source_compiles_to(tmp_path: Path) -> None:
    fetcher(tmp_path / "fetcher.wasm")
    assert (tmp_path / "fetcher.wasm").read_bytes() == (GUESTS / "fetcher.wasm").read_bytes()
