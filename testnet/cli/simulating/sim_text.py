"""The output of `nectar sim`: plans, results and failures, for people and for programs."""

from __future__ import annotations

import json
import shlex
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nectar_node.console import output
from testnet.cli.simulating.shrinking import Shrunk
from testnet.cli.simulating.sweeping import Findings
from testnet.journal.journal import Journal
from testnet.scenarios.scenario import Plan
from testnet.sweep.comparison import Difference
from testnet.sweep.verdict import RunVerdict, kind_of_text, of_own_python

_LABEL = 11
"""Characters, and a space, in front of each value."""
_OWN_PYTHON = "This is an error of the scenario's own Python: there is nothing to shrink or to explain."
_PRINTED_SEEDS = 20
_PRINTED_CHARACTERS = 400
"""The most characters of a journal's line."""
_PRINTED_ELEMENTS = 10
"""The most elements of an option."""
_PRINTED_NODES = 20


def field(label: str, *values: str) -> None:
    """Print a label, and each value on a line of its own; on a terminal they are broken between words."""
    width = output.console().width if sys.stdout.isatty() else 1 << 30
    room = max(20, width - _LABEL - 1)
    wrapper = textwrap.TextWrapper(room, break_on_hyphens=False, break_long_words=False)
    lines = [line for value in values for line in wrapper.wrap(value) or [""]]
    for number, line in enumerate(lines):
        output.say(f"{label if number == 0 else '':{_LABEL}} {line}".rstrip())


def whole(label: str, text: str) -> None:
    """Print a label and a text that people copy: only the terminal itself breaks it."""
    output.say(f"{label:{_LABEL}} {text}")


def tell(sentence: str) -> None:
    """Print a sentence, broken between words on a terminal."""
    output.console(wrapped=True).print(output.printable(sentence))


def print_plan(plan: Plan, about: str) -> None:
    """Print the plan in words, and of long lists only the beginning: the journal has all of it."""
    field("scenario", f"{plan.scenario}: {about}")
    field("seed", str(plan.seed))
    field("nodes", _listed(plan.nodes))
    print_what_matters(plan)


def print_what_matters(plan: Plan) -> None:
    """Print the options and the faults of a plan."""
    for name, value in plan.options.items():
        field(name, *_option(value))
    steps = [step.words() for step in plan.schedule]
    field("faults", *(f"{words};" for words in steps[:-1]), *(steps[-1:] or ["none"]))


def _option(value: Any) -> Iterable[str]:
    if not isinstance(value, list):
        return [json.dumps(value)]
    shown = [json.dumps(each, ensure_ascii=False) for each in value[:_PRINTED_ELEMENTS]]
    more = len(value) - len(shown)
    return [*shown, f"and {more} more, which are in the journal"] if more else shown or ["none"]


def _listed(nodes: Sequence[str]) -> str:
    more = len(nodes) - _PRINTED_NODES
    return ", ".join(nodes[:_PRINTED_NODES]) + (f" and {more} more" if more > 0 else "")


def verdict_value(verdict: RunVerdict) -> dict[str, Any]:
    """Return the verdict as JSON values."""
    return {
        "result": verdict.result,
        "text": verdict.text,
        "seconds": verdict.seconds,
        "events": verdict.events,
        "hash": verdict.digest,
        "plan": verdict.plan.value(),
    }


def report_run(verdict: RunVerdict, journal: Path, seconds: float, as_json: bool) -> None:
    """Print the result of one run."""
    if as_json:
        value = verdict_value(verdict)
        output.print_json({**value, "journal": str(journal), "real_seconds": round(seconds, 3)})
        return
    field("result", *_result(verdict))
    field("time", f"{verdict.seconds:.3f} s of virtual time in {output.duration(seconds)}")
    field("events", f"{verdict.events:,}")
    whole("hash", verdict.digest)
    whole("journal", str(journal))
    if of_own_python(verdict, verdict.plan.scenario):
        field("mend", _OWN_PYTHON)
    elif not verdict.passed:
        whole("explain", command("explain", journal))
        whole("shrink", command("shrink", journal))


def _result(verdict: RunVerdict) -> Sequence[str]:
    return (verdict.result, *([output.one_line(verdict.text)] if verdict.text else []))


def command(name: str, journal: Path) -> str:
    """Return the command that runs the plan."""
    return f"nectar sim {name} {shlex.quote(str(journal))}"


# --- sweeps ---------------------------------------------------------------------------------------------------------


def report_sweep(findings: Findings, as_json: bool) -> None:
    """Print the results of a sweep."""
    tally, shrunk, interrupted = findings.tally, findings.shrunk, findings.interrupted
    if as_json:
        output.print_json(
            {
                "seeds": tally.wanted,
                "passed": tally.passed,
                "interrupted": interrupted,
                "lost": findings.lost or None,
                "failed": [verdict_value(each) for each in tally.failures],
                "shrunk": [shrunk_value(each) for each in shrunk],
            }
        )
        return
    for each in shrunk:
        report_shrunk(each, False)
        output.say("")
    for verdicts in list(tally.kinds().values())[len(shrunk) :]:
        _report_unshrunk(verdicts[0])
    for verdicts in tally.kinds().values():
        if len(verdicts) > 1:
            field("alike", _seeds([each.plan.seed for each in verdicts]))
    if findings.lost:
        output.complain(findings.lost)
    stopped = "Stopped by Ctrl-C: " if interrupted else ""
    asked = "" if tally.done == tally.wanted else f" of the {tally.wanted:,} asked for"
    tell(f"{stopped}{_count(tally.done)}{asked} played, {tally.passed:,} passed, {len(tally.failures):,} failed.")


