"""`nectar net`: whether another node can be reached, and if not, why, and what to do; and a "hi" to another node."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable
from typing import Annotated

import typer

from nectar_node.base.errors import EXIT_OFFLINE, EXIT_TIMEOUT
from nectar_node.cli import run
from nectar_node.console import output
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer, ControlError
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name

app = typer.Typer(help="See how other nodes are reached.", no_args_is_help=True, rich_markup_mode=None)

FAILED = 1
HI_SECONDS = 10
"""Seconds for a "hi": twice what the script waits for its answer."""
_CODES = {"reached": 0, "offline": EXIT_OFFLINE, "timeout": EXIT_TIMEOUT, "busy": FAILED}
_INDENT = 11
"""Characters for a line's label."""
_PATIENCE = 45.0
"""Most seconds between two steps: a probe takes 30 in all."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The other node, such as recv.nec.")]


@app.command()
def hi(
    name: Name,
    node: options.Node,
    text: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="What its user reads.")] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Say something to another node, and wait for its "ack". Its user sees the text in the log.

    The same as `nectar run hi NAME TEXT`. Exit code: 0 it arrived, 3 Offline, 4 Timeout.
    """
    check_name(name)
    words = " ".join(text or ()).split() or ["hi"]
    code = run.run("hi", node, [name, *words], HI_SECONDS, directory, as_json)
    if code in (EXIT_OFFLINE, EXIT_TIMEOUT):
        output.complain(f"Why: {LocalNetwork(directory).command('net diagnose', name, '--node', node)}")
    return code


