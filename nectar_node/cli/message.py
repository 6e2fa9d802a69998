"""`nectar message`: inject a request into a node and print what comes back."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated

import typer

from kernel.contract.address import OUR_NODE, Address
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import EXIT_OFFLINE, EXIT_TIMEOUT, BadInput, NodeError
from nectar_node.cli.described import described, doubt
from nectar_node.cli.form import fill_at_terminal
from nectar_node.console import output
from nectar_node.console.advice import advice
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer, ControlError
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

MAX_BLOB_BYTES = 64 * 1024 * 1024
"""Bytes of the largest blob that nodes carry."""

_SLACK = 15.0
"""Seconds beyond the message's own timeout that the node may take to report it."""

TIMEOUT = 10
"""Seconds that a response may take unless the user says otherwise."""
_EXIT_CODES = {"response": 0, "sent": 0, "offline": EXIT_OFFLINE, "timeout": EXIT_TIMEOUT}


def complete_message(context: typer.Context, incomplete: str) -> list[str]:
    """Return the messages of the process whose names begin with `incomplete`, for the shell's completion."""
    if not context.params.get("form"):
        return []
    try:
        with options.connect_completing(context) as client:
            api = described(client, str(context.params.get("address")))
    except (OSError, NodeError, BadAddress):
        return []
    return [each.name for each in api.messages if each.name.startswith(incomplete)]


def message(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="The target: node@process:package:publisher.",
            autocompletion=options.complete_process,
        ),
    ],
    node: options.Node,
    body: Annotated[
        str | None,
        typer.Argument(
            metavar="BODY",
            help="The request's body; with --form the name of a message, if you know which.",
            show_default=False,
            autocompletion=complete_message,
        ),
    ] = None,
    form: Annotated[
        bool, typer.Option("--form", help="Be asked for the message and what is in it, as the package describes it.")
    ] = False,
    timeout: Annotated[
        int | None,
        typer.Option(
            metavar="S",
            min=0,
            help="Seconds to wait; 0: only for an answer that is there at once.",
            show_default=str(TIMEOUT),
        ),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Expect no response, and do not wait.")] = False,
    blob: Annotated[Path | None, typer.Option(metavar="FILE", help="A file to attach as the request's blob.")] = None,
    mime: Annotated[str | None, typer.Option(metavar="TYPE", help="The blob's media type.")] = None,
    save_blob: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the response's blob.")] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Send a request from a node and print the response.

    `nectar api` shows what processes understand, and --form asks you for it. A body that is not like that is sent, too,
    and you are told.

    Exit code: 0 response, or sent with --no-wait, 3 Offline, 4 Timeout. If a message that nobody waits for reaches
    nobody, `nectar errors` lists it.
    """
    check_address(address)
    if body is None and not form:
        raise BadInput("Missing argument 'BODY': type the request's body, or say --form to be asked for it.")
    if no_wait:
        for option, value in {"--timeout": timeout, "--save-blob": save_blob}.items():
            if value is not None:
                raise BadInput(f"With --no-wait there is no response: leave {option} out.")
    seconds = TIMEOUT if timeout is None else timeout
    attachment = None if blob is None else base64.b64encode(read_blob(blob)).decode()
    network = LocalNetwork.find(directory)
    with network.connect(node) as client:
        if form:
            body = fill_at_terminal(described(client, address), body)
        answer = client.request(
            "message",
            patience=seconds + _SLACK,
            target=address,
            body=body,
            timeout=None if no_wait else seconds,
            blob=attachment,
            mime=mime,
        )
        doubtful = None if form else doubt(client, address, str(body))
    if doubtful is not None:
        output.complain(doubtful)
    code = exit_code(answer)
    if save_blob is not None and answer.get("blob") is not None:
        save_blob.write_bytes(decode_blob_untrusted(answer["blob"]))
    if as_json:
        output.print_json(answer)
    else:
        _print(answer, address, node, network, save_blob)
    return code


def check_address(text: str) -> None:
    """Raise BadInput if `text` is not an address (G1)."""
    try:
        Address.parse(text)
    except BadAddress as error:
        raise BadInput(f"{error}.") from error


def read_blob(path: Path) -> bytes:
    """Return the bytes of the file `path`; raises BadInput if it cannot be read or is too large for a blob."""
    if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
        raise BadInput(f"Cannot read {path}: it is not a file.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BLOB_BYTES + 1)
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}.") from error
    if len(data) > MAX_BLOB_BYTES:
        raise BadInput(f"{path} is too large for one message, which carries {output.size(MAX_BLOB_BYTES)} at most.")
    return data


def decode_blob_untrusted(text: object) -> bytes:
    """Return the bytes of a blob in an answer; raises ControlError."""
    if not isinstance(text, str):
        raise ControlError("The node's answer has a blob that is not text.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ControlError("The node's answer has a blob that is not in base64.") from error


def exit_code(answer: Answer) -> int:
    """Return the exit code of the command; raises ControlError if the outcome is unknown."""
    outcome = answer.get("outcome")
    if outcome not in _EXIT_CODES:
        raise ControlError(f"The node's answer has an unknown outcome: {outcome!r}.")
    return _EXIT_CODES[outcome]


def _print(answer: Answer, address: str, node: str, network: LocalNetwork, saved: Path | None) -> None:
    if answer["outcome"] == "sent":
        output.say(f"Sent to {address}.")
        return
    if answer["outcome"] == "response":
        output.say(str(answer.get("body", "")))
        if answer.get("blob") is not None and saved is None:
            count = len(decode_blob_untrusted(answer["blob"]))
            output.complain(
                f"The response carries a blob of {output.size(count)}: --save-blob FILE writes it to a file."
            )
        return
    reason = answer.get("reason") or "no reason given"
    there = Address.parse(address).node
    what_to_do = advice(reason, node if there == OUR_NODE else there, network.command)
    hint = f": {what_to_do}" if what_to_do is not None else ""
    output.complain(f"{str(answer['outcome']).capitalize()}: no response from {address} ({reason}){hint}.")
