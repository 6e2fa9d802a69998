"""What `nectar api` and `nectar message --form` promise, and what is told of a body that does not fit."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from nectar_node.packages.interfaces import read_interface_files
from tests.commands import nectar
from tests.nectar_node.cli.published import Publisher, package
from tests.nectar_node.cli.real_node import RealNode, real_node
from tests.nectar_node.cli.terminal import read_until
from tests.nectar_node.cli.test_consent import at_a_terminal, press_again
from tests.nectar_node.cli.test_defaults import completed
from tests.nectar_node.interfaces.samples import CHESS
from tests.net.world import identity_of

ANN = identity_of("ann.test")
COUNTER = "our@counter:counter:sys"
ECHO_WIT = "interface echo { variant request { say(string), quit } variant response { said(string), err(string) } }"


@pytest.fixture
def node(tmp_path: Path, engine: Engine) -> Iterator[RealNode]:
    """The node `a.nec`, which runs the counter."""
    with real_node(tmp_path / "net", engine, "counter", known=(ANN,)) as node:
        yield node


def described(folder: Path, text: str = ECHO_WIT, where: str = "api") -> Path:
    """A folder with a package whose process `echo` says of its messages what `text` does."""
    package(folder / "pkg", "box:local", "1.0.0")
    (folder / where).mkdir(parents=True)
    (folder / where / "box.wit").write_text(text)
    return folder


def test_what_is_started_says_how_to_see_what_it_understands(node: RealNode, tmp_path: Path) -> None:
    last = node.does("start", described(tmp_path / "box")).splitlines()[-1]
    assert last == f"What it understands: nectar api box:local --node a.nec --dir {node.network}"
    shutil.rmtree(tmp_path / "box" / "api")
    assert "What it understands" not in node.does("start", tmp_path / "box")


def keys(out: str) -> list[str]:
    """The messages that `nectar api --json` prints."""
    return [str(each["key"]) for process in json.loads(out)["processes"] for each in process["messages"]]


# --- nectar api -----------------------------------------------------------------------------------------------------


def test_a_message_is_shown_with_its_fields_its_answers_and_a_line_to_type(tmp_path: Path) -> None:
    shown = nectar("api", "chat").out
    assert shown.splitlines()[0] == "chat:chat:sys"
    assert '    members  list<node-id>  At most 32; this node may be among them.\n    → "Joined"\n' in shown
    assert '  $ nectar message our@chat:chat:sys \'{"Join": {"members": ["two.nec"]}}\'\n' in shown
    assert "  Say: string\n" in shown


def test_a_folder_is_shown_without_a_node_and_a_default_and_an_option_are_told(tmp_path: Path) -> None:
    (tmp_path / "chess").mkdir()
    shutil.copy(package(tmp_path / "x", "chess:local", "1.0.0") / "manifest.json", tmp_path / "chess")
    (tmp_path / "chess" / "api").mkdir()
    (tmp_path / "chess" / "api" / "chess:local-v0.wit").write_text(CHESS)
    shown = nectar("api", tmp_path / "chess").out
    assert "black    option<address>  May be left out." in shown
    assert "minutes  u8               Minutes. Default: 5." in shown
    told = json.loads(nectar("api", tmp_path / "chess", "--json").out)
    (process,) = told["processes"]
    assert process["messages"][0] == {
        "name": "new-game",
        "key": "NewGame",
        "description": "Begin a game.",
        "type": "new-game-request",
        "fields": [
            {"path": "white", "type": "node-id", "description": ""},
            {"path": "black", "type": "option<address>", "description": "May be left out."},
            {"path": "minutes", "type": "u8", "description": "Minutes. Default: 5."},
        ],
        "example": {"NewGame": {"white": "two.nec"}},
        "answers": [
            {"name": "accepted", "type": None, "description": "", "example": "Accepted"},
            {"name": "err", "type": "string", "description": "", "example": {"Err": "text"}},
        ],
        "command": 'nectar message our@echo:chess:local \'{"NewGame": {"white": "two.nec"}}\'',
    }


def test_the_line_that_is_shown_for_a_package_of_a_node_can_be_typed(node: RealNode) -> None:
    for what in ("counter", "counter:sys", "counter:counter:sys", COUNTER, f"b.nec@{COUNTER[4:]}"):
        assert f"  $ nectar message {COUNTER} '\"Get\"' --node a.nec\n" in node.does("api", what)
    for message in json.loads(node.does("api", "counter", "--json"))["processes"][0]["messages"]:
        assert json.loads(node.does("message", COUNTER, json.dumps(message["example"]))) == {"Count": 1}


@pytest.mark.parametrize("where", ["api", "pkg/api"])
@pytest.mark.parametrize("command", ["start", "install"])
def test_what_a_folder_says_of_its_messages_is_known_when_it_is_gone(
    node: RealNode, tmp_path: Path, command: str, where: str
) -> None:
    folder = described(tmp_path / "box", where=where)
    node.does(command, folder)
    shutil.rmtree(folder)
    assert keys(node.does("api", "box", "--json")) == ["Say", "Quit"]


def test_a_zip_says_it_and_so_does_the_archive_of_the_existing_kit(node: RealNode, tmp_path: Path) -> None:
    node.does("install", Path(shutil.make_archive(str(tmp_path / "box"), "zip", described(tmp_path / "box"))))
    assert keys(node.does("api", "box", "--json")) == ["Say", "Quit"]
    folder = package(tmp_path / "kit" / "pkg", "kit:local", "1.0.0")
    with zipfile.ZipFile(folder / "api.zip", "w") as archive:
        archive.writestr("api/kit:local-v0.wit", ECHO_WIT)
        archive.writestr("README.md", "no interface")
    node.does("install", folder.parent)
    assert keys(node.does("api", "kit", "--json")) == ["Say", "Quit"]


def test_a_new_version_says_what_it_understands_even_if_its_processes_are_the_same(
    node: RealNode, tmp_path: Path
) -> None:
    folder = described(tmp_path / "box")
    node.does("start", folder)
    (folder / "api" / "box.wit").write_text("interface echo { type request = u8; }")
    node.does("start", folder)
    assert keys(node.does("api", "box", "--json")) == ["None"]
    shutil.rmtree(folder / "api")
    node.does("start", folder)
    assert "box:local does not describe its messages" in node.fails("api", "box")


def test_a_signed_release_says_it_in_its_document(node: RealNode, tmp_path: Path) -> None:
    ann = Publisher(ANN, "chess", tmp_path / "ann")
    node.does("install", ann.publish("1.0.0", api=ECHO_WIT))
    assert keys(node.does("api", "chess:ann.test", "--json")) == ["Say", "Quit"]


@pytest.mark.parametrize(
    ("what", "said", "code"),
    [
        ("nothing", "No package 'nothing' is installed", 2),
        ("vfs:distro:sys", "vfs:distro:sys is of the node itself: the page `system processes`", 1),
        ("other:counter:sys", "counter:sys does not describe the messages of other:counter:sys, but those of", 1),
    ],
)
def test_what_is_not_described_is_said(node: RealNode, what: str, said: str, code: int) -> None:
    assert said in node.fails("api", what, code=code)


def test_an_interface_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    folder = described(tmp_path / "box", "interface echo {\n  type request = nothing;\n}")
    ended = nectar("api", folder)
    assert ended == (1, "", "box.wit, line 2: there is no type nothing.\n")


def test_a_release_whose_interface_cannot_be_read_is_not_published(node: RealNode, tmp_path: Path) -> None:
    package(tmp_path / "box" / "pkg", "box:a.nec", "1.0.0")
    (tmp_path / "box" / "api").mkdir()
    (tmp_path / "box" / "api" / "box.wit").write_text("interface echo { type request = nothing; }")
    assert node.fails("publish", tmp_path / "box") == "box.wit, line 1: there is no type nothing.\n"
    (tmp_path / "box" / "api" / "box.wit").write_text(ECHO_WIT)
    node.does("publish", tmp_path / "box")
    assert keys(node.does("api", "box:a.nec", "--json")) == ["Say", "Quit"]


def test_an_archive_of_interfaces_that_is_damaged_or_explodes_counts_as_none(tmp_path: Path) -> None:
    folder = package(tmp_path / "pkg", "kit:local", "1.0.0")
    (folder / "api.zip").write_bytes(b"PK\x03\x04 nonsense")
    assert read_interface_files(folder) == ()
    with zipfile.ZipFile(folder / "api.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wit", " " * (1 << 20))
    assert read_interface_files(folder) == ()


# --- bodies that do not fit -----------------------------------------------------------------------------------------


def test_a_body_that_does_not_fit_is_sent_and_told(node: RealNode) -> None:
    ended = node.nectar("message", COUNTER, '{"Add": "5"}')
    assert (ended.code, ended.out) == (0, '{"Err":"expected {\\"Add\\": NUMBER} or \\"Get\\""}\n')
    assert ended.err == (
        'The body is not as counter:counter:sys describes its messages: Add must be a whole number, and not "5". '
        "`nectar api counter:counter:sys` shows them.\n"
    )
    assert node.nectar("message", COUNTER, "Get").err.startswith("The body is not as")
    assert node.nectar("message", COUNTER, '"Get"').err == ""


def test_of_what_nobody_describes_nothing_is_told(node: RealNode, tmp_path: Path) -> None:
    node.does("start", package(tmp_path / "box", "box:local", "1.0.0"))
    for address in ("our@echo:box:local", "our@nobody:nobody:local", "our@timer:distro:sys"):
        assert "The body" not in node.nectar("message", address, "{", "--timeout", "1").err


# --- forms ----------------------------------------------------------------------------------------------------------


def test_a_form_asks_again_for_what_does_not_fit_shows_the_body_sends_it_and_prints_the_answer(node: RealNode) -> None:
    with at_a_terminal("message", COUNTER, "--form", *node.where) as (terminal, process):
        shown = read_until(terminal, b"Which message? ").decode()
        assert "1  add  Add so many, at most 1,000,000,000." in shown
        os.write(terminal, b"add\n")
        read_until(terminal, b"add (u64): ")
        os.write(terminal, b"many\n")
        assert b"That does not fit: it must be a number." in read_until(terminal, b"add (u64): ")
        os.write(terminal, b"5\n")
        shown = read_until(terminal, b'{"Count":5}').decode()
        assert '→ {"Add": 5}' in shown
        assert process.wait(20) == 0


def test_a_form_of_a_message_that_is_named_asks_only_for_what_is_in_it(node: RealNode) -> None:
    with at_a_terminal("message", COUNTER, "get", "--form", *node.where) as (terminal, process):
        shown = read_until(terminal, b'{"Count":0}').decode()
        assert "Which" not in shown
        assert process.wait(20) == 0


@pytest.mark.parametrize(("typed", "code"), [(b"\x03", 130), (b"\x04", 1)])
def test_a_form_that_is_left_sends_nothing(node: RealNode, typed: bytes, code: int) -> None:
    with at_a_terminal("message", COUNTER, "add", "--form", *node.where) as (terminal, process):
        read_until(terminal, b"add (u64): ")
        if code == 130:
            press_again(terminal, process, typed)
        else:
            os.write(terminal, typed)
            read_until(terminal, b"Nothing was sent.")
        assert process.wait(20) == code
    assert json.loads(node.does("message", COUNTER, '"Get"')) == {"Count": 0}


def test_a_form_needs_a_terminal_and_a_description_and_a_message_a_body(node: RealNode) -> None:
    assert "--form asks at a terminal" in node.fails("message", COUNTER, "--form", code=2)
    assert "has no message 'sub': it has add, get." in node.fails("message", COUNTER, "sub", "--form", code=2)
    assert "is a system process" in node.fails("message", "our@vfs:distro:sys", "--form")
    assert "Missing argument 'BODY'" in node.fails("message", COUNTER, code=2)


# --- completion -----------------------------------------------------------------------------------------------------


def test_processes_packages_and_messages_are_completed(node: RealNode) -> None:
    where = ("--dir", str(node.network), "--node", "a.nec")
    assert completed(node.network.parent, "message", *where, "our@coun") == [COUNTER]
    assert completed(node.network.parent, "api", *where, "coun") == ["counter:sys"]
    assert completed(node.network.parent, "message", *where, "--form", COUNTER, "") == ["add", "get"]
    assert completed(node.network.parent, "message", *where, COUNTER, "") == []


def test_bash_which_breaks_addresses_into_pieces_gets_what_is_missing_of_the_last_one(node: RealNode) -> None:
    where = ("--dir", str(node.network), "--node", "a.nec")
    pieces = ("our", "@", "counter", ":")
    for last, missing in (
        ((*pieces, "cou"), "counter:sys"),
        (pieces, "counter:sys"),
        (("our", "@"), "counter:" + COUNTER[12:]),
    ):
        assert completed(node.network.parent, "message", *where, *last, between="\n") == [missing]
    assert completed(
        node.network.parent, "message", *where, "--form", *pieces, "counter", ":", "sys", "", between="\n"
    ) == [
        "add",
        "get",
    ]
