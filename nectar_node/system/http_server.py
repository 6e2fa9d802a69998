"""http_server:distro:sys, also http-server:distro:sys: processes answer browsers.

A process binds a path, {"Bind": {"path", "authenticated", "local_only", "cache"}}, and is served below its own name:
`/games` of `chess:chess:sys` under `/chess:chess:sys/games`. With `cache` the request's blob is what a GET is answered
with. Every other request of a browser goes to the process as {"Http": {…}}, the body as blob; it answers {"status",
"headers"}, the body as blob. Bindings end with their process. WebSockets are in `nectar_node.system.web_sockets`.

The two names are those of two generations of packages, which compare the source of what they get with the name that
they know, and parse errors in different shapes: so the name that a process calls says to which it belongs.

Who may come in, and at which origin, is decided in `nectar_node.http.entrance`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.events import Inject
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob, Reason, Request
from nectar_node.base.descriptors import MAX_BROWSERS, MAX_SOCKETS
from nectar_node.base.system_processes import HTTP_SERVER, HTTP_SERVER_LATE, RPC, TERMINAL
from nectar_node.contract.actions import LogLine
from nectar_node.contract.http import (
    CheckPassword,
    Headers,
    HttpAnswer,
    HttpBodyPiece,
    HttpCommand,
    HttpEvent,
    HttpGone,
    HttpHead,
    HttpRequest,
    HttpTaken,
    PasswordChecked,
    SocketFrame,
    SocketRequest,
    SocketSent,
    UploadStarted,
)
from nectar_node.contract.json_shapes import RequestRefused, dump, field_untrusted, load_untrusted, variant_untrusted
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.http import rpc
from nectar_node.http.bindings import Binding, Bindings, BoundFiles, CannotBind
from nectar_node.http.bodies.body_files import BodyPlaces, ReceivedFile, owns
from nectar_node.http.bodies.body_requests import BodyRequest, BodyRequests
from nectar_node.http.entrance import Entrance
from nectar_node.http.file_answers import FileAnswers, Locate, WantedFile, file_untrusted
from nectar_node.http.node_page import NodePage
from nectar_node.http.origins import OurNames
from nectar_node.http.pages import PageAnswer, answer_untrusted, error_page, serve, static_page, with_policy
from nectar_node.http.refusals import ServerRefused, flag_untrusted, malformed
from nectar_node.http.requests import HttpRefused, ReadRequest, read_untrusted
from nectar_node.http.sessions import WebSessions
from nectar_node.http.uploads import Uploads
from nectar_node.storage.operations import Job, Outcome
from nectar_node.system.process import SORRY, Cause, SystemProcess, SystemToken, reply
from nectar_node.system.web_sockets import REQUESTS, SocketOffer, WebSockets

ANSWER_SECONDS = 30
"""Seconds in which a process answers a browser; then that gets 408."""
MAX_UNDER_WAY_OF_ONE = MAX_BROWSERS // 2
"""Requests of browsers that the processes of one package have not answered: so its pages do not have all connections.
"""
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


class _UnderWay(NamedTuple):
    """A browser's request that a process has been asked for."""

    package: PackageId
    process: ProcessId
    size: int
    """Bytes of its body."""
    policy: Headers
    """What the answer's headers say beside the process's own."""
    method: str
    asked: dict[str, str]
    """The request's headers."""
    is_rpc: bool = False
    """Whether it is the message of a program, and no browser's request."""


