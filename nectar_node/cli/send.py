"""`nectar send`: sends files and folders from one node to others, through the package file_transfer on all of them."""

from __future__ import annotations

import os
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TextIO

from nectar_node.base.errors import EXIT_OFFLINE, EXIT_TIMEOUT, BadInput, NodeError, exit_code
from nectar_node.base.later import Later
from nectar_node.console import output, progress
from nectar_node.launcher.file_transfer import Interrupts, Order, Transfer, interrupts
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name
from nectar_node.launcher.transfer_answers import Done, TransferFailed

if TYPE_CHECKING:
    import typer

    from nectar_node.console.bars import Bars
    from nectar_node.launcher import options
else:  # the words that are usual for this command are read without them (`nectar_node.cli.entry`)
    typer, options = Later("typer"), Later("nectar_node.launcher.options")

INTERRUPTED = 130
FAILED = 1
_EXIT_CODES = {"Offline": EXIT_OFFLINE, "Timeout": EXIT_TIMEOUT, "Cancelled": INTERRUPTED}

MAX_NAME_BYTES = 200
"""Bytes of a name that file_transfer takes."""
MAX_TARGETS = 16
"""Nodes that are sent to at the same time, each with two connections to the node that sends."""
_HAVE_REASONS = frozenset({"Offline", "Timeout"})
"""Kinds of failure of which the process knows no more, but its node does."""
_NOT_RESUMABLE = frozenset({"Refused", "NotFound", "Changed", "Superseded"})
"""Kinds of failure after which the same command would fail again, or start from the beginning."""


def send(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="The files and folders to send.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="NAME",
            help="The node that sends, such as send.nec.",
            autocompletion=options.complete_node,
        ),
    ],
    targets: Annotated[
        list[str],
        typer.Option(
            "--to",
            metavar="NAME",
            help="A node that receives, such as recv.nec; several are sent to at the same time.",
            autocompletion=options.complete_node,
        ),
    ],
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Send files and folders from one node to others. The same command again resumes what was interrupted.

    Exit code: 0 all have arrived, 3 Offline, 4 Timeout, 2 bad usage, 130 cancelled by Ctrl-C, 1 anything else.
    """
    targets = list(dict.fromkeys(targets))
    if len(targets) > MAX_TARGETS:
        raise BadInput(f"{len(targets)} nodes are too many at once: name at most {MAX_TARGETS} with --to.")
    sources = [(file, *check_source(file)) for file in files]
    for target in targets:
        check_name(target)
        if source == target:
            raise BadInput(f"{source} would send the file to itself: name two different nodes with --from and --to.")
    network = LocalNetwork.find(directory)
    orders = [
        [Order(file, size, source, target, network, folder) for file, size, folder in sources] for target in targets
    ]
    stream = sys.stderr if as_json else sys.stdout
    with interrupts() as wanted:
        one = len(orders) == 1
        ended = [_send_all(orders[0], stream, wanted)] if one else _send_to_many(orders, stream, wanted)
    return _report_all([each for ended_there in ended for each in ended_there], as_json)


class _Ended(NamedTuple):
    order: Order
    outcome: Done | TransferFailed | NodeError
    seconds: float


def _send_to_many(orders: list[list[Order]], stream: TextIO, wanted: Interrupts) -> list[list[_Ended]]:
    """Send to several nodes at the same time, each in a thread of its own."""
    with ThreadPoolExecutor(len(orders)) as threads:
        if not stream.isatty():
            return list(threads.map(lambda each: _send_all(each, stream, wanted), orders))
        with progress.bars_on(stream) as bars:
            return list(threads.map(lambda each: _send_all(each, stream, wanted, bars), orders))


def _send_all(orders: list[Order], stream: TextIO, wanted: Interrupts, bars: Bars | None = None) -> list[_Ended]:
    """Send all that one node is to have, one after the other; what comes after one that was lost is not tried."""
    ended = list[_Ended]()
    for number, order in enumerate(orders):
        began, title = time.monotonic(), order.title
        try:
            with (
                Transfer.open(order) as transfer,
                progress.display_on(stream, title, progress.TRANSFER_LINE_INTERVAL)
                if bars is None
                else bars.add(title) as display,
            ):
                outcome: Done | NodeError = transfer.run(progress.TransferDisplay(display), wanted)
        except NodeError as error:
            outcome = error
        ended.append(_Ended(order, outcome, time.monotonic() - began))
        if isinstance(outcome, NodeError) and getattr(outcome, "kind", "") in (*_EXIT_CODES, ""):
            kind = getattr(outcome, "kind", "Other")
            for left in orders[number + 1 :]:
                ended.append(_Ended(left, TransferFailed(kind, "it was not tried, since the one before was lost"), 0.0))
            break
    return ended


def check_source(file: Path) -> tuple[int, bool]:
    """Return the size of `file` in bytes, and whether it is a folder, whose size is 0 here. Raises BadInput if it
    cannot be sent, saying what to do about it.
    """
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
    is_folder = stat.S_ISDIR(status.st_mode)
    if not is_folder and not stat.S_ISREG(status.st_mode):
        raise BadInput(f"{file} is not a regular file or a folder: only those can be sent.")
    try:
        str(file.resolve()).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"The path {output.printable(str(file))} is not valid UTF-8: rename it first.") from error
    name = file.name if file.name not in ("", "..") else file.resolve().name
    if name.startswith(".") or len(name.encode()) > MAX_NAME_BYTES or not name.isprintable():
        raise BadInput(
            f"{output.printable(name)} cannot keep its name on the other node: names do not begin with a dot, and have "
            f"at most {MAX_NAME_BYTES} bytes and no control characters. Send a copy with another name."
        )
    return 0 if is_folder else status.st_size, is_folder


def host_path(order: Order, done: Done) -> Path | None:
    """Return where the file lies on this host, if the receiving node's folder is in this testnet."""
    path = order.network.place(order.target).drives / done.path.lstrip("/")
    return path.resolve() if path.exists() else None


