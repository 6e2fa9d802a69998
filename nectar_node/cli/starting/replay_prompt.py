"""What can be asked of a replay that has stopped: at a prompt, from standard input, or with `--ask`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from typing import Any

from nectar_node.base.errors import BadInput
from nectar_node.base.program import load_module
from nectar_node.console import output

Row = dict[str, object]
HELP = (
    "ps                                processes, their state, mail and memory",
    "mail PROCESS                      what waits for a process, and what it waits for",
    "peers                             the nodes with which there is a session",
    "crashes                           the processes that have crashed until here, and where",
    "memory PROCESS ADDRESS [LENGTH]   bytes of a guest's memory",
    "find PROCESS TEXT                 where those bytes are in it; 0x… for bytes that are no text",
    "stack PROCESS                     the functions that it is in; takes as long as the replay until here",
    "step [COUNT]                      go on so many steps",
    'go [EVENT]                        go on to the next "#STEP", SECONDS or words; without one, to the end',
    "quit",
)
_DUMP_BYTES = 16
_MAX_DIGITS = 16


class ReplayPrompt:
    """Carries out what is asked of a stopped replay."""

    def __init__(self, replay: Any, *, as_json: bool) -> None:
        """`replay`: a `nectar_node.recording.stops.StoppingReplay`."""
        self._replay = replay
        self._as_json = as_json
        self._looking = load_module("nectar_node.recording.looking")
        self._stops = load_module("nectar_node.recording.stops")
        self._commands: dict[str, tuple[Callable[..., None], int, int]] = {
            "ps": (self._ps, 0, 0),
            "mail": (self._mail, 1, 1),
            "peers": (self._peers, 0, 0),
            "crashes": (self._crashes, 0, 0),
            "memory": (self._memory, 2, 3),
            "find": (self._find, 2, 2),
            "stack": (self._stack, 1, 1),
            "step": (self._step, 0, 1),
            "go": (self._go, 0, 1),
            "help": (self._help, 0, 0),
        }

    def show(self, stop: Any) -> None:
        """Say where the replay has stopped, and what is there: processes, mail, sessions."""
        core, looking = self._replay.player.core, self._looking
        rows = looking.processes(core)
        mail = {str(row["process"]): looking.mail(core, str(row["process"])) for row in rows}
        mail = {process: found for process, found in mail.items() if found}
        if self._as_json:
            value = stop._asdict() | {"processes": rows, "mail": mail, "sessions": looking.sessions(core)}
            output.print_json(value)
            return
        output.say(f"Before step #{stop.step}, {stop.seconds:.6f} s after the boot: {stop.why}.")
        self._ps()
        for process, found in mail.items():
            print(f"mail of {process}")
            self._rows(found)
        self._peers()

    def ask(self, lines: Iterator[str]) -> None:
        """Carry out one line after the other, until one is `quit`; raises BadRecording."""
        for line in lines:
            try:
                words = shlex.split(line)
                if words and words[0] in ("quit", "exit", "q"):
                    return
                if words:
                    self._carry_out(words)
            except (BadInput, ValueError) as error:
                output.complain(str(error))

    def _carry_out(self, words: list[str]) -> None:
        name, *given = words
        if name == "go" and given:
            given = [" ".join(given)]
        if name not in self._commands:
            raise BadInput(f'There is no "{name}": help lists what there is.')
        act, least, most = self._commands[name]
        if not least <= len(given) <= most:
            raise BadInput(next(line for line in HELP if line.split()[0] == name))
        act(*given)

    def _tell(self, what: str, rows: list[Row]) -> None:
        if self._as_json:
            output.print_json({what: rows})
        else:
            self._rows(rows)

    def _rows(self, rows: list[Row]) -> None:
        if not rows:
            print("  nothing")
        for row in rows:
            parts = (f"{key} {output.one_line(str(value))}" for key, value in row.items() if value not in (None, "", 0))
            print("  " + ", ".join(parts))

    def _ps(self) -> None:
        self._tell("processes", self._looking.processes(self._replay.player.core))

    def _mail(self, process: str) -> None:
        self._tell("mail", self._looking.mail(self._replay.player.core, process))

    def _peers(self) -> None:
        self._tell("sessions", self._looking.sessions(self._replay.player.core))

    def _crashes(self) -> None:
        rows = self._looking.crashes(self._replay.player.core)
        if self._as_json:
            output.print_json({"crashes": rows})
            return
        for row in rows:
            print(f"  {row['process']}: {output.one_line(str(row['reason']))}")
            self._frames(row["frames"])

    def _memory(self, process: str, address: str, length: str = "64") -> None:
        start = _number(address)
        data = self._looking.memory(self._replay.player.core, process, start, _number(length))
        if self._as_json:
            output.print_json({"address": start, "bytes": data.hex()})
            return
        for at in range(0, len(data), _DUMP_BYTES):
            line = data[at : at + _DUMP_BYTES]
            text = "".join(chr(each) if 32 <= each < 127 else "." for each in line)
            print(f"  {start + at:08x}  {line.hex(' '):{3 * _DUMP_BYTES}} {text}")

    def _find(self, process: str, text: str) -> None:
        wanted = bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()
        if not wanted:
            raise BadInput("find PROCESS TEXT: the text is empty.")
        places = self._looking.find_in_memory(self._replay.player.core, process, wanted)
        self._tell("found", [{"address": f"0x{place:x}"} for place in places])

    def _stack(self, process: str) -> None:
        frames = self._looking.stack(self._replay, process)
        if self._as_json:
            output.print_json({"stack": frames})
            return
        self._frames(frames)

    def _frames(self, frames: list[Row]) -> None:
        for frame in frames:
            place = f" at {frame['file']}:{frame['line']}" if frame["file"] else ""
            print("    " + output.one_line(f"at {frame['function']}{place}"))

    def _step(self, count: str = "1") -> None:
        self._on(self._stops.ReplayEvent(step=self._replay.step + _number(count)))

    def _go(self, event: str = "") -> None:
        self._on(self._stops.ReplayEvent.parse(event) if event else None)

    def _on(self, event: Any) -> None:
        if self._replay.player.ended:
            raise BadInput("The replay is at its end.")
        stop = self._replay.go(event)
        if stop is not None:
            self.show(stop)
        elif self._replay.difference is not None:
            output.say(f"There is a difference: {self._replay.difference}.")
        else:
            output.say("The replay is at its end, without a difference.")

    def _help(self) -> None:
        for line in HELP:
            print(f"  {line}")


def typed_lines() -> Iterator[str]:
    """Yield the lines that the user types, with a prompt if they are at a terminal."""
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        output.say("`help` lists what you can ask.")
    while True:
        if is_terminal:
            print("replay> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line


def _number(text: str) -> int:
    digits = text.removeprefix("0x")
    if len(digits) > _MAX_DIGITS:
        raise BadInput(f"{digits[:20]}… is too long for a number.")
    try:
        return int(digits, 16 if text.startswith("0x") else 10)
    except ValueError:
        raise BadInput(f'"{text}" is no number: give one like 4096, or 0x1000.') from None
