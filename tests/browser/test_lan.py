"""A name of a network at home, without TLS: there browsers send no Fetch Metadata."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from testnet.real.local import LocalTestnet
from testnet.testing.browsers import Visitors, chromium
from tests.browser.conftest import WebNode
from tests.web_site import write_site

SECRET = "<!doctype html><title>Secret</title><h1>For those who have signed in</h1><img src=part alt=Part>"


class LanNode(WebNode):
    """A node as others of its network call it, also where that name is this machine's loopback."""

    @property
    def url(self) -> str:
        """By its name."""
        return self._named(super().url)

    def link(self, package: str = "") -> str:
        """By its name."""
        return self._named(super().link(package))

    def _named(self, url: str) -> str:
        return url.replace("//localhost:", f"//{socket.gethostname().lower()}:")


@pytest.fixture(scope="module")
def lan(boot_web_nodes: Callable[..., LocalTestnet], tmp_path_factory: pytest.TempPathFactory) -> tuple[WebNode, str]:
    """A node by this machine's name, and the address of that."""
    name = socket.gethostname().lower()
    try:
        address = socket.gethostbyname(name)
    except OSError:
        pytest.skip("this machine has no address under its name")
    folder = tmp_path_factory.mktemp("packages")
    packages = tuple(write_site(folder / each, each) for each in ("site", "other"))
    network = boot_web_nodes({"lan.nec": packages}, host=name)
    return LanNode(network, "lan.nec"), address


@pytest.fixture
def visitors(nectar_chromium: Browser, lan: tuple[WebNode, str]) -> Iterator[Visitors]:
    """Visitors on the same network: the node's name and those below it are known there."""
    name, address = socket.gethostname().lower(), lan[1]
    rules = f"--host-resolver-rules=MAP {name} {address}, MAP *.{name} {address}"
    with closing(nectar_chromium.browser_type.launch(executable_path=chromium(), args=[rules])) as program:
        visitors = Visitors(program)
        visitors.allow("Cross-Origin-Opener-Policy header has been ignored")  # which is for what comes by TLS
        yield visitors
        errors = visitors.errors()
        visitors.close()
    assert not errors


@pytest.fixture
def secret(lan: tuple[WebNode, str]) -> str:
    """A link that signs in, and leads to a page for the user, with a picture that is for the user too."""
    node, _ = lan
    node.bind("/part", "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", authenticated=True)
    node.bind("/secret", SECRET, authenticated=True)
    return node.link("web:site:local") + "secret"


@pytest.fixture
def at_home(visitors: Visitors, secret: str) -> Page:
    """That page, signed in."""
    page = visitors.open(secret)
    heading(page)
    return page


def heading(page: Page) -> None:
    expect(page.get_by_role("heading")).to_have_text("For those who have signed in")


def test_a_page_for_the_user_and_its_parts_are_shown(at_home: Page) -> None:
    page, there = at_home, at_home.url
    assert not page.evaluate("isSecureContext"), "or the browser would say more"
    ask = "(path) => fetch(path).then((answer) => answer.status)"
    assert page.evaluate(ask, "part") == 200
    page.reload()
    heading(page)
    page.goto("about:blank")
    page.goto(f"{there}#part")
    heading(page)
    assert page.url == f"{there}#part"


def test_a_page_of_another_package_can_open_it_and_do_no_more(
    lan: tuple[WebNode, str], visitors: Visitors, at_home: Page
) -> None:
    node, there = lan[0], at_home.url
    node.bind("/never", None, authenticated=True)
    page = at_home.context.new_page()
    page.goto(node.bind("/other", "<!doctype html><title>Other</title><h1>Other</h1>", "other", authenticated=True))
    expect(page.get_by_role("heading")).to_have_text("Other")
    visitors.allow("frame-ancestors|status of 40[13]|CORS|NotSameOrigin")
    never = there.replace("secret", "never")
    send = """(url) => Promise.all([
        fetch(url, {mode: "no-cors", credentials: "include", referrerPolicy: "no-referrer"}).catch(() => null),
        fetch(url, {mode: "no-cors", credentials: "include", headers: {Accept: "text/html"}}).catch(() => null),
        fetch(url, {mode: "no-cors", credentials: "include", method: "POST"}).catch(() => null),
        new Promise((done) => {
            const frame = document.createElement("iframe");
            frame.referrerPolicy = "no-referrer";
            frame.onload = done;
            frame.src = url;
            document.body.append(frame);
        }),
    ]).then(() => "sent")"""
    assert page.evaluate(send, never) == "sent"
    assert "asked for /never" not in node.network.log(node.name)
    page.goto(there)
    heading(page)
