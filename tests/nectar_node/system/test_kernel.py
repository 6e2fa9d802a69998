"""kernel:distro:sys: processes made, run, ended and looked at by message; and nothing made out of nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.capabilities.grants import KERNEL_PROCESS
from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.events import Begin, CloseGuest, Reply, Start
from kernel.contract.guest import OurCapabilities, Poll
from kernel.contract.message import ON_EXIT_NONE, ON_EXIT_RESTART, Envelope, LazyLoadBlob, ReplyTo, Request
from kernel.contract.process import Launch
from nectar_node.contract.actions import BadCode, Kept, LogLine, ShutDown
from nectar_node.contract.http import HttpAction
from nectar_node.contract.http_client import HttpClientAction
from nectar_node.storage.operations import Job, StopJob
from nectar_node.system.kernel import MAX_BODY_BYTES, MAX_COMPILING, KernelProcess
from nectar_node.system.process import AskKept, CompileCode, FetchCode
from tests.kernel.rig import OUR, TERMINAL, VFS, NoProgram, Rig, here, pid, send
from tests.nectar_node.system.drives import JSON

BAD_CODE = b"no code"
ROOT = Capability(Address(OUR, VFS), '{"root":true}')
STORE = '{"kind":"read"}'


class Distro:
    """A kernel, and its system process; code is compiled when told to."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.process = KernelProcess(OUR, self.rig.kernel)
        self.compiling: list[CompileCode] = []
        self.replies: list[Reply] = []
        self.lines: list[str] = []
        self.ends = False

    def send(
        self, value: object, source: ProcessId | None = None, blob: bytes | None = None, metadata: str | None = None
    ) -> None:
        """A request of a process, `a` if none is named."""
        self.send_raw(json.dumps(value).encode(), source, blob, metadata)
        self.look()

    def send_raw(
        self, body: bytes, source: ProcessId | None = None, blob: bytes | None = None, metadata: str | None = None
    ) -> None:
        address = Address(OUR, source or pid("a"))
        carried = LazyLoadBlob(None, blob) if blob is not None else None
        request = Request(False, 5, body, metadata)
        target = Address(OUR, KERNEL_PROCESS)
        self.process.receive(Envelope(1, address, target, ReplyTo(address, 1), request, carried), self.rig.now)

    def look(self) -> None:
        """Do what it wants."""
        while (action := self.process.next_action()) is not None:
            match action:
                case Reply():
                    self.replies.append(action)
                case CompileCode():
                    self.compiling.append(action)
                case LogLine(source, _, text):
                    self.lines.append(f"{source}: {text}")
                case ShutDown():
                    self.ends = True
                case Job() | StopJob() | FetchCode() | AskKept() | Kept():
                    raise AssertionError(action)
                case _:
                    assert not isinstance(action, HttpAction | HttpClientAction)
                    self.rig.tell(action)

    def compile(self) -> None:
        """The code that waits is compiled."""
        for wanted in self.compiling:
            program = BadCode("it is no code") if wanted.code == BAD_CODE else NoProgram()
            self.process.code_fetched(wanted.token, program, self.rig.now)
        self.compiling.clear()
        self.look()

    def ask(
        self, value: object, source: ProcessId | None = None, blob: bytes | None = None, metadata: str | None = None
    ) -> Any:
        """A request, and its answer's JSON."""
        before = len(self.replies)
        self.send(value, source, blob, metadata)
        self.compile()
        (answer,) = self.replies[before:]
        return json.loads(answer.response.body)

    def initialize(self, name: str | ProcessId, source: ProcessId | None = None, **more: object) -> Any:
        id = str(name if isinstance(name, ProcessId) else pid(name))
        fields = {"id": id, "wasm_bytes_handle": "", "wit_version": None, "on_exit": "None"}
        return self.ask(
            {"InitializeProcess": fields | {"initial_capabilities": [], "public": False} | more}, source, b"code"
        )

    def held(self, name: str) -> list[str]:
        return [f"{each.issuer} {each.params}" for each in self.rig.kernel.grants.of(pid(name))]


@pytest.fixture
def distro() -> Distro:
    distro = Distro()
    distro.rig.start("a", network=False)
    return distro


def capability(issuer: object, params: str = '"messaging"') -> dict[str, object]:
    return {"issuer": str(issuer), "params": params}


# --- made and run ---------------------------------------------------------------------------------------------------


