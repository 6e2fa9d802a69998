"""What `nectar df` prints, and how quotas are said at boot."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.launcher.arguments import parse_quotas
from nectar_node.storage.ledger import DEFAULT_QUOTAS, FILE_TRANSFER, NO_QUOTA, Quotas
from tests.nectar_node.cli.real_node import PACKAGES, RealNode
from tests.nectar_node.cli.served_node import served

ECHO = PACKAGES / "echo"
GIB = 1 << 30
ROW = {
    "package": "app:some.nec",
    "bytes": 3 * GIB,
    "files": 12,
    "quota_bytes": 4 * GIB,
    "quota_files": 100,
    "drive_bytes": 2 * GIB,
    "drive_files": 11,
    "state_bytes": GIB,
    "states": 1,
}
ANSWER = {
    "packages": [ROW, ROW | {"package": FILE_TRANSFER, "quota_bytes": None}],
    "free": 5 * GIB,
    "total": 100 * GIB,
    "floor": GIB // 2,
}


def test_a_row_for_each_package_and_a_line_for_the_disk(tmp_path: Path) -> None:
    code, out, err = served(tmp_path, [{"ok": ANSWER}], "df")[0]
    assert out.splitlines()[1:] == [
        "app:some.nec\t3.0 GiB\t4.0 GiB\t75 %\t12\t100\t2.0 GiB\t1.0 GiB",
        "file_transfer:sys\t3.0 GiB\t-\t-\t12\t100\t2.0 GiB\t1.0 GiB",
    ]
    assert code == 0
    assert err.splitlines()[1] == (
        "The disk: 5.0 GiB of 100.0 GiB are free; packages leave 512.0 MiB of that to the node."
    )
    told = served(tmp_path, [{"ok": ANSWER}], "df", "--json")[0].json
    assert {key: value for key, value in told.items() if key != "own"} == ANSWER
    keeps = served(tmp_path, [{"ok": ANSWER | {"keeps_bytes": 5000}}], "df")[0]
    assert "Backups of other nodes: 4.9 KiB. `nectar backup keeps` lists them.\n" in keeps.err
    full = served(tmp_path, [{"ok": ANSWER | {"free": 1000}}], "df")[0]
    assert "\nThe disk is full: 1000 B of 100.0 GiB are free;" in full.err


def test_the_package_that_uses_most_comes_first(tmp_path: Path) -> None:
    rows = [ROW | {"package": f"{size}:some.nec", "bytes": size} for size in (5, 1, 9)]
    out = served(tmp_path, [{"ok": ANSWER | {"packages": rows}}], "df")[0].out
    assert [line.split(":")[0] for line in out.splitlines()[1:]] == ["9", "5", "1"]


def test_what_the_node_itself_keeps_is_told_without_the_drives_of_packages(node: RealNode) -> None:
    node.does("start", ECHO)
    folder = node.folder.path
    (folder / "log").write_bytes(b"x" * 1000)
    (folder / "log.1").write_bytes(b"x" * 500)
    (folder / "vfs" / "big").write_bytes(b"x" * 100_000)
    own = node.nectar("df", "--json").json["own"]
    assert own["log"] == 1500
    assert own["store"] == sum(file.stat().st_size for file in folder.glob("store*"))
    assert own["code"] > 0
    assert not own.keys() & {"vfs", "store-wal", "log.1"}
    (line, _) = node.nectar("df").err.splitlines()
    assert line.startswith("The node's own files: ")
    assert "log 1.5 KiB" in line


def test_quotas_are_said_for_all_packages_or_for_one() -> None:
    assert parse_quotas((), 100_000, "") == DEFAULT_QUOTAS
    said = parse_quotas(("2GiB", "app:some.nec=10GiB"), 7, "1MiB")
    assert said == Quotas(2 * GIB, 7, 1 << 20, ((FILE_TRANSFER, NO_QUOTA), ("app:some.nec", 10 * GIB)))


@pytest.mark.parametrize(("quota", "floor"), [("much", ""), ("app=1GiB", ""), ("app:sys=", ""), ("-1", ""), ("1", "x")])
def test_what_is_no_quota_is_one_sentence(quota: str, floor: str) -> None:
    with pytest.raises(BadInput, match=r"is not a (size|package): .*\.$"):
        parse_quotas((quota,), 1, floor)
