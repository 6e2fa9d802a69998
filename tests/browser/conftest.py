"""What tests in a browser share: nodes that serve browsers, visitors who are signed in, axe, and pictures for the docs.

The browser itself and its visitors are the plugin's, as authors of packages have them (docs/testing-your-package.md).
Everything here waits for what it expects, and for no time to pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.lifeline import hold_lifeline
from testnet.real.local import LocalTestnet
from tests.browser import fetch_axe
from tests.commands import Ended, nectar
from tests.web_site import LATE, tell_to_bind, write_site

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from testnet.testing.browsers import Visitors

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images"
VIEWPORT = {"width": 840, "height": 520}
"""Pixels of every picture, however large the page is."""
PHONE = {"width": 390, "height": 844}
"""Pixels of a phone."""
MAX_PICTURE_BYTES = 80_000
"""Of a picture in the docs: everybody who clones the project has all of them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make screenshots`."""
    parser.addoption("--screenshots", action="store_true", help="write the pictures in docs/images anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, which all have a browser."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@dataclass(frozen=True, slots=True)
class WebNode:
    """A real node of a testnet, which listens for browsers."""

    network: LocalTestnet
    name: str

    @property
    def url(self) -> str:
        """Where it listens: its own origin, without a slash at the end."""
        return str(self.network.status(self.name)["http"])

    def nectar(self, *words: str | Path) -> Ended:
        """Run a command of `nectar` for this node."""
        return nectar(*words, "--node", self.name, "--dir", str(self.network.folder))

    def link(self, package: str = "") -> str:
        """What `nectar open` prints: it signs a browser in, once, and shows the pages of a package."""
        opened = self.nectar("open", *([package] if package else []), "--print")
        assert opened.code == 0, opened
        return opened.out.strip()

    def bind(self, path: str, text: str | None = None, package: str = "site", **flags: bool) -> str:
        """Let a package bind `path`, with a page if there is `text`; where a browser finds it."""
        process, tell = f"web:{package}:local", tell_to_bind(f"{self.name}@{LATE}", path, text, **flags)
        answer = self.network.message(self.name, f"our@{process}", tell)
        assert json.loads(answer["body"]) == {"Ok": None}, answer
        return f"{self.url}/{process}{path}"


@pytest.fixture(scope="session")
def boot_web_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalTestnet]]:
    """Start a testnet of nodes that listen for browsers, which ends with the session.

    boot_web_nodes({"one.nec": (package_folder, …)}); without packages, None: those that come with the node.
    Their keys have the `password`, if there is one; they listen at `host`.
    """
    started: list[LocalTestnet] = []

    def boot(
        packages: dict[str, tuple[Path, ...] | None], password: bytes | None = None, host: str = LOOPBACK
    ) -> LocalTestnet:
        network = LocalTestnet(folder / str(len(started)), lifeline=lifeline)
        started.append(network)
        nodes = packages.items()
        network.boot({name: BootOptions(packages=each, http=(host, 0), password=password) for name, each in nodes})
        return network

    folder = tmp_path_factory.mktemp("web")
    with hold_lifeline(folder) as lifeline:
        try:
            yield boot
        finally:
            for network in started:
                network.close()


@pytest.fixture(scope="session")
def web_node(boot_web_nodes: Callable[..., LocalTestnet], tmp_path_factory: pytest.TempPathFactory) -> WebNode:
    """A node with the packages `site` and `other`, whose processes bind what `WebNode.bind` says, and a front page."""
    folder = tmp_path_factory.mktemp("packages")
    packages = tuple(write_site(folder / name, name) for name in ("site", "other"))
    node = WebNode(boot_web_nodes({"web.nec": packages}), "web.nec")
    node.bind("/", "<!doctype html><title>Site</title><h1>The front page</h1>", authenticated=True)
    return node


@pytest.fixture
def signed_in(web_node: WebNode, nectar_visitors: Visitors) -> Page:
    """A page of `web_node`, signed in by a link of `nectar open`: the front page of its package."""
    page = nectar_visitors.open(web_node.link("site:local"), viewport=VIEWPORT)
    page.get_by_role("heading", name="The front page").wait_for()  # the link may lead there by way of others
    return page


@pytest.fixture
def axe() -> Callable[[Page], None]:
    """Let axe look at a page; it finds nothing serious and nothing critical."""
    script = fetch_axe.SCRIPT.read_text()

    def look(page: Page) -> None:
        page.evaluate(script)
        found = page.evaluate("axe.run({resultTypes: ['violations']}).then((result) => result.violations)")
        wrong = [
            f"{each['id']} ({each['impact']}): {each['help']}, at {'; '.join(map(_place, each['nodes']))}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert not wrong, "\n".join(wrong)

    return look


def _place(node: dict[str, Any]) -> str:
    return f"{node['target']} {node['failureSummary']}"


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Take a picture for the docs, `docs/images/NAME.png`, if this run is to make them (`make screenshots`)."""
    wanted = request.config.getoption("--screenshots", False)

    def take(page: Page, name: str) -> None:
        assert re.fullmatch("[a-z][a-z0-9-]*", name), name
        if not wanted:
            return
        page.set_viewport_size({"width": VIEWPORT["width"], "height": VIEWPORT["height"]})
        picture = page.screenshot(animations="disabled", caret="hide", scale="css")
        assert len(picture) <= MAX_PICTURE_BYTES, f"{name}.png has {len(picture):,} bytes"
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"{name}.png").write_bytes(picture)

    return take