def test_a_process_is_made_and_does_not_run_until_it_is_told_to(distro: Distro) -> None:
    assert distro.initialize("b") == "InitializedProcess"
    assert not [a for a in distro.rig.all(Begin) if isinstance(a, Begin) and a.launch.process == pid("b")]
    assert distro.ask({"RunProcess": str(pid("b"))}) == "StartedProcess"
    begun = [a for a in distro.rig.all(Begin) if isinstance(a, Begin) and a.launch.process == pid("b")]
    assert [(a.address, a.launch.parent) for a in begun] == [(here("b"), pid("a"))]


def test_g4_what_is_sent_to_it_meanwhile_comes_when_it_runs_in_order(distro: Distro) -> None:
    distro.initialize("b", public=True)
    distro.rig.poll("a", send(here("b"), b"first"), send(here("b"), b"second"))
    assert distro.rig.bodies("b") == []
    distro.ask({"RunProcess": str(pid("b"))})
    assert distro.rig.bodies("b") == []
    distro.rig.receive("b")
    distro.rig.receive("b")
    assert distro.rig.bodies("b") == [b"first", b"second"]


def test_g24_the_inbox_of_a_process_that_does_not_run_yet_is_bounded(
    distro: Distro, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 2)
    distro.initialize("b", public=True)
    distro.rig.poll("a", *(send(here("b"), b"%d" % number) for number in range(3)))
    assert len(distro.rig.kernel.processes[pid("b")].mailbox) == 2
    distro.ask({"RunProcess": str(pid("b"))})
    for _ in range(3):
        distro.rig.receive("b")
    assert distro.rig.bodies("b") == [b"0", b"1", b"2"]


def test_a_process_that_runs_already_or_was_never_made_is_not_run(distro: Distro) -> None:
    for name in ("a", "nobody"):
        assert distro.ask({"RunProcess": str(pid(name))}) == "RunProcessError"
    assert "has not been initialized, or runs already" in distro.lines[-1]


def test_g18_who_makes_a_process_may_message_it_and_pass_that_on(distro: Distro) -> None:
    distro.initialize("b")
    assert f'{here("b")} "messaging"' in distro.held("a")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (VFS, "system process"),
        (KERNEL_PROCESS, "system process"),
        (ProcessId("new", "distro", "sys"), "system process"),
        (TERMINAL, "system process"),
        (pid("a"), "taken"),
        (ProcessId("main", "other", "sys"), "another package"),
    ],
)
def test_g21_reserved_taken_and_foreign_names_are_not_given(distro: Distro, name: ProcessId, why: str) -> None:
    assert distro.initialize(name) == "InitializeProcessError"
    assert why in distro.lines[-1]


def test_g21_who_holds_every_drive_may_make_processes_of_other_packages_but_none_of_the_nodes_own(
    distro: Distro,
) -> None:
    distro.rig.kernel.grants.grant(pid("a"), [ROOT])
    other = ProcessId("main", "other", "sys")
    assert distro.initialize(other) == "InitializedProcess"
    assert other in distro.rig.kernel.processes
    stranger = ProcessId("a", "tests", "some.nec")
    objection = distro.process._foreign
    distro.rig.kernel.grants.grant(stranger, [ROOT])
    assert objection(stranger, ProcessId("main", "other", "some.nec")) is None
    assert objection(stranger, ProcessId("main", "hello", "sys")) == "packages of the publisher sys are the node's own"
    stand_in = ProcessId("eth", "distro", "sys")  # which its user has put there
    assert objection(stand_in, ProcessId("main", "hello", "sys")) == "packages of the publisher sys are the node's own"
    assert objection(TERMINAL, ProcessId("main", "hello", "sys")) is None


def test_g25_a_file_that_is_no_process_is_an_error_and_a_line_in_the_log(distro: Distro) -> None:
    fields = {"id": str(pid("b")), "on_exit": "None", "initial_capabilities": [], "public": False}
    assert distro.ask({"InitializeProcess": fields}, blob=BAD_CODE) == "InitializeProcessError"
    assert distro.lines == [f"{pid('a')}: cannot initialize {pid('b')}: it is no code"]


