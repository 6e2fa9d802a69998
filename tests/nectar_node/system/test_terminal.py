"""terminal:terminal:sys: a typed line, the script that it starts, its answer, and its end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract import limits
from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import MESSAGING, NETWORK, Capability
from kernel.contract.events import GrantCapabilities, Inject, Kill, Reply, Start
from kernel.contract.guest import Arrival, Failure, Generation
from kernel.contract.message import (
    ON_EXIT_NONE,
    Envelope,
    LazyLoadBlob,
    Reason,
    ReplyTo,
    Request,
    Response,
    SendError,
    SendErrorKind,
)
from kernel.contract.process import Launch
from nectar_node.base.system_processes import TERMINAL
from nectar_node.contract.actions import BadCode
from nectar_node.packages.aliases import MAX_ALIASES
from nectar_node.packages.scripts import MAX_SCRIPTS_BYTES
from nectar_node.storage.operations import DiskError, DiskFault, Job, Location, ReadAt
from nectar_node.system.process import FetchCode, SystemAction, SystemToken
from nectar_node.system.terminal import (
    FAILED,
    GRACE_SECONDS,
    MAX_ALIAS_BODY_BYTES,
    MAX_LINE_BYTES,
    MAX_RUNS,
    OFFLINE,
    TIMED_OUT,
    Terminal,
)
from tests.kernel.rig import NoProgram

OUR = "our.nec"
USER = Address(OUR, TERMINAL)
ALIAS = Address(OUR, ProcessId("7", "terminal", "sys"))
APP = Address(OUR, ProcessId("main", "app", "sys"))
VFS = Address(OUR, ProcessId("vfs", "distro", "sys"))
PROGRAM = NoProgram()
FIRST = ProcessId("1000", "terminal", "sys")
"""Under which the first script runs."""


def place(package: PackageId, path: str) -> Location:
    """Where a file of an installed package lies."""
    return Location("packages", (str(package), path.strip("/")))


def locate(package: PackageId, path: str) -> Location | None:
    return None if package.package == "nothing" else place(package, path)


class Rig:
    """A terminal, and what its node would do for it."""

    def __init__(self, everybody: tuple[ProcessId, ...] = (), generation: Generation = Generation.EARLY) -> None:
        ids = iter(range(1000, 10_000))
        self.terminal = Terminal(OUR, lambda: next(ids), locate, lambda: everybody, generation=lambda _: generation)
        self.now = 0.0
        self._id = 0

    def tell(self, body: bytes, source: Address = USER, timeout: int | None = 10, metadata: str | None = None) -> None:
        """A message arrives."""
        self._id += 1
        reply_to = None if timeout is None else ReplyTo(source, self._id)
        request = Request(False, timeout, body, metadata)
        self.terminal.receive(Envelope(self._id, source, USER, reply_to, request), self.now)

    def actions(self) -> list[SystemAction]:
        """What the terminal wants done."""
        actions: list[SystemAction] = []
        while (action := self.terminal.next_action()) is not None:
            actions.append(action)
        return actions

    def action(self, kind: type) -> Any:
        """The only action of a kind among those that there are."""
        (action,) = [each for each in self.actions() if isinstance(each, kind)]
        return action

    def load(self, settings: object, file: str = "hi.wasm") -> FetchCode:
        """scripts.json has been read: it has one script."""
        job = self.action(Job)
        self.terminal.done(job, json.dumps({file: settings}).encode(), self.now)
        fetch = self.action(FetchCode)
        assert isinstance(fetch, FetchCode)
        return fetch

    def start(self, line: str = "hi there", settings: object = None, timeout: int | None = 10) -> list[SystemAction]:
        """A script is on its way: how it is started."""
        self.tell(line.encode(), timeout=timeout)
        fetch = self.load(settings or {})
        self.terminal.code_fetched(fetch.token, PROGRAM, self.now)
        return self.actions()

    def run(self, line: str = "hi there", settings: object = None, timeout: int | None = 10) -> object:
        """A script runs: what its answer is to come with."""
        (inject,) = [each for each in self.start(line, settings, timeout) if isinstance(each, Inject)]
        assert isinstance(inject.token, SystemToken)
        return inject.token.token

    def fail(self, token: object, reason: Reason) -> None:
        """A script's answer will never come."""
        error = SendError(SendErrorKind.TIMEOUT, Address(OUR, FIRST), Request(False, 10, b""), None, reason)
        self.terminal.answered(token, Failure(error, None), self.now)

    def answer(self) -> tuple[str, str | None]:
        """Body and metadata of the only reply."""
        reply = self.action(Reply)
        return reply.response.body.decode(), reply.response.metadata


