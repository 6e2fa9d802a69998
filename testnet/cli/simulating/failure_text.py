"""The output of `nectar sim explain`, and of `shrink` for tests: for people and for programs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from nectar_node.console import output
from testnet.cli.simulating.shrinking_tests import ShrunkTest, fault_words
from testnet.cli.simulating.sim_text import command, field, tell, whole
from testnet.journal.journal import Journal
from testnet.report.story import FailureStory, span_of

_MAX_FAULTS = 12


def print_story(journal: Journal, story: FailureStory, *, as_json: bool) -> None:
    """Print what a journal says of its failure."""
    if as_json:
        return
    field("failed", f"at {story.at:.3f} s{place_words(journal)}", *story.text.splitlines()[:1])
    told = [f"{each.at:.3f} s  {each.text}" for each in story.told]
    field("what led", *(told or ["The journal has no message that was lost or given up before."]))
    faults = [span_of(each) for each in story.faults[:_MAX_FAULTS]]
    if (more := len(story.faults) - len(faults)) > 0:
        faults.append(f"and {more} more, which are in the journal")
    field("faults", *(f"{each};" for each in faults[:-1]), *(faults[-1:] or ["none held before"]))
    for number, state in enumerate(story.states):
        for line, words in enumerate(state.words):
            field("last states" if number == line == 0 else "", f"{f'{state.process}: ' if line == 0 else '  '}{words}")


def print_needed(journal: Journal, story: FailureStory, needed: Sequence[str], *, as_json: bool) -> None:
    """Print what other runs have shown."""
    if as_json:
        output.print_json(
            {
                "at": story.at,
                "text": story.text,
                "place": journal.header.options.get("place"),
                "story": [{"at": each.at, "text": each.text, "lines": list(each.lines)} for each in story.told],
                "faults": [span_of(each) for each in story.faults],
                "states": {each.process: list(each.words) for each in story.states},
                "needed": list(needed),
            }
        )
        return
    if needed:
        field("needed", *needed)


def place_words(journal: Journal) -> str:
    """Return the line of a test that failed, to follow a time; the empty text if there is none."""
    match journal.header.options.get("place"):
        case {"file": str(file), "line": int(line), "source": str(source)}:
            return f", {file}:{line}: {source}"
    return ""


def repeat_words(journal: Journal) -> str:
    """Return the command that runs the test of a journal again, from any folder."""
    options = journal.header.options
    return f"cd {shlex.quote(str(options.get('folder')))} && {options.get('repeat')}"


def report_shrunk_test(shrunk: ShrunkTest, as_json: bool) -> None:
    """Print a failure of a test, and which of its faults matter."""
    words = fault_words(shrunk.before.header)
    left = [
        f"{words[each.index]}, from {each.at:.3f} s "
        + ("on" if each.held is None else f"to {each.at + each.held:.3f} s")
        for each in shrunk.faults
    ]
    if as_json:
        done = shrunk.after is not None
        value: dict[str, object] = {"faults": left if done else None, "journal": str(shrunk.journal) if done else None}
        value["requests"] = list(shrunk.requests) if done else None
        output.print_json({**value, "runs": shrunk.runs, "complete": shrunk.complete})
        return
    header = shrunk.before.header
    field("test", str(header.options.get("test")))
    field(shrunk.before.end.result, *shrunk.before.end.text.splitlines()[:1])
    if shrunk.after is None:
        tell("Run once more, it did not fail in the same way.")
        return
    stopped = "" if shrunk.complete else "; stopped before all was tried"
    field("shrunk", f"from {len(words)} to {len(left)} faults in {shrunk.runs} runs{stopped}")
    if len(shrunk.requests) < len(shrunk.asked):
        numbers = ", ".join(map(str, shrunk.requests)) or "none"
        field(
            "requests", f"{len(shrunk.requests)} of {len(shrunk.asked)} are needed, in the order of the test: {numbers}"
        )
    field("faults", *(left or ["none: the test fails without any"]))
    whole("journal", str(shrunk.journal))
    whole("replay", command("replay", shrunk.journal))
    whole("explain", command("explain", shrunk.journal))
    whole("repeat", repeat_words(shrunk.after))
