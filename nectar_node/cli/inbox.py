"""`nectar inbox`: whose files a node accepts, how large and how many, and the offers about which its user is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from msgspec import Struct, field, to_builtins
from msgspec.structs import replace

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.console import output
from nectar_node.console.sizes import parse_size
from nectar_node.launcher import options
from nectar_node.launcher.client import ControlError
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name
from nectar_node.launcher.transfer_answers import PROCESS, decode_untrusted

app = typer.Typer(help="Decide whose files a node accepts.", no_args_is_help=True, rich_markup_mode=None)
policy_app = typer.Typer(
    help="Show whose files a node accepts, how large and how many. `set` changes it.", rich_markup_mode=None
)
app.add_typer(policy_app, name="policy")

T = TypeVar("T")

NO_LIMIT = "none"
"""The word in place of a limit, or of names."""
ACCEPT = ("all", "ask", "none")
_PATIENCE = 10
"""Seconds for the process to answer."""
_GONE_SECONDS = 60
"""Seconds without a request after which a sender is gone: it asks every two seconds, and is seen every thirty."""

Which = Annotated[str, typer.Argument(metavar="ID|NAME", help="The offer's number, or the name of its file.")]
Limit = Annotated[str | None, typer.Option(metavar="SIZE", help="Such as 10GiB; none: no limit.")]


class InboxRefused(NodeError):
    """The process cannot do what the user wants, and says why."""


class Policy(Struct, frozen=True):
    """The files that a node accepts, as the process tells it."""

    accept: str
    """all, ask or none: what becomes of files from nodes that are not in `names`."""
    names: tuple[str, ...] = field(name="from")
    max_size: int | None
    """Bytes of a file; None: as many as the disk can take."""
    max_total: int | None
    """Bytes of all files in the inbox."""
    max_files: int | None
    """Files in the inbox."""


class Offer(Struct, frozen=True):
    """A file that somebody wants to send, as the process tells it."""

    id: int
    peer: str
    name: str
    size: int
    verdict: str
    """pending, accepted or refused."""
    silent: int
    """Seconds since its sender last asked."""

    @property
    def gone(self) -> bool:
        """Whether its sender does not wait any more."""
        return self.silent > _GONE_SECONDS

    def value(self) -> dict[str, object]:
        """Return the offer for `--json`."""
        return {
            "id": self.id,
            "from": self.peer,
            "name": self.name,
            "size": self.size,
            "verdict": self.verdict,
            "sender_waits": not self.gone,
        }

    def state(self) -> str:
        """Return the state in words."""
        if self.verdict != "pending":
            return self.verdict
        return f"its sender left {output.duration(self.silent)} ago" if self.gone else "waits for you"


class PolicyAnswer(Struct, frozen=True, rename="pascal"):
    """The answer to a request about the policy."""

    policy: Policy


class OffersAnswer(Struct, frozen=True, rename="pascal"):
    """The answer to a request about offers."""

    offers: tuple[Offer, ...]


class _Refusal(Struct, frozen=True, rename="pascal"):
    err: str | None = None


# --- commands -------------------------------------------------------------------------------------------------------


@policy_app.callback(invoke_without_command=True)
def policy(
    context: typer.Context,
    node: Annotated[str | None, typer.Option(metavar="NAME", help="The node to ask, such as recv.nec.")] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Show whose files a node accepts, how large and how many. `set` changes it."""
    if context.invoked_subcommand is not None:
        return 0
    if node is None:
        raise BadInput("Which node? Name it with --node, such as --node recv.nec.")
    network = LocalNetwork.find(directory)
    _show(network, node, _ask(network, node, "GetPolicy", PolicyAnswer).policy, as_json)
    return 0


