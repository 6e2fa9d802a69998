"""A form for a message, filled in question by question: what is asked next, and what the answers make.

Pure: a form is a generator that yields questions and is sent what was typed. What does not fit is told and asked again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeAlias

from kernel.contract.json_text import parse_untrusted
from nectar_node.interfaces.fitting import misfit
from nectar_node.interfaces.limits import MAX_ITEMS
from nectar_node.interfaces.messages import DescribedMessage, ProcessApi, body_text, is_raw
from nectar_node.interfaces.shapes import (
    FlagsShape,
    ListShape,
    Member,
    OptionShape,
    Primitive,
    RecordShape,
    ResultShape,
    Shape,
    TupleShape,
    VariantShape,
    is_bytes,
    plain,
    shape_text,
)

_YES, _NO = ("y", "yes", "true"), ("n", "no", "false")
_NOT_TEXT = ("bool", "json")


class FormQuestion(NamedTuple):
    """What a form asks next."""

    lines: tuple[str, ...]
    """To be shown first: what was wrong with the answer before, or what there is to choose from."""
    prompt: str
    """Ends with a space."""


Filling: TypeAlias = Generator[FormQuestion, str, Any]
"""Yields questions, is sent what was typed, and returns the value."""


def fill_message(api: ProcessApi, name: str | None) -> Generator[FormQuestion, str, str]:
    """Ask for a message of a process, and for what is in it; return the body. `name`: the message, if it is chosen."""
    message = None if name is None else api.message(name)
    if message is None:
        message = yield from _choose_message(api.messages)
    if message.shape is None:
        value = None
    else:
        value = yield from _ask(message.shape, "body" if is_raw(api.request) else message.name)
    case = message.case
    if case is not None:
        value = case.key if case.shape is None else value if case.untagged else {case.key: value}
    return body_text(api.request, value)


def _choose_message(messages: Sequence[DescribedMessage]) -> Generator[FormQuestion, str, DescribedMessage]:
    if len(messages) == 1:
        return messages[0]
    shown = [(each.name, each.docs.text) for each in messages]
    number = yield from _choose(
        "Which message?", shown, [None if each.case is None else each.case for each in messages]
    )
    return messages[number]


def _choose(
    prompt: str, shown: Sequence[tuple[str, str]], members: Sequence[Member | None], default: str | None = None
) -> Generator[FormQuestion, str, int]:
    """Ask for one of several, by number or name; return its place. `shown`: of each its name and what it is."""
    width = max((len(name) for name, _ in shown), default=0)
    lines = [
        f"  {number}  {name:{width}}{f'  {first_line(text)}' if text else ''}".rstrip()
        for number, (name, text) in enumerate(shown, 1)
    ]
    while True:
        typed = (yield FormQuestion(tuple(lines), f"{prompt} {f'[{default}] ' if default else ''}")).strip()
        typed = typed or default or ""
        if typed.isascii() and typed.isdigit() and len(typed) < 6 and 0 < int(typed) <= len(shown):
            return int(typed) - 1
        for number, (name, _) in enumerate(shown):
            member = members[number]
            if typed in (name, None if member is None else member.key):
                return number
        lines = [f"Type the number or the name of one of these: {', '.join(name for name, _ in shown)}."]


def first_line(text: str) -> str:
    """Return the first sentence or line of a description."""
    return " ".join(text.split("\n\n")[0].split())


def _ask(shape: Shape, path: str, docs: str = "") -> Filling:
    """Ask for a value of a type."""
    match plain(shape):
        case RecordShape(_, _, fields):
            return (yield from _ask_record(fields, path))
        case VariantShape() as variant:
            return (yield from _ask_variant(variant, path, docs))
        case OptionShape(some):
            return (yield from _ask_option(some, path, docs))
        case ListShape(item, length) if not is_bytes(shape):
            return (yield from _ask_list(item, length, path, docs))
        case TupleShape(items):
            parts = []
            for at, each in enumerate(items):
                parts.append((yield from _ask(each, f"{path}[{at}]", docs)))
            return parts
        case ResultShape(ok, err):
            shown = [("ok", ""), ("err", "")]
            number = yield from _choose(f"{path}:", shown, [None, None])
            inner = (ok, err)[number]
            value = None if inner is None else (yield from _ask(inner, f"{path}.{shown[number][0]}"))
            return {("Ok", "Err")[number]: value}
        case FlagsShape(_, _, flags):
            return (yield from _ask_flags(flags, path))
        case known:
            return (yield from _ask_line(known, shape, path, docs))


def _ask_record(fields: Sequence[Member], path: str) -> Generator[FormQuestion, str, dict[str, Any]]:
    value = {}
    for each in fields:
        below = f"{path}.{each.key}"
        if each.shape is None:
            continue
        if each.has_default:
            given = yield from _ask_default(each, below)
        else:
            given = yield from _ask(each.shape, below, each.docs.text)
            if given is None and isinstance(plain(each.shape), OptionShape):
                continue  # it may be left out
        value[each.key] = given
    return value


def _ask_default(member: Member, path: str) -> Filling:
    """Ask for a field that has a default, which counts if nothing is typed."""
    assert member.shape is not None
    shown = json.dumps(member.default, ensure_ascii=False)
    if _is_line(member.shape):
        return (yield from _ask_line(plain(member.shape), member.shape, path, member.docs.text, member.default))
    lines: tuple[str, ...] = ()
    while True:
        question = FormQuestion(lines, f"{_label(path, member.docs.text)}(other than {shown}? y/N) ")
        typed = (yield question).strip().lower()
        if typed in (*_NO, ""):
            return member.default
        if typed in _YES:
            return (yield from _ask(member.shape, path))
        lines = ("Type y or n.",)


def _is_line(shape: Shape) -> bool:
    """Return whether a value of the type is typed on one line."""
    return isinstance(plain(shape), Primitive) or is_bytes(shape)


def _ask_variant(variant: VariantShape, path: str, docs: str) -> Filling:
    shown = [(each.name, each.docs.text) for each in variant.cases]
    number = yield from _choose(_label(path, docs).rstrip(), shown, variant.cases)
    case = variant.cases[number]
    if case.shape is None:
        return case.key
    inner = yield from _ask(case.shape, f"{path}.{case.name}", case.docs.text)
    return inner if case.untagged else {case.key: inner}


def _ask_option(some: Shape, path: str, docs: str) -> Filling:
    if _is_line(some):
        return (yield from _ask_line(plain(some), some, path, docs, None, optional=True))
    lines: tuple[str, ...] = ()
    while True:
        typed = (yield FormQuestion(lines, f"{_label(path, docs)}(give one? y/N) ")).strip().lower()
        if typed in (*_NO, ""):
            return None
        if typed in _YES:
            return (yield from _ask(some, path))
        lines = ("Type y or n.",)


def _ask_list(item: Shape, length: int | None, path: str, docs: str) -> Generator[FormQuestion, str, list[Any]]:
    found: list[Any] = []
    while len(found) < (MAX_ITEMS if length is None else min(length, MAX_ITEMS)):
        below = f"{path}[{len(found)}]"
        if length is not None:
            found.append((yield from _ask(item, below, docs)))
        elif _is_line(item):
            value = yield from _ask_line(plain(item), item, below, docs, _END, optional=True, end=True)
            if value is _END:
                break
            found.append(value)
        else:
            typed = (yield FormQuestion((), f"{_label(below, docs)}(one more? y/N) ")).strip().lower()
            if typed not in _YES:
                break
            found.append((yield from _ask(item, below)))
        docs = ""
    return found


def _ask_flags(flags: Sequence[Member], path: str) -> Generator[FormQuestion, str, list[str]]:
    lines: tuple[str, ...] = ()
    names = ", ".join(each.name for each in flags)
    while True:
        typed = (yield FormQuestion(lines, f"{path} (any of {names}; empty: none): ")).replace(",", " ").split()
        found = [next((each.key for each in flags if word in (each.name, each.key)), None) for word in typed]
        if None not in found:
            return [each for each in found if each is not None]
        lines = (f"Type names out of {names}, with blanks between.",)


def _label(path: str, docs: str) -> str:
    return f"{path}: {first_line(docs)} " if docs else f"{path}: "


_END = object()
"""What an empty line stands for that ends a list."""
_REQUIRED = object()


def _ask_line(
    known: Shape,
    shape: Shape,
    path: str,
    docs: str = "",
    default: Any = _REQUIRED,
    *,
    optional: bool = False,
    end: bool = False,
) -> Filling:
    """Ask for a value that is typed on one line; an empty line is `default`, if there is one."""
    hint = shape_text(shape)
    if default is not _REQUIRED:
        empty = "end" if end else "none" if optional else json.dumps(default, ensure_ascii=False)
        hint += f"; empty: {empty}"
    about = f"  {first_line(docs)}" if docs else ""
    read = _reader(known)
    lines: tuple[str, ...] = (f"{path.removesuffix('[0]')}{about}",) if docs else ()
    while True:
        typed = yield FormQuestion(lines, f"{path} ({hint}): ")
        if typed.strip() == "" and default is not _REQUIRED:
            return default
        try:
            value = read(typed)
            wrong = misfit(known, value)
        except ValueError as error:
            wrong = str(error)
        if wrong is None and isinstance(known, Primitive) and known.name == "node-id" and not value:
            wrong = "it must be the name of a node"
        if wrong is None:
            return value
        lines = (f"That does not fit: {wrong}.",)


def _reader(known: Shape) -> Callable[[str], Any]:
    match known:
        case Primitive("bool"):
            return _read_bool
        case Primitive("string" | "char"):
            return str
        case Primitive("node-id" | "process-id" | "package-id" | "address"):
            return str.strip
        case ListShape():
            return _read_bytes
        case Primitive(name) if name not in ("json", "capability"):
            return _read_number
        case _:
            return _read_json


def _read_bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in (*_YES, *_NO):
        raise ValueError("type yes or no")
    return word in _YES


def _read_number(text: str) -> Any:
    try:
        return parse_untrusted(text.strip().replace("_", ""))
    except ValueError as error:
        raise ValueError("it must be a number") from error


def _read_json(text: str) -> Any:
    try:
        return parse_untrusted(text)
    except ValueError as error:
        raise ValueError(f"it must be JSON ({error})") from error


def _read_bytes(text: str) -> list[int]:
    """Return the bytes of a text, or of hexadecimal digits after 0x."""
    try:
        return list(bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode())
    except ValueError as error:
        raise ValueError("after 0x come hexadecimal digits, two for each byte") from error