def arrival(body: bytes, metadata: str | None = None, blob: LazyLoadBlob | None = None) -> Arrival:
    return Arrival(Address(OUR, FIRST), Response(False, body, metadata), None, blob)


# --- from the line to the script ------------------------------------------------------------------------------------


def test_a_line_has_its_packages_scripts_read_and_then_the_scripts_code() -> None:
    rig = Rig()
    rig.tell(b"  hi   other.nec how are you?\n")
    job = rig.action(Job)
    assert job.operation == ReadAt(place(PackageId("terminal", "sys"), "/scripts.json"), 0, MAX_SCRIPTS_BYTES + 1)
    rig.terminal.done(job, b'{"hi.wasm":{}}', 0.0)
    fetch = rig.action(FetchCode)
    assert (fetch.package, fetch.path) == (PackageId("terminal", "sys"), "/hi.wasm")


def test_a_script_runs_under_a_random_name_without_on_exit_and_is_sent_its_arguments() -> None:
    start, inject = Rig().start("hi other.nec  how are you?")
    assert start == Start(Launch(FIRST, PROGRAM, ON_EXIT_NONE, public=False, returns=False), ())
    assert isinstance(inject, Inject)
    assert inject.source == TERMINAL
    assert inject.target == Address(OUR, FIRST)
    assert inject.request == Request(False, 10, b"other.nec  how are you?")


def test_a_script_of_another_package_runs_in_that_package() -> None:
    rig = Rig()
    rig.tell(b"tool:app:sys")
    fetch = rig.load({"public": True}, "tool.wasm")
    assert (fetch.package, fetch.path) == (PackageId("app", "sys"), "/tool.wasm")
    rig.terminal.code_fetched(fetch.token, PROGRAM, 0.0)
    launch = Launch(ProcessId("1000", "app", "sys"), PROGRAM, ON_EXIT_NONE, public=True, returns=False)
    assert rig.action(Start) == Start(launch, ())


def test_a_script_has_the_requesters_time_or_an_hour() -> None:
    rig = Rig()
    token = rig.run(timeout=10)
    assert rig.terminal.next_deadline() == 10.0
    rig.terminal.on_timer(9.5)
    assert rig.actions() == []
    rig.terminal.on_timer(10.0)
    assert rig.actions() == [Kill(FIRST)]
    rig.fail(token, Reason.PROCESS_ENDED)
    assert rig.actions() == []
    rig = Rig()
    rig.run(timeout=None)
    assert rig.terminal.next_deadline() == 3600.0
    rig.terminal.on_timer(3600.0)
    assert rig.actions() == [Kill(FIRST)]
    rig = Rig()
    rig.tell(b"hi", timeout=1)
    job = rig.action(Job)
    rig.terminal.on_timer(1.0)
    rig.terminal.done(job, b"{}", 1.0)
    rig.terminal.code_fetched(job.owner, PROGRAM, 1.0)
    assert rig.actions() == []
    rig = Rig()
    rig.tell(b"hi", timeout=10)
    fetch = rig.load({})
    rig.now = 2.5
    rig.terminal.code_fetched(fetch.token, PROGRAM, rig.now)
    assert rig.action(Inject).request.expects_response == 8


# --- rights ---------------------------------------------------------------------------------------------------------