def test_names_that_are_taken_or_gone_while_the_code_is_compiled_get_no_process(distro: Distro) -> None:
    fields = {"id": str(pid("b")), "on_exit": "None", "initial_capabilities": [], "public": False}
    for _ in range(2):
        distro.send({"InitializeProcess": fields}, blob=b"code")
    distro.compile()
    assert [reply.response.body for reply in distro.replies] == [b'"InitializedProcess"', b'"InitializeProcessError"']
    fields = {"id": str(pid("c")), "on_exit": "None", "initial_capabilities": [], "public": False}
    distro.send({"InitializeProcess": fields}, blob=b"code")
    distro.rig.end("a")
    distro.compile()
    assert pid("c") not in distro.rig.kernel.processes


def test_g23_only_so_many_are_compiled_at_once(distro: Distro) -> None:
    for number in range(MAX_COMPILING + 1):
        fields = {"id": str(pid(f"b{number}")), "on_exit": "None", "initial_capabilities": [], "public": False}
        distro.send({"InitializeProcess": fields}, blob=b"code")
    assert [reply.response.body for reply in distro.replies] == [b'"InitializeProcessError"']
    distro.compile()
    assert distro.initialize("c") == "InitializedProcess"


# --- capabilities ---------------------------------------------------------------------------------------------------


def test_g21_a_process_gets_at_most_what_its_maker_holds_or_issues(distro: Distro) -> None:
    held = Capability(here("x"), '"messaging"')
    distro.rig.kernel.grants.grant(pid("a"), [held])
    wanted = [
        capability(here("x")),
        capability(here("a"), STORE),
        capability(f"our@{VFS}", '{"root": true}'),
        capability(Address(OUR, KERNEL_PROCESS), '"network"'),
    ]
    distro.initialize("b", initial_capabilities=wanted)
    assert distro.held("b") == [f"{here('a')} {STORE}", f'{here("x")} "messaging"']
    assert "neither issues nor holds" in distro.lines[-1]


def test_the_first_packages_signatures_beside_capabilities_say_nothing(distro: Distro) -> None:
    signed = [{**capability(here("a"), STORE), "signature": [1, 2]}, [capability(here("a")), [1, 2]]]
    distro.initialize("b", initial_capabilities=signed)
    assert distro.held("b") == [f'{here("a")} "messaging"', f"{here('a')} {STORE}"]


def test_g21_a_process_grants_what_it_holds_or_issues_or_its_child_issues(distro: Distro) -> None:
    distro.rig.start("b", network=False)
    distro.initialize("child")
    granted = [
        capability(here("a"), STORE),
        capability(here("child"), STORE),
        capability(here("stranger"), STORE),
        capability(Address(OUR, KERNEL_PROCESS)),
    ]
    assert distro.ask({"GrantCapabilities": {"target": str(pid("b")), "capabilities": granted}}) == "Ok"
    assert distro.held("b") == [f"{here('a')} {STORE}", f"{here('child')} {STORE}"]


def test_capabilities_are_granted_to_those_that_there_are_and_dropped(distro: Distro) -> None:
    distro.rig.start("b", network=False, capabilities=(Capability(here("a"), STORE),))
    dropped = {"target": str(pid("b")), "capabilities": [capability("our@a:tests:sys", '{ "kind": "read" }')]}
    assert distro.ask({"DropCapabilities": dropped}) == "Ok"
    assert distro.held("b") == []
    granted = {"target": str(pid("nobody")), "capabilities": [capability(here("a"))]}
    assert "there is no process" in str(distro.ask({"GrantCapabilities": granted}))
    assert distro.held("nobody") == []
    granted = {"target": str(pid("a")), "capabilities": [capability(Address(OUR, VFS))]}
    assert distro.ask({"GrantCapabilities": granted}, TERMINAL) == "Ok"
    assert distro.held("a") == [f'{OUR}@{VFS} "messaging"']


# --- on-exit --------------------------------------------------------------------------------------------------------


def test_g22_a_process_sets_its_own_on_exit(distro: Distro) -> None:
    assert distro.ask({"SetOnExit": {"target": str(pid("a")), "on_exit": "Restart"}}) == "Ok"
    assert distro.rig.kernel.processes[pid("a")].on_exit == ON_EXIT_RESTART


