"""Faults as kinds and parameters, as in schedules and journals: read from those, and written as those.

A kind is a key of `FAULTS`, or `path/to/file.py:Class` for a fault of the user's own. Parameters are the fields of its
dataclass; a field that is a `Where` is written as one of `between`, `node`, or `source` and `target`, or left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, cast

from nectar_node.base.errors import BadInput
from testnet.faults import FAULTS
from testnet.faults.own import load
from testnet.model.fields import parameter_types
from testnet.model.rule import Fault
from testnet.model.travelled import original
from testnet.model.unknown import unknown
from testnet.model.value import is_supported, objection, shown
from testnet.model.where import PARAMETERS, Where, read_where, write_where

MAX_KIND_CHARACTERS = 4096
"""The longest kind: as long as a path can be."""
RESERVED = ("kind", "at", "until", "event")
"""The words of a schedule's entry that are not parameters."""


class BadParameter(BadInput):
    """A parameter is missing, or wrong; `parameter` is its name, or "" where it is the links that are meant."""

    def __init__(self, sentence: str, parameter: str) -> None:
        super().__init__(sentence)
        self.parameter = parameter


def make(kind: str, parameters: Mapping[str, object], folder: Path = Path()) -> Fault:
    """Return the fault of that kind; a path in `kind` begins at `folder`. Raises BadInput, which says what is wrong."""
    found = find(kind, folder)
    hints = parameter_types(found)
    where = next((name for name, hint in hints.items() if hint is Where), None)
    values: dict[str, object] = dict(parameters)
    links = {name: values.pop(name) for name in PARAMETERS if where is not None and name in values}
    _check_names(kind, found, values)
    for name, value in values.items():
        wrong = objection(hints[name], value)
        if wrong is not None:
            raise BadParameter(f"{kind}: {name} {wrong}.", name)
    if where is not None:
        try:
            values[where] = read_where(kind, links)
        except BadInput as error:
            raise BadParameter(str(error), "") from None
    try:
        fault = cast(Fault, found(**values))
    except Exception as error:  # a user's own code can raise anything
        raise BadInput(f"{kind} does not take these parameters: {error}") from error
    _check_description(kind, fault)
    return fault


def _check_description(kind: str, fault: Fault) -> None:
    """Check that the fault can be described and written, before anything relies on it."""
    try:
        words = fault.words()
    except Exception as error:
        raise BadInput(f"{kind} cannot be described: {type(error).__name__}: {error}") from error
    if not isinstance(words, str):
        raise BadInput(f"{kind} is not a fault: its words() must give a text, and not {shown(words)}.")


def parameters(fault: Fault) -> dict[str, Any]:
    """Return the parameters from which `make` makes the fault again, with defaults: JSON values."""
    written: dict[str, Any] = {}
    for name in parameter_types(type(fault)):
        value = getattr(fault, name)
        written |= write_where(value) if isinstance(value, Where) else {name: value}
    return written


def kind_of(fault: Fault) -> str:
    """Return the kind of the fault, for `make`. Raises BadInput if its class is in no file."""
    found = type(fault)
    known = next((kind for kind, each in FAULTS.items() if each is found), None)
    if known is not None:
        return known
    file = getattr(sys.modules.get(found.__module__), "__file__", None)
    if file is None or "." in found.__qualname__:
        raise BadInput(f"{found.__qualname__} cannot be named: its class must stand by itself in a file.")
    # The whole path: a journal is replayed from wherever one stands.
    return f"{original(Path(file).resolve())}:{found.__qualname__}"


def parameter_names(found: type) -> tuple[str, ...]:
    """Return the parameters that `make` takes for this class, in order; those of its links last."""
    hints = parameter_types(found)
    plain = tuple(name for name, hint in hints.items() if hint is not Where)
    return plain + (PARAMETERS if len(plain) < len(hints) else ())


def about(found: type) -> str:
    """Return one sentence on what the fault does."""
    return (found.__doc__ or "").strip().partition("\n")[0]


def find(kind: str, folder: Path = Path()) -> type:
    """Return the class of a kind. Raises BadInput if there is none, or if it is not a fault."""
    if kind in FAULTS:
        return FAULTS[kind]
    if len(kind) > MAX_KIND_CHARACTERS:
        raise BadInput(f"A kind of {len(kind)} characters is too long: {MAX_KIND_CHARACTERS} are the most.")
    path, colon, name = kind.rpartition(":")
    if not colon:
        raise BadInput(unknown("fault", kind, FAULTS, "path/to/file.py:Class for one of your own"))
    found = load(folder / path, name)
    wrong = _what_it_lacks(found)
    if wrong is not None:
        raise BadInput(f"{kind} is not a fault: {wrong}.")
    return found


def _what_it_lacks(found: type) -> str | None:
    if not is_dataclass(found):
        return "it must be a dataclass"
    if not hasattr(found, "words"):
        return "it has no words"
    if not (_can(found, "judge") or _can(found, "begin", "end")):
        return "it needs judge(event, chance), or begin(nodes) and end(nodes)"
    try:
        hints = parameter_types(found)
    except Exception as error:  # the hints are the user's own code
        return f"the types of its fields cannot be read ({error})"
    return next((wrong for name, hint in hints.items() if (wrong := _wrong_field(name, hint, hints))), None)


def _can(found: type, *methods: str) -> bool:
    return all(callable(getattr(found, name, None)) for name in methods)


def _wrong_field(name: str, hint: Any, hints: Mapping[str, Any]) -> str | None:
    if name in RESERVED:
        return f"no field can be called {name}, because that is when it happens"
    if hint is Where:
        return "it has two fields that are a Where" if list(hints.values()).count(Where) > 1 else None
    if name in PARAMETERS and Where in hints.values():
        return f"with a Where, no field can be called {name}"
    if not is_supported(hint):
        return f"a schedule cannot hold the type of its field {name}: use str, int, float, bool, a Literal or a Where"
    return None


def _check_names(kind: str, found: type, values: Mapping[str, object]) -> None:
    hints = {name: hint for name, hint in parameter_types(found).items() if hint is not Where}
    unknown = [name for name in values if name not in hints]
    if unknown:
        known = ", ".join(parameter_names(found)) or "none"
        raise BadInput(f"{kind} has no parameter {shown(unknown[0])}; it has {known}.")
    for each in fields(found):
        has_default = each.default is not MISSING or each.default_factory is not MISSING
        if each.name in hints and not has_default and each.name not in values:
            known = ", ".join(parameter_names(found))
            raise BadParameter(f"{kind} needs the parameter {each.name!r}; it has {known}.", each.name)