@policy_app.command("set")
def set_(
    node: options.Node,
    accept: Annotated[
        str | None, typer.Option(metavar="all|ask|none", help="What becomes of files from nodes not named by --from.")
    ] = None,
    names: Annotated[
        str | None, typer.Option("--from", metavar="NAMES", help="Always accept files from these: a.nec,b.nec.")
    ] = None,
    max_size: Limit = None,
    max_total: Limit = None,
    max_files: Annotated[str | None, typer.Option(metavar="N", help="Files in the inbox; none: no limit.")] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Change whose files a node accepts. What is not given stays as it is, and a restart keeps it.

    --max-size is for one file, --max-total for all in the inbox. The disk's free space is a limit in any case.
    """
    if accept is None and names is None and max_size is None and max_total is None and max_files is None:
        raise BadInput("There is nothing to change: say --accept, --from, --max-size, --max-total or --max-files.")
    if accept is not None and accept not in ACCEPT:
        raise BadInput(f"--accept is {', '.join(ACCEPT[:-1])} or {ACCEPT[-1]}, not {accept!r}.")
    named = None if names is None else parse_names(names)
    sizes = [None if text is None else parse_limit(text) for text in (max_size, max_total)]
    count = None if max_files is None else parse_count(max_files)
    network = LocalNetwork.find(directory)
    new = _ask(network, node, "GetPolicy", PolicyAnswer).policy
    new = new if accept is None else replace(new, accept=accept)
    new = new if named is None else replace(new, names=named)
    new = new if max_size is None else replace(new, max_size=sizes[0])
    new = new if max_total is None else replace(new, max_total=sizes[1])
    new = new if max_files is None else replace(new, max_files=count)
    if named and new.accept == "all":
        raise BadInput(
            f"{node} accepts files from everybody: say --accept ask or --accept none for all who are not named."
        )
    _show(network, node, _ask(network, node, {"Policy": to_builtins(new)}, PolicyAnswer).policy, as_json)
    return 0


@app.command("list")
def list_(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List the files that others want to send. They wait for your answer."""
    network = LocalNetwork.find(directory)
    offers = _ask(network, node, "Offers", OffersAnswer).offers
    if as_json:
        output.print_json({"offers": [each.value() for each in offers]})
    elif not offers:
        output.say(f"No file waits for an answer of the user of {node}.")
    else:
        rows = [(str(each.id), each.peer, each.name, output.size(each.size), each.state()) for each in offers]
        output.print_table(("ID", "FROM", "FILE", "SIZE", "STATE"), rows, ("ID", "SIZE"))
    return 0


@app.command()
def accept(
    which: Which, node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False
) -> int:
    """Accept a file."""
    return _decide("Accept", which, node, directory, as_json)


@app.command()
def refuse(
    which: Which, node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False
) -> int:
    """Tell the sender that you do not want the file. You are not asked about it again for an hour."""
    return _decide("Refuse", which, node, directory, as_json)


def _decide(verdict: str, which: str, node: str, directory: Path, as_json: bool) -> int:
    offers = _ask(LocalNetwork.find(directory), node, {verdict: {"id": which}}, OffersAnswer).offers
    if as_json:
        output.print_json({"offers": [each.value() for each in offers]})
        return 0
    for each in offers:
        output.say(_consequence(each))
    return 0


def _consequence(offer: Offer) -> str:
    what = f"{offer.name} ({output.size(offer.size)})"
    if offer.verdict == "refused":
        return f"{offer.peer} is told that you do not want {what}."
    if offer.gone:
        return f"{offer.peer} no longer waits: {what} comes when it is sent again, within a day."
    return f"{offer.peer} sends {what} now."


def _show(network: LocalNetwork, node: str, policy: Policy, as_json: bool) -> None:
    if as_json:
        output.print_json(to_builtins(policy))
        return
    output.say(sentence(node, policy))
    if policy.accept != "none" or policy.names:
        output.say(limits(policy))
    if policy.accept == "ask":
        output.say(f"Offers that wait for an answer: {network.command('inbox list', '--node', node)}")


def sentence(node: str, policy: Policy) -> str:
    """Return whose files are accepted, in words."""
    names = ", ".join(policy.names)
    if policy.accept == "all":
        return f"{node} accepts files from everybody."
    if policy.accept == "ask":
        return f"{node} asks you about each file{f', unless it comes from {names}' if names else ''}."
    return f"{node} accepts files from {names} alone." if names else f"{node} accepts no files."


def limits(policy: Policy) -> str:
    """Return how much is accepted, in words."""
    held = [
        *([output.size(policy.max_total)] if policy.max_total is not None else []),
        *([f"{policy.max_files:,} files"] if policy.max_files is not None else []),
    ]
    size = "be of any size" if policy.max_size is None else f"have up to {output.size(policy.max_size)}"
    inbox = f"; the inbox holds at most {' and '.join(held)}" if held else ""
    return f"Each file may {size}, as far as the disk has room{inbox}."


# --- arguments ------------------------------------------------------------------------------------------------------


def parse_names(text: str) -> tuple[str, ...]:
    """Return names of nodes from a text that joins them by commas, or says `none`; raises BadInput."""
    if text == NO_LIMIT:
        return ()
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
    for name in names:
        check_name(name)
    return names


def parse_limit(text: str) -> int | None:
    """Return a size in bytes, or None for `none`; raises BadInput."""
    return None if text == NO_LIMIT else parse_size(text)


def parse_count(text: str) -> int | None:
    """Return a number, or None for `none`; raises BadInput."""
    if text == NO_LIMIT:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise BadInput(f"{text!r} is not a number of files: give one such as 1000, or none.")
    return int(text)


# --- answers --------------------------------------------------------------------------------------------------------


def _ask(network: LocalNetwork, node: str, body: object, type: type[T]) -> T:
    """Return what file_transfer of the node answers; raises NodeError."""
    text = json.dumps(body, ensure_ascii=False)
    with network.connect(node) as client:
        answer = client.ask("message", target=PROCESS, body=text, timeout=_PATIENCE, blob=None, mime=None)
    if answer.get("outcome") != "response":
        raise ControlError(
            f"The package file_transfer did not answer on {node} ({answer.get('reason')}): "
            f"see `{network.command('ps', '--node', node)}`."
        )
    if (reason := decode_untrusted(answer, _Refusal).err) is not None:
        raise InboxRefused(output.sentence(reason))
    return decode_untrusted(answer, type)
