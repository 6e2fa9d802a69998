"""http_server:distro:sys, also http-server:distro:sys: processes answer browsers.

A process binds a path, {"Bind": {"path", "authenticated", "local_only", "cache"}}, and is served below its own name:
`/games` of `chess:chess:sys` under `/chess:chess:sys/games`. With `cache` the request's blob is what a GET is answered
with. Every other request of a browser goes to the process as {"Http": {…}}, the body as blob; it answers {"status",
"headers"}, the body as blob. Bindings end with their process.

The two names are those of two generations of packages, which compare the source of what they get with the name that
they know, and parse errors in different shapes: so the name that a process calls says to which it belongs.

Whoever has opened a link of the node's user is signed in, by a cookie (`nectar_node.http.sessions`); all others are
answered 401 at paths for those who are. `SecureBind` wants an origin for its package alone, which there is not yet: it
is answered 401 to all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.events import Inject
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob, Reason, Request
from nectar_node.base.system_processes import HTTP_SERVER, HTTP_SERVER_LATE
from nectar_node.contract.actions import LogLine
from nectar_node.contract.http import HttpAnswer, HttpCommand, HttpEvent, HttpGone, HttpRequest
from nectar_node.contract.json_shapes import RequestRefused, dump, field_untrusted, load_untrusted, variant_untrusted
from nectar_node.http.bindings import Binding, Bindings, CannotBind
from nectar_node.http.node_page import NodePage
from nectar_node.http.pages import SAFETY, PageAnswer, answer_untrusted, error_page, serve, static_page
from nectar_node.http.requests import HttpRefused, ReadRequest, cookies, read_untrusted
from nectar_node.http.sessions import SESSION_SECONDS, WebSessions
from nectar_node.system.process import SORRY, Cause, SystemProcess, SystemToken, reply

ANSWER_SECONDS = 30
"""Seconds in which a process answers a browser; then that gets 408."""
MAX_UNDER_WAY_OF_ONE = 256
"""Requests of browsers that the processes of one package have not answered: a sixteenth of an inbox."""
MAX_UNDER_WAY = 2048
"""Such requests of all packages."""
MAX_BYTES_OF_ONE = 64 << 20
"""Bytes of the bodies of such requests of one package: two of the largest."""
MAX_BYTES = 256 << 20
"""Bytes of those of all packages."""
MAX_REQUEST_BYTES = 64 << 10
"""Bytes of a process's request, which carries a path and little more."""
MAX_ANSWER_BYTES = 64 << 10
"""Bytes of a process's answer without its blob, which carries a status and headers."""
_LATER = ("WebSocketBind", "WebSocketSecureBind", "WebSocketUnbind", "WebSocketPush", "WebSocketClose")
LOGIN = "/login"
"""The path that signs in; it is the node's own."""
_COOKIES = ("kinode-auth_", "hyperware-auth_")
"""How the cookies of a session begin, for the packages of both generations; then comes the node's name."""
_SIGN_IN = "This page is for those who have signed in: `nectar open` gives the node's user a link that does."
_NO_ORIGIN = "This page demands an origin for its package alone, which this node does not have yet."


class _UnderWay(NamedTuple):
    """A browser's request that a process has been asked for."""

    package: PackageId
    process: ProcessId
    size: int
    """Bytes of its body."""


class _Refused(Exception):
    """A process's request is refused; carries the early packages' error, the later ones' and a sentence."""

    def __init__(self, early: object, late: str, sentence: str) -> None:
        super().__init__(sentence)
        self.early = early
        self.late = late


def _malformed(sentence: str) -> _Refused:
    return _Refused({"BadRequest": {"req": sentence}}, "MalformedRequest", sentence)


