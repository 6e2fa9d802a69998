"""What can go wrong between processes, an exception each.

A handler that lets one of these out answers `{"Err": "its sentence"}`. Any other exception ends the process, as a bug
does, and its traceback is in the node's log.
"""

from __future__ import annotations

from typing import Any


class NectarError(Exception):
    """The root of these errors; the text is one sentence."""


class Refused(NectarError):
    """A request was understood and refused: `{"Err": reason}`. Raise it in a handler to answer so.

    ```pycon
    >>> Refused("the store is full").reason
    'the store is full'

    ```
    """

    def __init__(self, reason: Any) -> None:
        """`reason`: what stands beside Err; mostly a text, of some system processes any JSON."""
        super().__init__(reason if isinstance(reason, str) else repr(reason))
        self.reason = reason


class BadJson(NectarError, ValueError):
    """Bytes are not JSON, or not the JSON that is wanted; or a value has no JSON."""


class BadState(NectarError):
    """What is saved is of a later version than this process knows, or of none."""


class SpawnFailed(NectarError):
    """No child was started."""


class NameTaken(SpawnFailed):
    """A process of that name runs already."""


class NoFileAtPath(SpawnFailed):
    """The package has no such file, or it is no process."""
