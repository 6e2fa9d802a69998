"""How a node was started is written down, so that it can be started again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nectar_node.base.decoding import BadShape
from nectar_node.base.errors import BadFolder
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import GenesisFile
from nectar_node.launcher.boot_options import (
    DEFAULT_OPTIONS,
    BootOptions,
    as_before,
    decode_options_untrusted,
    decode_told_untrusted,
    encode_told,
    keep_options,
    kept_options,
)
from nectar_node.storage.ledger import DEFAULT_QUOTAS, Quotas

EVERYTHING = BootOptions(
    host="127.5.6.2",
    port=7101,
    advertise=("127.5.6.2", 7100),
    packages=(Path("/packages/hello"),),
    password_file=Path("/password"),
    routers=("r.nec",),
    reservations=3,
    directory=(Path("/signed"), b"\x11" * 32),
    prefix=("ip", "netns", "exec", "a"),
    memory_bytes=1 << 30,
    trace=True,
    quotas=Quotas(bytes=1 << 40, files=7, floor=0, packages=(("app:some.nec", 1 << 50),)),
    invitation=b"\x22" * 99,
    invite_only=True,
)


@pytest.mark.parametrize("options", [EVERYTHING, DEFAULT_OPTIONS, BootOptions(packages=())])
def test_options_that_are_kept_come_back(tmp_path: Path, options: BootOptions) -> None:
    keep_options(NodeFolder(tmp_path), options)
    assert kept_options(NodeFolder(tmp_path)) == options


@pytest.mark.parametrize(
    ("name", "usual"),
    [("port", 0), ("trace", False), ("quotas", DEFAULT_QUOTAS), ("invitation", None), ("invite_only", None)],
)
def test_options_that_were_kept_before_there_were_some_come_back(tmp_path: Path, name: str, usual: Any) -> None:
    keep_options(NodeFolder(tmp_path), EVERYTHING)
    value = json.loads((tmp_path / "boot.json").read_text())
    del value[name]
    field = {"memory": "memory_bytes"}.get(name, name)
    assert decode_options_untrusted(json.dumps(value).encode()) == replace(EVERYTHING, **{field: usual})


@pytest.mark.parametrize("options", [EVERYTHING, replace(EVERYTHING, password=b"correct \xff"), DEFAULT_OPTIONS])
def test_the_options_survive_the_way_to_another_process(options: BootOptions) -> None:
    assert decode_told_untrusted(encode_told(options)) == options


@pytest.mark.parametrize("name", ["password", "consent", "lifeline"])
def test_what_is_for_one_start_alone_is_not_read_from_the_file(name: str) -> None:
    assert decode_options_untrusted(json.dumps({"host": "127.0.0.1", name: 5}).encode()) == DEFAULT_OPTIONS


@pytest.mark.parametrize("password", ["x", 7, [], {"a": 1}])
def test_a_password_of_another_shape_is_refused(password: object) -> None:
    value = json.loads(encode_told(EVERYTHING)) | {"password": password}
    with pytest.raises(BadShape, match=r"^password"):
        decode_told_untrusted(json.dumps(value).encode())


def test_no_password_is_kept(tmp_path: Path) -> None:
    keep_options(NodeFolder(tmp_path), BootOptions(password=b"correct horse"))
    assert "horse" not in (tmp_path / "boot.json").read_text()


def test_without_kept_options_a_node_is_started_as_usual_and_a_registrar_takes_in_everybody(tmp_path: Path) -> None:
    assert kept_options(NodeFolder(tmp_path)) == DEFAULT_OPTIONS
    assert as_before(tmp_path, NodeFolder(tmp_path), BootOptions()).invite_only is False


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", '"x"', "[" * 100_000])
def test_a_damaged_file_of_options_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "boot.json").write_text(content)
    with pytest.raises(
        BadFolder, match=r"boot\.json is damaged .*: remove it, and .* starts with the usual options\.$"
    ):
        kept_options(NodeFolder(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"host": 1},
        {"port": "1"},
        {"port": 65536},
        {"advertise": ["h"]},
        {"advertise": "h"},
        {"packages": [1]},
        {"packages": 1},
        {"routers": None},
        {"reservations": -1},
        {"quotas": []},
        {"trace": "yes"},
        {"once": 1},
        {"quotas": {"bytes": -1, "files": 1, "floor": None, "packages": []}},
        {"quotas": {"bytes": 1, "files": 1, "floor": "1", "packages": []}},
        {"quotas": {"bytes": 1, "files": 1, "floor": 1, "packages": [["app:sys"]]}},
        {"directory": ["/x", "no hex"]},
        {"prefix": [[]]},
        {"invitation": 7},
        {"invitation": "no hex"},
    ],
)
def test_options_of_another_shape_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    keep_options(NodeFolder(tmp_path), EVERYTHING)
    value = json.loads((tmp_path / "boot.json").read_text())
    with pytest.raises(BadShape, match=rf"^{next(iter(change))}\b.*(must be|hexadecimal)"):
        decode_options_untrusted(json.dumps(value | change).encode())


# --- a registrar that goes on as it was -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "genesis", "outcome"), [(True, False, True), (False, True, False), (None, True, True)]
)
def test_a_registrar_that_is_not_told_demands_invitations_as_before(
    tmp_path: Path, kept: bool | None, genesis: bool, outcome: bool
) -> None:
    GenesisFile("registrar.nec", b"k" * 32, "h", 1, genesis).save(tmp_path)
    if kept is not None:
        keep_options(NodeFolder(tmp_path), BootOptions(invite_only=kept))
    assert as_before(tmp_path, NodeFolder(tmp_path), BootOptions()).invite_only is outcome
    for told in (True, False):
        assert as_before(tmp_path, NodeFolder(tmp_path), BootOptions(invite_only=told)).invite_only is told
