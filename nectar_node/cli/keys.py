"""`nectar keys`: the key of a node, which proves its name; docs/identity.md explains what it is for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base import own_files
from nectar_node.base.errors import AlreadyRunning, BadInput
from nectar_node.base.folder import NodeFolder
from nectar_node.console import output
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher import options, passwords
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name
from net.base.errors import KeyFileError, KeyFileExists, KeyFileMissing, WrongPassword
from net.names.identity import KEY_BYTES, Identity, fingerprint
from net.names.keyfile import Keys, create_key_file, read_key_file, seal, unlock_key_file, write_key_file

app = typer.Typer(
    help="Make, show, move, protect and change the keys of nodes. A node's key proves its name.",
    no_args_is_help=True,
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", autocompletion=options.complete_node, help="The node, such as send.nec.")
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help=f"A file with the password; else {passwords.VARIABLE} names it, or a prompt asks."
    ),
]
NoPassword = Annotated[bool, typer.Option("--no-password", help="Leave the key unprotected, as testnets do.")]


@app.command()
def new(
    name: Name,
    no_password: NoPassword = False,
    password_file: PasswordFile = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Make the key of a node before its first boot."""
    check_name(name)
    network = _network(directory)
    if network.place(name).key.exists():
        raise BadInput(
            f"{name} has a key already: change it with `{network.command('keys rotate', name)}`, "
            f"or show it with `{network.command('keys show', name)}`."
        )
    _one_of(no_password, password_file, "--password-file")
    # Asked before there is a folder, which would count as a node.
    password = None if no_password else passwords.chosen(passwords.source(password_file), name)
    with _changing(network.place(name)) as folder:
        identity = Identity(name, os.urandom(KEY_BYTES))
        create_key_file(folder.key, seal(Keys(identity, None), password, os.urandom))
    told = _told(name, identity.public_key, protected=password is not None)
    output.tell(told, f"{name} has the key {told['public_key']}.", as_json=as_json)
    return 0


