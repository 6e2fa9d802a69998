"""`nectar send`: sends a file from one node to another, through the package file_transfer on both."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from nectar_node.base.errors import EXIT_OFFLINE, EXIT_TIMEOUT, BadInput
from nectar_node.base.later import Later
from nectar_node.console import output, progress
from nectar_node.launcher.file_transfer import Order, Transfer, interrupts
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name
from nectar_node.launcher.transfer_answers import Done, TransferFailed

if TYPE_CHECKING:
    import typer

    from nectar_node.launcher import options
else:  # the words that are usual for this command are read without them (`nectar_node.cli.entry`)
    typer, options = Later("typer"), Later("nectar_node.launcher.options")

INTERRUPTED = 130
FAILED = 1
_EXIT_CODES = {"Offline": EXIT_OFFLINE, "Timeout": EXIT_TIMEOUT, "Cancelled": INTERRUPTED}

MAX_NAME_BYTES = 200
"""The timeout that file_transfer requires."""
_HAVE_REASONS = frozenset({"Offline", "Timeout"})
"""Kinds of failure of which the process knows no more, but its node does."""
_NOT_RESUMABLE = frozenset({"Refused", "NotFound", "Changed", "Superseded"})
"""Kinds of failure after which the same command would fail again, or start from the beginning."""


def send(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to send.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="NAME",
            help="The node that sends, such as send.nec.",
            autocompletion=options.complete_node,
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="NAME",
            help="The node that receives, such as recv.nec.",
            autocompletion=options.complete_node,
        ),
    ],
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Send a file from one node to another. The same command again resumes what was interrupted.

    Exit code: 0 arrived, 3 Offline, 4 Timeout, 2 bad usage, 130 cancelled by Ctrl-C, 1 anything else.
    """
    size = check_file(file)
    check_name(target)
    if source == target:
        raise BadInput(f"{source} would send the file to itself: name two different nodes with --from and --to.")
    order = Order(file, size, source, target, LocalNetwork.find(directory))
    stream = sys.stderr if as_json else sys.stdout
    began = time.monotonic()
    try:
        with (
            interrupts() as wanted,
            Transfer.open(order) as transfer,
            progress.display_on(stream, f"{file.name} → {target}", progress.TRANSFER_LINE_INTERVAL) as display,
        ):
            done = transfer.run(progress.TransferDisplay(display), wanted)
    except TransferFailed as failure:
        return _report_failure(order, failure, as_json)
    _report(order, done, time.monotonic() - began, as_json)
    return 0


def check_file(file: Path) -> int:
    """Return the size of `file` in bytes; raises BadInput if it cannot be sent, saying what to do about it."""
    try:
        # Opened without waiting: a FIFO would block until somebody writes to it.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {file}: check the path.") from error
    except OSError as error:
        raise BadInput(f"Cannot read {file}: {error.strerror}.") from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise BadInput(f"{file} is a folder: pack it into one file first, for example with `tar -cf`.")
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(f"{file} is not a regular file: only those can be sent.")
    try:
        str(file.resolve()).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"The path {output.printable(str(file))} is not valid UTF-8: rename it first.") from error
    name = file.name
    if name.startswith(".") or len(name.encode()) > MAX_NAME_BYTES or not name.isprintable():
        raise BadInput(
            f"{output.printable(name)} cannot keep its name on the other node: names do not begin with a dot, and have "
            f"at most {MAX_NAME_BYTES} bytes and no control characters. Send a copy with another name."
        )
    return status.st_size


def host_path(order: Order, done: Done) -> Path | None:
    """Return where the file lies on this host, if the receiving node's folder is in this testnet."""
    path = order.network.place(order.target).drives / done.path.lstrip("/")
    return path.resolve() if path.is_file() else None


def _report_failure(order: Order, failure: TransferFailed, as_json: bool) -> int:
    code = _EXIT_CODES.get(failure.kind, FAILED)
    resumable = failure.kind not in _NOT_RESUMABLE
    if as_json:
        output.print_json(
            {
                "failed": failure.kind,
                "reason": str(failure),
                "received": failure.received,
                "resume": order.command() if resumable else None,
            }
        )
    output.complain(output.sentence(str(failure)))
    if failure.kind in _HAVE_REASONS:
        output.complain(f"Why: {order.network.command('errors', '--node', order.source)}")
    if resumable:
        held = f" ({output.size(failure.received)} have arrived)" if failure.received else ""
        again = "To resume" if held or code == INTERRUPTED else "To try again"
        output.complain(f"{again}{held}: {order.command()}")
    return code


def _report(order: Order, done: Done, seconds: float, as_json: bool) -> None:
    rate = done.sent / seconds if seconds > 0 else 0.0
    place = host_path(order, done)
    if as_json:
        output.print_json(
            {
                "name": done.name,
                "bytes": done.size,
                "sent": done.sent,
                "resumed_from": done.resumed_from,
                "seconds": round(seconds, 3),
                "bytes_per_second": round(rate),
                "hash": done.digest,
                "path": done.path,
                "host_path": None if place is None else str(place),
            }
        )
        return
    resumed = f", resumed from {output.size(done.resumed_from)}" if done.resumed_from else ""
    output.say(f"{order.target} has {done.name}: {output.size(done.size)} in {output.duration(seconds)}{resumed}.")
    output.say(f"Sent {output.size(done.sent)} at {output.size(rate)}/s; BLAKE3 {done.digest} at both ends.")
    output.say(f"It lies in {place or done.path}")
