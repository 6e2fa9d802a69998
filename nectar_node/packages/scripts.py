"""Scripts: what a user means by the name of one, and what its package says of it.

A script is a file of a package that its scripts.json lists: {"name.wasm": {root, public, request_networking,
request_capabilities, grant_capabilities}}, with the fields and shapes of a manifest.json, in camelCase too, as the
existing node's packages have it. Its full name is `name:package:publisher`; an alias is short for one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, NamedTuple

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.errors import BadAddress
from kernel.contract.message import ON_EXIT_NONE
from nectar_node.base.decoding import BadShape, convert_untrusted, decode_untrusted
from nectar_node.base.errors import NodeError
from nectar_node.packages.manifest import ManifestEntry, Rights, make_entry

SCRIPTS_FILE = "/scripts.json"
"""Its path in a package's drive `pkg`."""
MAX_SCRIPTS_BYTES = 1 << 20
"""Bytes of one scripts.json."""
MAX_SHOWN = 20
"""Scripts that a sentence lists."""


class BadScript(NodeError):
    """There is no such script, or what its package says of it makes no sense."""


class Script(NamedTuple):
    """What a package says of one of its scripts."""

    root: bool
    """Whether it gets all that the node's user may do."""
    entry: ManifestEntry
    """What it asks for, as if it were a process of a manifest."""


class _Settings(Rights, frozen=True, kw_only=True):
    root: bool = False


def parse_scripts_untrusted(data: bytes, script: ProcessId, our: str) -> Script:
    """Return what scripts.json says of `script`, on the node `our`; raises BadScript."""
    package = script.package_id
    listed, file = _listed(data, package), f"{script.process}.wasm"
    if file not in listed:
        raise BadScript(f"{package} has no script {script.process}: it has {_names(listed)}.")
    return _script(listed[file], file, script, our)


def requested_untrusted(data: bytes, package: PackageId, our: str) -> tuple[Capability, ...]:
    """Return the capabilities that the scripts of a package ask for, each once. Scripts with invalid entries are left
    out: they cannot be run.
    """
    requested: dict[Capability, None] = {}
    with suppress(BadScript):
        for file, settings in _listed(data, package).items():
            with suppress(BadScript):
                name = ProcessId(file.removesuffix(".wasm"), package.package, package.publisher)
                root, entry = _script(settings, file, name, our)
                requested |= dict.fromkeys((*([all_rights(our)] if root else []), *entry.capabilities))
    return tuple(requested)


def all_rights(our: str) -> Capability:
    """Return what `root` stands for when people decide what a package may have; no process is ever given it."""
    return Capability(Address(our, ProcessId("terminal", "terminal", "sys")), '"root"')


def _listed(data: bytes, package: PackageId) -> dict[str, Any]:
    where = f"/{package}/pkg{SCRIPTS_FILE}"
    if len(data) > MAX_SCRIPTS_BYTES:
        raise BadScript(f"{where} is larger than {MAX_SCRIPTS_BYTES >> 20} MiB.")
    try:
        return decode_untrusted(data, dict[str, Any])
    except BadShape as error:
        raise BadScript(f"{where} cannot be used: {error}.") from None


def _script(value: object, file: str, script: ProcessId, our: str) -> Script:
    """Return what a script's entry says, with keys in snake_case or, which count more, in camelCase."""
    try:
        if isinstance(value, dict):
            camel_case_last = sorted(value, key=_SNAKE_CASE.__contains__)
            value = {_SNAKE_CASE.get(key, key): value[key] for key in camel_case_last}
        settings = convert_untrusted(value, _Settings)
        entry = make_entry(ProcessId.parse(str(script)), f"/{script.process}.wasm", ON_EXIT_NONE, settings, our)
    except (BadAddress, ValueError, RecursionError) as error:
        where = f"/{script.package_id}/pkg{SCRIPTS_FILE}"
        raise BadScript(f"{where} says something wrong of {file}: {error}.") from None
    return Script(settings.root, entry)


_SNAKE_CASE = {re.sub("_(.)", lambda found: found[1].upper(), key): key for key in Rights.__struct_fields__}


def _names(listed: dict[str, object]) -> str:
    names = sorted(file.removesuffix(".wasm") for file in listed if file.isprintable() and len(file) <= 255)
    return ", ".join(names[:MAX_SHOWN]) or "none"
