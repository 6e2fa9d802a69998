"""What `nectar df` prints, and how quotas are said at boot."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.launcher.arguments import parse_quotas
from nectar_node.storage.ledger import DEFAULT_QUOTAS, FILE_TRANSFER, NO_QUOTA, Quotas
from tests.nectar_node.cli.served_node import served

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
    free = "The disk: 5.0 GiB of 100.0 GiB are free; packages leave 512.0 MiB of that to the node.\n"
    assert (code, err) == (0, free)
    assert served(tmp_path, [{"ok": ANSWER}], "df", "--json")[0].json == ANSWER
    keeps = served(tmp_path, [{"ok": ANSWER | {"keeps_bytes": 5000}}], "df")[0]
    assert "Backups of other nodes: 4.9 KiB. `nectar backup keeps` lists them.\n" in keeps.err
    full = served(tmp_path, [{"ok": ANSWER | {"free": 1000}}], "df")[0]
    assert full.err.startswith("The disk is full: 1000 B of 100.0 GiB are free;")


def test_quotas_are_said_for_all_packages_or_for_one() -> None:
    assert parse_quotas((), 100_000, "") == DEFAULT_QUOTAS
    said = parse_quotas(("2GiB", "app:some.nec=10GiB"), 7, "1MiB")
    assert said == Quotas(2 * GIB, 7, 1 << 20, ((FILE_TRANSFER, NO_QUOTA), ("app:some.nec", 10 * GIB)))


@pytest.mark.parametrize(("quota", "floor"), [("much", ""), ("app=1GiB", ""), ("app:sys=", ""), ("-1", ""), ("1", "x")])
def test_what_is_no_quota_is_one_sentence(quota: str, floor: str) -> None:
    with pytest.raises(BadInput, match=r"is not a (size|package): .*\.$"):
        parse_quotas((quota,), 1, floor)
