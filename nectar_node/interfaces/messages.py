"""The messages of each process of a package, as its interfaces describe them.

The interface of a process has its name, with - for _; if no process has the name of the package, the interface of that
name is of the first process. Its type `request` is what the process is asked, `response` what it answers: mostly
variants, with a case for each message. (`NAME-request` and `NAME-requests` in the interface NAME are the same, and so
for responses.) A request or response that is `string` or `list<u8>` is the body as it is, and not JSON.

A request is answered by the cases of `response` that its doc comment names, as in `@answers said, missed`, or `@answers
nothing`; without that by the one of its own name; else by any. Cases `err` and `error` may be the answer to each.

Newer kits of the existing node describe each message by a record `NAME-signature-remote`, or `-local` if processes of
the same node alone may send it: with the target, what is in the message, and `returning` for what is answered. The body
is `{"Name": value}`, with an array of several values, and `{}` for none. What is asked by HTTP (`-http`) is no message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.errors import BadAddress
from kernel.contract.json_text import parse_untrusted
from nectar_node.interfaces.errors import BadInterface
from nectar_node.interfaces.examples import example, example_of_case
from nectar_node.interfaces.fitting import misfit
from nectar_node.interfaces.resolver import TypedInterface, read_interfaces_untrusted
from nectar_node.interfaces.shapes import (
    Docs,
    Member,
    Primitive,
    RecordShape,
    Shape,
    TupleShape,
    VariantShape,
    is_bytes,
    kebab_case,
    pascal_case,
    plain,
)

_ERRORS = ("err", "error")
_NOTHING = "nothing"
_SIGNATURES = ("-signature-remote", "-signature-local")
_TARGET, _RETURNING = "target", "returning"
"""Fields of a signature that are not in the message."""


class DescribedMessage(NamedTuple):
    """One message that a process understands."""

    name: str
    """As the interface has it; `request` if it is not one of several."""
    docs: Docs
    case: Member | None
    """The case of the request that it is; None: the request is not a variant."""
    shape: Shape | None
    """What is in it; None: nothing."""
    answers: tuple[Member, ...] | Shape | None
    """The cases of the response that may answer it, or the response; None: it is not answered, or nobody says how."""

    @property
    def example(self) -> Any:
        """Return a body of it; None if it would be too large."""
        if self.case is not None:
            return example_of_case(self.case)
        return None if self.shape is None else example(self.shape)


class ProcessApi(NamedTuple):
    """What one process understands."""

    process: ProcessId
    docs: Docs
    file: str
    request: Shape
    response: Shape | None
    messages: tuple[DescribedMessage, ...]

    @property
    def is_raw(self) -> bool:
        """Return whether a request's body is no JSON, but text or bytes as they are."""
        return is_raw(self.request)

    def message(self, name: str) -> DescribedMessage | None:
        """Return the message of that name, as the interface or JSON has it."""
        for each in self.messages:
            if name in (each.name, None if each.case is None else each.case.key):
                return each
        return None


def is_raw(shape: Shape) -> bool:
    """Return whether a request or response of that type is the body as it is: text or bytes."""
    match plain(shape):
        case Primitive("string"):
            return True
        case _:
            return is_bytes(shape)


def body_text(shape: Shape, value: Any) -> str:
    """Return a request or response of that type as a body."""
    if is_raw(shape):
        return value if isinstance(value, str) else "".join(map(chr, value))
    return json.dumps(value, ensure_ascii=False)


def body_misfit_untrusted(shape: Shape, body: str) -> str | None:
    """Return what is wrong with a body, as `misfit` does; None: it is one of that type."""
    if is_raw(shape):
        return None
    try:
        value = parse_untrusted(body)
    except ValueError:
        return "it must be JSON"
    return misfit(shape, value)


