"""The scripts that come with the node, each as its user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel.contract.address import ProcessId
from kernel.contract.events import Start
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import ON_EXIT_NONE, LazyLoadBlob, SendErrorKind
from kernel.contract.process import Launch
from nectar_node.storage.operations import Location
from nectar_node.system.terminal import FAILED, OFFLINE, TIMED_OUT
from packages.build import PACKAGES
from testnet.sim.programs import Programs
from tests.kernel.wasm.guests import receiver, wat
from tests.packages.lab import Lab

PATIENCE = 30


class Terminal(Lab):
    """A node whose user runs scripts."""

    def run(self, line: str, timeout: int = PATIENCE) -> Arrival:
        """The response to a line."""
        answer = self.outcome(line, timeout)
        assert isinstance(answer, Arrival), answer
        return answer

    def outcome(self, line: str, timeout: int = PATIENCE) -> Arrival | Failure:
        """What became of a line; the script must be gone some time after it."""
        token = self.node.begin_script(line, timeout)
        self.simulation.run_until(lambda: self.node.answer(token) is not None, self.simulation.now + timeout)
        answer = self.node.answer(token)
        assert answer is not None
        self.simulation.run_until(lambda: not self.scripts(), self.simulation.now + 2)
        return answer

    def scripts(self) -> list[str]:
        """The scripts that run now."""
        return [*self.processes("terminal"), *self.processes("tools")]

    def start(self, name: str, wasm: bytes) -> None:
        """Start a process that is not public in the package hello."""
        launch = Launch(ProcessId(name, "hello", "sys"), self.simulation.engine.load(wasm), ON_EXIT_NONE, public=False)
        self.node.core.machine.handle(Start(launch, ()), self.simulation.now)
        self.node.go_on()

    def says(self, line: str) -> str:
        """What a line that can be run is answered with."""
        answer = self.run(line)
        assert answer.message.metadata is None, answer.message
        return answer.message.body.decode()

    def fails(self, line: str, metadata: str = FAILED) -> str:
        """The sentence that a line is answered with that cannot be done."""
        answer = self.run(line)
        assert answer.message.metadata == metadata, answer.message
        return answer.message.body.decode()


@pytest.fixture
def one(engine: Programs) -> Terminal:
    return Terminal(engine, ("terminal", "hello", "echo"))


@pytest.fixture
def two(engine: Programs) -> Terminal:
    return Terminal(engine, ("terminal", "hello", "echo"), ("one.nec", "two.nec"))


# --- echo -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["hello there", "", "many   blanks", "ünïcode 🍯", "'quoted'"])
def test_echo_answers_with_its_arguments(one: Terminal, text: str) -> None:
    assert one.says(f"echo {text}") == text


def test_a_script_can_be_run_by_its_full_name(one: Terminal) -> None:
    assert one.says("echo:terminal:sys again") == "again"


def test_a_typed_line_can_be_sent_as_a_message_too(one: Terminal) -> None:
    answer = one.node.ask("our@terminal:terminal:sys", b"echo by message", PATIENCE)
    assert isinstance(answer, Arrival)
    assert answer.message.body == b"by message"


# --- m --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["our@hello:hello:sys", "one.nec@hello:hello:sys", "hello:hello:sys"])
def test_m_awaits_the_answer_of_a_process_of_this_node(one: Terminal, address: str) -> None:
    assert one.says(f'm {address} {{"Greet": "you"}} -a 5') == '{"Greeting":"Hello, you, from one.nec"}'


def test_m_takes_a_body_in_quotes(one: Terminal) -> None:
    assert one.says("m echo:echo:sys ' -a 5 is text here' -a 5") == " -a 5 is text here"


def test_m_reaches_a_process_of_another_node(two: Terminal) -> None:
    answer = two.says('m two.nec@hello:hello:sys {"Greet":"you"} -a 5')
    assert answer == '{"Greeting":"Hello, you, from two.nec"}'


def test_m_without_a_says_that_the_message_is_on_its_way(one: Terminal) -> None:
    assert one.says("m hello:hello:sys x") == "sent to our@hello:hello:sys"


def test_m_reaches_a_process_that_is_not_public(one: Terminal) -> None:
    one.start("private", (PACKAGES / "echo" / "pkg" / "echo.wasm").read_bytes())
    assert one.says("m private:hello:sys x -a 5") == "x"


def test_m_to_a_node_that_nobody_knows_is_offline(one: Terminal) -> None:
    assert one.fails("m nobody.nec@hello:hello:sys x -a 5", OFFLINE) == "nobody.nec is offline."


def test_m_to_nobody_says_why_there_may_be_no_answer(one: Terminal) -> None:
    assert one.fails("m our@nobody:hello:sys x -a 5", TIMED_OUT) == (
        "one.nec@nobody:hello:sys did not answer: nothing of that name runs there, it ended, or it needed more than 5 "
        "seconds."
    )


@pytest.mark.parametrize("option", ["--await", "-await", "-b", "-A"])
@pytest.mark.parametrize("end", ["", " 5"])
def test_m_takes_no_option_that_it_does_not_know_for_a_part_of_the_body(one: Terminal, option: str, end: str) -> None:
    sentence = f"m knows -a and no {option}: a body that ends like this stands between single quotes."
    assert one.fails(f"m echo:echo:sys x {option}{end}") == sentence
    assert one.fails(f"m echo:echo:sys x {option}{end} -a 5") == sentence
    assert one.says(f"m echo:echo:sys 'x {option}{end}' -a 5") == f"x {option}{end}"


@pytest.mark.parametrize("body", ["-5", "1 - 2", "x --", '{"a": "b -c"}', "-x and so on", "a-b c-d"])
def test_m_takes_dashes_in_a_body_for_what_they_are(one: Terminal, body: str) -> None:
    assert one.says(f"m echo:echo:sys {body} -a 5") == body


def test_the_metadata_of_the_answer_that_m_awaits_says_nothing_about_m(one: Terminal) -> None:
    metadata = OFFLINE.replace('"', "\\22")
    numbers = [0, 0, 0, 1, 64, len(OFFLINE), 0, 0, 0, 0, 0, 0, 0, 0]
    respond = f"(call $send-response {' '.join(f'(i32.const {number})' for number in numbers)})"
    body = f"(call $receive (i32.const 2048)) {respond}"
    one.start("faking", wat(body, "receive", "send-response", extra=f'(data (i32.const 64) "{metadata}")'))
    assert one.says("m faking:hello:sys x -a 5") == ""


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("m", 'm needs an address and a body, such as: m our@hello:hello:sys {"Greet":"Ada"} -a 5'),
        ("m hello:hello:sys", 'm needs an address and a body, such as: m our@hello:hello:sys {"Greet":"Ada"} -a 5'),
        ("m hello x", "hello is not an address, such as other.nec@hello:hello:sys or hello:hello:sys."),
        ("m A@h:h:h x", "A@h:h:h is not an address, such as other.nec@hello:hello:sys or hello:hello:sys."),
        ("m h:h:h x -a", "-a needs the number of seconds to wait for the answer, such as: -a 5"),
        ("m h:h:h x -a soon", "-a needs the number of seconds to wait for the answer, such as: -a 5"),
    ],
)
def test_a_wrong_m_is_told_what_is_right(one: Terminal, line: str, sentence: str) -> None:
    assert one.fails(line) == sentence


# --- hi -------------------------------------------------------------------------------------------------------------


def test_hi_is_confirmed_by_the_other_node_which_shows_it(two: Terminal) -> None:
    assert two.says("hi two.nec how are you?") == "ack from two.nec"
    assert [line for line in two.at("two.nec").log if "one.nec: how are you?" in line]


def test_hi_to_a_node_that_nobody_knows_is_offline(one: Terminal) -> None:
    assert one.fails("hi nobody.nec are you there?", OFFLINE) == "nobody.nec is offline."


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("hi", "hi needs a node and a text, such as: hi other.nec how are you?"),
        ("hi two.nec", "hi needs a node and a text, such as: hi other.nec how are you?"),
        ("hi two hello", "two is not a node's name, such as other.nec."),
        ("hi one.nec hello", "one.nec is this very node: say hi to another one."),
    ],
)
def test_a_wrong_hi_is_told_what_is_right(one: Terminal, line: str, sentence: str) -> None:
    assert one.fails(line) == sentence


# --- cat ------------------------------------------------------------------------------------------------------------


def put(lab: Terminal, name: str, data: bytes) -> str:
    lab.node.disk.put(Location("one.nec/vfs", ("notes:sys", "drive", name)), data)
    return f"/notes:sys/drive/{name}"


def test_cat_answers_with_the_text_of_a_file_of_any_package(one: Terminal) -> None:
    path = put(one, "poem", "Bienen\nsummen, süß\n".encode())
    assert one.says(f"cat {path}") == "Bienen\nsummen, süß\n"


def test_cat_shows_the_files_that_a_package_came_with(one: Terminal) -> None:
    assert json.loads(one.says("cat /hello:sys/pkg/manifest.json"))[0]["process_name"] == "hello"


def test_cat_shows_an_empty_file_as_nothing(one: Terminal) -> None:
    assert one.says(f"cat {put(one, 'empty', b'')}") == ""


def test_cat_says_what_it_cannot_show(one: Terminal) -> None:
    binary, large = put(one, "binary", b"\xff\xfe"), put(one, "large", bytes((10 << 20) + 1))
    assert one.fails(f"cat {binary}") == f"{binary} is not text: it has 2 bytes that are not all UTF-8."
    assert one.fails(f"cat {large}") == f"{large} has 10485761 bytes; cat shows at most 10485760."
    assert one.fails("cat /notes:sys/drive") == "/notes:sys/drive is a folder."
    assert one.fails("cat /notes:sys/drive/gone") == "there is no file /notes:sys/drive/gone."
    assert one.fails("cat /x") == "/x cannot be read: a path is /package:publisher/drive/rest."
    usage = "cat needs the path of a file in a drive, such as: cat /hello:sys/pkg/manifest.json"
    assert one.fails("cat") == one.fails("cat poem") == usage


# --- top ------------------------------------------------------------------------------------------------------------


def test_top_shows_what_runs_itself_included(one: Terminal) -> None:
    one.ask("our@hello:hello:sys", {"Greet": "you"})
    lines = one.says("top").splitlines()
    assert lines[0].split() == ["PROCESS", "MESSAGES", "INBOX", "RESTARTS", "STATE"]
    rows = {line.split()[0]: line.split(None, 4)[1:] for line in lines[1:]}
    assert rows.pop("hello:hello:sys") == ["1", "0", "0", "waiting for a message"]
    assert rows.pop("echo:echo:sys") == ["0", "0", "0", "waiting for a message"]
    assert rows.pop("ping:echo:sys") == ["0", "0", "0", "waiting for a message"]
    ((itself, row),) = rows.items()
    assert itself.endswith(":terminal:sys")
    assert row == ["1", "0", "0", "awaiting a response"]
    assert len({line.index(line.split(None, 4)[4]) for line in lines}) == 1


def test_top_of_a_process_shows_what_it_may_do(one: Terminal) -> None:
    assert one.says("top hello:hello:sys").splitlines() == [
        "hello:hello:sys is waiting for a message",
        "messages: 0",
        "inbox: 0",
        "restarts: 0",
        "public: yes",
        "on exit: restart",
        'holds: one.nec@kernel:distro:sys "network"',
    ]


def test_a_wrong_top_is_told_what_is_right(one: Terminal) -> None:
    assert one.fails("top hello") == "hello is not a process, such as hello:hello:sys."
    assert one.fails("top gone:hello:sys") == "gone:hello:sys does not run on one.nec."


# --- alias ----------------------------------------------------------------------------------------------------------


def test_alias_lists_what_there_is_from_the_start(one: Terminal) -> None:
    listed = [f"{name}: {name}:terminal:sys" for name in ("alias", "cat", "echo", "hi", "m", "top")]
    assert one.says("alias").splitlines() == listed


def test_an_alias_can_be_made_used_shown_and_removed(one: Terminal) -> None:
    assert one.says("alias say echo:terminal:sys") == "say stands for echo:terminal:sys"
    assert one.says("say something") == "something"
    assert one.says("alias say") == "say: echo:terminal:sys"
    assert one.says('alias say ""') == "say stands for nothing any more"
    assert one.fails("say something").startswith("There is no script 'say': known are alias, cat, echo, hi, m, top")


def test_a_wrong_alias_is_told_what_is_right(one: Terminal) -> None:
    assert one.fails("alias a:b x:y:z") == "An alias is one word of at most 64 characters, without ':'."
    assert one.fails("alias a nothing") == "'nothing' is not a script's full name, such as hi:terminal:sys."
    assert one.fails('alias gone ""') == "There is no alias gone."
    assert one.fails("alias gone") == "there is no alias gone: `alias` lists those that there are."


def reboot(lab: Terminal, *, power: bool = False) -> None:
    """Crash the node, or its machine, and boot it again."""
    if power:
        lab.simulation.cut_power("one.nec")
        lab.simulation.start("one.nec")
    else:
        lab.simulation.restart("one.nec")
    lab.simulation.settle()


def kept(lab: Terminal) -> bool:
    """Whether everything is on the disk, once the node has tried."""
    token, node = object(), lab.node
    node.core.ask_kept(token, lab.simulation.now)
    node.go_on()
    lab.simulation.run_until(lambda: token in node.kept, lab.simulation.now + 60)
    return node.kept[token] is None


def test_g26_aliases_are_there_after_a_reboot_and_those_that_were_removed_are_not(one: Terminal) -> None:
    one.says("alias say echo:terminal:sys")
    one.says("alias gone echo:terminal:sys")
    one.says('alias gone ""')
    one.says('alias hi ""')
    assert kept(one)
    for power in (False, True):
        reboot(one, power=power)
        assert one.says("say something") == "something"
        assert one.fails("gone something").startswith("There is no script 'gone'")
        assert one.fails("hi there").startswith("There is no script 'hi'")


def test_g27_a_power_cut_at_any_write_leaves_the_alias_before_or_the_new_one(engine: Programs) -> None:
    """And the new one, once it was kept."""
    left, was_kept = 0, False
    while not was_kept:
        one = Terminal(engine, ("terminal",))
        one.says("alias say echo:terminal:sys")
        assert kept(one)
        one.node.disk.database_files.left = left
        one.says("alias say cat:terminal:sys")
        was_kept = kept(one)
        reboot(one, power=True)
        found = one.says("alias say")
        assert found == "say: cat:terminal:sys" or (found == "say: echo:terminal:sys" and not was_kept), left
        left += 1
    assert left > 2


# --- blobs, and what scripts leave behind ---------------------------------------------------------------------------


def test_the_blob_of_a_scripts_answer_is_passed_on(one: Terminal) -> None:
    path = put(one, "poem", b"Bienen")
    answer = one.run(f'm vfs:distro:sys {{"path":"{path}","action":"Read"}} -a 5')
    assert answer.message.body == b'"Read"'
    assert answer.blob == LazyLoadBlob(None, b"Bienen")


def test_a_script_leaves_no_process_and_no_capability_behind(one: Terminal) -> None:
    held = {id: one.node.core.kernel.grants.of(id) for id in one.node.core.kernel.processes}
    one.says("m hello:hello:sys x -a 5")
    assert {id: one.node.core.kernel.grants.of(id) for id in one.node.core.kernel.processes} == held
    assert one.node.core.kernel.statistics()["outstanding"] == 0


def test_the_kind_of_a_timeout_reaches_the_user_when_the_script_has_had_its_time(one: Terminal) -> None:
    one.start("silent", receiver())
    begun = one.simulation.now
    answer = one.outcome("m silent:hello:sys x -a 60", timeout=3)
    assert isinstance(answer, Failure)
    assert answer.error.kind is SendErrorKind.TIMEOUT
    assert one.processes("terminal") == []
    assert one.simulation.now == begun + 3


# --- what scripts print, and how they are stopped -------------------------------------------------------------------

PRINT = "(call $print-to-terminal (i32.const 0) (i32.const 16) (i32.const 5))"
RECEIVE = "(call $receive (i32.const 2048))"
WAIT = f"(loop $again {RECEIVE} (br $again))"
ZERO = "(i32.const 0) "
ANSWER = f"(call $send-response {ZERO} (i32.const 16) (i32.const 5) {ZERO * 11})"
TEXT = '(data (i32.const 16) "hello")'


@pytest.fixture
def tools(engine: Programs, tmp_path: Path) -> Terminal:
    """A node with a package of scripts that print, and then do not answer."""
    folder = tmp_path / "tools" / "pkg"
    folder.mkdir(parents=True)
    bodies = {"waits": PRINT + WAIT, "returns": PRINT, "traps": f"{PRINT} unreachable", "silent": ""}
    bodies["lingers"] = RECEIVE + ANSWER + PRINT + WAIT
    for name, body in bodies.items():
        (folder / f"{name}.wasm").write_bytes(wat(body, "print-to-terminal", "receive", "send-response", extra=TEXT))
    (folder / "broken.wasm").write_bytes(b"nothing")
    (folder / "manifest.json").write_text("[]")
    names = (*bodies, "broken", "gone")
    (folder / "scripts.json").write_text(json.dumps({f"{name}.wasm": {"root": False} for name in names}))
    return Terminal(engine, ("terminal", tmp_path / "tools"))


def test_what_a_script_prints_reaches_who_runs_it_and_not_the_log(tools: Terminal) -> None:
    token = tools.node.begin_script("waits:tools:local", PATIENCE)
    tools.simulation.run_until(lambda: bool(tools.node.printed), tools.simulation.now + 1)
    assert tools.node.printed == [(token, 0, "hello")]
    assert tools.node.answer(token) is None
    assert not [line for line in tools.node.log if "hello" in line]


def test_what_a_script_prints_that_was_sent_as_a_message_is_in_the_log(tools: Terminal) -> None:
    tools.node.ask("our@terminal:terminal:sys", b"returns:tools:local", PATIENCE)
    assert [line.split(":", 1)[1] for line in tools.node.log if "hello" in line] == ["tools:local: hello"]


def test_a_script_that_is_stopped_is_gone_at_once(tools: Terminal) -> None:
    token = tools.node.begin_script("waits:tools:local", PATIENCE)
    tools.simulation.run_until(lambda: bool(tools.processes("tools")), tools.simulation.now + 1)
    tools.node.core.stop_script(token, tools.simulation.now)
    tools.node.go_on()
    answer = tools.node.answer(token)
    assert isinstance(answer, Arrival)
    assert (answer.message.body, answer.message.metadata) == (b"waits:tools:local was stopped.", FAILED)
    assert tools.processes("tools") == []


@pytest.mark.parametrize("name", ["returns", "silent"])
def test_a_script_that_returns_without_an_answer_says_so(tools: Terminal, name: str) -> None:
    assert tools.fails(f"{name}:tools:local") == f"{name}:tools:local ended without an answer."


def test_a_script_that_traps_shows_why(tools: Terminal) -> None:
    assert tools.fails("traps:tools:local") == "traps:tools:local ended without an answer."
    printed, trap = (line.text for line in tools.node.printed)
    assert printed == "hello"
    assert "unreachable" in trap


def test_a_script_that_does_not_return_after_its_answer_is_killed_a_second_later(tools: Terminal) -> None:
    answer = tools.node.begin_script("lingers:tools:local", PATIENCE)
    tools.simulation.run_until(lambda: tools.node.answer(answer) is not None, tools.simulation.now + 1)
    answered = tools.simulation.now
    assert len(tools.processes("tools")) == 1
    tools.simulation.run_until(lambda: not tools.processes("tools"), answered + 2)
    assert tools.simulation.now == answered + 1


def test_what_a_script_prints_after_its_answer_is_in_the_log(tools: Terminal) -> None:
    assert tools.run("lingers:tools:local").message.body == b"hello"
    assert tools.node.printed == []
    assert len([line for line in tools.node.log if "hello" in line]) == 1


def test_a_script_that_is_no_process_or_is_not_there_cannot_be_started(tools: Terminal) -> None:
    assert tools.fails("broken:tools:local").startswith("broken:tools:local cannot be started from /broken.wasm: ")
    assert tools.fails("gone:tools:local") == (
        "gone:tools:local cannot be started from /gone.wasm: there is no such file."
    )
    assert tools.fails("other:tools:local") == (
        "tools:local has no script other: it has broken, gone, lingers, returns, silent, traps, waits."
    )
    assert tools.fails("x:nothing:sys") == "nothing:sys has no scripts, or is not installed on one.nec."