def _report_all(ended: list[_Ended], as_json: bool) -> int:
    """Print how all have ended, and return the exit code: of the first that has failed, unless the user cancelled."""
    codes, rows = list[int](), list[dict[str, object]]()
    for order, outcome, seconds in ended:
        if isinstance(outcome, TransferFailed):
            codes.append(_EXIT_CODES.get(outcome.kind, FAILED))
            rows.append(_failure_row(order, outcome))
        elif isinstance(outcome, NodeError):
            if len(ended) == 1:
                raise outcome
            codes.append(exit_code(outcome))
            rows.append(_failure_row(order, TransferFailed("Other", str(outcome))))
            output.complain(_where(order, ended) + output.sentence(str(outcome)))
        else:
            codes.append(0)
            rows.append(_done_row(order, outcome, seconds))
            if not as_json:
                _report(order, outcome, seconds)
            if outcome.left_out:
                output.complain(f"{order.name}: {outcome.left_out}.")
    if as_json:
        named = [{"file": str(each.order.file), "to": each.order.target} for each in ended]
        several = {"transfers": [name | row for name, row in zip(named, rows, strict=True)]}
        output.print_json(rows[0] if len(ended) == 1 else several)
    for (order, outcome, _), code in zip(ended, codes, strict=True):
        if isinstance(outcome, TransferFailed):
            _report_failure(order, outcome, code, _where(order, ended))
    failed = [code for code in codes if code]
    return INTERRUPTED if INTERRUPTED in failed else next(iter(failed), 0)


def _where(order: Order, ended: list[_Ended]) -> str:
    """Return what a sentence about one transfer begins with, if there are several."""
    return f"{order.title}: " if len(ended) > 1 else ""


def _failure_row(order: Order, failure: TransferFailed) -> dict[str, object]:
    return {
        "failed": failure.kind,
        "reason": str(failure),
        "received": failure.received,
        "resume": order.command() if failure.kind not in _NOT_RESUMABLE else None,
    }


def _report_failure(order: Order, failure: TransferFailed, code: int, where: str) -> None:
    output.complain(where + output.sentence(str(failure), order.name))
    if failure.kind in _HAVE_REASONS:
        output.complain(f"Why: {order.network.command('errors', '--node', order.source)}")
    if failure.kind not in _NOT_RESUMABLE:
        held = f" ({output.size(failure.received)} have arrived)" if failure.received else ""
        again = "To resume" if held or code == INTERRUPTED else "To try again"
        output.complain(f"{again}{held}: {order.command()}")


def _done_row(order: Order, done: Done, seconds: float) -> dict[str, object]:
    place = host_path(order, done)
    return {
        "name": done.name,
        "bytes": done.size,
        "files": done.files if order.folder else 1,
        "sent": done.sent,
        "resumed_from": done.resumed_from,
        "left_out": done.left_out or None,
        "seconds": round(seconds, 3),
        "bytes_per_second": round(_rate(done, seconds)),
        "hash": done.digest,
        "path": done.path,
        "host_path": None if place is None else str(place),
    }


def _rate(done: Done, seconds: float) -> float:
    return done.sent / seconds if seconds > 0 else 0.0


def _report(order: Order, done: Done, seconds: float) -> None:
    resumed = f", resumed from {output.size(done.resumed_from)}" if done.resumed_from else ""
    size = (
        f"{done.files:,} file{'' if done.files == 1 else 's'}, {output.size(done.size)}"
        if order.folder
        else output.size(done.size)
    )
    output.say(f"{order.target} has {done.name}: {size} in {output.duration(seconds)}{resumed}.")
    output.say(
        f"Sent {output.size(done.sent)} at {output.size(_rate(done, seconds))}/s; BLAKE3 {done.digest} at both ends."
    )
    output.say(f"It lies in {host_path(order, done) or done.path}")