class HttpServer(SystemProcess):
    """The bound paths, and the requests of browsers that processes have not answered yet."""

    id = HTTP_SERVER
    other_names = (HTTP_SERVER_LATE,)

    def __init__(
        self, our: str, hosts: tuple[str, ...], fresh_id: Callable[[], int], page_files: Mapping[str, bytes]
    ) -> None:
        """`hosts`: how the node may be called in a Host header, beside the names of its loopback; `fresh_id` returns
        unpredictable u64s; `page_files` are those of the node's own page.
        """
        super().__init__()
        self._our = our
        self._hosts = frozenset(hosts)
        self.sessions = WebSessions(fresh_id)
        self._page = NodePage(page_files)
        self._bindings = Bindings()
        self._under_way: dict[object, _UnderWay] = {}
        """By the tokens of the requests."""
        self._gone: set[object] = set()
        """The tokens of those whose browser has gone away, which count until the process is done with them."""
        self._count: Counter[PackageId] = Counter()
        self._bytes: Counter[PackageId] = Counter()

    # --- requests of processes --------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, now: float) -> None:
        """Bind or unbind a path."""
        try:
            self._obey_untrusted(envelope)
            self._reply(envelope, {"Ok": None})
        except _Refused as refused:
            self._out.append(LogLine(str(envelope.source.process), 1, f"is refused by the HTTP server: {refused}"))
            self._refuse(envelope, refused)

    def _obey_untrusted(self, envelope: Envelope) -> None:
        """Do what a request asks for; raises _Refused."""
        try:
            value = load_untrusted(envelope.message.body, MAX_REQUEST_BYTES)
            name, fields = variant_untrusted(value)
            if name in _LATER:
                raise _malformed(f"{name}: this node serves no WebSockets yet")
            if name not in ("Bind", "SecureBind", "Unbind"):
                raise _malformed(f"there is no request {name[:40]!r}: expected Bind, SecureBind or Unbind")
            path = field_untrusted(fields, "path")
            if not isinstance(path, str):
                raise _malformed("the path is not a text")
            if name == "Unbind":
                self._bindings.unbind(envelope.source.process, path)
                return
            secure = name == "SecureBind"
            authenticated = secure or _flag_untrusted(fields, "authenticated")
            local_only = not secure and _flag_untrusted(fields, "local_only")
            page = None
            if _flag_untrusted(fields, "cache"):
                if envelope.blob is None:
                    raise _Refused("NoBlob", "NoBlob", f"{path[:100]!r} is to be cached, and there is no blob")
                page = static_page(envelope.blob.mime, envelope.blob.bytes)
            source, server = envelope.source.process, envelope.target.process
            self._bindings.bind(Binding(source, server, path, authenticated, local_only, page, secure))
        except RequestRefused as refusal:
            raise _malformed(str(refusal)) from None
        except CannotBind as why:
            raise _Refused({"PathBindError": {"error": str(why)}}, "MalformedRequest", str(why)) from None

    def _refuse(self, envelope: Envelope, refused: _Refused) -> None:
        late = envelope.target.process == HTTP_SERVER_LATE
        self._reply(envelope, {"Err": refused.late if late else refused.early})

    def _reply(self, envelope: Envelope, value: object) -> None:
        answer = reply(envelope.target.process, envelope, dump(value))
        if answer is not None:
            self._out.append(answer)

    def ended(self, process: ProcessId, now: float) -> None:
        """Unbind the paths of a process that has ended."""
        self._bindings.ended(process)

    # --- requests of browsers ---------------------------------------------------------------------------------------

    def take(self, event: HttpEvent, now: float) -> None:
        """PageAnswer a browser's request, or ask the process that has bound the path; or forget who has gone away."""
        if isinstance(event, HttpGone):
            if event.token in self._under_way:
                self._gone.add(event.token)
            return
        try:
            answer = self._serve_untrusted(event, now)
        except HttpRefused as refused:
            answer = error_page(refused.status, refused.sentence)
        if answer is not None:
            self._out.append(HttpAnswer(event.token, *answer))

    def _serve_untrusted(self, request: HttpRequest, now: float) -> PageAnswer | None:
        """Return the answer, or None if a process is asked for it; raises HttpRefused."""
        read = read_untrusted(request, self._hosts)
        if read.path == LOGIN:
            return self._sign_in(request, read, now)
        own = self._page.answer_untrusted(request.token, read, request.body, self._session(read, now))
        if isinstance(own, HttpCommand):
            self._out.append(own)
            return None
        if own is not None:
            return own
        found = self._bindings.find(read.process, read.segments)
        if found is None:
            raise HttpRefused(404, "Nothing is served here: no process that runs has bound this path.")
        binding, values = found
        if binding.local_only and not read.is_local:
            raise HttpRefused(403, "This page is for the machine of the node alone, and through no proxy.")
        if binding.secure:
            raise HttpRefused(401, _NO_ORIGIN)
        if binding.authenticated and self._session(read, now) is None:
            raise HttpRefused(401, _SIGN_IN)
        if read.is_forged and (binding.authenticated or binding.local_only):
            raise HttpRefused(403, "A page of another site has sent this.")
        if binding.page is not None and read.method in ("GET", "HEAD"):
            return serve(binding.page, read.headers)
        self._ask(request, read, binding, values)
        return None

    def _sign_in(self, request: HttpRequest, read: ReadRequest, now: float) -> PageAnswer:
        """Let in who has a link, and send them to where it leads."""
        if read.method != "GET":
            raise HttpRefused(405, "A link that signs in is opened with GET.")
        session = self.sessions.sign_in(read.parameters.get("link", ""), read.source[0], now)
        if session is None:
            raise HttpRefused(401, "This link has been used, or is too old: `nectar open` gives another.")
        rest = f"Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict{'; Secure' if request.secure else ''}"
        set_cookies = tuple(("set-cookie", f"{name}{self._our}={session}; {rest}") for name in _COOKIES)
        target = ("location", _own_path(read.parameters.get("to", "/")))
        return PageAnswer(303, (target, ("cache-control", "no-store"), *set_cookies, *SAFETY), b"")

    def _session(self, read: ReadRequest, now: float) -> str | None:
        """Return the cookie of whoever has signed in, or None."""
        sent = cookies(read.headers)
        found = (sent.get(f"{name}{self._our}", "") for name in _COOKIES)
        return next((each for each in found if self.sessions.holds(each, now)), None)

    def _without_session(self, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers without the cookies of a session, which are no process's business."""
        if "cookie" not in headers:
            return headers
        own = [f"{name}{self._our}=" for name in _COOKIES]
        kept = [each for each in headers["cookie"].split(";") if not each.strip().startswith(tuple(own))]
        rest = {name: value for name, value in headers.items() if name != "cookie"}
        return {**rest, "cookie": ";".join(kept).strip()} if kept else rest

    def _ask(self, request: HttpRequest, read: ReadRequest, binding: Binding, values: dict[str, str]) -> None:
        package, size = binding.process.package_id, len(request.body)
        if self._count[package] >= MAX_UNDER_WAY_OF_ONE or self._bytes[package] + size > MAX_BYTES_OF_ONE:
            raise HttpRefused(503, "The process behind this page has too much to do.")
        if len(self._under_way) >= MAX_UNDER_WAY or self._bytes.total() + size > MAX_BYTES:
            raise HttpRefused(503, "The node has too much to do.")
        bound = binding.path if binding.path.startswith("/") else f"/{binding.path}"
        told = {
            "source_socket_addr": _socket_address(read.source),
            "method": read.method,
            "url": f"{'https' if request.secure else 'http'}://{read.host}{read.path}",
            "bound_path": f"/{binding.process}{bound}",
            "headers": self._without_session(read.headers),
            "url_params": values,
            "query_params": read.parameters,
        }
        blob = LazyLoadBlob(read.headers.get("content-type"), request.body)
        self._under_way[request.token] = _UnderWay(package, binding.process, size)
        self._count[package] += 1
        self._bytes[package] += size
        target = Address(self._our, binding.process)
        message = Request(False, ANSWER_SECONDS, dump({"Http": told}))
        self._out.append(Inject(binding.server, target, message, blob, SystemToken(self.id, request.token)))

    def answered(self, token: object, answer: Arrival | Failure, now: float) -> None:
        """Give a browser what a process has answered, or an error."""
        process = self._under_way[token].process
        if isinstance(answer, Failure):
            self._finish(token, _failed(answer.error.reason))
            return
        blob = answer.blob
        try:
            body: Buffer = b"" if blob is None else blob.bytes
            value = load_untrusted(answer.message.body, MAX_ANSWER_BYTES)
            page = answer_untrusted(value, None if blob is None else blob.mime, body)
        except (RequestRefused, ValueError) as error:
            self._out.append(LogLine(str(process), 0, f"has answered a browser with what is no answer: {error}"))
            page = error_page(500, "The process behind this page has answered with what is no answer.")
        self._finish(token, page)

    def _finish(self, token: object, answer: PageAnswer) -> None:
        done = self._under_way.pop(token, None)
        if done is not None:
            self._count -= Counter([done.package])
            self._bytes -= Counter({done.package: done.size})
        if token in self._gone:
            self._gone.discard(token)
        else:
            self._out.append(HttpAnswer(token, *answer))

    # --- failures of our own ----------------------------------------------------------------------------------------

    def recover(self, cause: Cause, now: float) -> None:
        """End the request whose handling has failed."""
        self._bindings.recount()
        if isinstance(cause, Envelope):
            self._refuse(cause, _Refused({"PathBindError": {"error": SORRY}}, "MalformedRequest", SORRY))
        elif isinstance(cause, (HttpRequest, SystemToken)):
            self._finish(cause.token, error_page(500, "The node failed: its log says why."))


def _failed(reason: Reason) -> PageAnswer:
    """Return the page for a browser whose request a process has not answered."""
    if reason is Reason.EXPIRED:
        return error_page(408, f"The process behind this page has not answered within {ANSWER_SECONDS} seconds.")
    if reason is Reason.NO_SUCH_PROCESS:
        return error_page(503, "The process behind this page does not run.")
    if reason is Reason.PROCESS_ENDED:
        return error_page(500, "The process behind this page has ended without an answer.")
    return error_page(503, f"The process behind this page could not be asked: {reason.value}.")


def _own_path(text: str) -> str:
    """Return a path of this node that a link leads to; the root for what leads elsewhere."""
    own = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isascii() and text.isprintable()
    return text if own and " " not in text else "/"


def _flag_untrusted(fields: object, name: str) -> bool:
    """Return a flag, which is false where it is missing; raises _Refused."""
    value = fields.get(name, False) if isinstance(fields, dict) else False
    if not isinstance(value, bool):
        raise _malformed(f"{name} is neither true nor false")
    return value


def _socket_address(source: tuple[str, int]) -> str:
    host, port = source
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