def _report_unshrunk(verdict: RunVerdict) -> None:
    plan = verdict.plan
    field("seed", str(plan.seed))
    field(*_result(verdict))
    whole("run", f"nectar sim run {shlex.quote(plan.scenario)} --nodes {len(plan.nodes)} --seed {plan.seed}")
    output.say("")


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds:,} seeds"


def _seeds(seeds: list[int]) -> str:
    shown = ", ".join(map(str, seeds[:_PRINTED_SEEDS]))
    more = len(seeds) - _PRINTED_SEEDS
    return f"seeds {shown}" + (f" and {more} more" if more > 0 else "")


# --- shrinking ------------------------------------------------------------------------------------------------------


def shrunk_value(shrunk: Shrunk) -> dict[str, Any]:
    """Return the result of shrinking as JSON values."""
    return {
        "seed": shrunk.failure.plan.seed,
        "again": verdict_value(shrunk.again),
        "journal": str(shrunk.journal),
        "smallest": None if shrunk.smallest is None else verdict_value(shrunk.smallest),
        "smallest_journal": None if shrunk.smallest_journal is None else str(shrunk.smallest_journal),
        "runs": shrunk.runs,
        "complete": shrunk.complete,
    }


def report_shrunk(shrunk: Shrunk, as_json: bool) -> None:
    """Print a failure, and what matters of its plan."""
    if as_json:
        output.print_json(shrunk_value(shrunk))
        return
    field("seed", str(shrunk.failure.plan.seed))
    field(*_result(shrunk.failure))
    if of_own_python(shrunk.again, shrunk.again.plan.scenario) and shrunk.again.kind == shrunk.failure.kind:
        field("mend", _OWN_PYTHON)
        whole("journal", str(shrunk.journal))
        whole("replay", command("replay", shrunk.journal))
        return
    if shrunk.smallest is None or shrunk.smallest_journal is None:
        field("again", "Run once more, it did not go wrong in the same way; it was:", *_result(shrunk.again))
        whole("journal", str(shrunk.journal))
        return
    before, after = shrunk.failure.plan, shrunk.smallest.plan
    stopped = "" if shrunk.complete else "; stopped before all was tried"
    faults = f"{len(before.schedule)} to {len(after.schedule)} faults"
    if len(after.nodes) < len(before.nodes):
        faults += f" and {len(before.nodes)} to {len(after.nodes)} nodes"
    told = [] if shrunk.smallest.text == shrunk.failure.text else _result(shrunk.smallest)[1:]
    field("shrunk", f"from {faults} in {shrunk.runs} runs{stopped}", *told)
    field("nodes", _listed(after.nodes))
    print_what_matters(after)
    whole("unshrunk", str(shrunk.journal))
    whole("journal", str(shrunk.smallest_journal))
    whole("replay", command("replay", shrunk.smallest_journal))
    whole("explain", command("explain", shrunk.smallest_journal))


# --- replays --------------------------------------------------------------------------------------------------------


def report_replay(then: Journal, now: Journal, difference: Difference | None, as_json: bool) -> None:
    """Print how a second run of a journal's plan compares with the first."""
    if as_json:
        value = {"same": difference is None, "events": now.end.events, "hash": now.end.digest}
        parts = None if difference is None else {"event": difference.number, "lines": list(difference.lines())}
        output.print_json({**value, "difference": parts})
    elif difference is None:
        tell(f"The same, {now.end.events:,} events, hash {now.end.digest}.")
    else:
        tell(f"Not the same: they part at event {difference.number:,} of {then.end.events:,}.")
        for line in difference.lines():
            output.say(
                textwrap.shorten(line, 10**9) if len(line) < _PRINTED_CHARACTERS else f"{line[:_PRINTED_CHARACTERS]}…"
            )
        tell(f"The result was {then.end.result} then, and is {now.end.result} now.")


def report_real_replay(then: Journal, now: Journal, as_json: bool) -> int:
    """Print how the result of a second run on real nodes compares with the first; return the exit code."""
    nodes = then.header.nodes
    same = then.end.result == now.end.result and kind_of_text(then.end.text, nodes) == kind_of_text(now.end.text, nodes)
    if as_json:
        output.print_json({"same": same, "then": then.end.result, "now": now.end.result, "text": now.end.text})
        return 0 if same else 1
    told = "The same result" if same else "Not the same result"
    tell(f"{told}, on real nodes, whose times are others in each run:")
    field("then", then.end.result, *([output.one_line(then.end.text)] if then.end.text else []))
    field("now", now.end.result, *([output.one_line(now.end.text)] if now.end.text else []))
    return 0 if same else 1