def test_g21_a_script_gets_what_it_asks_for_and_no_more() -> None:
    asked = {"request_networking": True, "request_capabilities": ["vfs:distro:sys"]}
    start, _ = Rig((APP.process,)).start(settings=asked)
    network = Capability(Address(OUR, ProcessId("kernel", "distro", "sys")), NETWORK)
    assert isinstance(start, Start)
    assert start.capabilities == (network, Capability(VFS, MESSAGING))


def test_a_root_script_may_do_what_the_user_may() -> None:
    start, _ = Rig((VFS.process, APP.process)).start(settings={"root": True})
    network = Capability(Address(OUR, ProcessId("kernel", "distro", "sys")), NETWORK)
    drives = Capability(VFS, '{"root":true}')
    assert isinstance(start, Start)
    assert start.capabilities == (network, drives, Capability(VFS, MESSAGING), Capability(APP, MESSAGING))


def test_a_root_script_on_a_full_node_gets_the_processes_that_its_arguments_name_first() -> None:
    crowd = tuple(ProcessId(str(number), "crowd", "sys") for number in range(limits.MAX_HELD_CAPABILITIES))
    line = "hi our@main:app:sys b:b:b our.nec@c:c:c other.nec@d:d:d e @:: x"
    start, _ = Rig(crowd).start(line, {"root": True})
    assert isinstance(start, Start)
    issuers = [str(each.issuer.process) for each in start.capabilities if each.params == MESSAGING]
    assert issuers[:4] == ["main:app:sys", "b:b:b", "c:c:c", "0:crowd:sys"]
    assert len(issuers) == limits.MAX_HELD_CAPABILITIES


def test_who_a_script_grants_may_message_it_until_it_is_gone() -> None:
    rig = Rig()
    start, grant, inject = rig.start(settings={"grant_capabilities": ["main:app:sys"]})
    assert isinstance(start, Start)
    assert grant == GrantCapabilities(APP.process, (Capability(Address(OUR, FIRST), MESSAGING),))
    assert isinstance(inject, Inject)
    assert isinstance(inject.token, SystemToken)
    rig.terminal.ended(FIRST, 0.0)
    rig.terminal.answered(inject.token.token, arrival(b"done"), 0.0)
    assert rig.action(Kill) == Kill(FIRST)


# --- the answer and the end -----------------------------------------------------------------------------------------


def test_a_scripts_response_is_passed_on_and_may_be_left_to_another_process() -> None:
    rig = Rig()
    blob = LazyLoadBlob("text/plain", b"blob")
    rig.terminal.answered(rig.run(), arrival(b"body", '{"some":"metadata"}', blob), 0.0)
    response = Response(False, b"body", '{"some":"metadata"}')
    assert rig.actions() == [Reply(TERMINAL, ReplyTo(USER, 1), response, blob)]
    rig = Rig()
    token = rig.run()
    rig.terminal.ended(FIRST, 0.0)
    assert rig.actions() == []
    rig.terminal.answered(token, arrival(b"later"), 3.0)
    assert rig.answer() == ("later", None)


def test_a_script_that_returns_after_its_answer_is_left_alone_and_one_that_does_not_is_killed() -> None:
    rig = Rig()
    rig.terminal.answered(rig.run(), arrival(b"body"), 0.0)
    rig.terminal.ended(FIRST, 0.0)
    assert [type(action) for action in rig.actions()] == [Reply]
    assert rig.terminal.next_deadline() is None
    rig = Rig()
    rig.terminal.answered(rig.run(), arrival(b"body"), 5.0)
    assert isinstance(rig.action(Reply), Reply)
    assert rig.terminal.next_deadline() == 5.0 + GRACE_SECONDS
    rig.terminal.on_timer(5.0 + GRACE_SECONDS)
    assert rig.actions() == [Kill(FIRST)]
    assert rig.terminal.next_deadline() is None


def test_a_script_that_ends_without_an_answer_has_that_as_its_outcome() -> None:
    rig = Rig()
    token = rig.run()
    rig.terminal.ended(FIRST, 0.0)
    rig.fail(token, Reason.PROCESS_ENDED)
    assert rig.answer() == ("hi:terminal:sys ended without an answer.", FAILED)
    assert rig.terminal.next_deadline() is None