def read_api_untrusted(
    package: PackageId, processes: Sequence[str], files: Iterable[tuple[str, str]]
) -> list[ProcessApi]:
    """Return what the processes of a package understand, in the order of their names in the files.

    `processes` are the names in its manifest, in order; none: they are not known. Raises BadInterface.
    """
    found = []
    for interface in read_interfaces_untrusted(files).values():
        request, response = _type(interface, "request"), _type(interface, "response")
        returned = _signatures(interface) if request is None else {}
        if returned:
            cases = tuple(returned)
            request = VariantShape("request", interface.docs, cases, {each.key: each for each in cases})
        if request is None:
            continue  # types for others
        name = _process(interface.name, package, processes)
        try:
            process = ProcessId.parse(f"{name}:{package}")
        except BadAddress as error:
            raise BadInterface(f"{interface.file}: {interface.name} is no name of a process: {error}.") from error
        messages = tuple(
            [DescribedMessage(case.name, case.docs, case, case.shape, shape) for case, shape in returned.items()]
            or _messages(request, response, interface)
        )
        found.append(ProcessApi(process, interface.docs, interface.file, request, response, messages))
    return found


def _signatures(interface: TypedInterface) -> dict[Member, Shape | None]:
    """Return the messages that are described by signatures, as cases of a request, and what answers each."""
    found: dict[str, tuple[Member, Shape | None]] = {}
    for ending in _SIGNATURES:
        for type, shape in interface.types.items():
            name = type.removesuffix(ending)
            signature = plain(shape)
            if name in (type, "") or name in found or not isinstance(signature, RecordShape):
                continue
            fields = {each.name: each for each in signature.fields}
            returning = fields.pop(_RETURNING, None)
            fields.pop(_TARGET, None)
            case = Member(name, pascal_case(name), _with_names(signature.docs, tuple(fields)), _together(fields))
            found[name] = case, None if returning is None else returning.shape
    return dict(found.values())


def _together(fields: Mapping[str, Member]) -> Shape:
    """Return the type of the values of several fields, as a signature's message has them."""
    shapes = tuple(each.shape for each in fields.values() if each.shape is not None)
    if len(shapes) == 1:
        return shapes[0]
    return TupleShape(shapes) if shapes else RecordShape("nothing", Docs(), ())


def _with_names(docs: Docs, names: Sequence[str]) -> Docs:
    """Return the docs of a message with the names of its values, which are not in the message."""
    taken = f"Takes {', '.join(names)}." if names else "Takes nothing."
    return docs._replace(text=f"{docs.text.strip()} {taken}".strip())


def _type(interface: TypedInterface, what: str) -> Shape | None:
    for name in (what, f"{interface.name}-{what}", f"{interface.name}-{what}s"):
        if name in interface.types:
            return interface.types[name]
    return None


def _process(interface: str, package: PackageId, processes: Sequence[str]) -> str:
    """Return the name of the process that an interface is about: one that only runs for a while is in no manifest."""
    by_interface = {kebab_case(each): each for each in processes}
    name = kebab_case(interface)
    if name in by_interface:
        return by_interface[name]
    if name != kebab_case(package.package):
        return interface
    return processes[0] if processes else package.package


def _messages(request: Shape, response: Shape | None, interface: TypedInterface) -> Iterable[DescribedMessage]:
    shape = plain(request)
    if not isinstance(shape, VariantShape):
        yield DescribedMessage("request", getattr(request, "docs", Docs()), None, request, response)
        return
    for case in shape.cases:
        yield DescribedMessage(case.name, case.docs, case, case.shape, _answers(case, response, interface))


def _answers(request: Member, response: Shape | None, interface: TypedInterface) -> tuple[Member, ...] | Shape | None:
    said = request.docs.tags.get("answers")
    if response is None or said == _NOTHING:
        return None
    shape = plain(response)
    if not isinstance(shape, VariantShape):
        return response
    by_name: Mapping[str, Member] = {each.name: each for each in shape.cases}
    wanted = [request.name] if said is None else [each.strip() for each in said.split(",")]
    if said is None and request.name not in by_name:
        return shape.cases
    unknown = [each for each in wanted if each not in by_name]
    if unknown:
        raise BadInterface(f"{interface.file}: {request.name} is answered by {unknown[0]}, which is no response.")
    return tuple(by_name[each] for each in dict.fromkeys((*wanted, *(each for each in _ERRORS if each in by_name))))
