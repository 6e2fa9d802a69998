from __future__ import annotations

from pathlib import Path

from kernel.contract.address import Address
from kernel.contract.guest import Poll, SendResponse
from kernel.contract.limits import MAX_GUEST_FILES
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from nectar_node.driver.prepared_node import guest_config
from tests.kernel.wasm.guests import GUESTS, arrival, poll


def asked(drives: Path, process: str, text: str) -> bytes:
    """What a guest of the test package that works with files answers, started as the node starts it."""
    engine = Engine(None, replayable=False)
    config = guest_config(drives, MAX_GUEST_FILES, None, Address.parse(f"our.nec@{process}"))
    guest = engine.load((GUESTS / "drive.wasm").read_bytes()).start(config)
    assert isinstance(guest, Fiber)
    assert poll(guest) is Poll.RECEIVE
    guest.resume(arrival(text.encode()))
    assert poll(guest) is Poll.RECEIVE
    (answer,) = guest.effects
    guest.close()
    engine.close()
    assert isinstance(answer, SendResponse)
    return answer.response.body


def test_g28_a_process_writes_into_its_packages_folder_in_the_vfs(tmp_path: Path) -> None:
    assert asked(tmp_path, "one:files:some.nec", "write /note.txt text") == b"written"
    assert (tmp_path / "files:some.nec" / "note.txt").read_text() == "text"


def test_g28_processes_of_a_package_share_its_drive_and_others_see_nothing_of_it(tmp_path: Path) -> None:
    asked(tmp_path, "one:files:some.nec", "write /note.txt text")
    assert asked(tmp_path, "two:files:some.nec", "read /note.txt") == b"text"
    assert asked(tmp_path, "one:other:some.nec", "read /note.txt") == b"refused"
    assert asked(tmp_path, "one:other:some.nec", "read /../files:some.nec/note.txt") == b"refused"
