"""The entry point: the commands in one table, and every error as one sentence with an exit code.

Exit codes: 0 done or response, 1 it went wrong, 2 bad usage, 3 Offline, 4 Timeout, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Sequence

import typer

from nectar_node.cli import (
    boot,
    directory,
    errors,
    groups,
    inspect,
    keys,
    logs,
    message,
    net,
    output,
    run,
    send,
    start,
    top,
    trace,
)
from nectar_node.errors import BadInput, NodeError

FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130


_GROUPS = (("net", net.app), ("keys", keys.app), ("directory", directory.app))
_COMMANDS: tuple[tuple[str, Callable[..., int]], ...] = (
    ("boot", boot.boot),
    ("send", send.send),
    ("message", message.message),
    ("start", start.start),
    ("kill", start.kill),
    ("ps", inspect.ps),
    ("top", top.top),
    ("peers", inspect.peers),
    ("errors", errors.errors),
    ("trace", trace.trace),
    ("logs", logs.logs),
)
_OURS = {"run", *(name for name, _ in _GROUPS), *(name for name, _ in _COMMANDS)}


def build(first: str | None = None) -> typer.Typer:
    """The command line, with every command in it that may be meant if its `first` word is this."""
    app = typer.Typer(
        name="nectar",
        help="Run WebAssembly processes on nodes, and pass messages and files between nodes over Noise.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for group_name, group in (*(() if first in _OURS else groups.find(first)), *_GROUPS):
        app.add_typer(group, name=group_name)
    for name, command in _COMMANDS:
        app.command(name)(command)
    # A script's arguments may look like options: those that are none of ours are the script's.
    app.command("run", context_settings={"ignore_unknown_options": True})(run.run)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (`arguments` default to the process's) and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 gets '?', and no traceback
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        result = build(words[0] if words else None)(args=words, prog_name="nectar", standalone_mode=False)
    except BadInput as error:
        output.complain(str(error))
        return BAD_USAGE
    except NodeError as error:
        output.complain(str(error))
        return FAILED
    except typer.TyperException as error:
        output.complain(error.format_message())
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except OSError as error:
        return _world_refused(error)
    return result if isinstance(result, int) else 0


def _world_refused(error: OSError) -> int:
    if error.errno == errno.EPIPE:
        # The reader of our output (such as `head`) has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    output.complain(f"The operating system refused: {what}.")
    return FAILED
