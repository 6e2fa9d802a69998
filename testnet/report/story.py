"""The story of a failure, from its journal alone: what was asked and answered, what came of it, which faults held.

Nothing is guessed. A sentence says what events say: which message was sent, taken, answered, lost or given up, and
which faults held meanwhile on its nodes. Whether a fault was needed, only another run can tell
(`testnet.cli.simulating.explaining`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from testnet.journal.journal import Journal
from testnet.report.exchanges import HELPERS, USER, ToldRequest, exchanges_of, is_helper, node_of, time_of
from testnet.report.model import Band, DrawnMessage, DrawnOperation, Picture, Remark, draw
from testnet.report.named import Named, is_of_healing, named_by, requests_of

MAX_NAMED = 6
"""Messages that the failure names, of which the story tells what became of them."""
MAX_OPERATIONS = 6
"""Operations that cannot be explained together, of which the story tells."""
MAX_BODY = 60
"""Characters of a body."""
MAX_PROCESSES = 8
_PASSED = "passed"
_NEAR = 3
"""Of several troubles alike, the last so many are told."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A part of the story."""

    at: float
    text: str
    lines: tuple[int, ...] = ()
    """The journal's lines that say so."""
    root: str | None = None
    """The lineage that it is about."""
    bad: bool = False
    """Whether something was lost or given up."""


@dataclass(frozen=True, slots=True)
class LastState:
    """What is known of a process when the run failed."""

    process: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailureStory:
    """The story of a failed run."""

    at: float
    """When it failed."""
    text: str
    """What failed."""
    told: tuple[Sentence, ...]
    """What led there, in the order of time."""
    faults: tuple[Band, ...]
    """Those that held before."""
    states: tuple[LastState, ...]
    opens: int | None = None
    """The journal's line of the first operation that cannot be explained; None: it fails where it was seen."""


def tell(journal: Journal, picture: Picture | None = None) -> FailureStory | None:
    """Return the story of a failed run, or None for one that passed; raises BadJournal."""
    if journal.end.result == _PASSED:
        return None
    picture = draw(journal) if picture is None else picture
    at = picture.violations[0].at if picture.violations else journal.end.seconds
    text = journal.end.text or (picture.violations[0].text if picture.violations else journal.end.result)
    exchanges = exchanges_of(picture, at)
    named = named_by(text, picture, exchanges)
    focus = _focus(exchanges, named, at)
    wrong = sorted((each for each in picture.operations if each.wrong), key=lambda each: each.called)
    told = _ordered(
        (
            *_of_operations(picture, exchanges, wrong),
            *_told(picture, exchanges, focus, at, named),
            *_of_silence(picture, named, at),
        )
    )
    faults = tuple(band for band in picture.bands if band.begins <= at)
    opens = wrong[0].line if wrong else None
    return FailureStory(at, text, told, faults, tuple(_states(picture, exchanges, focus, told, at)), opens)


def _of_operations(
    picture: Picture, exchanges: Sequence[ToldRequest], wrong: Sequence[DrawnOperation]
) -> Iterator[Sentence]:
    """Tell the operations that cannot be explained together, with the faults of the client's node meanwhile."""
    for each in wrong[:MAX_OPERATIONS]:
        end = "never told" if each.returned is None else f"until {each.returned:.6f} s"
        requests = [*requests_of(each, exchanges)]
        nodes = {node_of(address) for one in requests for address in (one.request.source, one.request.target)}
        ends = each.called if each.returned is None else each.returned
        held = _during(picture, nodes or {each.client}, each.called, ends)
        root = requests[0].request.root if requests else None
        yield Sentence(each.called, f"{each.client} called {each.words}, {end}{held}.", (each.line,), root, bad=True)
    if len(wrong) > MAX_OPERATIONS:
        more, last = len(wrong) - MAX_OPERATIONS, wrong[-1]
        yield Sentence(last.called, f"And {more} more operations are part of what cannot be explained.", (last.line,))


def _of_silence(picture: Picture, named: Named, at: float) -> Iterator[Sentence]:
    """Tell what the logs of nodes that do not reach others last said of these."""
    for source, target in named.apart:
        logs = (each for each in reversed(picture.remarks) if each.node == source and each.kind == "log")
        last = next((each for each in logs if target in each.text and each.at <= at), None)
        if last is not None:
            text = f"The last that {source} logged of {target}: {last.text[:200]}."
            yield Sentence(last.at, text, (last.line,), None, bad=True)


