"""`nectar api`: the messages that the processes of a package understand."""

from __future__ import annotations

import json
import shlex
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import find_shipped
from nectar_node.cli.described import SYSTEM_PACKAGE, installed_api
from nectar_node.cli.packages.fetching import FetchRefused, fetch_release, parse_release
from nectar_node.console import output
from nectar_node.interfaces.errors import BadInterface
from nectar_node.interfaces.examples import example, example_of_case
from nectar_node.interfaces.fitting import may_be_absent
from nectar_node.interfaces.messages import DescribedMessage, ProcessApi, is_raw, read_api_untrusted
from nectar_node.interfaces.shapes import (
    FlagsShape,
    ListShape,
    Member,
    OptionShape,
    RecordShape,
    ResultShape,
    Shape,
    TupleShape,
    VariantShape,
    plain,
    shape_text,
)
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.packages.interfaces import package_api
from nectar_node.packages.manifest import read_package
from nectar_node.packages.unpacking import is_single_file

_LOCAL_NAME = "our.nec"
"""The node for which a folder is read that no node has."""
_MAX_LEVEL = 4
"""Types within types whose fields are shown."""
_MAX_ROWS = 60
"""Fields of one message that are shown."""
_MAX_ONE_LINE = 60
"""Characters of the cases of a type that are shown in its place."""
_RAW_EXAMPLE = "text"


class _Wanted(NamedTuple):
    """What is to be shown."""

    package: PackageId
    apis: list[ProcessApi]
    node: str | None
    """The node that has it; None: none has to."""


