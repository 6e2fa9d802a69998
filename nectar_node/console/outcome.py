"""What becomes of a command: every error is one sentence with an exit code.

Exit codes: 0 done or response, 1 it went wrong, 2 bad usage, 3 Offline, 4 Timeout, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.console import output

FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130


def carry_out(command: Callable[[], object]) -> int:
    """Carry out a command, which may return an exit code, and return its exit code."""
    try:
        result = command()
    except BadInput as error:
        output.complain(str(error))
        return BAD_USAGE
    except NodeError as error:
        output.complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        return _system_refused(error)
    return result if isinstance(result, int) else 0


def _system_refused(error: OSError) -> int:
    if error.errno == errno.EPIPE:
        # The reader of our output (such as `head`) has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    output.complain(f"The operating system refused: {what}.")
    return FAILED
