"""Requests of browsers whose bodies go to files: who is asked about them, and what else of a body is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from kernel.contract.address import ProcessId
from nectar_node.contract.actions import LogLine
from nectar_node.contract.http import Headers, HttpAnswer, HttpHead, HttpReadPiece, HttpReadWhole, HttpRequest
from nectar_node.contract.json_shapes import RequestRefused
from nectar_node.http.bindings import Binding, Bindings, BodyFolder, CannotBind, Found
from nectar_node.http.bodies.body_files import (
    BodyFiles,
    BodyPlaces,
    ReceivedFile,
    WantedBody,
    body_folder_untrusted,
)
from nectar_node.http.entrance import Entrance
from nectar_node.http.origins import OurNames
from nectar_node.http.pages import PageAnswer, error_page
from nectar_node.http.refusals import malformed
from nectar_node.http.requests import HttpRefused, ReadRequest, read_untrusted
from nectar_node.http.rpc import RPC_PATH
from nectar_node.storage.operations import Job


class BodyRequest(NamedTuple):
    """One such request."""

    request: HttpRequest
    read: ReadRequest
    binding: Binding
    values: dict[str, str]
    """Of the path's parameters."""


class Asking(Protocol):
    """What the HTTP server does about a request of a browser, whether it has a file or not."""

    def count_in(self, request: HttpRequest, process: ProcessId, policy: Headers, read: ReadRequest) -> None:
        """Count it as under way; raises HttpRefused if there is too much of that."""

    def send(self, asked: BodyRequest, file: ReceivedFile | None) -> None:
        """Ask its process."""

    def finish(self, token: object, answer: PageAnswer) -> None:
        """Answer it, and count it no longer."""


class BodyRequests:
    """All such requests that are under way."""

    def __init__(
        self,
        names: OurNames,
        entrance: Entrance,
        bindings: Bindings,
        places: BodyPlaces,
        fresh_id: Callable[[], int],
        emit: Callable[[HttpAnswer | HttpReadWhole | HttpReadPiece | Job | LogLine], None],
        asking: Asking,
    ) -> None:
        """`names`: how the node may be called; `places`: where bodies go; `fresh_id` returns unpredictable u64s; `emit`
        takes what is to be done.
        """
        self._names = names
        self._entrance = entrance
        self._bindings = bindings
        self._locate = places.locate
        self._emit = emit
        self._asking = asking
        self.files = BodyFiles(places, fresh_id, emit, self._ask, asking.finish)
        self._asked: dict[object, BodyRequest] = {}
        """By token."""

    def folder_untrusted(self, process: ProcessId, fields: dict[str, object]) -> BodyFolder | None:
        """Return where a process wants the bodies of requests to a path, if that is to be files; raises ServerRefused
        or CannotBind.
        """
        try:
            folder = body_folder_untrusted(fields)
        except ValueError as error:
            raise malformed(str(error)) from None
        if folder is not None:
            try:
                self._locate(process, folder.path)
            except RequestRefused as refused:
                raise CannotBind(str(refused)) from None
        return folder

    def take(self, head: HttpHead, now: float) -> None:
        """Decide what is to be read of a request's body: all of it, or one piece after the other for a file."""
        request = head.request
        try:
            read = read_untrusted(request, self._names)
            found = self._find(read)
            if found is None:
                self._emit(HttpReadWhole(request.token))
                return
            binding, values = found
            elsewhere = self._entrance.admit(read, binding.access, now)
            if elsewhere is not None:
                self._emit(HttpAnswer(request.token, *elsewhere))
                return
            self._asking.count_in(request, binding.process, self._entrance.policy(read, binding.access), read)
        except HttpRefused as refused:
            self._emit(HttpAnswer(request.token, *error_page(refused.status, refused.sentence)))
            return
        self._asked[request.token] = BodyRequest(request, read, binding, values)
        assert binding.body_to is not None
        self.files.begin(request.token, WantedBody(binding.process, binding.body_to, head.length), now)

    def forget(self, token: object) -> None:
        """Learn that a request is under way no more."""
        self._asked.pop(token, None)

    def _find(self, read: ReadRequest) -> Found | None:
        """Return what is bound where a request is for, if its body is to go to a file; raises HttpRefused."""
        if read.method in ("GET", "HEAD") or self._entrance.is_own(read.path) or read.path == RPC_PATH:
            return None
        process = self._entrance.whom(read)
        found = self._bindings.find(process, read.segments) if isinstance(process, ProcessId) else None
        return None if found is None or found[0].body_to is None else found

    def _ask(self, token: object, file: ReceivedFile | None, now: float) -> PageAnswer | None:
        """Ask a process about a request whose body has become a file; or return the answer, if whoever sent it has been
        signed out in the meantime.
        """
        asked = self._asked[token]
        try:
            elsewhere = self._entrance.admit(asked.read, asked.binding.access, now)
        except HttpRefused as refused:
            return error_page(refused.status, refused.sentence)
        if elsewhere is None:
            self._asking.send(asked, file)
        return elsewhere