def api(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PACKAGE",
            help="A folder, or the name of a package that comes with the node; a package or a process of the node; "
            "with --on a release, such as chess:ann.nec.",
            autocompletion=options.complete_package,
        ),
    ],
    node: Annotated[
        str,
        typer.Option(
            "--node",
            metavar="NAME",
            help="The node to ask, such as send.nec.",
            show_default="the only one",
            envvar=options.NODE_VARIABLE,
            autocompletion=options.complete_node,
        ),
    ] = "",
    on: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="NAME", help="Show a release that this node offers; repeatable."),
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Show the messages that a package understands.

    Its api/*.wit describe them. Of each it is shown what it is for, what is in it, what is answered, and a line to
    type, with values of the right kinds.
    """
    process = _process(what)
    try:
        wanted = _find(what, process, node, tuple(on or ()), directory)
    except FetchRefused as refused:
        output.complain(str(refused))
        return refused.exit_code
    apis = [each for each in wanted.apis if process is None or each.process == process]
    if not apis:
        raise BadInterface(_nothing(wanted, process))
    lines = _CommandLine(wanted.node)
    if as_json:
        output.print_json({"package": str(wanted.package), "processes": [_row(each, lines) for each in apis]})
        return 0
    for number, each in enumerate(apis):
        if number:
            output.say("")
        for line in _shown(each, lines):
            output.say(line)
    return 0


def _nothing(wanted: _Wanted, process: ProcessId | None) -> str:
    if process is None or not wanted.apis:
        return f"{wanted.package} does not describe its messages: it has no api/*.wit with a type `request`."
    return (
        f"{wanted.package} does not describe the messages of {process}, but those of "
        f"{', '.join(str(each.process) for each in wanted.apis)}."
    )


# --- finding it -----------------------------------------------------------------------------------------------------


def _process(what: str) -> ProcessId | None:
    """Return the process that is named, if it is one."""
    id = what.rpartition("@")[2]
    try:
        return ProcessId.parse(id) if id.count(":") == 2 else None
    except BadAddress as error:
        raise BadInput(f"{error}.") from error


def _find(what: str, process: ProcessId | None, node: str, on: tuple[str, ...], directory: Path) -> _Wanted:
    path = Path(what)
    if on:
        place = LocalNetwork.find(directory)
        name = node or options.only_node(place)
        _, release = fetch_release(place, name, parse_release(what), on, files=False)
        apis = read_api_untrusted(release.package, (), release.metadata.interfaces)
        return _Wanted(release.package, apis, None)
    shipped = None if path.exists() or node else find_shipped(what)
    if path.exists() or shipped is not None:
        if not (shipped or path).is_dir() or is_single_file(shipped or path):
            raise BadInput(f"{what} is not a folder with a manifest.json: install it, and name the package.")
        package = read_package(shipped or path, _LOCAL_NAME)
        return _Wanted(package.id, package_api(package), None)
    id = what if process is None else str(process.package_id)
    if id == SYSTEM_PACKAGE:
        raise BadInterface(f"{what} is of the node itself: the page `system processes` describes its messages.")
    place = LocalNetwork.find(directory)
    name = node or options.only_node(place)
    with place.connect(name) as client:
        return _Wanted(*installed_api(client, id), name)


# --- showing it -----------------------------------------------------------------------------------------------------


class _CommandLine(NamedTuple):
    """How a message is typed."""

    node: str | None

    def of(self, api: ProcessApi, message: DescribedMessage) -> str:
        """Return the line to type."""
        body = _body(api.request, message.example)
        where = "" if self.node is None else f" --node {self.node}"
        wait = "" if message.answers is not None or api.response is None else " --no-wait"
        return f"nectar message our@{api.process} {shlex.quote(body)}{wait}{where}"


def _body(shape: Shape, value: object) -> str:
    """Return an example of a body; one that is no JSON is some text."""
    return _RAW_EXAMPLE if is_raw(shape) else json.dumps(value, ensure_ascii=False)


def _shown(api: ProcessApi, lines: _CommandLine) -> Iterator[str]:
    yield str(api.process)
    yield from _text(api.docs.text, 2)
    for message in api.messages:
        yield ""
        yield f"  {_title(message)}"
        yield from _text(message.docs.text, 4)
        rows = list(_Rows().of(message.shape, ""))
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        for name, type, docs in rows[:_MAX_ROWS]:
            yield from _text(f"{name:{widths[0]}}  {type:{widths[1]}}  {docs}", 4, 8 + sum(widths))
        for answer in _answers(message):
            yield f"    → {answer}"
        yield f"    $ {lines.of(api, message)}"


def _title(message: DescribedMessage) -> str:
    name = message.name if message.case is None else message.case.key
    is_fields = message.shape is None or isinstance(plain(message.shape), RecordShape)
    return name if is_fields else f"{name}: {_type_text(message.shape)}"


def _answers(message: DescribedMessage) -> Iterator[str]:
    if message.answers is None:
        yield "no answer"
    elif isinstance(message.answers, tuple):
        for case in message.answers:
            docs = f"    {' '.join(case.docs.text.split())}" if case.docs.text else ""
            yield f"{json.dumps(example_of_case(case), ensure_ascii=False)}{docs}"
    elif is_raw(message.answers):
        yield shape_text(message.answers)
    else:
        yield json.dumps(example(message.answers), ensure_ascii=False)


def _text(text: str, indent: int, further: int | None = None) -> Iterator[str]:
    """Yield a text in lines of the terminal's width, indented; all but the first are `further` so."""
    inner = " " * (indent if further is None else further)
    width = max(len(inner) + 20, shutil.get_terminal_size().columns)
    words = text.rstrip() if further is not None else " ".join(text.split())
    if words:
        yield from textwrap.wrap(
            words,
            width,
            initial_indent=" " * indent,
            subsequent_indent=inner,
            break_long_words=False,
            break_on_hyphens=False,
        )


class _Rows:
    """The fields of a message: a path to each, its type, and what it is. A type that has a name is opened once."""

    def __init__(self) -> None:
        self._opened: set[str] = set()

    def of(self, shape: Shape | None, path: str, docs: str = "", level: int = 0) -> Iterator[tuple[str, str, str]]:
        """Yield the rows of a type, and of what is in it."""
        if shape is None:
            return
        if path:
            yield path, _type_text(shape), docs
        if level < _MAX_LEVEL:
            yield from self._below(shape, path, level + 1)

    def _below(self, shape: Shape, path: str, level: int) -> Iterator[tuple[str, str, str]]:
        match plain(shape):
            case ListShape(item):
                yield from self._below(item, f"{path}[]", level)
            case OptionShape(some):
                yield from self._below(some, path, level)
            case TupleShape(items):
                for number, inner in enumerate(items):
                    yield from self._below(inner, f"{path}[{number}]", level)
            case ResultShape(ok, err):
                for key, part in (("Ok", ok), ("Err", err)):
                    if part is not None:
                        yield from self._below(part, _joined(path, key), level)
            case RecordShape(name, _, fields) if name not in self._opened:
                self._opened.add(name)
                for each in fields:
                    yield from self.of(each.shape, _joined(path, each.key), _field_docs(each), level)
            case VariantShape(name, _, cases) if name not in self._opened:
                self._opened.add(name)
                for case in cases:
                    if case.shape is not None:
                        yield from self._below(case.shape, _joined(path, case.key), level)


def _type_text(shape: Shape | None) -> str:
    """Return a type, or its cases in its place if they are few."""
    known = None if shape is None else plain(shape)
    if isinstance(known, VariantShape | FlagsShape):
        members = known.cases if isinstance(known, VariantShape) else known.flags
        names = (" | " if isinstance(known, VariantShape) else ", ").join(map(_case_text, members))
        if len(names) <= _MAX_ONE_LINE:
            return names
    return shape_text(shape)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _case_text(case: Member) -> str:
    if case.untagged:
        return shape_text(case.shape)
    return json.dumps(case.key) if case.shape is None else f"{case.key}({shape_text(case.shape)})"


def _field_docs(field: Member) -> str:
    docs = " ".join(field.docs.text.split())
    if field.has_default:
        docs += f" Default: {json.dumps(field.default, ensure_ascii=False)}."
    elif may_be_absent(field):
        docs += " May be left out."
    return docs.strip()


# --- as JSON --------------------------------------------------------------------------------------------------------


def _row(api: ProcessApi, lines: _CommandLine) -> dict[str, object]:
    return {
        "process": str(api.process),
        "description": api.docs.text,
        "file": api.file,
        "raw": api.is_raw,
        "messages": [
            {
                "name": each.name,
                "key": None if each.case is None else each.case.key,
                "description": each.docs.text,
                "type": None if each.shape is None else shape_text(each.shape),
                "fields": [
                    {"path": path, "type": type, "description": docs}
                    for path, type, docs in list(_Rows().of(each.shape, ""))[:_MAX_ROWS]
                ],
                "example": _RAW_EXAMPLE if api.is_raw else each.example,
                "answers": _answer_rows(each),
                "command": lines.of(api, each),
            }
            for each in api.messages
        ],
    }


def _answer_rows(message: DescribedMessage) -> list[dict[str, object]]:
    if message.answers is None:
        return []
    if not isinstance(message.answers, tuple):
        shown = None if is_raw(message.answers) else example(message.answers)
        return [{"name": None, "type": shape_text(message.answers), "description": "", "example": shown}]
    return [
        {
            "name": case.name,
            "type": None if case.shape is None else shape_text(case.shape),
            "description": case.docs.text,
            "example": example_of_case(case),
        }
        for case in message.answers
    ]
