"""Which faults come when: drawn from a seed, read from a file, or cut down to the few that matter."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nectar_node.base.errors import BadInput
from nectar_node.contract.config import REGISTRAR_NAME
from testnet.faults.catalogue import kind_of, make, parameters
from testnet.model.fields import nodes_of
from testnet.model.points import Point, read_point
from testnet.model.rule import Fault
from testnet.model.value import shown
from testnet.model.where import ANY

MAX_FILE_BYTES = 1 << 20
MAX_STEPS = 1000
MAX_SECONDS = 1e6
"""The latest time in a schedule."""
_TIMES = ("kind", "at", "until", "event")


@dataclass(frozen=True, slots=True)
class Step:
    """One fault, and when it holds."""

    at: float
    """Seconds from the moment when the faults of a scenario begin."""
    until: float | None
    """The end; None: when the faults of the scenario end."""
    fault: Fault
    event: Point | None = None
    """In a simulation, it begins at this event, and `at` says only when that has been. It holds as long as it would
    from `at` to `until`, or where these are equal, as long as the event."""

    @property
    def is_of_event(self) -> bool:
        """Whether it holds for no longer than its event."""
        return self.event is not None and self.until == self.at

    def words(self) -> str:
        """Describe the step for people."""
        where = f"t={self.at:g} s" if self.event is None else f"{self.event.words()} (t={self.at:g} s)"
        end = "" if self.until is None or self.is_of_event else f" until t={self.until:g} s"
        return f"{where}: {self.fault.words()}{end}"

    def value(self) -> dict[str, Any]:
        """Return the step as JSON values."""
        event = {} if self.event is None else {"event": self.event.words()}
        return {"kind": kind_of(self.fault), "at": self.at, "until": self.until, **event, **parameters(self.fault)}


Schedule = tuple[Step, ...]


def words(schedule: Schedule) -> str:
    """Describe the whole schedule for people."""
    return "; ".join(step.words() for step in schedule) or "no faults"


def ordered(steps: Iterable[Step]) -> Schedule:
    """Return the steps, ordered by their beginnings."""
    return tuple(sorted(steps, key=lambda step: step.at))


def read_schedule_untrusted(path: Path, nodes: Sequence[str], seconds: float = MAX_SECONDS) -> Schedule:
    """Read the schedule in a TOML file, for a network of these nodes and a registrar, with faults for `seconds`; raises
    BadInput."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise BadInput(f"{path} is larger than 1 MiB, the most that is read of a schedule.")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    value = _toml_untrusted(data, path)
    entries = value.get("fault")
    if set(value) != {"fault"} or not isinstance(entries, list):
        raise BadInput(f"{path} must hold nothing but entries [[fault]], each with a kind and a time `at`.")
    steps = _steps(entries, nodes, str(path))
    for number, step in enumerate(steps, 1):
        _check_phase(step, seconds, f"{path}, fault {number} ({kind_of(step.fault)})")
    return ordered(steps)


def _toml_untrusted(data: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))  # some editors begin a file with a byte order mark
    except tomllib.TOMLDecodeError as error:
        why = str(error)
    except UnicodeDecodeError:
        why = "it is not text in UTF-8"
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError:  # Python reads no number of more than `sys.get_int_max_str_digits()` digits
        why = "a number in it has too many digits"
    raise BadInput(f"{path} is not TOML: {why}.")


def read_steps_untrusted(entries: Sequence[Any], nodes: Sequence[str], origin: str) -> Schedule:
    """Read a schedule from JSON-like values; `origin` names them in sentences. Raises BadInput."""
    return ordered(_steps(entries, nodes, origin))


def _steps(entries: Sequence[Any], nodes: Sequence[str], origin: str) -> list[Step]:
    if len(entries) > MAX_STEPS:
        raise BadInput(f"{origin} has {len(entries)} faults; {MAX_STEPS} are the most.")
    return [_step(entry, nodes, f"{origin}, fault {number}") for number, entry in enumerate(entries, 1)]


def _check_phase(step: Step, seconds: float, where: str) -> None:
    if step.at >= seconds:
        raise BadInput(f"{where}: it begins at {step.at:g} s, and faults last until {seconds:g} s.")
    if step.until is not None and step.until > seconds:
        advice = "leave `until` out to let it last as long as faults do"
        raise BadInput(f"{where}: it ends at {step.until:g} s, and faults last until {seconds:g} s; {advice}.")


def _step(entry: Any, nodes: Sequence[str], where: str) -> Step:
    if not isinstance(entry, dict) or not isinstance(kind := entry.get("kind"), str):
        raise BadInput(f"{where}: expected a table with a kind.")
    at, until = _time(entry, "at", where), _time(entry, "until", where)
    if at is None and entry.get("event") is not None:
        at = 0.0
    if at is None:
        raise BadInput(f"{where} ({kind}): `at` is missing, the seconds after which it begins.")
    if until is not None and until < at:
        raise BadInput(f"{where} ({kind}): it ends at {until:g} s, before it begins at {at:g} s.")
    try:
        fault = make(kind, {key: value for key, value in entry.items() if key not in _TIMES})
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error
    for name in nodes_of(fault):
        if name not in (ANY, REGISTRAR_NAME, *nodes):
            raise BadInput(f"{where} ({kind}): there is no node {name}; there are {', '.join(nodes)}.")
    return Step(at, until, fault, _event(entry, nodes, f"{where} ({kind})"))


def _event(entry: dict[str, Any], nodes: Sequence[str], where: str) -> Point | None:
    text = entry.get("event")
    if text is None:
        return None
    event = read_point(text) if isinstance(text, str) else None
    if event is None:
        raise BadInput(f'{where}: event = {shown(text)} is none; write it as "before write 17 of {nodes[0]}".')
    if event.node not in (REGISTRAR_NAME, *nodes):
        raise BadInput(
            f"{where}: its event is of {event.node}, and there is no such node; there are {', '.join(nodes)}."
        )
    return event


def _time(entry: dict[str, Any], key: str, where: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_SECONDS:
        what = "in the past" if isinstance(value, (int, float)) and value < 0 else "not a time"
        bounds = f"0 to {MAX_SECONDS:,.0f}"
        raise BadInput(f"{where}: {key} = {shown(value)} is {what}; it is in seconds from the beginning, {bounds}.")
    return float(value)