@app.command()
def diagnose(
    name: Name,
    node: options.Node,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Check whether another node can be reached. One line each: its name record, every dial, the handshake, and a ping.

    No message is sent; an existing session is pinged. Exit code: 0 it can be reached, 3 Offline, 4 Timeout.
    """
    check_name(name)
    network = LocalNetwork.find(directory)
    report = _Report(name, node, network, show=not as_json)
    with network.connect(node) as client:
        client.send("diagnose", name=name)
        client.await_sign(time.monotonic() + _PATIENCE)
        try:
            answer = client.follow_to_answer("the diagnosis", _PATIENCE, report.take)
            report.tell_repeats()
        finally:
            report.end_line()
    outcome = str(answer.get("outcome"))
    if outcome not in _CODES:
        raise ControlError(f"The node's answer has an unknown outcome: {outcome!r}.")
    verdict, advice = report.verdict(outcome, answer.get("reason"))
    if as_json:
        output.print_json({"name": name, **answer, "steps": report.steps, "advice": advice})
    else:
        (output.complain if _CODES[outcome] else output.say)(verdict)
        if advice is not None:
            output.complain(advice)
    return _CODES[outcome]


# --- attempts ---------------------------------------------------------------------------------------------------------


class _Repeats:
    """Counts repeated attempts. A node dials again until its time is over; attempts that go like the first one are not
    shown.
    """

    def __init__(self) -> None:
        self._first: dict[str, list[Answer]] = {}
        """The steps of the first attempt at each place, which has failed."""
        self._place: str | None = None
        """The place that is being dialed."""
        self._steps: list[Answer] = []
        """The steps of the present attempt until now."""
        self._count = 0

    def taken(self) -> int:
        """Return how many attempts have been left out since the last call."""
        count, self._count = self._count, 0
        return count

    def news(self, step: Answer) -> list[Answer]:
        """Return the steps to be shown now that this one has happened."""
        if step["step"] == "dialing":
            self._place, self._steps = _endpoint(step), []
        if self._place is None:
            return [step]
        self._steps.append(step)
        first = self._first.setdefault(self._place, self._steps)
        ends = step["step"] == "failed"
        if ends:
            self._place = None
        if first is self._steps:
            return [step]
        if first[: len(self._steps)] == self._steps:
            self._count += ends
            return []
        self._first[_endpoint(self._steps[0])] = self._steps  # from here on it goes in another way
        return self._steps[:]


# --- lines ------------------------------------------------------------------------------------------------------------


class _Report:
    """Shows each step as it happens, one line each; a line whose outcome is still to come stays open."""

    def __init__(self, name: str, node: str, network: LocalNetwork, *, show: bool) -> None:
        self.steps: list[Answer] = []
        self._name = name
        self._node = node
        self._network = network
        self._show = show
        self._repeats = _Repeats()
        self._open: str | None = None
        """The label of the open line."""
        self._column = 0
        """The column where it goes on."""

    def take(self, step: Answer) -> None:
        """Show one more step."""
        self.steps.append(step)
        if str(step.get("step")) not in _LINES:
            raise ControlError("The node sent an unknown event: are the node and this command of the same version?")
        news = self._repeats.news(step) if self._show else ()
        if news:
            self.tell_repeats()
        for each in news:
            _LINES[str(each["step"])](self, each)

    def tell_repeats(self) -> None:
        """Print how many attempts have not been shown, if any."""
        if count := self._repeats.taken():
            self.line("again", f"{count} more {'attempt' if count == 1 else 'attempts'}, with the same outcome")

    def line(self, label: str, text: str) -> None:
        """Print a whole line, or the rest of the open line if it has that label."""
        if self._open != label:
            self.begin(label, "")
        self._open = None
        print(self._wrapped(text), flush=True)

    def begin(self, label: str, text: str) -> None:
        """Print the beginning of a line."""
        self.end_line()
        self._open = label
        self._column = _INDENT + len(text)
        print(f"{label:<{_INDENT}}{output.one_line(text)}", end="", flush=True)

    def _wrapped(self, text: str) -> str:
        """Return a text that on a terminal goes on below its beginning."""
        line, indent = output.one_line(text), " " * _INDENT
        if not sys.stdout.isatty():
            return line
        width = max(output.console().width, 2 * _INDENT)
        broken = textwrap.fill(" " * self._column + line, width, subsequent_indent=indent, break_on_hyphens=False)
        return broken[self._column :]

    def end_line(self) -> None:
        """End the open line."""
        if self._open is not None:
            self._open = None
            print(flush=True)

    # --- steps ---

    def _record(self, step: Answer) -> None:
        source = "from the registrar" if step.get("from") == "registrar" else "known here"
        key = f"fingerprint {step.get('fingerprint')}"
        self.line("record", f"{source}, number {step.get('sequence')}: {_routes(step)}, {key}")

    def _no_record(self, step: Answer) -> None:
        unknown = step.get("reason") == "no such name"
        text = "knows no node of that name" if unknown else "cannot be asked"
        self.line("record", f"the registrar {text}")

    def _proven(self, step: Answer) -> None:
        who = "" if step.get("dialed") else f"it has dialed us from {step.get('host')}; "
        self.line("handshake", f"{who}protocol {step.get('version')}, {self._name} has proven its key")

    def _failed(self, step: Answer) -> None:
        label, text = _FAILED_LINES.get(str(step.get("stage")), ("session", ""))
        self.line(label, f"{text}{step.get('text')}")

    def _pinging(self, step: Answer) -> None:
        if not any(each.get("step") == "proven" for each in self.steps):
            self.line("session", f"there is one already, with {step.get('host')}")
        self.begin("ping", "")

    def _pong(self, step: Answer) -> None:
        seconds = step.get("seconds")
        self.line("ping", output.short_time(seconds) if isinstance(seconds, (int, float)) else "-")

    # --- the outcome ---

    def verdict(self, outcome: str, reason: object) -> tuple[str, str | None]:
        """Return a sentence on the outcome, and another one on what to do about it."""
        name = self._name
        if outcome == "reached":
            return f"{name} can be reached.", None
        if outcome == "busy":
            return f"{self._node} diagnoses too much at once.", "Try again in a minute."
        if outcome == "timeout":
            advice = "{name} is paused or overloaded, or packets are lost on the way: try again, and see its log."
            return f"Timeout: {name} did not answer a ping in time.", self._fill(advice, {})
        return f"Offline: {name} cannot be reached ({reason}).", self._advice(str(reason))

    def _advice(self, reason: str) -> str:
        failures = [step for step in self.steps if step.get("step") == "failed"]
        fitting = [step for step in failures if step.get("reason") == reason] or failures
        if reason == "no such name" and self._network.is_static():
            return self._fill(_NOT_IN_DIRECTORY, {})
        if reason in _BY_REASON and not fitting:
            return self._fill(_BY_REASON[reason], {})
        if not fitting:
            found = any(step.get("step") == "record" for step in self.steps)
            return self._fill(_NO_WAY if found else _OTHERWISE, {})
        last = fitting[-1]
        return self._fill(_BY_FAILURE.get((str(last.get("stage")), str(last.get("reason"))), _OTHERWISE), last)

    def _fill(self, advice: str, step: Answer) -> str:
        network, there = self._network, f"{step.get('host')}:{step.get('port')}"
        called = str(step.get("router") or self._name)
        return advice.format(
            name=self._name,
            node=self._node,
            there=step.get("host") if step.get("port") is None else there,
            called=called,
            router=step.get("router"),
            boot=network.boot(called, "--detach"),
            up=network.command("testnet up"),
            diagnose=network.command("net diagnose", REGISTRAR_NAME, "--node", self._node),
            logs=network.command("logs", "--node", self._name),
        )


def _routes(step: Answer) -> str:
    endpoints, routers = (", ".join(map(str, step.get(key) or ())) for key in ("endpoints", "routers"))
    return " and ".join(filter(None, (endpoints and f"at {endpoints}", routers and f"behind {routers}"))) or "nowhere"


def _endpoint(step: Answer) -> str:
    router = step.get("router")
    return f"{step.get('host')}:{step.get('port')}" + ("" if router is None else f", the router {router}")


_LINES: dict[str, Callable[[_Report, Answer], None]] = {
    "record": _Report._record,
    "no record": _Report._no_record,
    "dialing": lambda report, step: report.begin("dial", f"{_endpoint(step)}: "),
    "dialed": lambda report, step: report.line("dial", "connected"),
    "proven": _Report._proven,
    "failed": _Report._failed,
    "pinging": _Report._pinging,
    "pong": _Report._pong,
}
"""The method that shows each kind of step, by its name."""
_FAILED_LINES = {
    "dial": ("dial", ""),
    "router": ("router", "carries it no further: "),
    "handshake": ("handshake", ""),
    "admission": ("handshake", "not let in: "),
    "session": ("session", ""),
}
"""For how far the connection had come: the line's label, and what comes before the reason."""
_NO_REGISTRAR = "Start the registrar with `{up}`, or see what is wrong with `{diagnose}`."
_NO_WAY = "Its record names neither an endpoint nor a router that can be tried: start it again with `{boot}`."
_NOT_IN_DIRECTORY = "The directory that {node} was booted with does not name it: see `nectar directory sign --help`."
_OTHERWISE = "See what {name} says of it with `{logs}`."
_BY_REASON = {
    "no registrar": _NO_REGISTRAR,
    "no such name": "Check the spelling; a node has its name from the moment it joins: `{boot}`.",
    "shutdown": "{node} is going down.",
}
"""Advice if no connection was tried."""
_BY_FAILURE = {
    ("dial", "refused"): "Nobody listens at {there}: start {called} with `{boot}`.",
    ("dial", "unreachable"): "Nothing comes back from {there}: is that host up, and does a firewall stand between?",
    ("handshake", "bad key"): (
        "What answers at {there} is not the {name} of its record: somebody else has its address, or it has got a "
        "new key that its old one has not signed."
    ),
    ("router", "unreachable"): (
        "{router} is there, but keeps no place for {name}, or cannot take another circuit: see that {name} runs, "
        "and what `nectar peers` says of {router} there."
    ),
    ("handshake", "other version"): "Let {node} and {name} run the same version of nectar.",
    ("handshake", "unreachable"): (
        "Something takes connections at {there} and does not complete a handshake: a paused node, or not a node at all."
    ),
    ("admission", "not believed"): (
        "{name} does not know the key of {node}: see that {node} has joined and that {name} reaches the registrar."
    ),
}
"""Advice by how far the last connection had come, and why it ended."""
