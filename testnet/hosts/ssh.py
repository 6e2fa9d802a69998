"""Hosts by ssh: asyncssh (the extra `hosts`), which runs on asyncio, in a thread of its own.

Keys of hosts are checked against a file of known hosts, always. Who we are is shown by a key alone, and nothing that is
secret stands in a command: the host's users could read that.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar

from nectar_node.base.errors import BadInput, NodeError
from testnet.hosts.file import Host

if TYPE_CHECKING:
    import asyncssh

CONNECT_SECONDS = 20.0
"""Seconds in which a host must have let us in."""
ALIVE_SECONDS = 5
"""Seconds between two signs of life; after three that nobody answers, a connection is dead."""
MAX_LINE_BYTES = 8 << 20
"""The longest line that a program on a host may say."""
MAX_SAID_BYTES = 1 << 16
"""What is kept of its standard error, and of what short commands print."""

T = TypeVar("T")


class NoReach(NodeError):
    """A host cannot be reached, does not let us in, or its connection has ended."""


class Patience(NamedTuple):
    """How long files may take."""

    seconds: float
    """In all."""
    silence: float
    """Seconds in which there must be `least` bytes more, or the end."""
    least: int


CLOSE_SECONDS = 30.0
"""Seconds in which an agent ends that is told to: its nodes end with it."""
SAVE_PATIENCE = Patience(3600.0, 30.0, 1 << 14)
"""A line of 5 kbit/s has it. A host that lets one byte drip after the other has not."""


class _TooSlow(Exception):
    """A host sends less than `Patience.least` bytes in its time."""


class CommandDone(NamedTuple):
    """What became of a command on a host."""

    code: int
    out: bytes
    err: str


def _library() -> Any:
    try:
        import asyncssh
    except ModuleNotFoundError as error:
        if error.name != "asyncssh":
            raise
        raise NodeError(
            "Testnets over several machines need asyncssh: install it with `pip install 'nectar-node[hosts]'`."
        ) from error
    return asyncssh


class Ssh:
    """Connections to hosts; used with `with`, which closes them."""

    def __init__(self) -> None:
        """Raises NodeError where asyncssh is missing."""
        self._library = _library()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True)
        self._connections: list[asyncssh.SSHClientConnection] = []

    def __enter__(self) -> Ssh:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call(self._close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _close(self) -> None:
        for connection in self._connections:
            connection.close()
        waiting = [asyncio.ensure_future(each.wait_closed()) for each in self._connections]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=5.0)
            for each in self._connections if late else ():
                each.abort()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def start(self, what: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine in the thread, and return what it will have come to."""
        return asyncio.run_coroutine_threadsafe(what, self._loop)

    def call(self, what: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread to its end, and return its result; Ctrl-C does not wait for it."""
        return self.start(what).result()

    async def connect(self, host: Host, known_hosts: Path | None) -> HostConnection:
        """Return a connection to a host; raises NoReach, and BadInput for files that cannot be used."""
        library = self._library
        keys = _known_hosts(host, known_hosts)
        options: dict[str, Any] = {} if host.user is None else {"username": host.user}
        if host.key is not None:
            options["client_keys"] = [str(host.key)]
            options["agent_path"] = None
        where = f"{host.name} ({host.address} port {host.port})"
        try:
            connection = await asyncio.wait_for(
                library.connect(
                    host.address,
                    host.port,
                    known_hosts=str(keys),
                    config=None,
                    preferred_auth="publickey",
                    keepalive_interval=ALIVE_SECONDS,
                    keepalive_count_max=3,
                    **options,
                ),
                CONNECT_SECONDS,
            )
        except library.HostKeyNotVerifiable as error:
            raise NoReach(
                f"The key of {where} is not the one in {keys}, or none is there: compare it with the host's own before "
                f"you add it ({_sentence(error)})."
            ) from error
        except library.PermissionDenied as error:
            raise NoReach(f"{where} does not let in {host.user or 'this user'} with that key.") from error
        except (library.KeyImportError, library.KeyEncryptionError) as error:
            raise BadInput(
                f"The key {host.key or 'in ~/.ssh'} cannot be used: {_sentence(error)}; "
                "add one with a passphrase to ssh-agent, and leave out `key`."
            ) from error
        except TimeoutError as error:
            raise NoReach(f"{where} does not answer within {CONNECT_SECONDS:.0f} s.") from error
        except (OSError, library.Error) as error:
            raise NoReach(f"{where} cannot be reached: {_sentence(error)}.") from error
        self._connections.append(connection)
        return HostConnection(library, connection, host)


def _known_hosts(host: Host, named: Path | None) -> Path:
    keys = named or Path("~/.ssh/known_hosts").expanduser()
    if not keys.is_file():
        raise BadInput(
            f"There is no file {keys} with the keys of the hosts: make it with "
            f"`ssh-keyscan -p {host.port} {host.address}`, and compare what it says with the host's own."
        )
    return keys


def _sentence(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).rstrip(".")


class HostConnection:
    """A connection to one host. The methods are coroutines for `Ssh.call`; they raise NoReach when it ends."""

    def __init__(self, library: Any, connection: asyncssh.SSHClientConnection, host: Host) -> None:
        self._library = library
        self._connection = connection
        self.host = host

    async def run(self, command: str, data: bytes = b"", seconds: float = 60.0) -> CommandDone:
        """Run a shell command with `data` as its input to its end."""
        try:
            async with asyncio.timeout(seconds):
                process = await self._connection.create_process(command, encoding=None)
                (out, err), _ = await asyncio.gather(
                    asyncio.gather(_read_bounded(process.stdout), _read_bounded(process.stderr)),
                    _write(process.stdin, data),
                )
                await process.wait_closed()
                code = process.returncode
        except TimeoutError as error:
            raise NoReach(f"{self.host.name} has not carried out `{command[:200]}` within {seconds:.0f} s.") from error
        except (OSError, self._library.Error) as error:
            raise self._lost(error) from error
        return CommandDone(-1 if code is None else code, out, err.decode(errors="replace"))

    async def save(
        self, command: str, file: BinaryIO, most: int, patience: Patience = SAVE_PATIENCE
    ) -> tuple[CommandDone | None, NodeError | None]:
        """Run a shell command and write what it prints to a file. Return what became of it, or why it was given up:
        more than `most` bytes, no patience left, or a connection that has ended. What came until then is written.
        """
        name, process, count = self.host.name, None, 0

        def write(piece: bytes) -> None:
            nonlocal count
            count += len(piece)
            if count > most:
                raise NoReach(f"{name} sends more than {most} bytes.")
            try:
                file.write(piece)
            except OSError as error:
                raise NodeError(f"What {name} sends cannot be written: {_sentence(error)}.") from error

        try:
            async with asyncio.timeout(patience.seconds):
                process = await self._connection.create_process(command, encoding=None)
                errors = asyncio.ensure_future(_read_bounded(process.stderr))
                errors.add_done_callback(_noticed)
                process.stdin.write_eof()
                while await _read_some(process.stdout, patience, write):
                    pass
                try:
                    async with asyncio.timeout(patience.silence):
                        err = await errors
                        await process.wait_closed()
                except TimeoutError as error:
                    raise _TooSlow from error
        except NodeError as error:
            return None, error
        except _TooSlow:
            return None, NoReach(
                f"{name} sends its files too slowly: less than {patience.least} bytes in {patience.silence:g} s."
            )
        except TimeoutError:
            return None, NoReach(f"{name} has not sent its files within {patience.seconds:g} s.")
        except (OSError, self._library.Error) as error:
            return None, self._lost(error)
        finally:
            if process is not None:
                process.close()
        code = process.returncode
        return CommandDone(-1 if code is None else code, b"", err.decode(errors="replace")), None

    async def attach(self, command: str) -> int:
        """Run a shell command with our own standard input and output, and return its exit code."""
        try:
            done = await self._connection.run(command, stdin=0, stdout=1, stderr=2, encoding=None)
        except (OSError, self._library.Error) as error:
            raise self._lost(error) from error
        return 1 if done.exit_status is None else int(done.exit_status)

    async def forward(self, here: Path, there: str) -> None:
        """Listen at a Unix socket, and connect whoever comes there to one of the host, until the connection ends."""
        try:
            await self._connection.forward_local_path(str(here), there)
        except (OSError, self._library.Error) as error:
            raise NoReach(f"Nothing can be forwarded to {self.host.name}: {_sentence(error)}.") from error

    async def open(self, command: str) -> HostProgram:
        """Start a program that answers each line with one line."""
        try:
            process = await self._connection.create_process(command, encoding=None)
        except (OSError, self._library.Error) as error:
            raise self._lost(error) from error
        return HostProgram(self, process)

    def _lost(self, error: BaseException) -> NoReach:
        return NoReach(f"The connection to {self.host.name} has ended: {_sentence(error)}.")


class HostProgram:
    """A program on a host that answers each line with one line."""

    def __init__(self, connection: HostConnection, process: Any) -> None:
        self.connection = connection
        self._process = process
        self._one_by_one = asyncio.Lock()
        """A question that Ctrl-C has left goes on, so that the next one does not get its answer."""
        self._said = asyncio.ensure_future(_read_bounded(process.stderr))
        self._said.add_done_callback(_noticed)
        self._beats = asyncio.ensure_future(self._beat())

    async def _beat(self) -> None:
        """Tell the program that we are there, with empty lines, until it or the connection ends."""
        try:
            while True:
                await asyncio.sleep(ALIVE_SECONDS)
                self._process.stdin.write(b"\n")
        except (OSError, self.connection._library.Error):
            return

    async def ask(self, line: bytes, seconds: float) -> bytes:
        """Write a line, without its end, and return the line that answers it; raises NoReach."""
        name = self.connection.host.name
        async with self._one_by_one:
            try:
                async with asyncio.timeout(seconds):
                    self._process.stdin.write(line + b"\n")
                    answer = await self._line()
            except TimeoutError as error:
                raise NoReach(f"{name} does not answer within {seconds:.0f} s.") from error
            except (OSError, self.connection._library.Error) as error:
                raise self.connection._lost(error) from error
        if not answer.endswith(b"\n"):
            raise NoReach(f"The program on {name} has ended: {await self._reason()}.")
        return answer

    async def _line(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            try:
                part = await self._process.stdout.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                part = error.partial
            except asyncio.LimitOverrunError as error:
                part = await self._process.stdout.read(error.consumed)
            size += len(part)
            parts.append(part)
            if size > MAX_LINE_BYTES:
                raise NoReach(f"{self.connection.host.name} answers with more than {MAX_LINE_BYTES} bytes.")
            if not part or part.endswith(b"\n") or self._process.stdout.at_eof():
                return b"".join(parts)

    async def _reason(self) -> str:
        try:
            said = await asyncio.wait_for(self._said, 5.0)
        except TimeoutError:
            return "it does not say why"
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1].rstrip(".") if lines else "it does not say why"

    async def close(self) -> None:
        """Close its input, with which the program ends, and wait for that."""
        self._beats.cancel()
        try:
            self._process.stdin.write_eof()
            await asyncio.wait_for(self._process.wait_closed(), CLOSE_SECONDS)
        except (OSError, TimeoutError, self.connection._library.Error):
            self._process.close()


async def _write(stream: Any, data: bytes) -> None:
    try:
        for begin in range(0, len(data), 1 << 18):
            stream.write(data[begin : begin + (1 << 18)])
            await stream.drain()
        stream.write_eof()
    except OSError:
        return  # it has ended without reading all, and its exit code tells


async def _read_some(stream: Any, patience: Patience, write: Callable[[bytes], None]) -> bool:
    """Pass on `least` bytes or more, and return True; False: that was the end. Raises _TooSlow."""
    count = 0
    try:
        async with asyncio.timeout(patience.silence):
            while count < patience.least:
                piece = await stream.read(1 << 18)
                if not piece:
                    return False
                write(piece)
                count += len(piece)
    except TimeoutError as error:
        raise _TooSlow from error
    return True


def _noticed(task: asyncio.Task[bytes]) -> None:
    """Take note of how a task has ended that nobody may wait for any more."""
    if not task.cancelled():
        task.exception()


async def _read_bounded(stream: Any) -> bytes:
    """Read to the end, and keep the last bytes."""
    kept = b""
    while piece := await stream.read(1 << 16):
        kept = (kept + piece)[-MAX_SAID_BYTES:]
    return kept
