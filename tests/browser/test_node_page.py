"""The node's own page in a browser: what it shows, what can be done there, and for whom."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from testnet.testing.browsers import Visitors
from tests.browser.conftest import WebNode

HELLO = Path(__file__).resolve().parents[2] / "packages" / "hello" / "pkg"
VIEWS = ("packages", "processes", "peers", "transfers", "messages", "errors", "logs", "backups")
MAX_BYTES = 150_000
"""Bytes of all that is loaded before the page can be used, and of its parts, before any compression.

`make bench ARGS=page` measures how long it takes until the page can be used."""
DROP = """([target, name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  for (const type of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def nodes(boot_web_nodes: Callable[..., LocalTestnet]) -> LocalTestnet:
    """Two nodes that know each other, with the packages that come with them."""
    return boot_web_nodes({"one.nec": None, "two.nec": None})


@pytest.fixture
def page(nodes: LocalTestnet, nectar_visitors: Visitors) -> Iterator[Page]:
    """The page of one.nec, whose user is signed in."""
    page = nectar_visitors.open(WebNode(nodes, "one.nec").link(), viewport={"width": 1280, "height": 800})
    expect(page.locator("#state")).to_have_text("live")
    yield page
    page.context.close()


def go(page: Page, view: str) -> None:
    """Go to a part of the page, and wait until it is there."""
    page.evaluate("view => { location.hash = view; }", view)
    expect(page.get_by_role("heading", level=2)).to_have_text(view.capitalize())


def drop(page: Page, label: str, name: str, text: str) -> None:
    """Drop a file on the place that says `label`."""
    target = page.locator(".drop", has_text=label).element_handle()
    page.evaluate(DROP, [target, name, text])


def package(name: str) -> dict[str, str | bytes]:
    """The package hello by another name, as a zip that somebody chooses; it also asks for vfs."""
    manifest = json.loads((HELLO / "manifest.json").read_text())
    manifest[0]["request_capabilities"] = ["vfs:distro:sys"]
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("metadata.json", json.dumps({"package": name, "publisher": "local"}))
        archive.write(HELLO / "hello.wasm", "hello.wasm")
    return {"name": f"{name}.zip", "mimeType": "application/zip", "buffer": data.getvalue()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_part(page: Page, axe: Callable[[Page], None], scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for view in VIEWS:
        go(page, view)
        axe(page)
    go(page, "packages")
    page.get_by_role("article", name="hello:sys").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    axe(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()


def test_all_its_parts_together_are_small(page: Page) -> None:
    for view in VIEWS:
        go(page, view)
    loaded = page.evaluate(
        "performance.getEntriesByType('resource').filter((each) => each.name.includes('/assets/'))"
        ".map((each) => each.decodedBodySize)"
    )
    assert len(loaded) > 15
    assert sum(loaded) < MAX_BYTES


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_part_is_wider_than_a_phone(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 390, "height": 844})
    for view in VIEWS:
        go(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view


def test_the_keyboard_reaches_every_part_and_is_led_to_what_is_new(page: Page) -> None:
    expect(page.get_by_role("heading", name="Packages")).to_be_visible()
    page.locator("body").press("Tab")
    expect(page.get_by_role("link", name="Go to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Packages")).to_be_focused()
    link = page.get_by_role("link", name="Processes", exact=True)
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Processes")).to_be_focused()
    expect(link).to_have_attribute("aria-current", "page")
    page.get_by_role("button", name="Memory").press("Enter")
    expect(page.get_by_role("columnheader", name="Memory")).to_have_attribute("aria-sort", "descending")


def test_a_package_with_a_page_is_opened_from_the_nodes(page: Page) -> None:
    expect(page.get_by_role("link", name="Open hello:hello:sys")).to_have_count(0)
    page.get_by_role("link", name="Open homepage:homepage:sys").click()
    expect(page.get_by_role("heading", name="one.nec")).to_be_visible()
    assert page.url.startswith("http://homepage--homepage--sys.localhost:")


def test_a_file_that_is_dropped_on_a_node_arrives_there(
    nodes: LocalTestnet, page: Page, screenshot: Callable[[Page, str], None]
) -> None:
    go(page, "transfers")
    page.get_by_label("To another node").fill("two.nec")
    drop(page, "To another node", "holiday.txt", "sea and sun")
    row = page.get_by_role("row", name="holiday.txt")
    expect(row).to_contain_text("arrived")
    arrived = nodes.place("two.nec").drives / "file_transfer:sys" / "inbox" / "holiday.txt"
    assert arrived.read_text() == "sea and sun"
    drop(page, "Choose a file for two.nec", "again.txt", "and again")  # it is a peer now
    expect(page.get_by_role("row", name="again.txt")).to_contain_text("arrived")
    screenshot(page, "node-transfers")
    row.get_by_role("button", name="Forget holiday.txt").click()
    expect(row).to_have_count(0)


def test_a_file_for_nobody_says_why_it_has_failed(page: Page, nectar_visitors: Visitors) -> None:
    nectar_visitors.allow("status of 400")  # what a command is refused with
    go(page, "transfers")
    page.get_by_label("To another node").fill("nobody.nec")
    drop(page, "To another node", "lost.txt", "x")
    row = page.get_by_role("row", name="lost.txt")
    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("nobody.nec")
    expect(row.get_by_role("button", name="Send lost.txt again")).to_be_visible()
    page.get_by_label("To another node").fill("not a name")
    drop(page, "To another node", "odd.txt", "x")
    expect(page.get_by_role("status")).to_contain_text("not a name")
    go(page, "errors")
    expect(page.get_by_role("row", name="nobody.nec")).to_contain_text("no such name")


def test_a_package_starts_with_the_rights_that_are_ticked_and_can_be_stopped(nodes: LocalTestnet, page: Page) -> None:
    page.locator("input[type=file]").first.set_input_files(package("greeter"))  # type: ignore[arg-type]
    dialog = page.get_by_role("dialog", name="Start greeter:local?")
    dialog.get_by_role("checkbox", name="vfs:distro:sys").uncheck()
    dialog.get_by_role("button", name="Start it").click()
    card = page.get_by_role("article", name="greeter:local")
    expect(card).to_contain_text("1 denied")
    (row,) = (each for each in nodes.processes("one.nec") if "greeter" in each["address"])
    assert row["capabilities"] == ["network"]
    card.get_by_text("Rights:").click()
    card.get_by_role("checkbox", name="vfs:distro:sys").check()
    card.get_by_role("button", name="Start it again with these rights").click()
    expect(card).to_contain_text("2 of 2 granted")
    card.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Stop it").click()
    expect(card).to_contain_text("does not run")
    assert not any("greeter" in each["address"] for each in nodes.processes("one.nec"))


def test_a_folder_starts_as_a_package_and_what_is_none_is_refused(
    page: Page, nectar_visitors: Visitors, tmp_path: Path
) -> None:
    nectar_visitors.allow("status of 400")
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in HELLO.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "metadata.json").write_text('{"package": "folder", "publisher": "local"}')
    page.locator("input[type=file]").nth(1).set_input_files(folder)
    page.get_by_role("dialog").get_by_role("button", name="Start it").click()
    expect(page.get_by_role("article", name="folder:local")).to_contain_text("runs")
    drop(page, "Start a package", "notes.txt", "just words")
    expect(page.get_by_role("status")).to_contain_text("notes.txt is not a package")


def test_messages_appear_as_they_are_sent_and_what_others_wrote_is_text(
    nodes: LocalTestnet, page: Page, screenshot: Callable[[Page, str], None]
) -> None:
    go(page, "messages")
    expect(page.get_by_text("No message has been sent")).to_be_visible()
    hostile = "<img src=x onerror=alert(1)>\u202etxt"
    nodes.message("one.nec", "two.nec@hello:hello:sys", json.dumps({"Greet": hostile}, ensure_ascii=False))
    tree = page.get_by_role("article").filter(has_text="hello:hello:sys")
    expect(tree.first).to_contain_text("← two.nec@hello:hello:sys")
    expect(tree.first).to_contain_text("<img src=x onerror=alert(1)>\\u{202e}txt")
    assert page.locator("main img").count() == 0
    screenshot(page, "node-messages")


def test_the_page_says_that_its_node_has_stopped_and_goes_on_when_it_is_back(
    boot_web_nodes: Callable[..., LocalTestnet], nectar_visitors: Visitors
) -> None:
    nectar_visitors.allow("ERR_CONNECTION|Failed to load resource|ERR_INCOMPLETE|ERR_EMPTY|network error")
    network = boot_web_nodes({"brief.nec": None})
    port = int(WebNode(network, "brief.nec").url.rpartition(":")[2])
    page = nectar_visitors.open(WebNode(network, "brief.nec").link())
    expect(page.locator("#state")).to_have_text("live")
    network.stop("brief.nec")
    expect(page.locator("#state")).to_have_text("does not answer")
    expect(page.get_by_role("alert")).to_contain_text("nectar boot")
    network.boot({"brief.nec": BootOptions(http=(LOOPBACK, port))})
    expect(page.get_by_role("alert")).to_contain_text("not signed in")  # all sessions end with the node


def test_who_is_signed_out_elsewhere_is_told_and_sees_nothing_new(
    nodes: LocalTestnet, page: Page, nectar_visitors: Visitors
) -> None:
    nectar_visitors.allow("status of 401")
    with nodes.connect("one.nec") as client:
        client.request("revoke_session")
    expect(page.get_by_role("alert")).to_contain_text("not signed in")
    expect(page.locator("#state")).to_have_text("signed out")


def test_a_mistyped_address_shows_what_there_is(page: Page) -> None:
    page.evaluate("location.hash = 'nothing/like/that'")
    expect(page.get_by_role("heading", level=2)).to_have_text("Packages")
    for name in ("constructor", "__proto__/x", "toString", "<img src=x onerror=alert(1)>"):
        page.evaluate("location.hash = 'errors'")
        expect(page.get_by_role("heading", level=2)).to_have_text("Errors")
        page.evaluate("(name) => { location.hash = name; }", name)
        expect(page.get_by_role("heading", level=2)).to_have_text("Packages")
    page.evaluate("location.hash = 'logs/%E0%A4%A'")
    expect(page.get_by_role("heading", level=2)).to_have_text("Logs")
    expect(page.get_by_text("It has written nothing that the node remembers.")).to_be_visible()
