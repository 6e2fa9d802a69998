"""Scripts: what a user means by the name of one, and what its package says of it.

A script is a file of a package that its scripts.json lists: {"name.wasm": {root, public, request_networking,
request_capabilities, grant_capabilities}}, with the fields and shapes of a manifest.json, in camelCase too, as the
existing node's packages have it. Its full name is `name:package:publisher`; an alias is short for one.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import BadPackage, NodeError
from nectar_node.packages.manifest import ManifestEntry, parse_manifest_untrusted

SCRIPTS_FILE = "/scripts.json"
"""Its path in a package's drive `pkg`."""
MAX_SCRIPTS_BYTES = 1 << 20
"""Bytes of one scripts.json."""
MAX_ALIASES = 256
"""Aliases at the same time: they are kept in memory."""
MAX_ALIAS_LENGTH = 64
"""Characters of an alias."""
MAX_SHOWN = 20
"""Scripts that a sentence lists."""

FIRST_ALIASES = ("alias", "cat", "echo", "hi", "m", "top")
"""The aliases of a node that has just booted, each for the script of that name in terminal:sys."""

_CAMEL_CASE = {
    "public": "public",
    "request_networking": "requestNetworking",
    "request_capabilities": "requestCapabilities",
    "grant_capabilities": "grantCapabilities",
}


class BadScript(NodeError):
    """There is no such script, or what its package says of it makes no sense."""


class Script(NamedTuple):
    """What a package says of one of its scripts."""

    root: bool
    """Whether it gets all that the node's user may do."""
    entry: ManifestEntry
    """What it asks for, as if it were a process of a manifest."""


class Aliases:
    """Short names of scripts."""

    def __init__(self) -> None:
        self._known = {name: ProcessId(name, "terminal", "sys") for name in FIRST_ALIASES}

    def all(self) -> dict[str, str]:
        """Return each alias and the script's full name, in order."""
        return {name: str(self._known[name]) for name in sorted(self._known)}

    def resolve(self, word: str) -> ProcessId:
        """Return the script that a user means; raises BadScript, whose sentence lists the aliases."""
        script = self._known.get(word)
        if script is not None:
            return script
        try:
            return ProcessId.parse(word)
        except BadAddress:
            known = ", ".join(sorted(self._known)[:MAX_SHOWN])
            raise BadScript(
                f"There is no script {_short(word)}: known are {known}, and those of packages by their full name, "
                "such as hi:terminal:sys."
            ) from None

    def change(self, name: str, script: str) -> None:
        """Let `name` stand for the script with the full name `script`, or for nothing if that is empty.

        Raises BadScript if one of them makes no sense, or there are too many aliases.
        """
        if not name or len(name) > MAX_ALIAS_LENGTH or not name.isprintable() or {" ", ":"} & set(name):
            raise BadScript(f"An alias is one word of at most {MAX_ALIAS_LENGTH} characters, without ':'.")
        if not script:
            if self._known.pop(name, None) is None:
                raise BadScript(f"There is no alias {name}.")
        elif len(self._known) >= MAX_ALIASES and name not in self._known:
            raise BadScript(f'There are {MAX_ALIASES} aliases already: remove one with `alias NAME ""`.')
        else:
            try:
                self._known[name] = ProcessId.parse(script)
            except BadAddress:
                raise BadScript(f"{_short(script)} is not a script's full name, such as hi:terminal:sys.") from None


def _short(text: str) -> str:
    """Return what a user wrote, short enough for a sentence."""
    return repr(text if len(text) <= MAX_ALIAS_LENGTH else text[:MAX_ALIAS_LENGTH] + "…")


def parse_scripts_untrusted(data: bytes, script: ProcessId, our: str) -> Script:
    """Return what scripts.json says of `script`, on the node `our`; raises BadScript."""
    package = script.package_id
    listed, file = _listed(data, package), f"{script.process}.wasm"
    if file not in listed:
        raise BadScript(f"{package} has no script {script.process}: it has {_names(listed)}.")
    return _script(listed[file], file, script, our)


def requested_untrusted(data: bytes, package: PackageId, our: str) -> tuple[Capability, ...]:
    """Return what the scripts of a package ask for, each once; scripts whose entries make no sense cannot be run, and
    are left out.
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
        listed = json.loads(data)
    except (ValueError, RecursionError):
        raise BadScript(f"{where} is not JSON.") from None
    if not isinstance(listed, dict):
        raise BadScript(f"{where} must be an object with the files of scripts as its keys.")
    return listed


def _script(settings: object, file: str, script: ProcessId, our: str) -> Script:
    package = script.package_id
    if not isinstance(settings, dict) or not isinstance(settings.get("root", False), bool):
        where = f"/{package}/pkg{SCRIPTS_FILE}"
        raise BadScript(f"{where} is wrong: {file} must be an object, and its root true or false.")
    return Script(settings.get("root", False), _entry(settings, package, script, our))


def _names(listed: dict[str, object]) -> str:
    names = sorted(file.removesuffix(".wasm") for file in listed if file.isprintable() and len(file) <= 255)
    return ", ".join(names[:MAX_SHOWN]) or "none"


def _entry(settings: dict[str, object], package: PackageId, script: ProcessId, our: str) -> ManifestEntry:
    item: dict[str, object] = {"process_name": script.process, "process_wasm_path": f"/{script.process}.wasm"}
    for key, camel_case in _CAMEL_CASE.items():
        for spelling in (key, camel_case):
            if spelling in settings:
                item[key] = settings[spelling]
    try:
        (entry,) = parse_manifest_untrusted([item], package, our, Path(f"/{package}/pkg{SCRIPTS_FILE}"))
    except BadPackage as error:
        raise BadScript(str(error)) from None
    return entry
