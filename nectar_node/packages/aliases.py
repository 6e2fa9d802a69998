"""Aliases: short names of scripts, which the user chooses and the node's store keeps.

A row of the table `aliases` has the alias as its key, and the script's full name as its value; an empty value says that
an alias which every node has at first was removed.
"""

from __future__ import annotations

from collections.abc import Mapping

from kernel.contract.address import ProcessId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import NodeError
from nectar_node.packages.scripts import MAX_SHOWN, BadScript
from nectar_node.storage.operations import Row

ALIASES = "aliases"
"""The store's table."""
MAX_ALIASES = 256
"""Aliases at the same time: they are kept in memory."""
MAX_ALIAS_LENGTH = 64
"""Characters of an alias."""
FIRST_ALIASES = ("alias", "cat", "echo", "hi", "m", "top")
"""The aliases of a new node, each for the script of that name in terminal:sys."""


class DamagedAliases(NodeError):
    """A row is not an alias."""


class Aliases:
    """The aliases of one node's user."""

    def __init__(self, kept: Mapping[str, ProcessId | None] | None = None) -> None:
        """`kept` are the aliases of earlier boots; None is in place of one that was removed."""
        known = {name: ProcessId(name, "terminal", "sys") for name in FIRST_ALIASES} | dict(kept or {})
        self._known = {name: script for name, script in known.items() if script is not None}
        self._changed: dict[str, None] = {}
        """Aliases that are not as they are kept."""

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
        if not _is_alias(name):
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
        self._changed[name] = None

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return bool(self._changed)

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        changed, self._changed = self._changed, {}
        return [Row(ALIASES, name, self._value(name)) for name in changed]

    def _value(self, name: str) -> bytes | None:
        script = self._known.get(name)
        if script is None:
            return b"" if name in FIRST_ALIASES else None
        return str(script).encode()


def decode_untrusted(rows: Mapping[str, bytes]) -> dict[str, ProcessId | None]:
    """Return what `Aliases` is made of from its rows; raises DamagedAliases."""
    try:
        known = {name: ProcessId.parse(value.decode()) if value else None for name, value in rows.items()}
    except (BadAddress, UnicodeDecodeError) as error:
        raise DamagedAliases(f"this is no alias: {error}") from error
    if not all(map(_is_alias, known)) or len(known) > MAX_ALIASES + len(FIRST_ALIASES):
        raise DamagedAliases("these are no aliases")
    return known


def _is_alias(name: str) -> bool:
    return 0 < len(name) <= MAX_ALIAS_LENGTH and name.isprintable() and not {" ", ":"} & set(name)


def _short(text: str) -> str:
    """Return what a user wrote, short enough for a sentence."""
    return repr(text if len(text) <= MAX_ALIAS_LENGTH else text[:MAX_ALIAS_LENGTH] + "…")