@pytest.mark.parametrize(("kind", "metadata"), [(SendErrorKind.OFFLINE, OFFLINE), (SendErrorKind.TIMEOUT, TIMED_OUT)])
def test_a_script_that_ends_without_an_answer_after_one_of_its_requests_has_failed_has_failed_like_that(
    kind: SendErrorKind, metadata: str
) -> None:
    rig = Rig()
    token = rig.run()
    rig.terminal.failed(FIRST, kind)
    rig.terminal.failed(APP.process, kind)
    rig.terminal.ended(FIRST, 0.0)
    rig.fail(token, Reason.PROCESS_ENDED)
    assert rig.answer() == ("hi:terminal:sys ended without an answer.", metadata)


# --- the user who watches -------------------------------------------------------------------------------------------


def watch(rig: Rig, user: object) -> object:
    rig.tell(b"hi there", metadata=rig.terminal.expect(user))
    fetch = rig.load({})
    rig.terminal.code_fetched(fetch.token, PROGRAM, 0.0)
    token: SystemToken = rig.action(Inject).token
    return token.token


def test_what_a_script_prints_is_for_who_runs_it_until_it_has_answered() -> None:
    rig, user = Rig(), object()
    token = watch(rig, user)
    assert rig.terminal.user_of(FIRST) is user
    assert rig.terminal.user_of(APP.process) is None
    rig.terminal.answered(token, arrival(b"done"), 0.0)
    assert rig.terminal.user_of(FIRST) is None
    rig = Rig()
    rig.run()
    assert rig.terminal.user_of(FIRST) is None


def test_a_script_that_is_stopped_is_killed_and_says_so_also_before_it_has_begun() -> None:
    rig, user = Rig(), object()
    token = watch(rig, user)
    rig.terminal.stop(user)
    assert rig.actions() == [Kill(FIRST)]
    rig.terminal.ended(FIRST, 0.0)
    rig.fail(token, Reason.PROCESS_ENDED)
    assert rig.answer() == ("hi:terminal:sys was stopped.", FAILED)
    rig, user = Rig(), object()
    rig.tell(b"hi there", metadata=rig.terminal.expect(user))
    job = rig.action(Job)
    rig.terminal.stop(user)
    assert rig.answer() == ("hi:terminal:sys was stopped.", FAILED)
    rig.terminal.done(job, b'{"hi.wasm":{}}', 0.0)
    assert rig.actions() == []
    rig = Rig()
    watch(rig, object())
    rig.terminal.stop(object())
    assert rig.actions() == []


# --- what cannot be run ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"", "A line begins with the name of a script, such as `hi other.nec hello`."),
        (b" \n ", "A line begins with the name of a script, such as `hi other.nec hello`."),
        (b"hi \xff", "A line must be text in UTF-8."),
        (b"x" * (MAX_LINE_BYTES + 1), "A line has at most 1 MiB."),
    ],
)
def test_what_is_no_line_is_refused(line: bytes, sentence: str) -> None:
    rig = Rig()
    rig.tell(line)
    assert rig.answer() == (sentence, FAILED)


def test_what_cannot_be_run_is_the_answer() -> None:
    rig = Rig()
    rig.tell(b"ls -l")
    assert rig.answer()[0].startswith("There is no script 'ls': known are alias, cat,")
    rig = Rig()
    rig.tell(b"tool:app:sys")
    rig.terminal.done(rig.action(Job), DiskError(DiskFault.NOT_FOUND, "gone"), 0.0)
    assert rig.answer() == ("app:sys has no scripts, or is not installed on our.nec.", FAILED)
    rig = Rig()
    rig.tell(b"tool:nothing:sys")
    assert rig.answer() == ("nothing:sys has no scripts, or is not installed on our.nec.", FAILED)
    rig = Rig()
    rig.tell(b"hi")
    fetch = rig.load({})
    rig.terminal.code_fetched(fetch.token, BadCode("there is no such file"), 0.0)
    assert rig.answer() == ("hi:terminal:sys cannot be started from /hi.wasm: there is no such file.", FAILED)
    assert rig.terminal.next_deadline() is None
    rig = Rig()
    for _ in range(MAX_RUNS):
        rig.tell(b"hi")
    rig.actions()
    rig.tell(b"hi")
    assert rig.answer() == ("64 scripts are running already: try again when one has ended.", FAILED)
    rig = Rig()
    rig.tell(b'"GetAliases"', ALIAS, timeout=None)
    rig.tell(b"ls", timeout=None)
    assert rig.actions() == []