def _focus(exchanges: Sequence[ToldRequest], named: Named, at: float) -> set[str]:
    """Return the processes that the failure is about: those of the messages that it names, else what a user has asked
    last."""
    about = [*named.requests]
    if not about:
        asked = [each for each in exchanges if each.request.source.endswith(USER) and not is_helper(each)]
        latest = max((each.began for each in asked), default=at)
        about = [each for each in asked if each.began == latest]
    return {address for each in about for address in (each.request.source, each.request.target)}


def _told(
    picture: Picture, exchanges: Sequence[ToldRequest], focus: set[str], at: float, named: Named
) -> Iterator[Sentence]:
    troubled = [each for each in exchanges if each.outcome is not None]
    main = [each for each in troubled if not is_helper(each)]
    about = [each for each in main if {each.request.source, each.request.target} & focus]
    others = about or ([] if named.requests else main or troubled)
    chosen = [*named.requests[-MAX_NAMED:], *others[-_NEAR:]]
    seen: set[int] = set()
    told = {id(each): each for each in chosen}
    for operation in picture.operations:  # what was asked, the operation's own sentence says
        if operation.wrong:
            for each in requests_of(operation, exchanges):
                if told.pop(id(each), None) is not None and each.answer is not None:
                    yield from _of_answer(picture, each, each.answer, each.request.taken or each.began, at)
    for each in told.values():
        yield from _of_exchange(picture, each, at)
        if each.request.id in named.ids:
            yield from _of_arrivals(picture, each, at)
        yield from _repeated(picture, exchanges, each, at, seen)
    yield from _of_restarts(picture, exchanges, focus, at, {id(each) for each in chosen})
    last = [each for each in exchanges if each.answer is not None and each.request.source.endswith(USER)]
    last = [each for each in last if not is_helper(each)] or [each for each in last if not is_of_healing(each)]
    if last:
        each = last[-1]
        assert each.answer is not None
        what = f"{_who(each.request.target)}, {_body(each.request)}"
        text = f"The last that was asked: {what}; the answer: {_body(each.answer)}."
        yield Sentence(time_of(each.answer), text, (*each.request.lines, *each.answer.lines), each.request.root)


def _of_exchange(picture: Picture, each: ToldRequest, at: float) -> Iterator[Sentence]:
    request, outcome = each.request, each.outcome
    text = f"{_who(request.source)} asks {_who(request.target)}: {_body(request)}."
    yield Sentence(each.began, text, request.lines, request.root)
    arrived = request.taken if request.taken is not None else request.arrived
    given_up = at if outcome is None else outcome.at
    if arrived is None or arrived > at:
        if outcome is not None or request.expects:
            waits = "" if outcome is not None else f", and {_who(request.source)} still waits for it"
            text = f"It has not arrived{waits}{_while(picture, each, each.began, given_up)}."
            yield Sentence(given_up, text, request.lines, request.root, bad=True)
    elif each.answer is None:
        late = " only then" if outcome is not None and arrived > outcome.at else ""
        what = f"that {_body(request)}{late}, sent at {each.began:.3f} s"
        text = f"{_who(request.target)} takes {what}, and has not answered it."
        yield Sentence(arrived, text, request.lines, request.root, bad=True)
    else:
        yield from _of_answer(picture, each, each.answer, arrived, given_up)
    if outcome is not None:
        text = f"{_who(request.source)} is told {outcome.what} of its {_body(request)} of {each.began:.3f} s."
        yield Sentence(outcome.at, text, (outcome.line,), request.root, bad=True)


def _of_arrivals(picture: Picture, each: ToldRequest, at: float) -> Iterator[Sentence]:
    """Tell of a request that came without being sent, or more than once."""
    request = each.request
    if request.sent is None:
        text = f"Nobody was seen to send this {_body(request)}: {_who(request.target)} was given it all the same."
        yield Sentence(each.began, text, request.lines, request.root, bad=True)
    key = (request.id, request.source, request.target)
    came = [
        other
        for other in picture.messages
        if not other.response and (other.id, other.source, other.target) == key and (other.arrived or at + 1) <= at
    ]
    if len(came) > 1:
        times = " and at ".join(f"{other.arrived:.3f} s" for other in came)
        lines = tuple(line for other in came for line in other.lines)
        text = f"The same request has come to {_who(request.target)} at {times}."
        yield Sentence(came[-1].arrived or at, text, lines, request.root, bad=True)


