"""Guests in Rust and C++, compiled to components of WASI 0.2, as a real node runs them: with files of the host, bounded
and pre-empted.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.contract.guest import GuestConfig, Poll, Print, SendResponse, Sleep
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import GUESTS, MEMORY, OUR, arrival, loaded, poll

NOW = 1_000_000_000
"""The time of the guests' clocks, in nanoseconds."""


class Visitor:
    """A guest whose drive is a folder, beside a file that it must not see."""

    def __init__(self, engine: Engine, language: str, folder: Path) -> None:
        self.now = NOW
        self.drive = folder / "drive"
        self.drive.mkdir()
        (folder / "secret").write_text("secret")
        config = GuestConfig(OUR, MEMORY, bytes, lambda: self.now, str(self.drive))
        guest = loaded(engine, (GUESTS / "wasip2" / f"{language}.wasm").read_bytes()).start(config)
        assert isinstance(guest, Fiber)
        self.guest = guest
        assert poll(guest) is Poll.RECEIVE, guest.end
        assert guest.effects == [Print(1, f"{OUR} begins")]
        guest.effects.clear()

    def tell(self, text: str) -> Poll:
        self.guest.resume(arrival(text.encode()))
        return poll(self.guest)

    def ask(self, text: str) -> str:
        assert self.tell(text) is Poll.RECEIVE, self.guest.end
        return self.answer()

    def answer(self) -> str:
        (answer,) = self.guest.effects
        self.guest.effects.clear()
        assert isinstance(answer, SendResponse)
        return answer.response.body.decode()


@pytest.fixture(params=["rust", "cpp"])
def visitor(real: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> Visitor:
    return Visitor(real, str(request.param), tmp_path)


def test_g28_its_files_are_those_of_its_drive(visitor: Visitor) -> None:
    assert visitor.ask("write /note.txt some text") == "9 bytes"
    assert (visitor.drive / "note.txt").read_text() == "some text"
    (visitor.drive / "given").write_text("g" * 100_000)
    assert visitor.ask("read /given") == "g" * 100_000
    assert visitor.ask("list /") == "given note.txt"


@pytest.mark.parametrize("path", ["/../secret", "../secret", "/a/../../secret", "/link", "/folder/secret"])
def test_g28_no_path_and_no_link_leads_out_of_its_drive(visitor: Visitor, path: str) -> None:
    (visitor.drive / "link").symlink_to(visitor.drive.parent / "secret")
    (visitor.drive / "folder").symlink_to(visitor.drive.parent)
    assert visitor.ask(f"read {path}").startswith("refused: ")
    assert visitor.ask(f"write {path} overwritten").startswith("refused: ")
    assert (visitor.drive.parent / "secret").read_text() == "secret"


def test_a_sleep_is_a_timer_of_the_kernels(visitor: Visitor) -> None:
    assert visitor.tell("sleep 1500") is Poll.CALL
    assert visitor.guest.effects == [Sleep(NOW / 1e9 + 1.5)]
    visitor.guest.effects.clear()
    visitor.guest.resume(None)
    assert poll(visitor.guest) is Poll.RECEIVE
    assert visitor.answer() == "1500 ms"


def test_g23_an_endless_loop_gives_the_poll_back_and_ends_when_it_is_killed(visitor: Visitor) -> None:
    visitor.guest.resume(arrival(b"spin"))
    for _ in range(3):
        assert visitor.guest.poll() is Poll.PREEMPTED
    visitor.guest.close()
    assert visitor.guest.end is not None
    assert visitor.guest.end.trap == "killed"


def test_g23_its_memory_is_bounded(visitor: Visitor) -> None:
    assert visitor.tell("fill") is Poll.ENDED
    assert visitor.guest.end is not None
    assert "unreachable" in str(visitor.guest.end.trap), "it gives up when it gets no more"


def test_a_panic_is_printed_and_ends_it(visitor: Visitor) -> None:
    assert visitor.tell("panic no bread") is Poll.ENDED
    assert any(isinstance(each, Print) and "no bread" in each.text for each in visitor.guest.effects)


def test_an_exit_code_is_why_it_ended(visitor: Visitor) -> None:
    assert visitor.tell("exit 3") is Poll.ENDED
    assert visitor.guest.end is not None
    assert visitor.guest.end.trap == "exited with code 1", "WASI 0.2 knows only success and failure"