class HttpServer(SystemProcess):
    """The bound paths, and the requests of browsers that processes have not answered yet."""

    id = HTTP_SERVER
    other_names = (HTTP_SERVER_LATE,)

    def __init__(
        self,
        our: str,
        names: OurNames,
        fresh_id: Callable[[], int],
        page_files: Mapping[str, bytes],
        runs: Callable[[ProcessId], bool],
        memory: MemoryBudget,
        locate: Locate,
        places: BodyPlaces,
        *,
        sockets: int = MAX_SOCKETS,
        has_password: bool,
        rpc_open: bool,
    ) -> None:
        """`names`: how the node may be called in a Host header; `fresh_id` returns unpredictable u64s; `page_files`:
        those of the node's own page; `runs` says whether a process runs; `memory`: what waits for browsers is in it;
        `locate` says where a file lies that a process may read, or raises RequestRefused; `places`: where bodies go
        that become files; `sockets`: how many WebSockets there may be; `has_password`: whether one protects the node's
        key; `rpc_open`: whether programs on this machine need no token.
        """
        super().__init__()
        self._our = our
        self._names = names
        self.sessions = WebSessions(fresh_id)
        self._page = NodePage(page_files)
        self._rpc_open = rpc_open
        self._runs = runs
        self._uploads = Uploads(our)
        self._entrance = Entrance(our, names, self.sessions, has_password=has_password)
        self._bindings = Bindings()
        self._locate = locate
        self.files = FileAnswers(locate, self._out.append)
        around = names, self._entrance, self._bindings, places, fresh_id
        self._with_files = BodyRequests(*around, self._out.append, self)
        self.bodies = self._with_files.files
        self.sockets = WebSockets(our, memory, sockets, fresh_id, self.sessions.lasts, self._out.append)
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
            if self._obey_untrusted(envelope):
                self._reply(envelope, {"Ok": None})
        except ServerRefused as refused:
            self._out.append(LogLine(str(envelope.source.process), 1, f"is refused by the HTTP server: {refused}"))
            self._refuse(envelope, refused)

    def _obey_untrusted(self, envelope: Envelope) -> bool:
        """Do what a request asks for, and return whether it is answered here; raises ServerRefused."""
        try:
            value = load_untrusted(envelope.message.body, MAX_REQUEST_BYTES)
            name, fields = variant_untrusted(value)
            if name in REQUESTS:
                return self.sockets.obey_untrusted(envelope, name, fields)
            if name not in ("Bind", "SecureBind", "Unbind"):
                raise malformed(f"there is no request {name[:40]!r}: expected Bind, WebSocketBind or another")
            path = field_untrusted(fields, "path")
            if not isinstance(path, str):
                raise malformed("the path is not a text")
            if name == "Unbind":
                self._bindings.unbind(envelope.source.process, path)
                return True
            secure = name == "SecureBind"
            authenticated = secure or flag_untrusted(fields, "authenticated")
            local_only = not secure and flag_untrusted(fields, "local_only")
            page = None
            files = self._files_untrusted(envelope.source.process, fields)
            if flag_untrusted(fields, "cache"):
                if files is not None:
                    raise malformed("what is served from a file is not cached")
                if envelope.blob is None:
                    raise ServerRefused("NoBlob", "NoBlob", f"{path[:100]!r} is to be cached, and there is no blob")
                page = static_page(envelope.blob.mime, envelope.blob.bytes)
            source, server = envelope.source.process, envelope.target.process
            body_to = self._with_files.folder_untrusted(source, fields)
            access = authenticated, local_only, page, secure
            self._bindings.bind(Binding(source, server, path, *access, files=files, body_to=body_to))
            return True
        except RequestRefused as refusal:
            raise malformed(str(refusal)) from None
        except CannotBind as why:
            raise ServerRefused({"PathBindError": {"error": str(why)}}, "MalformedRequest", str(why)) from None

    def _files_untrusted(self, process: ProcessId, fields: object) -> BoundFiles | None:
        """Return the file or folder that is to be served at a path, if there is one; raises ServerRefused."""
        assert isinstance(fields, dict)
        file, folder = fields.get("file"), fields.get("folder")
        if file is None and folder is None:
            return None
        path = folder if file is None else file
        if not isinstance(path, str) or (file is not None and folder is not None):
            raise malformed("it is to serve a file or a folder, which is a text")
        try:
            self._locate(process, path)
        except RequestRefused as refused:
            raise CannotBind(str(refused)) from None
        return BoundFiles(path, file is None)

    def _refuse(self, envelope: Envelope, refused: ServerRefused) -> None:
        late = envelope.target.process == HTTP_SERVER_LATE
        self._reply(envelope, {"Err": refused.late if late else refused.early})

    def _reply(self, envelope: Envelope, value: object) -> None:
        answer = reply(envelope.target.process, envelope, dump(value))
        if answer is not None:
            self._out.append(answer)

    def page_of(self, process: ProcessId) -> str | None:
        """Return the path at which people open a process; None: it has not bound its base."""
        return f"/{process}/" if self._bindings.has_base(process) else None

    def ended(self, process: ProcessId, now: float) -> None:
        """Unbind the paths of a process that has ended, and end its WebSockets."""
        self._bindings.ended(process)
        self.sockets.ended(process)
        self.bodies.ended(process)

    def next_deadline(self) -> float | None:
        """Return when WebSockets, files or bodies are to be looked after, or None."""
        deadlines = (self.sockets.next_deadline(), self.files.next_deadline(), self.bodies.next_deadline())
        return min((each for each in deadlines if each is not None), default=None)

    def on_timer(self, now: float) -> None:
        """Look after WebSockets, files and bodies."""
        self.sockets.on_timer(now)
        self.files.on_timer(now)
        self.bodies.on_timer(now)

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Go on with an answer that comes from a file, or a body that goes to one."""
        (self.bodies if owns(job) else self.files).done(job, outcome, now)

    # --- requests of browsers ---------------------------------------------------------------------------------------

    def take(self, event: HttpEvent, now: float) -> None:
        """Answer a browser's request, or ask the process that has bound the path; or forget who has gone away. Pass on
        what WebSockets bring.
        """
        match event:
            case HttpRequest() | SocketRequest():
                self._take_request(event, now)
            case HttpHead():
                self._with_files.take(event, now)
            case HttpBodyPiece():
                self.bodies.piece(event, now)
            case SocketFrame():
                self.sockets.frame(event)
            case SocketSent():
                self.sockets.sent(event)
            case HttpTaken(token):
                self.files.taken(token)
            case HttpGone(token):
                self.files.gone(token)
                if not self.sockets.gone(token):
                    self._gone_away(token)
                    self.bodies.gone(token)
            case PasswordChecked():
                self._answer(self._entrance.checked(event, now))
            case UploadStarted():
                self._answer(self._uploads.started(event))

    def _gone_away(self, token: object) -> None:
        self._entrance.gone(token)
        self._uploads.gone(token)
        if token in self._under_way:
            self._gone.add(token)

    def _answer(self, answer: HttpAnswer | None) -> None:
        if answer is not None:
            self._out.append(answer)

    def _take_request(self, event: HttpRequest | SocketRequest, now: float) -> None:
        request = event.request if isinstance(event, SocketRequest) else event
        answer: PageAnswer | None = None
        try:
            if isinstance(event, SocketRequest):
                self._open_socket_untrusted(request, now)
            else:
                answer = self._serve_untrusted(request, now)
        except HttpRefused as refused:
            answer = error_page(refused.status, refused.sentence)
        if answer is not None:
            self._out.append(HttpAnswer(request.token, *answer))

    def _serve_untrusted(self, request: HttpRequest, now: float) -> PageAnswer | None:
        """Return the answer; None: it is on its way, or somebody is asked for it. Raises HttpRefused."""
        read = read_untrusted(request, self._names)
        own = self._entrance.own(request.token, read, request.body, now)
        if isinstance(own, CheckPassword):
            self._out.append(own)
            return None
        if read.path == rpc.RPC_PATH:
            return self._inject(request, read, now)
        if read.place.label is None and read.process is None:
            page = self._page.answer_untrusted(request.token, read, request.body, self._entrance.session(read, now))
            if isinstance(page, HttpCommand):
                self._out.append(page)
                return None
            if page is not None:
                return page
        process = self._entrance.whom(read) if own is None else own
        if isinstance(process, PageAnswer):
            return process
        found = None if process is None else self._bindings.find(process, read.segments)
        if found is None:
            raise HttpRefused(404, "Nothing is served here: no process that runs has bound this path.")
        binding, values = found
        elsewhere = self._entrance.admit(read, binding.access, now)
        if elsewhere is not None:
            return elsewhere
        policy = self._entrance.policy(read, binding.access)
        if binding.page is not None and read.method in ("GET", "HEAD"):
            page = with_policy(serve(binding.page, read.headers), policy)
            self._out.append(HttpAnswer(request.token, *page, binding.process.package_id))
            return None
        if binding.files is not None and read.method in ("GET", "HEAD"):
            self.files.begin(request.token, _wanted(read, binding, binding.files, policy))
            return None
        self._ask(request, read, binding, values, policy)
        return None

    def _open_socket_untrusted(self, request: HttpRequest, now: float) -> None:
        """Let a browser have a WebSocket; raises HttpRefused."""
        read = read_untrusted(request, self._names)
        process = self._entrance.whom(read)
        found = None
        if isinstance(process, ProcessId):
            found = self.sockets.bindings.find(process, read.segments, at_base=False)
        if found is None:
            raise HttpRefused(404, "There is no WebSocket here: no process that runs has bound this path for one.")
        session = self._entrance.admit_websocket(read, found[0].access, now)
        self.sockets.open(request.token, read, found[0], session, now)

    def _ask(
        self, request: HttpRequest, read: ReadRequest, binding: Binding, values: dict[str, str], policy: Headers
    ) -> None:
        self.count_in(request, binding.process, policy, read)
        self.send(BodyRequest(request, read, binding, values), None)

    def send(self, asked: BodyRequest, file: ReceivedFile | None) -> None:
        """Ask the process that has bound a path about a request for it, whose body may have become a file."""
        request, read, binding, values = asked
        bound = binding.path if binding.path.startswith("/") else f"/{binding.path}"
        told = {
            "source_socket_addr": read.source_address,
            "method": read.method,
            "url": f"{'https' if read.secure else 'http'}://{read.host}{read.path}",
            "bound_path": f"/{binding.process}{bound}",
            "headers": self._entrance.without_session(read.headers),
            "url_params": values,
            "query_params": read.parameters,
        }
        blob = None
        if file is None:
            blob = LazyLoadBlob(read.headers.get("content-type"), request.body)
        else:
            told["body_file"] = file._asdict()
        target = Address(self._our, binding.process)
        message = Request(False, ANSWER_SECONDS, dump({"Http": told}))
        self._out.append(Inject(binding.server, target, message, blob, SystemToken(self.id, request.token)))

    def _inject(self, request: HttpRequest, read: ReadRequest, now: float) -> PageAnswer | None:
        """Send the message of a program on this machine in the name of the node's user; raises HttpRefused."""
        rpc.check_program(read, self.sessions, now, is_open=self._rpc_open)
        sent = rpc.message_untrusted(request.body, self._our)
        target, message, blob = sent
        if self._uploads.is_for_store(sent) and not self._runs(target.process):
            order = self._uploads.take(request.token, sent)
            if isinstance(order, PageAnswer):
                return order
            self._out.append(order)
            return None
        token = None
        if message.expects_response is not None:
            self.count_in(request, RPC, (), read, is_rpc=True)
            token = SystemToken(self.id, request.token)
        self._out.append(Inject(TERMINAL, target, message, blob, token))
        return None if token is not None else rpc.sent()

    def count_in(
        self, request: HttpRequest, process: ProcessId, policy: Headers, read: ReadRequest, *, is_rpc: bool = False
    ) -> None:
        """Count a request as under way; raises HttpRefused if there is too much of that."""
        package, size = process.package_id, len(request.body)
        if self._count[package] >= MAX_UNDER_WAY_OF_ONE or self._bytes[package] + size > MAX_BYTES_OF_ONE:
            raise HttpRefused(503, "The process behind this page has too much to do.")
        if len(self._under_way) >= MAX_UNDER_WAY or self._bytes.total() + size > MAX_BYTES:
            raise HttpRefused(503, "The node has too much to do.")
        self._under_way[request.token] = _UnderWay(package, process, size, policy, read.method, read.headers, is_rpc)
        self._count[package] += 1
        self._bytes[package] += size

    def taken(self, token: object, now: float) -> None:
        """Learn that a process has room for what came by a WebSocket."""
        assert isinstance(token, SocketOffer)
        self.sockets.taken(token)

    def answered(self, token: object, answer: Arrival | Failure, now: float) -> None:
        """Give a browser what a process has answered, or an error."""
        asked = self._under_way[token]
        process = asked.process
        if asked.is_rpc:
            self.finish(token, rpc.outcome(answer))
            return
        self.bodies.answered(token, answer.error.reason if isinstance(answer, Failure) else None)
        if isinstance(answer, Failure):
            self.finish(token, _failed(answer.error.reason))
            return
        blob = answer.blob
        try:
            body: Buffer = b"" if blob is None else blob.bytes
            value = load_untrusted(answer.message.body, MAX_ANSWER_BYTES)
            page = answer_untrusted(value, None if blob is None else blob.mime, body)
            path = file_untrusted(value)
        except (RequestRefused, ValueError) as error:
            self._out.append(LogLine(str(process), 0, f"has answered a browser with what is no answer: {error}"))
            page, path = error_page(500, "The process behind this page has answered with what is no answer."), None
        if path is not None and page.status not in (204, 205, 304):
            self._send_file(token, asked, path, page)
        else:
            self.finish(token, with_policy(page, asked.policy))

    def _send_file(self, token: object, asked: _UnderWay, path: str, page: PageAnswer) -> None:
        """Answer a browser with a file that a process has named."""
        if token in self._gone:
            self.finish(token, page)
            return
        may_select = page.status == 200 and asked.method in ("GET", "HEAD")
        headers, head_only = asked.asked if may_select else None, asked.method == "HEAD"
        wanted = WantedFile(asked.process, path, headers, head_only, asked.policy, page.status, page.headers)
        try:
            self.files.begin(token, wanted)
        except HttpRefused as refused:
            self.finish(token, with_policy(error_page(refused.status, refused.sentence), asked.policy))
        else:
            self._count_out(token)

    def _count_out(self, token: object) -> PackageId | None:
        """Count a request as answered, and return whose process it was for; None: it was under way no more."""
        done = self._under_way.pop(token, None)
        self._with_files.forget(token)
        if done is None:
            return None
        self._count -= Counter([done.package])
        self._bytes -= Counter({done.package: done.size})
        return done.package

    def finish(self, token: object, answer: PageAnswer) -> None:
        """Give a browser its answer, unless it has gone, and count its request no longer."""
        package = self._count_out(token)
        if token in self._gone:
            self._gone.discard(token)
        else:
            self._out.append(HttpAnswer(token, *answer, package))

    # --- failures of our own ----------------------------------------------------------------------------------------

    def recover(self, cause: Cause, now: float) -> None:
        """End the request whose handling has failed."""
        self._bindings.recount()
        self._entrance.recover()
        if isinstance(cause, Job):
            (self.bodies if owns(cause) else self.files).recover(cause.owner)
        elif isinstance(cause, HttpBodyPiece):
            self.bodies.recover(cause.token)
        elif isinstance(cause, HttpTaken):
            self.files.recover(cause.token)
        elif isinstance(cause, Envelope):
            self._refuse(cause, ServerRefused({"PathBindError": {"error": SORRY}}, "MalformedRequest", SORRY))
        elif isinstance(cause, SystemToken) and isinstance(cause.token, SocketOffer):
            channel = self.sockets.channels.by_id.get(cause.token.channel)
            self.sockets.recover(None if channel is None else channel.token)
        elif isinstance(cause, (HttpRequest, HttpHead, SystemToken, SocketRequest)):
            token = cause.request.token if isinstance(cause, (HttpHead, SocketRequest)) else cause.token
            self.bodies.recover(token)
            self.sockets.recover(token)
            self.finish(token, error_page(500, "The node failed: its log says why."))
        elif isinstance(cause, (SocketFrame, SocketSent, HttpGone)):
            self.sockets.recover(cause.token)


