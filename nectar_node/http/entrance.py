"""Who may come in: pages of the node's own about that, and the rules for those of processes.

The rules, in the order in which they hold for a request to a path that a process has bound:

1. `local_only` paths are for this machine, and through no proxy.
2. At an origin for a package, its processes are served, and no others.
3. Browsers that ask the node's own origin for a process are sent to the origin of its package. Who is signed in here
   takes a code along that signs in there: once, within CODE_SECONDS, and nowhere else. Where there are no such origins,
   below an address, pages are shown in an origin that is nobody's, and those for who is signed in are not shown at all.
4. Programs that are no browsers are served everywhere, under the policy for an origin that is nobody's.
5. `SecureBind` paths are served at origins of their package alone, and to who is signed in there.
6. `authenticated` paths are for who is signed in at the origin that was asked.
7. What a page of another origin has made a browser send is refused at paths of 1, 5 and 6, unless it only opens a page.
   Where a browser does not say whether that is in a window of its own, a page of the node's leads on, which no frame
   shows.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from kernel.contract.address import ProcessId
from kernel.contract.message import Buffer
from nectar_node.base.system_processes import HOMEPAGE
from nectar_node.contract.http import CheckPassword, Headers, HttpAnswer, PasswordChecked
from nectar_node.http.bindings import Access
from nectar_node.http.login import MAX_PASSWORD_BYTES, Guesses
from nectar_node.http.origins import SANDBOX, OurNames, is_ahead, is_navigation, is_untold, label_of, process_of, serves
from nectar_node.http.own_pages import led_page, login_page, logout_page, onward_page, sign_in_elsewhere_page
from nectar_node.http.pages import SAFETY, PageAnswer
from nectar_node.http.requests import HttpRefused, ReadRequest, cookies
from nectar_node.http.sessions import NODE_ORIGIN, SESSION_SECONDS, WebSessions

LOGIN, LOGOUT = "/login", "/logout"
"""The paths that sign in and out. At every origin they are the node's own."""
OUR, OUR_SCRIPT = "/our", "/our.js"
"""Where pages of packages ask for the node's name."""
_COOKIES = ("kinode-auth_", "hyperware-auth_")
"""How the cookies of a session begin, for the packages of both generations; then comes the node's name."""
MAX_FORM_BYTES = 3 * MAX_PASSWORD_BYTES + 32_768
"""Bytes of the form with a password: each may be written as three, beside where to go then."""
_FORM = "application/x-www-form-urlencoded"


class _Login(NamedTuple):
    """A sign-in whose password is being checked."""

    read: ReadRequest
    to: str
    is_gone: bool = False
    """Whether nobody waits for the answer any more."""


