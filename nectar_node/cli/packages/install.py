"""`nectar install`, `upgrade`, `rollback` and `uninstall`: what a node has for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from nectar_node.base.consent import Consent
from nectar_node.base.errors import BadFolder, BadInput, BadPackage, NeedsConsent
from nectar_node.cli.packages.fetching import FetchRefused
from nectar_node.cli.packages.listing import PackageName
from nectar_node.cli.packages.source import FoundPackage, From, Source, find
from nectar_node.cli.starting import consent
from nectar_node.cli.starting.start import START_TIMEOUT, started
from nectar_node.console import output
from nectar_node.console.asking import agrees
from nectar_node.launcher import options
from nectar_node.launcher.boot_options import kept_options
from nectar_node.launcher.client import Answer, ControlClient, ControlError
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.launcher.node_config import booted_packages
from nectar_node.packages import unpacking
from nectar_node.packages.manifest import read_package

FAILED = 1
"""The exit code if a process has trapped at once."""

Unsigned = Annotated[
    bool,
    typer.Option("--unsigned", help="Install it although nothing proves that the node in its name has published it."),
]
Keep = Annotated[
    bool, typer.Option("--keep", help="Run a new version even if it fails at once; else the one before runs again.")
]


def install(
    source: Source,
    node: options.Node,
    sources: From = None,
    unsigned: Unsigned = False,
    grant: consent.Grant = None,
    deny: consent.Deny = None,
    replace: consent.Replace = False,
    keep: Keep = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Install a package on a node, which keeps its files.

    It starts now and at every boot.

    A package that says that a node has published it (name:publisher.nec) must be proven: by what that node has signed,
    which comes with a release. Another version of a package takes its place; requests go to the new one, and if a
    process of it fails in its first seconds, the version before runs again.

    What it asks for beyond its own files and messages it gets only if you agree, or say --grant. Exit code: 0, or 1 if
    nothing has been installed, or a process has trapped at once.
    """
    said = Consent(tuple(grant or ()), tuple(deny or ()), replace)
    wanted = _Wanted(source, node, tuple(sources or ()), unsigned, keep, upgrade=False)
    return _install(wanted, said, directory, as_json)