@app.command()
def show(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Show the public key of a node; needs no password."""
    folder = _network(directory).node(name)
    own_files.check(folder.key, secret=True)
    with errors_told():
        file = read_key_file(folder.key)
    previous = file.previous.public_key.hex() if file.previous is not None else None
    key, short = file.key.public_key.hex(), fingerprint(file.key.public_key)
    protected = file.protection is not None
    if as_json:
        output.print_json(
            {"name": file.name, "public_key": key, "fingerprint": short, "protected": protected, "previous": previous}
        )
        return 0
    output.say(f"{file.name} has the key {key}, {'protected' if protected else 'unprotected'}.")
    output.say(f"Its fingerprint is {short}: `nectar net diagnose` shows the same on other nodes.")
    if previous is not None:
        output.say(f"The registrar has yet to grant it, at the node's next boot, in place of {previous}.")
    return 0


@app.command()
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy to make; it must not exist.")],
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Copy the key of a node into FILE, for another machine. The copy has the same password as the key."""
    folder = _network(directory).node(name)
    if file.is_dir():
        raise BadInput(f"{file} is a folder: name the file in it that is to be the copy.")
    own_files.check(folder.key, secret=True)
    with errors_told():
        key = read_key_file(folder.key)
        create_key_file(file, key)
    protected = key.protection is not None
    told = _told(name, key.key.public_key, protected=protected) | {"file": str(file)}
    sentence = f"The key of {name} is in {file}, {'protected' if protected else 'UNPROTECTED'}."
    output.tell(told, sentence, as_json=as_json)
    return 0


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A copy that `nectar keys export` made.")],
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Give a node the key in FILE, which says whose it is. An existing key is never replaced."""
    with errors_told():
        key = read_key_file(file)
    network = _network(directory)
    with _changing(network.place(key.name)) as folder:
        create_key_file(folder.key, key)
    told = _told(key.name, key.key.public_key, protected=key.protection is not None)
    sentence = f"{key.name} has the key {told['public_key']}: it must run in one place only."
    output.tell(told, sentence, as_json=as_json)
    return 0


@app.command()
def passwd(
    name: Name,
    no_password: NoPassword = False,
    password_file: PasswordFile = None,
    new_password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with the new password; else a prompt asks for it.")
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Protect the key of a node with a new password, or with none."""
    _one_of(no_password, new_password_file, "--new-password-file")
    with _changing(_network(directory).node(name)) as folder:
        keys, _ = unlock(folder, password_file)
        password = None if no_password else passwords.chosen(new_password_file, name)
        write_key_file(folder.key, seal(keys, password, os.urandom))
    told = _told(name, keys.identity.public_key, protected=password is not None)
    sentence = f"The key of {name} is {'unprotected now' if password is None else 'protected with the new password'}."
    output.tell(told, sentence, as_json=as_json)
    return 0


@app.command()
def rotate(
    name: Name,
    password_file: PasswordFile = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Give a node a new key. The old one signs the change, and is dropped once the registrar has granted the
    new one.
    """
    network = _network(directory)
    if name == REGISTRAR_NAME:
        raise BadInput(f"The key of {name} is what its whole network trusts, so it cannot change: start a new network.")
    with _changing(network.node(name)) as folder:
        if read_key_file(folder.key).previous is not None:
            raise BadInput(
                f"{name} has a new key already that the registrar has yet to grant: boot it once with "
                f"`{network.boot(name)}`."
            )
        keys, password = unlock(folder, password_file)
        identity = Identity(name, os.urandom(KEY_BYTES))
        write_key_file(folder.key, seal(Keys(identity, keys.identity), password, os.urandom))
    told = _told(name, identity.public_key, protected=password is not None)
    told["previous"] = keys.identity.public_key.hex()
    sentence = f"{name} has the key {told['public_key']}: the registrar grants it at the node's next boot."
    output.tell(told, sentence, as_json=as_json)
    return 0


def _told(name: str, key: bytes, *, protected: bool) -> dict[str, object]:
    """Return the JSON answer of a command that makes, copies or protects a key."""
    return {"name": name, "public_key": key.hex(), "protected": protected}


def _network(directory: Path) -> LocalNetwork:
    network = LocalNetwork(directory)
    network.secure()
    return network


def _one_of(no_password: bool, file: Path | None, option: str) -> None:
    if no_password and file is not None:
        raise BadInput(f"{option} protects the key and --no-password does not: leave out one of them.")


def unlock(folder: NodeFolder, password_file: Path | None) -> tuple[Keys, bytes | None]:
    """Return the keys in the folder, and the password that protects them."""
    protected = read_key_file(folder.key).protection is not None
    password = passwords.known(password_file, folder.path.name) if protected else None
    return unlock_key_file(folder.key, password), password


@contextmanager
def _changing(folder: NodeFolder) -> Iterator[NodeFolder]:
    """Yield the folder of a node that does not run, and cannot start meanwhile. Raises AlreadyRunning and BadInput."""
    name = folder.path.name
    own_files.make_folder(folder.path)
    own_files.check(folder.key, secret=True)
    try:
        lock = folder.acquire()
    except AlreadyRunning as error:
        raise AlreadyRunning(
            f"{name} is running, as process {folder.owner()}: its key can change only while it does not; stop it first."
        ) from error
    try:
        with errors_told():
            yield folder
    finally:
        os.close(lock)


@contextmanager
def errors_told() -> Iterator[None]:
    """Turn what is wrong with a key file into one sentence for people. Raises BadInput."""
    try:
        yield
    except KeyFileMissing as error:
        raise BadInput(
            f"{output.sentence(str(error))[:-1]}: make one with `nectar keys new`, or boot the node."
        ) from error
    except KeyFileExists as error:
        raise BadInput(
            f"{output.sentence(str(error))[:-1]}, and a key is never replaced: "
            "move it away first, or choose another place."
        ) from error
    except WrongPassword as error:
        raise BadInput(f"{output.sentence(str(error))[:-1]}: nothing was changed, try again.") from error
    except KeyFileError as error:
        raise BadInput(output.sentence(str(error))) from error
