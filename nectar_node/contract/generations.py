"""The shapes that guests know of the system processes' answers, as data: one table for each generation of interfaces.

Which generation a guest is of follows from the interface that it was compiled for
(`kernel.wasm.canonical.wit.INTERFACES`; its `Program` says so). A system process says which kind of error there is and
the facts about it; what a guest reads stands here, and nowhere else. What guests of one generation ask is accepted from
those of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kernel.contract.address import ProcessId
from kernel.contract.guest import Generation
from nectar_node.base.system_processes import KV, SQLITE, VFS

GenerationOf = Callable[[ProcessId], Generation]
"""Returns which shapes a process knows."""
Facts = Mapping[str, object]
"""What there is to say about an error, by name."""


class Form(NamedTuple):
    """How a variant of an enum is written: `"Name"`, `{"Name": {field: fact}}` or `{"Name": fact}`."""

    name: str
    fields: tuple[str, ...] = ()
    bare: str = ""
    """The one fact that it holds without a field's name."""
    default: str = ""
    """What stands for a fact that is not known."""

    def write(self, facts: Facts) -> object:
        """Return the variant as JSON."""
        if self.bare:
            return {self.name: facts.get(self.bare, self.default)}
        if self.fields:
            return {self.name: {field: facts.get(field, self.default) for field in self.fields}}
        return self.name


Forms = Mapping[str, Form | Mapping[str, Form]]
"""The forms of errors, by kind; for a kind with several, by its fact `action`."""


class Errors(NamedTuple):
    """The errors of one system process, as one generation knows them."""

    forms: Forms
    nested: bool = False
    """Whether an error is `{"Err": {"error": e}}`, and not `{"Err": e}`."""


def error_answer(process: ProcessId, generation: Generation, kind: str, facts: Facts) -> dict[str, object]:
    """Return the answer that a guest of that generation gets from a system process for an error."""
    errors = ERRORS[process][generation]
    form = errors.forms[kind]
    if not isinstance(form, Form):
        form = form[str(facts["action"])]
    written = form.write(facts)
    return {"Err": {"error": written} if errors.nested else written}


# --- vfs --------------------------------------------------------------------------------------------------------------

_IO, _PLACE = ("error", "path"), ("action", "path")
_VFS_EARLY: Forms = {
    "NoCap": Form("NoCap", _PLACE),
    "BadBytes": Form("BadBytes", _PLACE),
    "BadRequest": Form("BadRequest", ("error",)),
    "BadJson": Form("BadJson", ("error",)),
    "ParseError": Form("ParseError", _IO),
    "IOError": Form("IOError", _IO),
    "BadArchive": Form("IOError", _IO),
    "NotFound": Form("NotFound", ("path",)),
    "CreateDirError": Form("CreateDirError", _IO),
    "NotGiven": Form("CapChannelFail", ("error",)),
}
_VFS_LATE: Forms = {
    "NoCap": {"read": Form("NoReadCap"), "write": Form("NoWriteCap")},
    "BadBytes": Form("NoBlob"),
    "BadRequest": Form("MalformedRequest"),
    "BadJson": Form("MalformedRequest"),
    "ParseError": Form("ParseError", _IO),
    "IOError": Form("IOError", bare="error"),
    "BadArchive": Form("UnzipError"),
    "NotFound": Form("IOError", bare="error", default="No such file or directory (os error 2)"),
    "CreateDirError": Form("IOError", bare="error"),
    "NotGiven": Form("AddCapFailed"),
}

# --- databases --------------------------------------------------------------------------------------------------------

_NO_CAP = Form("NoCap", ("error",))
_DATABASES_EARLY: Forms = {
    "NoDb": Form("NoDb"),
    "NoTx": Form("NoTx"),
    "NoWriteCap": _NO_CAP,
    "NoReadCap": _NO_CAP,
    "NotOwn": _NO_CAP,
    "NotGiven": _NO_CAP,
    "Malformed": Form("InputError", ("error",)),
    "Io": Form("IOError", ("error",)),
}
_DATABASES_LATE: Forms = {
    "NoDb": Form("NoDb", bare="database"),
    "NoTx": Form("NoTx", bare="number"),
    "NoWriteCap": Form("NoWriteCap"),
    "NoReadCap": Form("NoReadCap"),
    "NotOwn": Form("MismatchingPackageId"),
    "NotGiven": Form("AddCapFailed"),
    "Malformed": Form("MalformedRequest"),
    "Io": Form("IOError", bare="error"),
}
_OF_KV: Forms = {"KeyNotFound": Form("KeyNotFound")}
_OF_SQLITE: Forms = {name: Form(name) for name in ("NotAReadKeyword", "NotAWriteKeyword", "InvalidParameters")}
_KV_EARLY = Errors({**_DATABASES_EARLY, **_OF_KV, "Database": Form("RocksDBError", ("action", "error"))}, nested=True)
_KV_LATE = Errors({**_DATABASES_LATE, **_OF_KV, "Database": Form("RocksDBError", bare="error")})
_SQLITE_EARLY = Errors({**_DATABASES_EARLY, **_OF_SQLITE, "Database": Form("RusqliteError", ("error",))}, nested=True)
_SQLITE_LATE = Errors({**_DATABASES_LATE, **_OF_SQLITE, "Database": Form("RusqliteError", bare="error")})

_GOT_EARLY, _GOT_LATE = Form("Get", ("key",)), Form("Get", bare="key")
KV_GOT: Mapping[Generation, Form] = {
    Generation.EARLY: _GOT_EARLY,
    Generation.MIDDLE: _GOT_EARLY,
    Generation.LATE: _GOT_LATE,
}
"""kv's answer to "Get": the key; the value is the blob."""


def _by_generation(early: Errors, late: Errors) -> dict[Generation, Errors]:
    return {Generation.EARLY: early, Generation.MIDDLE: early, Generation.LATE: late}


ERRORS: Mapping[ProcessId, Mapping[Generation, Errors]] = {
    VFS: _by_generation(Errors(_VFS_EARLY), Errors(_VFS_LATE)),
    KV: _by_generation(_KV_EARLY, _KV_LATE),
    SQLITE: _by_generation(_SQLITE_EARLY, _SQLITE_LATE),
}
"""The errors of each system process whose errors differ."""

# --- terminal ---------------------------------------------------------------------------------------------------------

ALIAS_SET: Mapping[Generation, object] = {
    Generation.EARLY: "Ok",
    Generation.MIDDLE: "Ok",
    Generation.LATE: {"EditAlias": "AliasSet"},
}
"""The terminal's answer to "EditAlias"."""

# --- names that this node does not have -------------------------------------------------------------------------------

ETH = ProcessId("eth", "distro", "sys")
"""Chains, which this node knows nothing of."""
ETH_SETTINGS = frozenset(
    (
        *("AddProvider", "RemoveProvider", "SetProviders", "GetProviders", "SetPublic", "SetPrivate", "AllowNode"),
        *("UnallowNode", "DenyNode", "UndenyNode", "GetAccessSettings", "GetState"),
    )
)
"""Requests that change and show the settings of eth, which have answers of their own."""
NO_CHAIN: object = {"Err": "NoRpcForChain"}
"""The answer to its other requests, in all generations."""
NO_SETTINGS: object = "PermissionDenied"
