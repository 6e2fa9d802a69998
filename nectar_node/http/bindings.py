"""The paths that processes have bound: below whose name, for whom, and what is served there without asking."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from typing import NamedTuple

from kernel.contract.address import PackageId, ProcessId
from nectar_node.http.pages import StaticPage

MAX_PATHS_OF_ONE = 1024
"""Paths of the processes of one package: its pages one by one, and its interfaces."""
MAX_PATHS = 32_768
"""Paths of all packages."""
MAX_PARTS_OF_ONE = 4096
"""Parts of the paths with parameters of one process: each request may have to be compared with all of them."""
MAX_PATH_CHARACTERS = 1024
"""Characters of a bound path."""
MAX_CACHED_BYTES_OF_ONE = 64 << 20
"""Bytes of the pages of one package that are served without waking it: a game with its pictures."""
MAX_CACHED_BYTES = 256 << 20
"""Bytes of such pages of all packages."""

MAX_FOLDER_PARTS = 32
"""Parts of a path below which a folder is served: a request is looked for below each of them."""


class CannotBind(Exception):
    """A path cannot be bound; the text says why."""


class Access(NamedTuple):
    """For whom something is served."""

    process: ProcessId
    authenticated: bool
    local_only: bool
    secure: bool = False
    """Whether it is served only at an origin of its package."""


class BoundFiles(NamedTuple):
    """What of a package's drives is served at a bound path, read when it is asked for."""

    path: str
    """As the vfs has it: `/package:publisher/drive/rest`."""
    is_folder: bool
    """Whether it is a folder, whose files are served below the bound path."""


class BodyFolder(NamedTuple):
    """Where the bodies of requests to a bound path go, as files."""

    path: str
    """A folder in a drive of the package, as the vfs has it."""
    limit: int
    """Bytes of one body."""


class Binding(NamedTuple):
    """One bound path."""

    process: ProcessId
    """Who has bound it."""
    server: ProcessId
    """The name of the HTTP server that it has called, under which it knows what that sends."""
    path: str
    """The path below the process's name, with its parameters, such as `/games/:id`."""
    authenticated: bool
    """Whether only who has signed in is served."""
    local_only: bool
    """Whether only this machine is served."""
    page: StaticPage | None
    """What a GET is answered with, without asking the process; None: it is asked."""
    secure: bool = False
    """Whether it is served only under an origin for its package alone."""
    extension: bool = False
    """Whether the WebSockets there are those of a program that works for the process."""
    files: BoundFiles | None = None
    """What a GET is answered with, without asking the process; None: it is asked."""

    body_to: BodyFolder | None = None
    """Where the bodies of requests go; None: into the blob of the message."""

    def below(self, segments: tuple[str, ...]) -> tuple[str, ...]:
        """Return what of a path lies below the bound one."""
        return segments[len(_segments_untrusted(self.path)) :]

    @property
    def access(self) -> Access:
        """For whom it is served."""
        return Access(self.process, self.authenticated, self.local_only, self.secure)


Found = tuple[Binding, dict[str, str]]
"""A binding, and the values of its path's parameters."""


class _Pattern(NamedTuple):
    """A path with parameters, in the order in which a request is compared with them."""

    are_parameters: tuple[bool, ...]
    segments: tuple[str, ...]

    @classmethod
    def of(cls, segments: tuple[str, ...]) -> _Pattern:
        """Return the pattern of a path."""
        return cls(tuple(each.startswith(":") for each in segments), segments)


