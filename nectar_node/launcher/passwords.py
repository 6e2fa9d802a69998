"""Reads the password of a key file from a file or a prompt, never from an argument, which others could read."""

from __future__ import annotations

import getpass
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

from nectar_node.base.errors import BadInput
from nectar_node.base.folder import NodeFolder
from nectar_node.console import output
from nectar_node.launcher.boot_options import BootOptions
from net.base.errors import KeyFileError
from net.names.keyfile import read_key_file

VARIABLE = "NECTAR_PASSWORD_FILE"
"""The environment variable that names the file with the password."""
MAX_PASSWORD_BYTES = 4096
"""Bytes that are read of a password file."""


def source(file: Path | None) -> Path | None:
    """Return the password file: the given one, else the one that the environment names; None: there is none."""
    named = os.environ.get(VARIABLE)
    return file if file is not None else Path(named) if named else None


def known(file: Path | None, whose: str) -> bytes:
    """Return the password that protects the key of `whose`; raises BadInput if there is no way to get it."""
    path = source(file)
    return read(path) if path is not None else _ask(f"Password of {whose}: ", whose)


def chosen(file: Path | None, whose: str) -> bytes:
    """Return a new password for the key of `whose`, asked for twice; raises BadInput if none is given."""
    if file is not None:
        return read(file)
    password = _ask(f"New password of {whose}: ", whose)
    if not password:
        raise BadInput("An empty password protects nothing: choose another one, or none with --no-password.")
    if _ask("The same again: ", whose) != password:
        raise BadInput("The two passwords differ: nothing was changed.")
    return password


def for_boot(folder: NodeFolder, file: Path | None) -> bytes | None:
    """Return the password that a node needs to boot: that of its key file, or of the one that is made now; None: it
    needs none.
    """
    try:
        protected = read_key_file(folder.key).protection is not None
    except KeyFileError:
        path = source(file)  # it is made now, or the boot says what is wrong with it
        return read(path) if path is not None else None
    return known(file, folder.path.name) if protected else None


def with_password(folder: NodeFolder, options: BootOptions) -> BootOptions:
    """Return the options with the password that the node in `folder` needs: its own process may have no terminal.

    Raises BadInput if there is no way to get it.
    """
    if folder.owner() is not None or options.password is not None:
        return options  # one that runs already is not started: its user need not be asked
    return replace(options, password=for_boot(folder, options.password_file))


def read(path: Path) -> bytes:
    """Return the password in `path`, without the line's end; raises BadInput."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IROTH:
                output.complain(f"Anybody on this machine can read the password file {path}: `chmod 600` it.")
            password = file.read(MAX_PASSWORD_BYTES + 1).rstrip(b"\r\n")
    except OSError as error:
        raise BadInput(f"Cannot read the password file {path}: {error.strerror}.") from error
    if not 0 < len(password) <= MAX_PASSWORD_BYTES:
        raise BadInput(f"The password file {path} is empty, or longer than {MAX_PASSWORD_BYTES} bytes.")
    return password


def _ask(prompt: str, whose: str) -> bytes:
    if not sys.stdin.isatty():
        raise BadInput(
            f"The key of {whose} needs a password, and there is no terminal to ask for it: "
            f"name a file that holds it in {VARIABLE}."
        )
    try:
        password = getpass.getpass(prompt).encode(errors="surrogateescape")
    except EOFError as error:
        raise BadInput("No password was given: nothing was changed.") from error
    if len(password) > MAX_PASSWORD_BYTES:
        raise BadInput(f"A password has at most {MAX_PASSWORD_BYTES} bytes: nothing was changed.")
    return password