@given(st.binary(max_size=100))
def test_any_line_gives_a_job_or_one_answer(line: bytes) -> None:
    rig = Rig()
    rig.tell(line)
    assert [type(action) for action in rig.actions()] in ([Job], [Reply])


# --- who may ask what -----------------------------------------------------------------------------------------------


def test_g21_only_the_user_types_lines() -> None:
    for source in (APP, ALIAS, Address("other.nec", TERMINAL)):
        rig = Rig()
        rig.tell(b"hi there", source)
        assert "Err" in json.loads(rig.answer()[0])


def test_scripts_of_the_terminal_change_aliases() -> None:
    rig = Rig()
    for process, known in (("main:app:sys", True), ("", False), ("main:app:sys", True), (None, False)):
        rig.tell(json.dumps({"EditAlias": {"alias": "x", "process": process}}).encode(), ALIAS)
        assert rig.answer() == ('"Ok"', None)
        rig.tell(b'"GetAliases"', ALIAS)
        assert ("x" in json.loads(rig.answer()[0])["Aliases"]) is known


def test_the_first_packages_alias_script_changes_aliases_in_its_own_shape() -> None:
    rig = Rig()
    for process, known in (("main:app:sys", True), (None, False)):
        rig.tell(json.dumps({"alias": "x", "process": process}).encode(), ALIAS)
        assert rig.answer() == ('"Ok"', None)
        assert ("x" in rig.terminal.aliases.all()) is known


def test_a_script_of_the_late_interfaces_is_answered_in_its_own_shape() -> None:
    rig = Rig(generation=Generation.LATE)
    rig.tell(b'{"EditAlias":{"alias":"x","process":"main:app:sys"}}', ALIAS)
    assert rig.answer() == ('{"EditAlias":"AliasSet"}', None)


def test_g23_aliases_without_end_find_a_bound() -> None:
    rig = Rig()
    for number in range(10_000):
        rig.tell(json.dumps({"alias": f"n{number}", "process": "main:app:sys"}).encode(), ALIAS)
    assert len(rig.terminal.aliases.all()) == MAX_ALIASES
    assert "aliases already" in json.loads(rig.actions()[-1].response.body)["Err"]  # type: ignore[union-attr]


def test_other_packages_change_no_alias_even_if_they_may_message_the_terminal() -> None:
    rig = Rig()
    rig.tell(b'{"EditAlias":{"alias":"hi","process":"main:app:sys"}}', APP)
    assert "Err" in json.loads(rig.answer()[0])
    rig.tell(b'"GetAliases"', ALIAS)
    assert json.loads(rig.answer()[0])["Aliases"]["hi"] == "hi:terminal:sys"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["a:b:c", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["EditAlias", "alias", "process"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary() | st.just(b"[" * 100_000))
def test_any_request_about_aliases_gives_one_answer(body: bytes) -> None:
    rig = Rig()
    rig.tell(body, ALIAS)
    assert isinstance(json.loads(rig.answer()[0]), (str, dict))
    assert rig.actions() == []


def test_g23_a_request_about_aliases_that_is_long_to_read_is_refused_unread() -> None:
    rig = Rig()
    for length, answered in ((MAX_ALIAS_BODY_BYTES, "Aliases"), (MAX_ALIAS_BODY_BYTES + 1, "Expected")):
        rig.tell(b'"GetAliases"'.ljust(length), ALIAS)
        assert answered in rig.answer()[0]