@pytest.mark.parametrize("is_child", [True, False])
def test_g21_nobody_has_another_send_requests_with_its_rights(distro: Distro, is_child: bool) -> None:
    if is_child:
        distro.initialize("b")
    else:
        distro.rig.start("b")
    request = {"inherit": False, "expects_response": None, "body": [104, 105], "metadata": None, "capabilities": []}
    on_exit = {"Requests": [[str(here("a")), request, None]]}
    refused = {"Err": {"NoCap": {"action": "SetOnExit", "target": str(pid("b"))}}}
    assert distro.ask({"SetOnExit": {"target": str(pid("b")), "on_exit": on_exit}}) == refused
    assert distro.rig.kernel.processes[pid("b")].on_exit == ON_EXIT_NONE


def test_g22_on_exit_requests_are_sent_when_the_process_ends(distro: Distro) -> None:
    request = {"inherit": False, "expects_response": 5, "body": [104, 105], "metadata": None, "capabilities": []}
    on_exit = {"Requests": [["our@a:tests:sys", request, {"mime": None, "bytes": [1, 2]}]]}
    distro.initialize("b", on_exit=on_exit)
    distro.ask({"RunProcess": str(pid("b"))})
    distro.rig.end("b")
    assert distro.rig.bodies("a") == [b"hi"]


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_g23_a_body_that_is_long_to_read_is_refused_unread(distro: Distro) -> None:
    for length, answered in ((MAX_BODY_BYTES, b'"Ok"'), (MAX_BODY_BYTES + 1, b"longer than")):
        distro.send_raw(b'"Booted"'.ljust(length))
        distro.look()
        assert answered in distro.replies[-1].response.body


def test_g23_of_a_request_that_waits_for_its_code_only_the_metadata_is_kept(distro: Distro) -> None:
    fields = {"id": str(pid("b")), "on_exit": "None", "initial_capabilities": [], "public": False}
    distro.send({"InitializeProcess": fields}, blob=b"code", metadata='"mine"')
    (wanted,) = distro.compiling
    envelope = wanted.token.envelope  # type: ignore[attr-defined]
    assert (envelope.message, envelope.blob) == (Request(False, None, b"", '"mine"'), None)


# --- killed ---------------------------------------------------------------------------------------------------------


def test_g21_a_killed_process_is_gone_and_what_it_issued_is_worth_nothing(distro: Distro) -> None:
    distro.rig.start("b")
    distro.rig.kernel.grants.grant(pid("a"), [Capability(here("b"), STORE)])
    assert distro.ask({"KillProcess": str(pid("b"))}) == {"KilledProcess": str(pid("b"))}
    assert pid("b") not in distro.rig.kernel.processes
    assert distro.held("a") == []


def test_g21_killing_names_that_nobody_has_leaves_nothing_to_remember(distro: Distro) -> None:
    distro.rig.kernel.grants.issue()  # a capability has left this node: from now on revocations are remembered
    assert distro.ask({"KillProcess": str(pid("nobody"))}) == {"KilledProcess": str(pid("nobody"))}
    assert not distro.rig.kernel.grants.has_changed


@pytest.mark.parametrize("metadata", ["no-revoke", '"no-revoke"'])
def test_g21_a_kill_without_revocation_leaves_what_it_issued(distro: Distro, metadata: str) -> None:
    distro.rig.start("b")
    distro.rig.kernel.grants.grant(pid("a"), [Capability(here("b"), STORE)])
    distro.ask({"KillProcess": str(pid("b"))}, metadata=metadata)
    assert distro.held("a") == [f"{here('b')} {STORE}"]


def test_a_process_that_was_made_and_never_run_can_be_killed(distro: Distro) -> None:
    distro.initialize("b")
    distro.ask({"KillProcess": str(pid("b"))})
    assert distro.ask({"RunProcess": str(pid("b"))}) == "RunProcessError"
    assert any(isinstance(action, CloseGuest) and action.process == pid("b") for action in distro.rig.actions)


@pytest.mark.parametrize("process", [VFS, KERNEL_PROCESS, TERMINAL])
def test_no_system_process_is_killed(distro: Distro, process: ProcessId) -> None:
    assert "system process" in str(distro.ask({"KillProcess": str(process)}))


# --- the node -------------------------------------------------------------------------------------------------------


def test_the_node_is_shut_down_after_the_answer(distro: Distro) -> None:
    assert distro.ask("Shutdown") == "Ok"
    assert distro.ends
    assert distro.ask("Booted") == "Ok"


