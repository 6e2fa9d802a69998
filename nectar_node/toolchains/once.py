"""What is made once and then kept in the user's cache: the tools of a language, and what they have compiled."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from kernel.wasm.binary.debug_file import SUFFIX as DEBUG_SUFFIX
from nectar_node.base import own_files
from nectar_node.base.errors import BadFolder, NoTools
from nectar_node.base.plain_files import open_plain
from nectar_node.contract.config import user_cache

MAX_KEPT_BYTES = 1 << 30
"""Of all that has been compiled, 50 processes in Python; what was needed longest ago goes first."""


FETCHING, FETCHED = "Fetching ", "Fetched in "
"""How the two sentences begin that are told of tools."""


def _tell_nobody(_: str) -> None:
    pass


_tell: ContextVar[Callable[[str], object]] = ContextVar("tell", default=_tell_nobody)


@contextmanager
def told(tell: Callable[[str], object]) -> Iterator[None]:
    """Have `tell` told, in sentences, of tools that are fetched meanwhile: that takes as long as the network does."""
    before = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(before)


def tools(name: str, install: Callable[[Path], None], what: str = "") -> Path:
    """Return the folder of tools of that name, which has their versions in it; `install` fills it if it is new.

    `what`: what people call them, if they come from the network. Raises what `install` raises, and NoTools if there is
    no place for it.
    """
    place = _folder("toolchains") / name
    if place.exists() or not what:
        return _once(place, install)
    tell, began = _tell.get(), time.monotonic()
    tell(f"{FETCHING}{what} …")
    _once(place, install)
    tell(f"{FETCHED}{time.monotonic() - began:.0f} s. It is kept in {place}.")
    return place


def compiled(sources: Iterable[Path], versions: str, compile_to: Callable[[Path], None]) -> Path:
    """Return the .wasm file of these sources, files and folders with all in them; `compile_to` writes it if it is new,
    and perhaps its debug file.

    `versions`: whatever else makes a difference to the result. Raises what `compile_to` raises, and NoTools if there is
    no place for it.
    """
    folder = _folder("guests")
    place = _once(folder / f"{fingerprint(sources, versions)}.wasm", compile_to)
    os.utime(place)
    _forget(folder, place)
    return place


def deliver(compiled: Path, output: Path) -> None:
    """Copy a compiled process, and its debug file if it has one, to where its author wants it, whole or not at all;
    raises OSError.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    debug_path(output).unlink(missing_ok=True)  # never that of another build
    _copy(compiled, output)
    if debug_path(compiled).exists():
        _copy(debug_path(compiled), debug_path(output))


def debug_path(wasm: Path) -> Path:
    """Return where the debug file of a .wasm file lies."""
    return wasm.with_name(wasm.name + DEBUG_SUFFIX)


def _copy(compiled: Path, output: Path) -> None:
    staging = output.with_name(f".{output.name}.new")
    try:
        shutil.copyfile(compiled, staging)
        staging.chmod(0o644)
        staging.replace(output)
    finally:
        staging.unlink(missing_ok=True)


_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|NameResolutionError|Network is unreachable"
    r"|ECONNREFUSED|ECONNRESET|ENOTFOUND|ENETUNREACH|ETIMEDOUT|EAI_AGAIN"
)
"""How pip and npm say that their registry cannot be reached."""
_NO_REASON = "A complete log of this run can be found"


def not_installed(what: str, told: str) -> NoTools:
    """Return why tools cannot be installed, from what pip or npm has told."""
    if _NO_NETWORK.search(told):
        return NoTools(
            f"{what}, cannot be fetched, since its registry cannot be reached. Build again when the network is there: "
            "it is fetched once. Behind a proxy or beside a mirror, pip and npm are told so in their own settings."
        )
    lines = [line.strip() for line in told.splitlines() if line.strip() and _NO_REASON not in line]
    return NoTools(f"{what}, cannot be installed: {lines[-1] if lines else 'no reason is told'}")


def fingerprint(sources: Iterable[Path], versions: str, without: Collection[Path] = ()) -> str:
    """Return the hash of what a result is made of: names below each source, contents, and `versions`.

    `without`: files that have no part in it. Raises OSError.
    """
    digest = hashlib.sha256(versions.encode())
    for source in sources:
        for path in source_files(source):
            if path in without:
                continue
            name = path.relative_to(source.parent).as_posix().encode()
            with open_plain(path) as file:
                content = file.read()
            digest.update(b"%d %d\n" % (len(name), len(content)) + name + content)
    return digest.hexdigest()


_NO_SOURCE = {"__pycache__", "node_modules", "pkg", "target"}
"""Folders beside sources with what is made of them: with them, a result would change its own hash."""


def source_files(source: Path) -> Iterator[Path]:
    """Yield a file, or all files below a folder in a fixed order, without what is made of them."""
    if source.is_file():
        yield source
        return
    for folder, inner, names in os.walk(source):
        inner[:] = sorted(each for each in inner if each not in _NO_SOURCE and not each.startswith("."))
        yield from (Path(folder) / each for each in sorted(names) if not each.endswith(".wasm"))


def _folder(name: str) -> Path:
    found = user_cache(name)
    if found is None:
        raise NoTools("Compilers need a cache folder: set XDG_CACHE_HOME to a folder that only you can write.")
    return found


def _once(place: Path, make: Callable[[Path], None]) -> Path:
    with _alone(place):
        if not place.exists():
            staging = place.with_name(f".{place.name}.new")
            _remove(staging)
            _remove(debug_path(staging))
            make(staging)
            if debug_path(staging).exists():
                debug_path(staging).rename(debug_path(place))
            staging.rename(place)
    return place


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Whoever else makes the same waits, and finds it made."""
    lock = own_files.open_file(place.with_name(f".{place.name}.lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _forget(folder: Path, newest: Path) -> None:
    """Remove what was needed longest ago, until the rest is small enough."""
    found = []
    for path in folder.glob("*.wasm"):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= MAX_KEPT_BYTES or path == newest:
            break
        path.unlink(missing_ok=True)
        debug_path(path).unlink(missing_ok=True)
        total -= size


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise BadFolder(
            f"{path} is left over from an earlier build and cannot be removed: {error.strerror}."
        ) from error