class Entrance:
    """The sessions of one node, and its rules."""

    def __init__(self, our: str, names: OurNames, sessions: WebSessions, *, has_password: bool) -> None:
        self._our = our
        self._names = names
        self.sessions = sessions
        self._has_password = has_password
        self._guesses = Guesses()
        self._logins: dict[object, _Login] = {}
        """By the tokens of their requests; Guesses lets in one at a time."""

    # --- paths of the node's own ------------------------------------------------------------------------------------

    @staticmethod
    def is_own(path: str) -> bool:
        """Whether a path is the node's at every origin."""
        return path in (LOGIN, LOGOUT, OUR, OUR_SCRIPT)

    def own(self, token: object, read: ReadRequest, body: Buffer, now: float) -> PageAnswer | CheckPassword | None:
        """Return the answer of a path that is the node's at every origin, or what has to be done for it first; None: it
        is no such path. Raises HttpRefused.
        """
        if read.path in (OUR, OUR_SCRIPT):
            return self._name(read)
        if read.path == LOGOUT:
            return self._sign_out(read, now)
        if read.path != LOGIN:
            return None
        if is_ahead(read.headers):
            raise HttpRefused(503, "A browser has asked for this before anybody has opened it.")
        if read.place.label is not None:
            return self._take_code(read, read.place.label, now)
        if read.method == "POST":
            return self._take_password(token, read, body, now)
        if read.method not in ("GET", "HEAD"):
            raise HttpRefused(405, "A link that signs in is opened with GET, a password sent with POST.")
        if "link" in read.parameters:
            return self._take_link(read, now)
        to = _own_path(read.parameters.get("to", "/"))
        if self.session(read, now) is not None and not read.is_foreign:
            return _redirect(303, to)
        return self._ask_password(read, to, status=200)

    def checked(self, event: PasswordChecked, now: float) -> HttpAnswer | None:
        """Take what has come of a CheckPassword, and return the answer to who has sent the password."""
        login = self._logins.pop(event.token, None)
        if login is None:
            return None
        source = login.read.source[0]
        self._guesses.end(source, now, right=event.is_right)
        if login.is_gone:
            return None
        if not event.is_right:
            problem = "That is not the password."
            return HttpAnswer(event.token, *self._ask_password(login.read, login.to, status=401, problem=problem))
        cookie = self.sessions.begin(source, now)
        return HttpAnswer(event.token, *_redirect(303, login.to, self._cookies(login.read, cookie)))

    def _name(self, read: ReadRequest) -> PageAnswer:
        """Answer what pages of packages begin with; a name is a host's, so it needs no escapes. Raises HttpRefused.

        A script of any page of the web could be this one (HTML, 4.12.1), and would tell it who its visitor is.
        """
        if read.is_foreign:
            raise HttpRefused(403, "A page of another site has asked for this.")
        script = read.path == OUR_SCRIPT
        text = f'window.our = {{}}; window.our.node = "{self._our}";\n' if script else self._our
        kind = "text/javascript" if script else "text/plain"
        return PageAnswer(200, (("content-type", kind), ("cache-control", "no-cache"), *SAFETY), text.encode())

    def _take_link(self, read: ReadRequest, now: float) -> PageAnswer:
        """Let in who has a link of `nectar open`, and send them to where it leads.

        Who only asks what is there (`HEAD`, which previews of links use) leaves it as it is.
        """
        to = _own_path(read.parameters.get("to", "/"))
        if read.method == "HEAD":
            return _redirect(303, to)
        cookie = self.sessions.sign_in(read.parameters["link"], read.source[0], now)
        if cookie is None:
            raise HttpRefused(401, "This link has been used, or is too old: `nectar open` gives another.")
        if read.is_browser and read.headers.get("sec-fetch-site") not in ("none", "same-origin"):
            return onward_page(read, to, self._cookies(read, cookie))
        return _redirect(303, to, self._cookies(read, cookie))

    def _take_code(self, read: ReadRequest, label: str, now: float) -> PageAnswer:
        """Sign in at a package's origin who comes from the node's with a code."""
        if read.method != "GET":
            raise HttpRefused(405, "The password is asked for by the node itself, and not here.")
        to = _own_path(read.parameters.get("to", "/"))
        cookie = self.sessions.use_code(read.parameters.get("code", ""), label, now)
        if cookie is None:
            return sign_in_elsewhere_page(read, self._our, read.url(None, to))
        return onward_page(read, to, self._cookies(read, cookie))

    def _take_password(self, token: object, read: ReadRequest, body: Buffer, now: float) -> PageAnswer | CheckPassword:
        if read.is_foreign:
            raise HttpRefused(403, "A page of another site has sent this.")
        if (
            read.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM
            or len(body) > MAX_FORM_BYTES
        ):
            raise HttpRefused(400, "A password comes as a small form.")
        fields = dict(parse_qsl(str(body, "latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace"))
        to, password = _own_path(fields.get("to", "/")), fields.get("password", "").encode(errors="replace")
        if not self._asks(read):
            return self._ask_password(read, to, status=403)
        if not 0 < len(password) <= MAX_PASSWORD_BYTES:
            return self._ask_password(read, to, status=401, problem="That is not the password.")
        wait = self._guesses.begin(token, read.source[0], now)
        if wait is not None:
            seconds = int(wait.seconds) + 1
            problem = f"Too many tries: wait {seconds} seconds, or use `nectar open`."
            return self._ask_password(read, to, status=429, problem=problem, wait=seconds)
        self._logins[token] = _Login(read, to)
        return CheckPassword(token, password)

    def _asks(self, read: ReadRequest) -> bool:
        """Whether the password may be given here: there is one, and it does not cross a network in the clear."""
        return self._has_password and (read.secure or read.is_local)

    def _ask_password(self, read: ReadRequest, to: str, *, status: int, problem: str = "", wait: int = 0) -> PageAnswer:
        asks = self._asks(read)
        if self._has_password and not asks:
            problem = "A password is not sent over a network in the clear: boot the node with --tls or --http-name."
        return login_page(read, self._our, to, asks=asks, status=status, problem=problem, wait=wait)

    def _sign_out(self, read: ReadRequest, now: float) -> PageAnswer:
        if read.place.label is not None:
            return _redirect(303, read.url(None, LOGOUT))
        if read.method == "GET":
            return logout_page(read, self._our)
        if read.method != "POST" or read.is_foreign:
            raise HttpRefused(403, "Only the node's own page signs out.")
        for cookie in self._sent(read):
            self.sessions.end(cookie, now)
        return _redirect(303, LOGIN, self._cookies(read, "", 0))

    # --- paths of processes -----------------------------------------------------------------------------------------

    def whom(self, read: ReadRequest) -> ProcessId | PageAnswer | None:
        """Return the process that a request is for, or where a browser is to go; None: the node itself.

        Raises HttpRefused at the origin of another package.
        """
        label = read.place.label
        if label is None:
            return read.process
        if read.process is not None:
            if not serves(label, read.process):
                raise HttpRefused(404, f"Another package is served here: {read.process} is at {self._home(read)}.")
            return read.process
        named = process_of(label)
        if named == HOMEPAGE:
            return HOMEPAGE
        if named is not None and not read.segments:
            return _redirect(303, f"/{named}/")
        raise HttpRefused(404, "Nothing is served here: the path begins with no process of this package.")

    def admit(self, read: ReadRequest, access: Access, now: float) -> PageAnswer | None:
        """Return where a browser is to go instead; None: it is served. Raises HttpRefused."""
        self._check_local(read, access)
        guarded = access.authenticated or access.secure
        opens = read.method in ("GET", "HEAD") and is_navigation(read.headers)
        if read.is_browser and read.place.label is None:
            if read.place.has_labels:
                return self._send_home(read, access, now, opens=opens)
            if guarded:
                raise HttpRefused(403, f"This page is not shown below an address: open {self._named(read)}.")
            if not opens and not read.is_foreign and "sec-fetch-site" in read.headers:
                raise HttpRefused(403, "The node's own pages load nothing from processes.")
        if access.secure and read.place.label is None:
            raise HttpRefused(403, f"This page is served at {read.url(label_of(access.process), read.path)} alone.")
        if guarded and self.session(read, now) is None:
            if not opens:
                raise HttpRefused(401, "This page is for those who have signed in: `nectar open` does that.")
            if read.place.label is None:
                return self._ask_password(read, _target(read), status=401)
            return sign_in_elsewhere_page(read, self._our, read.url(None, _target(read)))
        if guarded or access.local_only:
            if read.is_foreign and not opens:
                raise HttpRefused(403, "A page of another site has sent this, or the browser does not say which has.")
            if is_untold(read.method, read.headers, read.host, secure=read.secure):
                return led_page(read, _target(read))
        return None

    def admit_websocket(self, read: ReadRequest, access: Access, now: float) -> str:
        """Let a handshake for a WebSocket pass, and return the id of the session with which it ends; empty: none.

        Raises HttpRefused.

        A page of another origin opens none, whoever may see the path: browsers ask nobody before, and show the answers
        to the page (RFC 6455, 10.2).
        """
        self._check_local(read, access)
        if read.is_foreign:
            raise HttpRefused(403, "A page of another site has asked for this WebSocket.")
        if read.place.label is None and (access.secure or (read.is_browser and read.place.has_labels)):
            home = read.url(label_of(access.process), read.path).replace("http", "ws", 1)
            raise HttpRefused(403, f"This WebSocket is served at {home} alone.")
        session = self.session(read, now) if access.authenticated or access.secure else ""
        if session is None:
            raise HttpRefused(401, "This WebSocket is for those who have signed in.")
        return session

    def policy(self, read: ReadRequest, access: Access) -> Headers:
        """Return what an answer's headers say beside its own, for the browser that may show it."""
        if read.place.label is None:
            return (("content-security-policy", SANDBOX),)
        if access.authenticated or access.secure:
            return (("cross-origin-resource-policy", "same-origin"),)
        return ()

    def session(self, read: ReadRequest, now: float) -> str | None:
        """Return the id of the session whose cookie a request carries, for the origin that it asks."""
        origin = read.place.label or NODE_ORIGIN
        found = (self.sessions.holder(cookie, now, origin) for cookie in self._sent(read))
        return next((each for each in found if each is not None), None)

    def without_session(self, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers without the cookies of sessions, which are no process's business; nor are those of another
        node of the same host, since cookies do not know of ports (RFC 6265, 8.5).
        """
        if "cookie" not in headers:
            return headers
        kept = [each for each in headers["cookie"].split(";") if not each.strip().startswith(_COOKIES)]
        rest = {name: value for name, value in headers.items() if name != "cookie"}
        return {**rest, "cookie": ";".join(kept).strip()} if kept else rest

    def gone(self, token: object) -> None:
        """Forget whom to answer; the password goes on being checked."""
        login = self._logins.get(token)
        if login is not None:
            self._logins[token] = login._replace(is_gone=True)

    def recover(self) -> None:
        """Let passwords be checked again, after our own code has failed somewhere."""
        if not self._logins:
            self._guesses.release()

    def _check_local(self, read: ReadRequest, access: Access) -> None:
        if access.local_only and not read.is_local:
            raise HttpRefused(403, "This page is for the machine of the node alone, and through no proxy.")

    def _send_home(self, read: ReadRequest, access: Access, now: float, *, opens: bool) -> PageAnswer:
        """Send a browser from the node's origin to the one of a process."""
        label = label_of(access.process)
        if not opens:
            return _redirect(307, read.url(label, _target(read)))
        code = None
        if not read.is_foreign:
            codes = (self.sessions.make_code(cookie, label, now) for cookie in self._sent(read))
            code = next((each for each in codes if each is not None), None)
        if code is not None:
            to = quote(_target(read), safe="/")
            return _redirect(303, read.url(label, f"{LOGIN}?code={code}&to={to}"))
        if access.authenticated or access.secure:
            return self._ask_password(read, _target(read), status=401)
        return _redirect(303, read.url(label, _target(read)))

    def _home(self, read: ReadRequest) -> str:
        return "" if read.process is None else read.url(label_of(read.process), read.path)

    def _named(self, read: ReadRequest) -> str:
        """Return where a page is that is not shown below an address."""
        if read.place.name.startswith("127.") or read.place.name == "[::1]":
            return f"{'https' if read.secure else 'http'}://localhost{read.place.port}{read.path}"
        for name in sorted(self._names.proxied):
            return f"https://{name}{read.path}"
        return "it by a name of the node's, which `nectar boot --http-name` gives"

    def _sent(self, read: ReadRequest) -> list[str]:
        return [value for name in _COOKIES for value in cookies(read.headers, f"{name}{self._our}")]

    def _cookies(self, read: ReadRequest, value: str, seconds: float = SESSION_SECONDS) -> Headers:
        secure = "; Secure" if read.secure else ""
        rest = f"Path=/; Max-Age={seconds:.0f}; HttpOnly; SameSite=Strict{secure}"
        return tuple(("set-cookie", f"{name}{self._our}={value}; {rest}") for name in _COOKIES)


def _target(read: ReadRequest) -> str:
    """Return path and query, as they were sent."""
    return _own_path(f"{read.path}?{read.query}" if read.query else read.path)


def _redirect(status: int, to: str, more: Headers = ()) -> PageAnswer:
    return PageAnswer(status, (("location", to), ("cache-control", "no-store"), *more, *SAFETY), b"")


def _own_path(text: str) -> str:
    """Return a path of this node that a link leads to; the root for what leads elsewhere."""
    own = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isascii() and text.isprintable()
    return text if own and " " not in text else "/"
