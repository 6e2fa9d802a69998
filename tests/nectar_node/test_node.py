"""A node as an operating system process, where only the real one shows it."""

from __future__ import annotations

import os
import select
from pathlib import Path

from testnet.local import LocalTestnet

PATIENCE_MILLISECONDS = 20_000


def test_a_node_that_is_told_to_shut_down_by_message_answers_and_ends_cleanly(tmp_path: Path) -> None:
    with LocalTestnet(tmp_path / "testnet") as nodes:
        nodes.start(["a.nec"])
        pid = nodes.pid("a.nec")
        assert pid is not None
        ended = select.poll()
        descriptor = os.pidfd_open(pid)
        try:
            ended.register(descriptor, select.POLLIN)
            assert nodes.message("a.nec", "our@kernel:distro:sys", '"Shutdown"')["body"] == '"Ok"'
            assert ended.poll(PATIENCE_MILLISECONDS), "it runs on"
        finally:
            os.close(descriptor)
        assert "terminal:terminal:sys: has the node shut down" in nodes.log("a.nec")
        assert not nodes.place("a.nec").control.exists()