def upgrade(
    source: Source,
    node: options.Node,
    sources: From = None,
    unsigned: Unsigned = False,
    grant: consent.Grant = None,
    deny: consent.Deny = None,
    replace: consent.Replace = False,
    keep: Keep = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Install another version of a package that is installed already.

    You are asked again only about what it asks for beyond the version before.
    """
    said = Consent(tuple(grant or ()), tuple(deny or ()), replace)
    wanted = _Wanted(source, node, tuple(sources or ()), unsigned, keep, upgrade=True)
    return _install(wanted, said, directory, as_json)


class _Wanted(NamedTuple):
    """What is to be installed, and how."""

    source: str
    node: str
    sources: tuple[str, ...]
    unsigned: bool
    keep: bool
    upgrade: bool


def _install(wanted: _Wanted, said: Consent, directory: Path, as_json: bool) -> int:
    place = LocalNetwork.find(directory)
    with place.connect(wanted.node) as client:
        try:
            found = find(wanted.source, place, wanted.node, client, wanted.sources)
        except FetchRefused as refused:
            output.complain(str(refused))
            return refused.exit_code
        try:
            fields = {
                "package": str(found.prepared.folder.resolve()),
                "origin": found.origin,
                "unsigned": wanted.unsigned,
                "upgrade": wanted.upgrade,
                "keep": wanted.keep,
            }
            answer = _agreed(client, "install", said, as_json, **fields)
        except (BadInput, ControlError, NeedsConsent) as error:
            raise _about(error, found) from error
        finally:
            unpacking.discard(found.prepared)  # what is installed is a copy of it
    if as_json:
        output.print_json(answer)
    else:
        version = f" {answer['version']}" if answer.get("version") else ""
        if answer.get("unchanged") and wanted.upgrade:
            output.say(f"{answer['package']}{version} is on {wanted.node} already, and has been started anew.")
        else:
            output.say(f"Installed {answer['package']}{version} on {wanted.node}.")
        _tell(answer)
    return _code(answer)


def _about(
    error: BadInput | ControlError | NeedsConsent, found: FoundPackage
) -> BadInput | ControlError | NeedsConsent:
    """Return an error with what the user knows in it: the copy below the node's folder is unknown to them."""
    return type(error)(str(error).replace(str(found.prepared.folder.resolve()), found.name))


def _agreed(client: ControlClient, command: str, said: Consent, as_json: bool, **fields: object) -> Answer:
    """Have a command carried out after its user has agreed to what it would do."""
    question = client.ask(f"review_{command}", START_TIMEOUT, **_words(said), **fields)
    if question.get("standing") == "unsigned" and not as_json:
        output.warn(f"Nothing proves who has published {question['package']}: it is unsigned.")
    said = consent.settle(question, said, as_json=as_json)
    return started(client, command, as_json=as_json, **_words(said), **fields)


def _words(said: Consent) -> dict[str, object]:
    return {"grant": said.grant, "deny": said.deny, "replace": said.replaces}


def _tell(answer: Answer) -> None:
    if answer.get("ended"):
        output.complain(f"Ended with the version before: {', '.join(map(str, answer['ended']))}.")
    if answer.get("unknown_keys"):
        output.complain(f"Its manifest.json has unknown keys: {', '.join(map(str, answer['unknown_keys']))}.")
    for each in answer.get("processes", ()):
        process = str(each["address"]).rpartition("@")[2]
        if each.get("ended"):
            why = f": {output.one_line(str(each['trap'])).rstrip('.')}" if each.get("trap") else ""
            output.complain(f"{process} was started and has ended already{why}.")
        else:
            output.say(f"{process} runs.")


def _code(answer: Answer) -> int:
    return FAILED if any(each.get("trap") for each in answer.get("processes", ())) else 0


def rollback(
    package: PackageName,
    node: options.Node,
    grant: consent.Grant = None,
    deny: consent.Deny = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Let the version before of a package run again.

    The newer one is removed. Files and saved states stay as the newer version has left them.
    """
    said = Consent(tuple(grant or ()), tuple(deny or ()), replaces=True)
    with LocalNetwork.find(directory).connect(node) as client:
        answer = _agreed(client, "roll_back", said, as_json, address=package)
    if as_json:
        output.print_json(answer)
        return _code(answer)
    output.say(
        f"{answer['package']} is {answer['version'] or 'the version before'} again, and no longer "
        f"{answer['from'] or 'the newer one'}. Its files and saved states are as the newer version has left them: what "
        "that has migrated stays so, and a version that cannot read a saved state leaves it alone."
    )
    _tell(answer)
    return _code(answer)


def uninstall(
    package: PackageName,
    node: options.Node,
    purge: Annotated[bool, typer.Option("--purge", help="Also remove its drives, databases and saved states.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before anything is removed for good.")] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """End a package and its children, and forget it.

    It does not start again, and what it held is revoked.
    Its drives, databases and saved states stay for a package of the same name, unless you say --purge.
    """
    if purge and not yes and not agrees(f"Remove {package} with all its files and saved states? [y/N] "):
        raise NeedsConsent(f"{package} is not removed: say --yes if its files and saved states are to be removed.")
    place = LocalNetwork.find(directory)
    with place.connect(node) as client:
        answer = client.request("uninstall", patience=START_TIMEOUT, address=package, purge=purge)
    if as_json:
        output.print_json(answer)
        return 0
    ended = answer["ended"]
    if answer["installed"]:
        output.say(f"{answer['package']} is uninstalled: {ended} {'process' if ended == 1 else 'processes'} ended.")
    else:
        output.say(f"{answer['package']} was not installed, and what was here of it is removed.")
    _left(answer)
    if (named := _named_at_boot(place, node, str(answer["package"]))) is not None:
        output.complain(
            f"It comes back at the next boot, since {named} is among the packages that {node} boots with: give "
            "`nectar boot` the other ones with --package, or --no-packages."
        )
    return 0


def _named_at_boot(place: LocalNetwork, node: str, package: str) -> Path | None:
    """Return the folder of a package that a node starts at every boot; None: it does not start that."""
    try:
        options = kept_options(place.node(node))
        for folder in booted_packages(node, options):
            if str(read_package(folder, node).id) == package:
                return folder
    except (BadFolder, BadPackage):
        pass  # the next boot says what is wrong with them
    return None


def _left(answer: Answer) -> None:
    counted = [
        (len(answer["drives"]), "drive", "drives"),
        (answer["databases"], "database", "databases"),
        (answer["states"], "saved state", "saved states"),
    ]
    parts = [f"{count} {one if count == 1 else many}" for count, one, many in counted if count]
    if parts:
        what = ", ".join(parts)
        output.say(f"Removed with it: {what}." if answer["purged"] else f"What it has left stays: {what}.")
