"""The story of a failure, from its journal alone: what was asked and answered, what came of it, which faults held.

Nothing is guessed. A sentence says what events say: which message was sent, taken, answered, lost or given up, and
which faults held meanwhile on its nodes. Whether a fault was needed, only another run can tell
(`testnet.cli.simulating.explaining`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from testnet.journal.journal import Journal
from testnet.report.model import Band, DrawnMessage, FailedMessage, Picture, Remark, draw

MAX_TROUBLES = 3
"""Messages of which the story tells what became of them."""
MAX_OPERATIONS = 6
"""Operations that cannot be explained together, of which the story tells."""
MAX_BODY = 60
"""Characters of a body."""
MAX_PROCESSES = 8
_PASSED = "passed"
_USER = "@terminal:terminal:sys"
_HELPERS = ("hello:hello:sys", "terminal:terminal:sys")
"""Processes with which every node is tried; nobody wants to read of them unless they are all there is."""
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


@dataclass(slots=True)
class _Exchange:
    """A request, and all that is known of it."""

    request: DrawnMessage
    answer: DrawnMessage | None = None
    outcome: FailedMessage | None = None
    """Offline or Timeout."""
    dropped: list[FailedMessage] = field(default_factory=list)

    @property
    def began(self) -> float:
        return _time(self.request)

    @property
    def is_abroad(self) -> bool:
        return _node(self.request.source) != _node(self.request.target)


def tell(journal: Journal, picture: Picture | None = None) -> FailureStory | None:
    """Return the story of a failed run, or None for one that passed; raises BadJournal."""
    if journal.end.result == _PASSED:
        return None
    picture = draw(journal) if picture is None else picture
    at = picture.violations[0].at if picture.violations else journal.end.seconds
    text = journal.end.text or (picture.violations[0].text if picture.violations else journal.end.result)
    exchanges = _exchanges(picture, at)
    named = _named(text, exchanges)
    focus = _focus(exchanges, named, at)
    told = _ordered((*_of_operations(picture), *_told(picture, exchanges, focus, at, named)))
    faults = tuple(band for band in picture.bands if band.begins <= at)
    return FailureStory(at, text, told, faults, tuple(_states(picture, exchanges, focus, told, at)))


def _of_operations(picture: Picture) -> Iterator[Sentence]:
    """Tell the operations that cannot be explained together."""
    wrong = [each for each in picture.operations if each.wrong]
    for each in wrong[:MAX_OPERATIONS]:
        end = "never told" if each.returned is None else f"until {each.returned:.6f} s"
        yield Sentence(each.called, f"{each.client} called {each.words}, {end}.", (each.line,), bad=True)


def _exchanges(picture: Picture, until: float) -> list[_Exchange]:
    found: dict[tuple[str, str], _Exchange] = {}
    for message in picture.messages:
        if _time(message) > until:
            continue
        if not message.response:
            found.setdefault((message.id, message.source), _Exchange(message))
        elif (exchange := found.get((message.id, message.target))) is not None and exchange.answer is None:
            exchange.answer = message
    for failure in picture.failures:
        if failure.at > until:
            continue
        if failure.what != "dropped":
            exchange = found.get((failure.id, failure.source)) or found.get((failure.id, failure.target))
            if exchange is not None and exchange.outcome is None:
                exchange.outcome = failure
            continue
        exchange = found.get((failure.id, failure.target)) or found.get((failure.id, failure.source))
        if exchange is not None:
            exchange.dropped.append(failure)
    return list(found.values())


def _named(text: str, exchanges: Sequence[_Exchange]) -> set[str]:
    """Return the ids of messages that the text of the failure names."""
    words = {word.strip(".,:;()[]") for word in text.split()}
    return {each.request.id for each in exchanges if len(each.request.id) > 3 and each.request.id in words}


def _focus(exchanges: Sequence[_Exchange], named: set[str], at: float) -> set[str]:
    """Return the processes that the failure is about: those of the messages that it names, else what a user has asked
    last."""
    about = [each for each in exchanges if each.request.id in named]
    if not about:
        asked = [each for each in exchanges if each.request.source.endswith(_USER) and not _is_helper(each)]
        latest = max((each.began for each in asked), default=at)
        about = [each for each in asked if each.began == latest]
    return {address for each in about for address in (each.request.source, each.request.target)}


def _told(
    picture: Picture, exchanges: Sequence[_Exchange], focus: set[str], at: float, named: set[str]
) -> Iterator[Sentence]:
    troubled = [each for each in exchanges if each.outcome is not None]
    main = [each for each in troubled if not _is_helper(each)]
    about = [each for each in main if {each.request.source, each.request.target} & focus]
    chosen = [each for each in exchanges if each.request.id in named] + (about or main or troubled)[-_NEAR:]
    seen: set[int] = set()
    for each in chosen[-MAX_TROUBLES - len(named) :]:
        yield from _of_exchange(picture, each, at)
        yield from _repeated(picture, exchanges, each, at, seen)
    yield from _of_restarts(picture, exchanges, focus, at)
    last = [each for each in exchanges if each.answer is not None and each.request.source.endswith(_USER)]
    last = [each for each in last if not _is_helper(each)] or last
    if last:
        each = last[-1]
        assert each.answer is not None
        what = f"{_who(each.request.target)}, {_body(each.request)}"
        text = f"The last that was asked: {what}; the answer: {_body(each.answer)}."
        yield Sentence(_time(each.answer), text, (*each.request.lines, *each.answer.lines), each.request.root)


def _of_exchange(picture: Picture, each: _Exchange, at: float) -> Iterator[Sentence]:
    request, outcome = each.request, each.outcome
    text = f"{_who(request.source)} asks {_who(request.target)}: {_body(request)}."
    yield Sentence(each.began, text, request.lines, request.root)
    arrived = request.taken if request.taken is not None else request.arrived
    given_up = at if outcome is None else outcome.at
    if arrived is None or arrived > at:
        if outcome is not None:
            text = f"It has not arrived{_while(picture, each, each.began, given_up)}."
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


def _of_answer(
    picture: Picture, each: _Exchange, answer: DrawnMessage, taken: float, given_up: float
) -> Iterator[Sentence]:
    request = each.request
    sent = _time(answer)
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
    picture: Picture, exchanges: Sequence[_Exchange], each: _Exchange, at: float, seen: set[int]
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


def _of_restarts(picture: Picture, exchanges: Sequence[_Exchange], focus: set[str], at: float) -> Iterator[Sentence]:
    """Tell of crashes of nodes that the failure is about, and of the last thing that was answered there before."""
    nodes = {_node(address) for address in focus}
    lives = [each for each in picture.remarks if each.kind == "life" and each.at <= at and each.node in nodes]
    crashes = [each for each in lives if each.text.startswith("crashes")]
    for crash in crashes[-_NEAR:]:
        before = [each for each in exchanges if _was_answered_at(each, crash.node, crash.at) and not _is_helper(each)]
        if before:
            last = before[-1]
            assert last.answer is not None
            text = f"{_who(last.request.target)} answers {_body(last.answer)} to {_body(last.request)}."
            yield Sentence(_time(last.answer), text, last.answer.lines, last.request.root)
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


def _was_answered_at(each: _Exchange, node: str, at: float) -> bool:
    return each.answer is not None and _time(each.answer) <= at and _node(each.request.target) == node


# --- last states ----------------------------------------------------------------------------------------------------


def _states(
    picture: Picture, exchanges: Sequence[_Exchange], focus: set[str], told: Sequence[Sentence], at: float
) -> Iterator[LastState]:
    roots = {each.root for each in told}
    involved = dict.fromkeys(
        address
        for each in exchanges
        if each.request.root in roots or {each.request.source, each.request.target} <= focus
        for address in (each.request.source, each.request.target)
        if not address.endswith(_HELPERS)
    )
    for process in list(involved)[:MAX_PROCESSES]:
        yield LastState(process, tuple(_state_of(picture, exchanges, process, at)))


def _state_of(picture: Picture, exchanges: Sequence[_Exchange], process: str, at: float) -> Iterator[str]:
    node = _node(process)
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


def _is_open(each: _Exchange, at: float) -> bool:
    come = each.answer is not None and each.answer.arrived is not None and each.answer.arrived <= at
    return each.request.expects and each.outcome is None and not come


def _last_said(remarks: Sequence[Remark], process: str, at: float) -> Remark | None:
    node, _, name = process.partition("@")
    said = [each for each in remarks if each.kind in ("printed", "log") and each.node == node and each.at <= at]
    return next((each for each in reversed(said) if each.text.startswith(f"{name}:")), None)


# --- words ----------------------------------------------------------------------------------------------------------


def _ordered(sentences: Iterable[Sentence]) -> tuple[Sentence, ...]:
    """Return each sentence once, in the order of time."""
    return tuple(sorted(dict.fromkeys(sentences), key=lambda each: each.at))


def _while(picture: Picture, each: _Exchange, begins: float, ends: float) -> str:
    """Say which faults of the message's nodes held meanwhile; the empty text if none did."""
    held = _bands(picture, {_node(each.request.source), _node(each.request.target)}, begins, ends)
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
    if address.endswith(_USER):
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


def _time(message: DrawnMessage) -> float:
    if message.sent is not None:
        return message.sent
    return message.arrived if message.arrived is not None else 0.0


def _node(address: str) -> str:
    return address.partition("@")[0]


def _is_helper(each: _Exchange) -> bool:
    return each.request.target.endswith(_HELPERS)
