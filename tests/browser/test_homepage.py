"""The page on which packages put their icons and widgets, as people see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from nectar_node.base.shipped import find_shipped
from testnet.real.local import LocalTestnet
from testnet.testing.browsers import Visitors
from tests.browser.conftest import PHONE, VIEWPORT, WebNode
from tests.web_site import EARLY, LATE, WEB, write_guests

HOMEPAGE = "homepage:homepage:sys"
ICON = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="
APPS: dict[str, dict[str, Any]] = {
    "chess": {"label": "Chess", "icon": ICON, "path": "/", "widget": "<p>Your move.</p>"},
    "notes": {"label": "A notebook with an uncommonly long name, " + "andnoplacetobreakit" * 3, "path": "/"},
    "weather": {"label": "Weather", "widget": "<button onclick='this.textContent=\"Rain\"'>Look out</button>"},
}
LOOKS = [(scheme, size) for scheme in ("light", "dark") for size in (VIEWPORT, PHONE)]


@pytest.fixture(scope="module")
def home(boot_web_nodes: Callable[..., LocalTestnet], tmp_path_factory: pytest.TempPathFactory) -> WebNode:
    """A node with the homepage and packages that have put nothing there."""
    folder, shipped = tmp_path_factory.mktemp("packages"), find_shipped("homepage")
    packages = [write_guests(folder / name, WEB.read_bytes(), ["web"], [EARLY, LATE, HOMEPAGE], name) for name in APPS]
    return WebNode(boot_web_nodes({"home.nec": (shipped, *packages)}), "home.nec")


def put(home: WebNode, name: str, request: object) -> None:
    tell = {"Tell": {"to": f"{home.name}@{HOMEPAGE}", "body": json.dumps(request)}}
    answer = home.network.message(home.name, f"our@web:{name}:local", json.dumps(tell))
    assert json.loads(answer["body"]) == "Ok", answer


@pytest.fixture
def with_apps(home: WebNode) -> WebNode:
    """The same node, whose packages have put icons and widgets there."""
    home.bind("/", "<!doctype html><title>Chess</title><h1>The board</h1>", "chess", authenticated=True)
    for name, app in APPS.items():
        put(home, name, {"Add": app})
    return home


def fits(page: Page) -> bool:
    """Whether nothing reaches out of the page to the side."""
    return bool(page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_a_homepage_on_which_nothing_is_yet_says_how_something_gets_there(
    home: WebNode, nectar_visitors: Visitors, axe: Callable[[Page], None], scheme: str, size: dict[str, int]
) -> None:
    for name in APPS:
        put(home, name, "Remove")
    page = nectar_visitors.open(home.link(HOMEPAGE), color_scheme=scheme, viewport=size)
    expect(page.get_by_role("heading", level=1)).to_have_text("home.nec")
    expect(page.locator("main")).to_contain_text("nectar start")
    assert fits(page)
    axe(page)


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_icons_and_widgets_are_shown_in_the_light_and_in_the_dark_and_on_a_phone(
    with_apps: WebNode, nectar_visitors: Visitors, axe: Callable[[Page], None], scheme: str, size: dict[str, int]
) -> None:
    page = nectar_visitors.open(with_apps.link(HOMEPAGE), color_scheme=scheme, viewport=size)
    expect(page.get_by_role("navigation", name="Packages").get_by_role("link")).to_have_count(2)
    expect(page.locator("iframe")).to_have_count(2)
    assert fits(page)
    axe(page)


def test_an_icon_leads_to_the_page_of_its_package_and_a_widget_runs_in_its_place(
    with_apps: WebNode, nectar_visitors: Visitors
) -> None:
    nectar_visitors.allow("status of 401")  # it is asked once whether to go on
    page = nectar_visitors.open(with_apps.link(HOMEPAGE))
    widget = page.frame_locator("iframe[title=Weather]").get_by_role("button")
    widget.click()
    expect(widget).to_have_text("Rain")
    page.get_by_role("link", name="Chess").click()
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("heading")).to_have_text("The board")
    assert page.url.startswith("http://web--chess--local.localhost:")