def _of_answer(
    picture: Picture, each: ToldRequest, answer: DrawnMessage, taken: float, given_up: float
) -> Iterator[Sentence]:
    request = each.request
    sent = time_of(answer)
    late = ""
    if each.outcome is not None and taken > each.outcome.at:
        late = f" of {each.began:.3f} s only now{_while(picture, each, each.began, taken)}"
    text = f"{_who(request.target)} takes the {_body(request)}{late}, and answers {_body(answer)}."
    yield Sentence(sent, text, (*request.lines, *answer.lines), request.root)
    if each.outcome is None:
        return
    drop = next((failure for failure in each.dropped if failure.at >= sent), None)
    if answer.arrived is None:
        why = _while(picture, each, sent, max(sent, given_up))
        text = f"That answer has not come back{why}."
        yield Sentence(max(sent, given_up), text, answer.lines, request.root, bad=True)
    elif drop is not None:
        why = f"{drop.reason}{_while(picture, each, sent, drop.at)}"
        text = f"The answer {_body(answer)} comes back, and is dropped: {why}."
        yield Sentence(drop.at, text, (drop.line,), request.root, bad=True)


def _repeated(
    picture: Picture, exchanges: Sequence[ToldRequest], each: ToldRequest, at: float, seen: set[int]
) -> Iterator[Sentence]:
    """Tell of the same request, sent again after it had failed, and whether both were taken."""
    key = _key(each.request)
    outcome = each.outcome
    if outcome is None:
        return
    again = [other for other in exchanges if _key(other.request) == key and other.began >= outcome.at]
    if not again or id(again[0]) in seen:
        return
    other = again[0]
    seen.add(id(other))
    yield from _of_exchange(picture, other, at)
    takings = [
        taken
        for one in (each, other)
        if (taken := one.request.taken or one.request.arrived) is not None and taken <= at
    ]
    if len(takings) == 2:
        text = (
            f"So {_who(each.request.target)} has been given the same {_body(each.request)} twice, "
            f"at {takings[0]:.3f} s and at {takings[1]:.3f} s"
        )
        answers = [_body(one.answer) for one in (each, other) if one.answer is not None]
        more = f", and has answered {answers[0]} and {answers[1]}" if len(answers) == 2 else ""
        yield Sentence(max(takings), f"{text}{more}.", (*each.request.lines, *other.request.lines), each.request.root)


def _of_restarts(
    picture: Picture, exchanges: Sequence[ToldRequest], focus: set[str], at: float, told: set[int]
) -> Iterator[Sentence]:
    """Tell of crashes of nodes that the failure is about, and of the last thing that was answered there before, unless
    it is told."""
    nodes = {node_of(address) for address in focus}
    lives = [each for each in picture.remarks if each.kind == "life" and each.at <= at and each.node in nodes]
    crashes = [each for each in lives if each.text.startswith("crashes")]
    for crash in crashes[-_NEAR:]:
        before = [each for each in exchanges if _was_answered_at(each, crash.node, crash.at) and not is_helper(each)]
        if before and id(before[-1]) not in told:
            last = before[-1]
            assert last.answer is not None
            text = f"{_who(last.request.target)} answers {_body(last.answer)} to {_body(last.request)}."
            yield Sentence(time_of(last.answer), text, last.answer.lines, last.request.root)
        held = _bands(picture, {crash.node}, crash.at, crash.at)
        why = f" ({held[0].words})" if held else ""
        back = next(
            (
                each
                for each in lives
                if each.text.startswith("boots") and each.at > crash.at and each.node == crash.node
            ),
            None,
        )
        text = f"{crash.node} crashes{why}"
        text += f", and boots again at {back.at:.3f} s." if back is not None else "."
        yield Sentence(crash.at, text, (crash.line,), None, bad=True)


def _was_answered_at(each: ToldRequest, node: str, at: float) -> bool:
    return each.answer is not None and time_of(each.answer) <= at and node_of(each.request.target) == node


# --- last states ----------------------------------------------------------------------------------------------------


def _states(
    picture: Picture, exchanges: Sequence[ToldRequest], focus: set[str], told: Sequence[Sentence], at: float
) -> Iterator[LastState]:
    roots = {each.root for each in told}
    involved = dict.fromkeys(
        address
        for each in exchanges
        if each.request.root in roots or {each.request.source, each.request.target} <= focus
        for address in (each.request.source, each.request.target)
        if not address.endswith(HELPERS)
    )
    for process in list(involved)[:MAX_PROCESSES]:
        yield LastState(process, tuple(_state_of(picture, exchanges, process, at)))


