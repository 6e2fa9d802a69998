"""The genesis file: whole or not at all, and a damaged one is one sentence that destroys nothing."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from nectar_node.base.errors import CannotJoin, NotOurs
from nectar_node.contract.config import GENESIS_FILE, GenesisFile, module_cache

GENESIS = GenesisFile("registrar.nec", b"k" * 32, "127.0.0.1", 4000)


def test_what_was_saved_is_loaded_and_without_it_there_is_no_testnet(tmp_path: Path) -> None:
    with pytest.raises(CannotJoin, match="no testnet"):
        GenesisFile.load(tmp_path)
    GENESIS.save(tmp_path)
    GENESIS.save(tmp_path)
    assert GenesisFile.load(tmp_path) == GENESIS
    assert [path.name for path in tmp_path.iterdir()] == [GENESIS_FILE]


@pytest.mark.parametrize(
    "change", [{"port": 99999}, {"port": "x"}, {"public_key": "00" * 32}, {"public_key": "zz"}, {"public_key": "abcd"}]
)
def test_a_damaged_genesis_file_says_what_to_remove_and_that_nothing_is_lost(
    tmp_path: Path, change: dict[str, object]
) -> None:
    GENESIS.save(tmp_path)
    path = tmp_path / GENESIS_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CannotJoin) as caught:
        GenesisFile.load(tmp_path)
    assert "Remove this one file" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_whatever_lies_in_the_file_only_cannot_join_escapes(tmp_path: Path, text: str) -> None:
    (tmp_path / GENESIS_FILE).write_text(text)
    with pytest.raises(CannotJoin):
        GenesisFile.load(tmp_path)


def test_a_genesis_file_that_others_could_have_altered_is_no_trust_anchor(tmp_path: Path) -> None:
    GENESIS.save(tmp_path)
    path = tmp_path / GENESIS_FILE
    path.chmod(0o666)
    with pytest.raises(NotOurs, match=rf"{path} can be written by everybody: see that .* `chmod go-w {path}`"):
        GenesisFile.load(tmp_path)
    elsewhere = path.rename(tmp_path / "elsewhere")
    elsewhere.chmod(0o600)
    path.symlink_to(elsewhere)
    with pytest.raises(NotOurs, match=rf"{path} is a link"):
        GenesisFile.load(tmp_path)
    with pytest.raises(NotOurs, match=rf"{path} is a link"):
        GENESIS.save(tmp_path)


def test_compiled_code_is_not_taken_from_where_others_could_have_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = tmp_path / "nectar" / "modules"
    assert module_cache() == cache
    assert [stat.S_IMODE(path.stat().st_mode) for path in (cache, cache.parent)] == [0o700, 0o700]
    cache.chmod(0o777)
    assert module_cache() is None
    assert f"Compiled code is not kept: {cache} can be written by everybody" in capsys.readouterr().err


def test_who_has_no_home_keeps_no_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> NoReturn:
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert module_cache() is None
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert module_cache() == Path("/somewhere/nectar/modules")
