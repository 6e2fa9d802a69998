"""Fills in a message at the terminal (`nectar_node.interfaces.form` says what is asked)."""

from __future__ import annotations

import shutil
import sys
import textwrap

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.console import output
from nectar_node.interfaces.form import fill_message
from nectar_node.interfaces.messages import ProcessApi

_INDENT = 4
"""Columns by which the further lines of a long one are indented."""


class NotFilledIn(NodeError):
    """The user has left a form."""


def fill_at_terminal(api: ProcessApi, name: str | None) -> str:
    """Ask for a message of a process, show its body and return it. Raises BadInput and NotFilledIn, and
    KeyboardInterrupt.
    """
    if name is not None and api.message(name) is None:
        names = ", ".join(each.name for each in api.messages)
        raise BadInput(f"{api.process} has no message {name!r}: it has {names}.")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadInput(
            f"--form asks at a terminal, and there is none: `nectar api {api.process}` shows bodies to send."
        )
    form = fill_message(api, name)
    try:
        question = next(form)
        while True:
            for line in question.lines:
                output.say(_hanging(line))
            question = form.send(input(output.one_line(question.prompt)))
    except StopIteration as filled:
        body = str(filled.value)
    except EOFError as error:
        output.say("")
        raise NotFilledIn("Nothing was sent.") from error
    output.say(f"→ {body}")
    return body


def _hanging(line: str) -> str:
    """Return a line broken between words at the width of the terminal."""
    columns = max(_INDENT + 20, shutil.get_terminal_size().columns)
    return "\n".join(
        textwrap.wrap(output.one_line(line), columns, subsequent_indent=" " * _INDENT, drop_whitespace=True)
    )
