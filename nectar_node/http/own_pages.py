"""The node's own small pages about signing in. They read well in the dark and without eyes, and do without a script.

What follows `#` in an address never leaves the browser (RFC 3986, 3.5), which keeps it through a redirect (RFC 9110,
10.2.2) and nothing else. So there is one script, the same on all pages, which puts it at the end of where the links and
the form lead anyway: it can change no more of an address than that.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import unquote

from nectar_node.contract.http import Headers
from nectar_node.http.pages import PageAnswer
from nectar_node.http.requests import ReadRequest

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 26rem; margin: 10vh auto; padding: 0 1rem; }
label, input, button { display: block; font: inherit; }
input { box-sizing: border-box; width: 100%; margin: .25rem 0 1rem; padding: .5rem; }
button { padding: .5rem 1.5rem; }
[hidden] { display: none; }
code { white-space: nowrap; }
h1 { overflow-wrap: anywhere; }
h2 { margin-top: 3rem; font-size: 1rem; }
[role=alert] { border-left: .25rem solid currentColor; padding-left: .75rem; font-weight: 600; }
"""
_SCRIPT = """
for (const link of document.links) if (location.hash) link.hash = location.hash;
for (const form of document.forms) if (form.to) form.action = "/login" + location.hash;
const onward = document.querySelector("a[rel=next]"), silent = document.querySelector("#silent");
if (onward) history.replaceState(null, "", "/login");  // from an address to the same one with a hash nothing is loaded
if (silent) fetch("/our").then((answer) => {
  if (answer.ok) location.replace(onward.href);
  else silent.hidden = false;
});
else if (onward) location.replace(onward.href);
"""
_SHOWN = 100
"""Characters of a process's id that are shown."""
_STYLE_HASH, _SCRIPT_HASH = (
    base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (_STYLE, _SCRIPT)
)


def own_headers(read: ReadRequest) -> Headers:
    """Return the headers of a page of the node's own, whose script and styles are those of this module.

    A form may lead to the packages' origins, since browsers hold the redirects that follow to the same rule (CSP level
    3, 6.4.2).
    """
    own = f"{'https' if read.secure else 'http'}://*.{read.place.name}{read.place.port}"
    forms = f"'self' {own}" if read.place.has_labels else "'self'"
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_STYLE_HASH}'; script-src 'sha256-{_SCRIPT_HASH}'; "
        "connect-src 'self'; "
        f"base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
    )
    return (
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    )


def login_page(
    read: ReadRequest, our: str, to: str, *, asks: bool, status: int = 401, problem: str = "", wait: int = 0
) -> PageAnswer:
    """Return the form that asks for the node's password; if it `asks` for none, what to do in place of that.

    A browser does not send the cookie when a page of another origin has led here (`SameSite=Strict`), so who is signed
    in goes on by a link of this page. Then it comes first.
    """
    where = escape(to, quote=True)
    alert = f"<p role=alert>{escape(problem)}</p>" if problem else ""
    form = (
        f'<form method=post action=/login><input type=hidden name=to value="{where}">'
        f'<input type=text name=username value="{escape(our)}" autocomplete=username hidden>'
        "<label for=password>Password of its key</label>"
        "<input type=password id=password name=password autocomplete=current-password required autofocus>"
        "<button>Sign in</button></form>"
    )
    other = (
        f"<p>On the node's machine, <code>nectar open --node {escape(our)}</code> signs you in without a password.</p>"
    )
    sign_in = f"{alert}{form if asks else ''}{other}"
    if read.is_foreign:
        body = (
            f"<h1>Go on to {escape(_named(to) or our)}?</h1><p>Another page has led here.</p>"
            f'<p><a href="{where}">Go on</a></p><h2>Not signed in?</h2>{sign_in}'
        )
    else:
        body = f'<h1>Sign in to {escape(our)}</h1>{sign_in}<p>Signed in already? <a href="{where}">Go on</a>.</p>'
    headers: Headers = (("retry-after", str(wait)),) if wait else ()
    return _page(read, status, f"Sign in to {our}", body, headers)


def _named(path: str) -> str:
    """Return the process that a path leads to, as a text to show; empty: none."""
    first = unquote(path.partition("?")[0].split("/")[1])[:_SHOWN] if path.startswith("/") else ""
    return first if first.count(":") == 2 and first.isprintable() else ""


def logout_page(read: ReadRequest, our: str) -> PageAnswer:
    """Return the form that asks whether to sign out: a mere link must not do it."""
    body = f"<h1>Sign out of {escape(our)}</h1><form method=post action=/logout><button>Sign out</button></form>"
    return _page(read, 200, f"Sign out of {our}", f"{body}<p><a href=/>Back</a></p>")


def sign_in_elsewhere_page(read: ReadRequest, our: str, to: str) -> PageAnswer:
    """Return the page of a package's origin that leads to where the node asks for the password.

    That is never here, where the package could show a form like it.
    """
    link = escape(to, quote=True)
    body = (
        f'<h1>Not signed in</h1><p>This page is for the user of {escape(our)}.</p><p><a href="{link}">Sign in</a></p>'
    )
    return _page(read, 401, "Not signed in", body)


def onward_page(read: ReadRequest, to: str, cookies: Headers) -> PageAnswer:
    """Return a page that sets cookies and goes on at once.

    A redirect would not do: to the browser the request after it comes from where the first one came from, which was
    another origin, and so it leaves the new cookie out.
    """
    link = escape(to, quote=True)
    body = f'<p>Signed in. <a rel=next href="{link}">Go on</a>.</p>'
    head = f'<noscript><meta http-equiv=refresh content="0;url={link}"></noscript>'
    return _page(read, 200, "Opening", body, cookies, head=head)


def led_page(read: ReadRequest, to: str) -> PageAnswer:
    """Return a page of the origin itself that goes on at once.

    No frame shows it, and what asks for a picture or a script makes nothing of it: so what comes after it was opened.
    A browser that never says which page leads on would come back here: it is not told `/our` either.
    """
    silent = (
        "<p id=silent role=alert hidden>This browser does not tell which page a link is on (Referer), and this page is "
        "only shown to one that does, or by TLS. Change that in its settings.</p>"
    )
    body = f'<h1>Go on?</h1>{silent}<p><a rel=next href="{escape(to, quote=True)}">Go on</a></p>'
    return _page(read, 200, "Opening", body)


def _page(read: ReadRequest, status: int, title: str, body: str, more: Headers = (), *, head: str = "") -> PageAnswer:
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><link rel=icon href='data:,'>"
        f"<title>{escape(title)}</title>{head}<style>{_STYLE}</style>"
        f"<main>{body}</main><script>{_SCRIPT}</script></html>\n"
    )
    kept: Headers = (("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store"))
    return PageAnswer(status, (*kept, *more, *own_headers(read)), text.encode())