class Bindings:
    """All bound paths."""

    def __init__(self) -> None:
        self._of: dict[ProcessId, dict[tuple[str, ...], Binding]] = {}
        """Each process's bindings, by the segments of their paths."""
        self._patterns: dict[ProcessId, dict[int, list[_Pattern]]] = {}
        """The paths with parameters of each process by the number of their segments, those that come first in front."""
        self._paths: Counter[PackageId] = Counter()
        self._bytes: Counter[PackageId] = Counter()
        """Bytes of each package's pages."""
        self._all_paths = 0
        self._all_bytes = 0

    def bind(self, binding: Binding) -> None:
        """Bind a path; what its process has bound there before is replaced. Raises CannotBind."""
        segments, package = _segments_untrusted(binding.path), binding.process.package_id
        if binding.files is not None and binding.files.is_folder and any(each.startswith(":") for each in segments):
            raise CannotBind("a folder is served below a path without parameters")
        if binding.files is not None and binding.files.is_folder and len(segments) > MAX_FOLDER_PARTS:
            raise CannotBind(f"the path of a folder has more than {MAX_FOLDER_PARTS} parts")
        before = self._of.get(binding.process, {}).get(segments)
        size = _size(binding) - (0 if before is None else _size(before))
        if before is None and (self._paths[package] >= MAX_PATHS_OF_ONE or self._all_paths >= MAX_PATHS):
            raise CannotBind(f"the package has bound {MAX_PATHS_OF_ONE} paths, or all together {MAX_PATHS}")
        if size > 0 and (
            self._bytes[package] + size > MAX_CACHED_BYTES_OF_ONE or self._all_bytes + size > MAX_CACHED_BYTES
        ):
            raise CannotBind(f"the cached pages of the package would be more than {MAX_CACHED_BYTES_OF_ONE} bytes")
        if before is None and _is_pattern(segments):
            patterns = self._patterns.get(binding.process, {})
            if len(segments) + sum(length * len(found) for length, found in patterns.items()) > MAX_PARTS_OF_ONE:
                raise CannotBind(
                    f"the paths with parameters of the process would have more than {MAX_PARTS_OF_ONE} parts"
                )
            self._patterns.setdefault(binding.process, patterns)
            insort(patterns.setdefault(len(segments), []), _Pattern.of(segments))
        self._of.setdefault(binding.process, {})[segments] = binding
        self._count(package, int(before is None), size)

    def unbind(self, process: ProcessId, path: str) -> None:
        """Unbind a path of a process, if it has bound it. Raises CannotBind for what is not a path."""
        segments = _segments_untrusted(path)
        before = self._of.get(process, {}).pop(segments, None)
        if before is not None:
            self._count(process.package_id, -1, -_size(before))
            if _is_pattern(segments):
                self._patterns[process][len(segments)].remove(_Pattern.of(segments))
            if not self._of[process]:
                del self._of[process]
                self._patterns.pop(process, None)

    def ended(self, process: ProcessId) -> None:
        """Unbind all paths of a process that has ended."""
        bound = self._of.pop(process, {})
        self._patterns.pop(process, None)
        self._count(process.package_id, -len(bound), -sum(map(_size, bound.values())))

    def find(self, process: ProcessId, segments: tuple[str, ...], *, at_base: bool = True) -> Found | None:
        """Return what is bound at a path; if nothing is, what its process has bound at the base unless `at_base` is
        false, or None.

        A path without parameters comes first, then that with a parameter later than others, then the longest one whose
        folder the path lies in.
        """
        bound = self._of.get(process)
        if bound is None:
            return None
        exact = bound.get(segments)
        if exact is not None:
            return exact, {}
        for _, pattern in self._patterns.get(process, {}).get(len(segments), ()):
            if _matches(pattern, segments):
                named = zip(pattern, segments, strict=True)
                return bound[pattern], {name[1:]: value for name, value in named if name.startswith(":")}
        for depth in range(min(len(segments), MAX_FOLDER_PARTS), -1, -1):
            above = bound.get(segments[:depth])
            if above is not None and above.files is not None and above.files.is_folder:
                return above, {}
        base = bound.get(()) if at_base else None
        return None if base is None else (base, {})

    def has_base(self, process: ProcessId) -> bool:
        """Whether a process has bound its base, where people open it."""
        return () in self._of.get(process, ())

    def recount(self) -> None:
        """Bring the counts in line with what is there, after our own code has failed somewhere."""
        self._paths, self._bytes, self._all_paths, self._all_bytes = Counter(), Counter(), 0, 0
        for process, bound in self._of.items():
            self._count(process.package_id, len(bound), sum(map(_size, bound.values())))

    def _count(self, package: PackageId, paths: int, size: int) -> None:
        self._paths[package] += paths
        self._bytes[package] += size
        self._all_paths += paths
        self._all_bytes += size
        self._prune()

    def _prune(self) -> None:
        """Forget the counts of packages that have nothing."""
        for counter in (self._paths, self._bytes):
            for package in [each for each, count in counter.items() if not count]:
                del counter[package]


def _is_pattern(segments: tuple[str, ...]) -> bool:
    return any(each.startswith(":") for each in segments)


def _size(binding: Binding) -> int:
    return 0 if binding.page is None else len(binding.page.bytes)


def _matches(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    return all(a == b or a.startswith(":") for a, b in zip(pattern, segments, strict=True))


def _segments_untrusted(path: str) -> tuple[str, ...]:
    """Return the segments of a path as a process gives it, with or without its first and last slash."""
    if len(path) > MAX_PATH_CHARACTERS:
        raise CannotBind(f"the path is longer than {MAX_PATH_CHARACTERS} characters")
    if not path.isprintable():
        raise CannotBind("the path holds what cannot be printed")
    bare = path.removeprefix("/").removesuffix("/")
    segments = tuple(bare.split("/")) if bare else ()
    if any(each in (".", "..") for each in segments):
        raise CannotBind("the path goes up")
    return segments