def _wanted(read: ReadRequest, binding: Binding, files: BoundFiles, policy: Headers) -> WantedFile:
    """Return the file that a browser asks for at a bound path; raises HttpRefused."""
    if not files.is_folder:
        return WantedFile(binding.process, files.path, read.headers, read.method == "HEAD", policy)
    below = binding.below(read.segments)
    if any("/" in each for each in below):
        raise HttpRefused(404, "There is no such file.")
    path = "/".join((files.path.rstrip("/"), *below))
    folder_url = None
    if not read.path.endswith("/"):
        folder_url = read.url(read.place.label, f"{read.path}/{'?' if read.query else ''}{read.query}")
    return WantedFile(
        *(binding.process, path, read.headers, read.method == "HEAD", policy),
        folder_url=folder_url,
        has_index=True,
    )


def _failed(reason: Reason) -> PageAnswer:
    """Return the page for a browser whose request a process has not answered."""
    if reason is Reason.EXPIRED:
        return error_page(408, f"The process behind this page has not answered within {ANSWER_SECONDS} seconds.")
    if reason is Reason.NO_SUCH_PROCESS:
        return error_page(503, "The process behind this page does not run.")
    if reason is Reason.PROCESS_ENDED:
        return error_page(500, "The process behind this page has ended without an answer.")
    return error_page(503, f"The process behind this page could not be asked: {reason.value}.")