def test_debug_shows_every_process(distro: Distro) -> None:
    distro.rig.start("b", network=False, public=False, on_exit=ON_EXIT_RESTART, capabilities=(ROOT,))
    shown = distro.ask({"Debug": "ProcessMap"})["Debug"]["ProcessMap"]
    assert list(shown) == [str(pid("a")), str(pid("b"))]
    assert shown[str(pid("b"))] == {
        "wasm_bytes_handle": "",
        "wit_version": None,
        "on_exit": "Restart",
        "capabilities": [{"issuer": f"{OUR}@{VFS}", "params": '{"root":true}'}],
        "public": False,
        "state": "waiting for a message",
        "inbox": 0,
        "messages": 0,
        "restarts": 0,
    }
    assert distro.ask({"Debug": {"Process": str(pid("b"))}}) == {"Debug": {"Process": shown[str(pid("b"))]}}
    assert distro.ask({"Debug": {"Process": str(pid("nobody"))}}) == {"Debug": {"Process": None}}


def test_debug_tells_who_holds_what(distro: Distro) -> None:
    distro.rig.kernel.grants.grant(pid("a"), [ROOT])
    for params, answer in (('{ "root" : true }', True), ('{"root":false}', False)):
        asked = {"on": str(pid("a")), "cap": capability(f"our@{VFS}", params)}
        assert distro.ask({"Debug": {"HasCap": asked}}) == {"Debug": {"HasCap": answer}}
    nobody = {"on": str(pid("nobody")), "cap": capability(here("a"))}
    assert distro.ask({"Debug": {"HasCap": nobody}}) == {"Debug": {"HasCap": None}}


def test_more_processes_than_an_answer_holds_are_not_cut_short(distro: Distro, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nectar_node.system.kernel.MAX_MAP_BYTES", 100)
    assert "more to show" in str(distro.ask({"Debug": "ProcessMap"}))


# --- what is wrong --------------------------------------------------------------------------------------------------


def test_each_request_sees_what_the_one_before_has_done(distro: Distro) -> None:
    distro.initialize("b")
    for value in ({"KillProcess": str(pid("b"))}, {"RunProcess": str(pid("b"))}):
        distro.send_raw(json.dumps(value).encode())
    distro.look()
    assert distro.replies[-1].response.body == b'"RunProcessError"'


def test_g3_a_request_of_another_node_does_nothing(distro: Distro) -> None:
    there = Address("their.nec", pid("a"))
    target = Address(OUR, KERNEL_PROCESS)
    request = Request(False, 5, b'"Shutdown"')
    distro.process.receive(Envelope(1, there, target, ReplyTo(there, 1), request, None, claimed=True), 0.0)
    distro.look()
    assert (distro.ends, distro.replies, distro.process.remote) == (False, [], False)


ACTIONS = st.sampled_from(
    ["InitializeProcess", "RunProcess", "KillProcess", "GrantCapabilities", "DropCapabilities", "SetOnExit", "Debug"]
)
FIELDS = st.dictionaries(
    st.sampled_from(["id", "on_exit", "initial_capabilities", "target", "capabilities", "on", "cap", "HasCap"]),
    JSON | st.just(str(pid("b"))) | st.just([capability("our@b:tests:sys")]) | st.just("Restart"),
)


@given(
    st.binary(max_size=40)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.builds(lambda name, value: json.dumps({name: value}).encode(), ACTIONS, JSON | FIELDS),
    st.none() | st.binary(max_size=4),
)
def test_whatever_a_process_sends_it_gets_one_answer_and_gains_nothing(body: bytes, blob: bytes | None) -> None:
    distro = Distro()
    distro.rig.tell(Start(Launch(pid("a"), NoProgram(), ON_EXIT_NONE, public=True), ()))
    distro.rig.poll("a", OurCapabilities(), poll=Poll.CALL)
    distro.send_raw(body, blob=blob)
    distro.look()
    distro.compile()
    assert len(distro.replies) == 1
    for process in distro.rig.kernel.processes:
        issuers = {each.issuer.process for each in distro.rig.kernel.grants.of(process)}
        assert not issuers & {VFS, KERNEL_PROCESS}


def test_the_log_says_in_words_what_the_kernel_refuses(distro: Distro) -> None:
    distro.ask({"Nonsense": {}})
    distro.ask({"SetOnExit": {"target": str(pid("nobody")), "on_exit": "None"}})
    said = "tests:sys: asked something of the kernel that it refuses: "
    assert distro.lines == [
        f"a:{said}there is no action 'Nonsense'",
        f"a:{said}it may not SetOnExit (nobody:tests:sys)",
    ]