def _state_of(picture: Picture, exchanges: Sequence[ToldRequest], process: str, at: float) -> Iterator[str]:
    node = node_of(process)
    lives = [each for each in picture.remarks if each.kind == "life" and each.node == node and each.at <= at]
    if lives and (word := lives[-1].text.split(" ", 1)[0]) in ("crashes", "pauses", "leaves"):
        state = {"crashes": "is down", "pauses": "is paused", "leaves": "has left"}[word]
        yield f"{node} {state} since {lives[-1].at:.3f} s"
    taken = [each for each in exchanges if each.request.target == process and (each.request.taken or at + 1) <= at]
    if taken:
        last = max(taken, key=lambda each: each.request.taken or 0.0)
        answered = f", and has answered {_body(last.answer)}" if last.answer is not None else ""
        what = f"{_body(last.request)} from {_who(last.request.source)}"
        yield f"last took {what}, at {last.request.taken:.3f} s{answered}"
    waiting = [each for each in exchanges if each.request.source == process and _is_open(each, at)]
    for each in waiting[-_NEAR:]:
        what = f"{_body(each.request)}, asked of {_who(each.request.target)}"
        yield f"waits for the outcome of {what} at {each.began:.3f} s"
    if (said := _last_said(picture.remarks, process, at)) is not None:
        yield f"last printed, at {said.at:.3f} s: {said.text[:200]}"


def _is_open(each: ToldRequest, at: float) -> bool:
    come = each.answer is not None and each.answer.arrived is not None and each.answer.arrived <= at
    return each.request.expects and each.outcome is None and not come


def _last_said(remarks: Sequence[Remark], process: str, at: float) -> Remark | None:
    node, _, name = process.partition("@")
    said = [each for each in remarks if each.kind in ("printed", "log") and each.node == node and each.at <= at]
    return next((each for each in reversed(said) if each.text.startswith(f"{name}:")), None)


# --- words ----------------------------------------------------------------------------------------------------------


def _ordered(sentences: Iterable[Sentence]) -> tuple[Sentence, ...]:
    """Return each sentence once, in the order of time. Names of processes and nodes stay in small letters."""
    begun = (
        replace(each, text=f"T{each.text[1:]}") if each.text.startswith("the user ") else each for each in sentences
    )
    return tuple(sorted(dict.fromkeys(begun), key=lambda each: each.at))


def _while(picture: Picture, each: ToldRequest, begins: float, ends: float) -> str:
    """Say which faults of the message's nodes held meanwhile; the empty text if none did."""
    return _during(picture, {node_of(each.request.source), node_of(each.request.target)}, begins, ends)


def _during(picture: Picture, nodes: set[str], begins: float, ends: float) -> str:
    """Say which faults of these nodes held meanwhile; the empty text if none did."""
    held = _bands(picture, nodes, begins, ends)
    if not held:
        return ""
    words = [span_of(band) for band in held[:2]]
    return f" (meanwhile: {'; '.join(words)})"


def _bands(picture: Picture, nodes: set[str], begins: float, ends: float) -> list[Band]:
    return [
        band
        for band in picture.bands
        if band.begins <= ends
        and (band.ends is None or band.ends >= begins)
        and (not band.nodes or nodes & {*band.nodes})
    ]


def _span(band: Band) -> str:
    """Return from when to when a fault held."""
    return f"from {band.begins:.3f} s " + ("on" if band.ends is None else f"to {band.ends:.3f} s")


def span_of(band: Band) -> str:
    """Return the fault, and from when to when it held."""
    return f"{band.words}, {_span(band)}"


def _who(address: str) -> str:
    """Return such as "poll on one.nec", or "the user of one.nec"."""
    node, _, process = address.partition("@")
    if address.endswith(USER):
        return f"the user of {node}"
    return f"{process.split(':', 1)[0]} on {node}"


def _body(message: DrawnMessage) -> str:
    text = message.beginning
    if not text.isprintable():
        text = text.encode("unicode_escape").decode()
    if len(text) > MAX_BODY or message.body > len(message.beginning.encode()):
        text = f"{text[:MAX_BODY]}…"
    return text or "(an empty body)"


def _key(message: DrawnMessage) -> tuple[str, str, str, int]:
    return message.source, message.target, message.beginning, message.body
